import { GitlinkError } from '../errors.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import { removeWebhookLedger } from '../store/webhook-ledger.ts';
import type { OperationContext } from './context.ts';
import { openLink, updateLink, type OpenLink } from './host-access.ts';
import { describeFault } from './plan-webhooks.ts';
import { findOwnWebhooks, removeKnownWebhooks } from './remove-webhooks.ts';

export interface UnlinkRequest {
  readonly keepWebhooks: boolean;
  readonly revoke: boolean;
  /** Deletes what is here without asking the host anything. */
  readonly forget: boolean;
}

export interface UnlinkStep {
  readonly what: 'webhook' | 'revoke' | 'proof' | 'secret' | 'record' | 'git';
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
    planned('revoke', link.host, isRevoked, 'not asked for'),
    ...(isRevoked ? [planned('proof', link.host, true, '')] : []),
    planned('secret', link.storage, true, ''),
    planned('record', link.name, true, ''),
  ];
}

/**
 * Takes a link apart: hooks first, while the credential still works, then the credential at the host, then the
 * secret here, and the record last. A step that fails keeps the record.
 */
export async function unlink(
  context: OperationContext,
  link: LinkRecord,
  request: UnlinkRequest,
): Promise<UnlinkOutcome> {
  const steps: UnlinkStep[] = [];
  const remaining: Remaining[] = [];
  // From here on git's helper no longer answers with this link.
  await updateLink(context, link.id, (current) => ({ ...current, status: 'unlinking', statusReason: null }));
  const open = request.forget ? null : await openForGoodbye(context, link, steps);
  if (open !== null) {
    if (request.keepWebhooks) keepWebhooks(context, link, remaining);
    else await removeWebhooks(context, open, steps, remaining);
    if (request.revoke && !hasFailed(steps)) await revoke(context, open, steps, remaining);
    else if (!request.revoke) leaveCredential(open, remaining);
  } else if (request.forget) {
    keepWebhooks(context, link, remaining);
    remaining.push({ what: 'the credential may still work at the host', url: link.host });
  }
  if (hasFailed(steps)) return { steps, remaining, isGone: false };

  const vault = await context.openVault(link.storage);
  context.reporter.status('Deleting the secrets…');
  const items = [link.credentialItem, link.webhook?.secretItem, link.webhook?.nextSecretItem];
  for (const item of items) if (item) await vault.remove(item);
  steps.push({ what: 'secret', subject: link.storage, state: 'done', reason: null });
  removeWebhookLedger(context.directories.state, link.id);
  await context.links.change((records) => ({
    ...records,
    links: records.links.filter(({ id }) => id !== link.id),
  }));
  steps.push({ what: 'record', subject: link.name, state: 'done', reason: null });
  return { steps, remaining, isGone: true };
}

/** Opens the link; a secret that is gone already leaves nothing to revoke. */
async function openForGoodbye(
  context: OperationContext,
  link: LinkRecord,
  steps: UnlinkStep[],
): Promise<OpenLink | null> {
  const vault = await context.openVault(link.storage);
  const isThere = (await vault.read([link.credentialItem])).has(link.credentialItem);
  if (isThere) return openLink(context, link);
  steps.push({
    what: 'revoke',
    subject: link.host,
    state: 'skipped',
    reason: 'its secret is not here any more',
  });
  return null;
}

function keepWebhooks(context: OperationContext, link: LinkRecord, remaining: Remaining[]): void {
  for (const { label } of findOwnWebhooks(context, link)) {
    remaining.push({ what: `the webhook of ${label}`, url: `${link.host}/${label}/settings/hooks` });
  }
}

async function removeWebhooks(
  context: OperationContext,
  open: OpenLink,
  steps: UnlinkStep[],
  remaining: Remaining[],
): Promise<void> {
  const removals = await removeKnownWebhooks(context, open, findOwnWebhooks(context, open.link));
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
    const url = `${open.link.host}/${entry.label}/settings/hooks`;
    if (isHopeless) remaining.push({ what: `the webhook of ${entry.label}`, url });
  }
}

async function revoke(
  context: OperationContext,
  { link, provider, access }: OpenLink,
  steps: UnlinkStep[],
  remaining: Remaining[],
): Promise<void> {
  context.reporter.status('Revoking the credential…');
  const page = provider.tokenPage(link.host, []).url;
  try {
    const result = provider.revoke
      ? await provider.revoke(access)
      : {
          outcome: 'impossible' as const,
          reason: `${provider.displayName} has no way by API`,
          pageUrl: page,
        };
    if (result.outcome === 'impossible') {
      steps.push({ what: 'revoke', subject: link.host, state: 'skipped', reason: result.reason });
      remaining.push({ what: 'the token', url: result.pageUrl });
      return;
    }
    const reason = result.outcome === 'alreadyDead' ? 'it was dead already' : null;
    steps.push({ what: 'revoke', subject: link.host, state: 'done', reason });
    steps.push(await prove(context, { link, provider, access }));
  } catch (error) {
    if (!(error instanceof GitlinkError) || error.code === 'cancelled') throw error;
    steps.push({ what: 'revoke', subject: link.host, state: 'failed', reason: error.message });
  }
}

/** Believes a revocation only when the host refuses the credential. */
async function prove(context: OperationContext, { link, provider, access }: OpenLink): Promise<UnlinkStep> {
  context.reporter.status('Making sure that it is dead…');
  try {
    await provider.identify(access);
    return { what: 'proof', subject: link.host, state: 'failed', reason: 'the host still accepts it' };
  } catch (error) {
    if (!(error instanceof GitlinkError) || error.code !== 'auth') throw error;
    return { what: 'proof', subject: link.host, state: 'done', reason: 'the host refuses it now' };
  }
}

/** A token that a person made stays theirs. */
function leaveCredential({ link, provider }: OpenLink, remaining: Remaining[]): void {
  remaining.push({ what: 'the token, which still works', url: provider.tokenPage(link.host, []).url });
}

function hasFailed(steps: readonly UnlinkStep[]): boolean {
  return steps.some(({ state }) => state === 'failed');
}
