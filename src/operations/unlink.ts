import { assertTellable, GitlinkError, isAuthError, NotFoundError } from '../errors.ts';
import { signInKind, type Provider } from '../providers/provider.ts';
import { getProvider } from '../providers/registry.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import { removeRepositoryList } from '../store/repository-list.ts';
import { removeWebhookLedger, type LedgerEntry } from '../store/webhook-ledger.ts';
import { isInstallation } from './is-installation.ts';
import { isEveryTokenRefused, listLeftOfApp, uninstallApp } from './apps/leave-app.ts';
import { removeWebhookReadings } from '../store/webhook-readings.ts';
import { listLastHosts } from './configure-git.ts';
import type { OperationContext } from './context.ts';
import { updateLink } from './change-link.ts';
import { createFixedSource } from './credential-source.ts';
import { openLink, openLinkFrom, openLinkWith, type OpenLink } from './host-access.ts';
import { assertStored } from './link-faults.ts';
import { describeFault } from './plan-webhooks.ts';
import { findOwnWebhooks, removeKnownWebhooks } from './remove-webhooks.ts';
import { whileReplacing } from './renew-sign-in.ts';
import { findCredentialPage, revokeCredential } from './revoke-credential.ts';
import { readLinkSecret, readStored } from './read-stored.ts';
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

  context.reporter.status('Deleting the secrets…');
  const vault = await context.openVault(current.storage);
  // A renewal under way elsewhere would write its item again.
  await whileReplacing(context, current.id, async () => {
    for (const name of listLinkItems(current)) await vault.remove(name);
  });
  report.steps.push({ what: 'secret', subject: current.storage, state: 'done', reason: null });
  await undoGitForLast(context, current, undoGit, report);
  removeWebhookLedger(context.directories.state, current.id);
  removeWebhookReadings(context.directories.state, current.id);
  removeRepositoryList(context.directories.state, current.id);
  await context.links.change((records) => ({
    ...records,
    links: records.links.filter(({ id }) => id !== current.id),
  }));
  report.steps.push({ what: 'record', subject: current.name, state: 'done', reason: null });
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

interface UnlinkReport {
  readonly steps: UnlinkStep[];
  readonly remaining: Remaining[];
  endingPage: string | null;
}

/** Does at the host what only the credential can do. */
async function leaveWithCredential(
  context: OperationContext,
  open: OpenLink,
  request: UnlinkRequest,
  report: UnlinkReport,
): Promise<void> {
  const isApp = isInstallation(open.link);
  const isDead = request.keepWebhooks
    ? keepWebhooks(context, open.link, 'kept', report)
    : await removeWebhooks(context, open, report);
  const revocation = { what: 'revoke', subject: open.link.host, state: 'skipped' } as const;
  const isUninstalled = request.uninstall && !hasFailed(report) && (await uninstall(context, open, report));
  if (!request.revoke) {
    report.steps.push({ ...revocation, reason: 'not asked for' });
    // A token that a person made stays theirs.
    if (!isDead && !isApp) {
      report.remaining.push(toCredential(open.link, open.provider, 'which is not revoked'));
    }
  } else if (hasFailed(report)) {
    report.steps.push({ ...revocation, reason: 'it is needed to remove the webhooks' });
  } else {
    await revoke(context, open, request.via, report);
  }
  if (isApp) report.remaining.push(...(await listLeftOfApp(context, open.link, !isUninstalled)));
}

/** @returns whether the app is off the account. */
async function uninstall(
  context: OperationContext,
  { link }: OpenLink,
  { steps }: UnlinkReport,
): Promise<boolean> {
  context.reporter.status('Uninstalling the App…');
  const step = { what: 'uninstall', subject: link.account.login ?? link.host } as const;
  try {
    const result = await uninstallApp(context, link);
    steps.push({ ...step, state: 'done', reason: result === 'gone' ? 'it was gone already' : null });
    return true;
  } catch (error) {
    steps.push({ ...step, state: 'failed', reason: toReason(error) });
    return false;
  }
}

/** Where nothing can be done at the host, a person is told what is left there. */
function leaveHost(context: OperationContext, link: LinkRecord, reason: string, report: UnlinkReport): void {
  keepWebhooks(context, link, reason, report);
  report.steps.push({ what: 'revoke', subject: link.host, state: 'skipped', reason });
  report.remaining.push(toCredential(link, getProvider(link.provider), 'which may still work'));
}

function keepWebhooks(
  context: OperationContext,
  link: LinkRecord,
  reason: string,
  { steps, remaining }: UnlinkReport,
): false {
  for (const entry of findOwnWebhooks(context, link)) {
    steps.push({ what: 'webhook', subject: entry.label, state: 'skipped', reason });
    remaining.push(toWebhook(link, getProvider(link.provider), entry));
  }
  return false;
}

/** @returns Whether the host refused the credential. */
async function removeWebhooks(
  context: OperationContext,
  open: OpenLink,
  { steps, remaining }: UnlinkReport,
): Promise<boolean> {
  const removals = await removeKnownWebhooks(context, open, () => findOwnWebhooks(context, open.link));
  for (const { entry, result } of removals) {
    const what = 'webhook';
    if (!(result instanceof GitlinkError)) {
      const reason = result === 'gone' ? 'it was gone already' : null;
      steps.push({ what, subject: entry.label, state: 'done', reason });
      continue;
    }
    // A dead credential or a lost role cannot remove anything, however often it is tried.
    const isHopeless = result.code === 'auth' || result.code === 'forbidden';
    const state = isHopeless ? 'skipped' : 'failed';
    steps.push({ what, subject: entry.label, state, reason: describeFault(result) });
    if (isHopeless) remaining.push(toWebhook(open.link, open.provider, entry));
  }
  return removals.some(({ result }) => result instanceof GitlinkError && result.code === 'auth');
}

function toWebhook(
  { host }: LinkRecord,
  provider: Provider | null,
  { label, place }: LedgerEntry,
): Remaining {
  const level = place.startsWith('namespace:') ? 'namespace' : 'repository';
  return { what: `the webhook of ${label}`, url: provider?.webhooks?.pageUrl(host, level, label) ?? host };
}

function toCredential(link: LinkRecord, provider: Provider | null, state: string): Remaining {
  const what = link.credentialKind === signInKind ? 'the sign-in' : 'the token';
  return {
    what: `${what}, ${state}`,
    url: provider === null ? link.host : findCredentialPage(provider, link),
  };
}

/** Where gitlink registered the client of a sign-in, deleting the registration ends it. */
function toSignIn(context: OperationContext, { link, provider }: OpenLink): Remaining {
  const client = context.links.read().clients.find(({ id }) => id === link.client);
  const isOwn = client?.registrationId != null && provider.oauth?.deleteClient !== undefined;
  const way = isOwn
    ? `; to end it with its client: gitlink client remove ${client?.clientId ?? ''} --at-host`
    : '';
  return toCredential(link, provider, `which may still work${way}`);
}

async function revoke(
  context: OperationContext,
  open: OpenLink,
  via: LinkRecord | null,
  report: UnlinkReport,
): Promise<void> {
  const { link } = open;
  const { steps, remaining } = report;
  context.reporter.status('Revoking the credential…');
  const step = { what: 'revoke', subject: link.host } as const;
  try {
    const viaAccess = via === null ? null : (await openLink(context, via)).access;
    const result = await revokeCredential(context, open, viaAccess);
    if (result.outcome === 'impossible') {
      steps.push({ ...step, state: 'skipped', reason: result.reason });
      remaining.push({ ...toSignIn(context, open), url: result.pageUrl });
      report.endingPage = result.pageUrl;
      return;
    }
    const reason = result.outcome === 'alreadyDead' ? 'it was dead already' : null;
    steps.push({ ...step, state: 'done', reason });
  } catch (error) {
    steps.push({ ...step, state: 'failed', reason: toReason(error) });
    return;
  }
  steps.push(await prove(context, open));
}

/** Believes a revocation only when the host refuses the credential. */
async function prove(context: OperationContext, { link, source }: OpenLink): Promise<UnlinkStep> {
  context.reporter.status('Making sure that it is dead…');
  const step = { what: 'proof', subject: link.host } as const;
  try {
    const { minted } = source.current;
    if (minted !== undefined && isInstallation(link)) {
      return (await isEveryTokenRefused(context, link, minted))
        ? { ...step, state: 'done', reason: 'the host refuses every token of it now' }
        : { ...step, state: 'failed', reason: 'the host still accepts a token of it' };
    }
    const { provider, access } = await openLinkFrom(context, link, createFixedSource(source.current));
    await provider.identify(access);
    return { ...step, state: 'failed', reason: 'the host still accepts it' };
  } catch (error) {
    if (isAuthError(error)) return { ...step, state: 'done', reason: 'the host refuses it now' };
    return { ...step, state: 'failed', reason: toReason(error) };
  }
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

/** @throws what is no failure of the step: a fault of gitlink's own, or the person who stopped it. */
function toReason(error: unknown): string {
  assertTellable(error);
  return error.message;
}

function hasFailed({ steps }: UnlinkReport): boolean {
  return steps.some(({ state }) => state === 'failed');
}
