import { NotFoundError } from '../errors.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import { removeRepositoryList } from '../store/repository-list.ts';
import { removeWebhookJournal } from '../store/webhook-journal.ts';
import { removeWebhookReadings } from '../store/webhook-readings.ts';
import { updateLink } from './change-link.ts';
import { listLastHosts } from './configure-git.ts';
import type { OperationContext } from './context.ts';
import { openLinkWith } from './host-access.ts';
import { isInstallation } from './is-installation.ts';
import { hasFailed, leaveHost, leaveWithCredential, toReason, type UnlinkReport } from './leave-host.ts';
import { assertStored } from './link-faults.ts';
import { readLinkSecret, readStored } from './read-stored.ts';
import { findOwnWebhooks } from './remove-webhooks.ts';
import { whileReplacing } from './renew-sign-in.ts';
import { listLinkItems } from './secret-items.ts';

export interface UnlinkRequest {
  readonly keepWebhooks: boolean;
  readonly revoke: boolean;
  /** Takes the app off the account, where the link is of one. */
  readonly uninstall: boolean;
  /** Another link of the host, whose credential may end tokens; null where none was named. */
  readonly via: LinkRecord | null;
  /** Deletes what is here without asking the host anything. */
  readonly forget: boolean;
}

export interface UnlinkStep {
  readonly what: 'webhook' | 'uninstall' | 'revoke' | 'proof' | 'secret' | 'record' | 'git';
  readonly subject: string;
  readonly state: 'planned' | 'done' | 'skipped' | 'failed';
  readonly reason: string | null;
}

/** Something that only a person can finish. */
export interface Remaining {
  readonly what: string;
  readonly url: string | null;
}

export interface UnlinkOutcome {
  readonly steps: readonly UnlinkStep[];
  readonly remaining: readonly Remaining[];
  /** Where a person ends what was to be ended and the host ends by no API; null where nothing of that is left. */
  readonly endingPage: string | null;
  /** Whether the record is gone; a failed step keeps it, so that unlinking can be tried again. */
  readonly isGone: boolean;
}

/** What unlinking would do, without asking anybody. */
export function planUnlink(
  context: OperationContext,
  link: LinkRecord,
  request: UnlinkRequest,
): readonly UnlinkStep[] {
  const planned = (what: UnlinkStep['what'], subject: string, isWanted: boolean, why: string): UnlinkStep =>
    isWanted
      ? { what, subject, state: 'planned', reason: null }
      : { what, subject, state: 'skipped', reason: why };
  const hooks = findOwnWebhooks(context, link).map((entry) =>
    planned('webhook', entry.label, !request.keepWebhooks && !request.forget, 'kept'),
  );
  const isRevoked = request.revoke && !request.forget;
  return [
    ...hooks,
    ...(request.uninstall ? [planned('uninstall', link.account.login ?? link.host, true, '')] : []),
    planned('revoke', link.host, isRevoked, 'not asked for'),
    ...(isRevoked ? [planned('proof', link.host, true, '')] : []),
    planned('secret', link.storage, true, ''),
    ...listLastHosts(context.links.read(), link).map((host) => planned('git', host, true, '')),
    planned('record', link.name, true, ''),
  ];
}

/**
 * Takes a link apart: hooks first, while the credential still works, then the credential at the host, then the
 * secret here, then what `setup-git` wrote where no other link needs it, and the record last. A step at the host
 * that fails keeps the record, so that unlinking can be tried again.
 *
 * @param undoGit - Gives git back what it had before `setup-git` for the link's host.
 * @throws StorageError when the secret store does not answer; NotFoundError when the link is gone already.
 */
export async function unlink(
  context: OperationContext,
  link: LinkRecord,
  request: UnlinkRequest,
  undoGit: () => Promise<void>,
): Promise<UnlinkOutcome> {
  const report: UnlinkReport = { steps: [], remaining: [], endingPage: null };
  assertStored(link);
  // First, so that a secret store that does not answer changes nothing.
  await readLinkSecret(context, link);
  const current = await beginUnlinking(context, link.id);
  if (current === null) throw new NotFoundError(`"${link.name}" was unlinked meanwhile.`);
  // What a relink or a rotation has put there until now; from here on none does.
  const item = await readLinkSecret(context, current);
  if (request.forget || (item === null && !isInstallation(current))) {
    leaveHost(
      context,
      current,
      request.forget ? 'the host is not asked' : 'its secret is not here any more',
      report,
    );
  } else {
    try {
      const open = await openLinkWith(context, current, readStored(current, item));
      await leaveWithCredential(context, open, request, report);
    } catch (error) {
      if (context.signal.aborted) {
        context.reporter.warn(`Stopped on the way. To finish: gitlink unlink ${current.name}`);
      }
      throw error;
    }
  }
  if (hasFailed(report)) return { ...report, isGone: false };
  await forgetLink(context, current, undoGit, report);
  return { ...report, isGone: true };
}

/**
 * From here on git's helper no longer answers with the link, and no other command gives it a credential. A run that
 * makes webhooks or replaces the credential is waited for, because what it made later would be left behind.
 */
function beginUnlinking(context: OperationContext, id: string): Promise<LinkRecord | null> {
  return context.withLock(`webhooks-${id}`, () =>
    whileReplacing(context, id, () =>
      updateLink(context, id, (record) => ({ ...record, status: 'unlinking', statusReason: null })),
    ),
  );
}

/** Deletes what is here, the record last. */
async function forgetLink(
  context: OperationContext,
  link: LinkRecord,
  undoGit: () => Promise<void>,
  report: UnlinkReport,
): Promise<void> {
  context.reporter.status('Deleting the secrets…');
  const vault = await context.openVault(link.storage);
  // A renewal under way elsewhere would write its item again.
  await whileReplacing(context, link.id, async () => {
    for (const name of listLinkItems(link)) await vault.remove(name);
  });
  report.steps.push({ what: 'secret', subject: link.storage, state: 'done', reason: null });
  await undoGitForLast(context, link, undoGit, report);
  removeWebhookJournal(context.directories.state, link.id);
  removeWebhookReadings(context.directories.state, link.id);
  removeRepositoryList(context.directories.state, link.id);
  await context.links.change((records) => ({
    ...records,
    links: records.links.filter(({ id }) => id !== link.id),
  }));
  report.steps.push({ what: 'record', subject: link.name, state: 'done', reason: null });
}

/** Before the record goes, so that a crash leaves something to unlink again; a broken configuration does not keep it. */
async function undoGitForLast(
  context: OperationContext,
  link: LinkRecord,
  undoGit: () => Promise<void>,
  { steps, remaining }: UnlinkReport,
): Promise<void> {
  const hosts = listLastHosts(context.links.read(), link);
  if (hosts.length === 0) return;
  const toSteps = (outcome: Pick<UnlinkStep, 'state' | 'reason'>) =>
    hosts.map((subject) => ({ what: 'git', subject, ...outcome }) as const);
  try {
    await undoGit();
    steps.push(...toSteps({ state: 'done', reason: null }));
  } catch (error) {
    steps.push(...toSteps({ state: 'failed', reason: toReason(error) }));
    remaining.push({ what: `git's setup for ${hosts.join(' and ')}: gitlink setup-git --undo`, url: null });
  }
}
