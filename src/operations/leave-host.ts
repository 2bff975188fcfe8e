import { assertTellable, GitlinkError, isAuthError } from '../errors.ts';
import { signInKind, type Provider } from '../providers/provider.ts';
import { getProvider } from '../providers/registry.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import type { JournalEntry } from '../store/webhook-journal.ts';
import { isEveryTokenRefused, listLeftOfApp, uninstallApp } from './apps/leave-app.ts';
import type { OperationContext } from './context.ts';
import { createFixedSource } from './credential-source.ts';
import { openLink, openLinkFrom, type OpenLink } from './host-access.ts';
import { isInstallation } from './is-installation.ts';
import { describeFault } from './plan-webhooks.ts';
import { findOwnWebhooks, removeKnownWebhooks } from './remove-webhooks.ts';
import { findCredentialPage, revokeCredential } from './revoke-credential.ts';
import type { Remaining, UnlinkRequest, UnlinkStep } from './unlink.ts';

/** What was done on the way, and what is left: filled as it happens. */
export interface UnlinkReport {
  readonly steps: UnlinkStep[];
  readonly remaining: Remaining[];
  endingPage: string | null;
}

/**
 * Does at the host what only the credential can do: takes the webhooks away, then the app off the account, then ends
 * the credential and makes sure that it is dead.
 *
 * @param report - Gets what was done; a step that fails is one of its steps.
 * @throws a fault of gitlink, or the person who stopped the command.
 */
export async function leaveWithCredential(
  context: OperationContext,
  open: OpenLink,
  request: UnlinkRequest,
  report: UnlinkReport,
): Promise<void> {
  const isApp = isInstallation(open.link);
  let isDead = false;
  if (request.keepWebhooks) keepWebhooks(context, open.link, 'kept', report);
  else isDead = await removeWebhooks(context, open, report);
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

/**
 * Where nothing can be done at the host, a person is told what is left there.
 *
 * @param reason - Why nothing is done.
 * @param report - Gets what was not done, and what remains.
 */
export function leaveHost(
  context: OperationContext,
  link: LinkRecord,
  reason: string,
  report: UnlinkReport,
): void {
  keepWebhooks(context, link, reason, report);
  report.steps.push({ what: 'revoke', subject: link.host, state: 'skipped', reason });
  report.remaining.push(toCredential(link, getProvider(link.provider), 'which may still work'));
}

function keepWebhooks(
  context: OperationContext,
  link: LinkRecord,
  reason: string,
  { steps, remaining }: UnlinkReport,
): void {
  for (const entry of findOwnWebhooks(context, link)) {
    steps.push({ what: 'webhook', subject: entry.label, state: 'skipped', reason });
    remaining.push(toWebhook(link, getProvider(link.provider), entry));
  }
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
  { label, place }: JournalEntry,
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

/** @throws what is no failure of the step: a fault of gitlink's own, or the person who stopped it. */
export function toReason(error: unknown): string {
  assertTellable(error);
  return error.message;
}

/** Whether a step failed, so that the link is kept and can be unlinked again. */
export function hasFailed({ steps }: UnlinkReport): boolean {
  return steps.some(({ state }) => state === 'failed');
}
