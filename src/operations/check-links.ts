import { GitlinkError, UsageError } from '../errors.ts';
import { SpentError } from '../oauth/refresh.ts';
import type { Identity } from '../providers/provider.ts';
import type { Secret } from '../secret.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import type { OperationContext } from './context.ts';
import { isInstallation } from './is-installation.ts';
import { checkInstallation } from './apps/check-installation.ts';
import { withDeadline } from './deadline.ts';
import { openLinkWith } from './host-access.ts';
import { requireProvider } from './link-faults.ts';
import { refreshQuietly } from './list-repositories.ts';
import { toStatusReason } from './renew-sign-in.ts';
import { tryUnpackCredential, type StoredCredential } from './stored-credential.ts';
import { toInitialStatus } from './verify-credential.ts';
import { isGitOnly, verifyGitCredential } from './verify-git-credential.ts';

/** How long one link may keep the others waiting, in milliseconds. */
const deadlineMs = 15_000;

type Finding = Pick<LinkRecord, 'status' | 'statusReason'> & { readonly identity: Identity | null };

/**
 * Asks all hosts at once what they think of the links, and keeps what they say. A host that does not answer in time
 * is unreachable.
 */
export async function checkLinks(
  context: OperationContext,
  links: readonly LinkRecord[],
): Promise<readonly LinkRecord[]> {
  context.reporter.status(`Asking ${links.length === 1 ? 'the host' : 'the hosts'}…`);
  const secrets = await readSecrets(context, links);
  const findings = new Map<string, Finding>();
  await Promise.all(
    links.map(async (link) => {
      // A link that is being unlinked is not brought back to life by a check.
      if (link.status === 'unlinking') return;
      findings.set(toKey(link), await checkLink(context, link, secrets.get(link.credentialItem) ?? null));
    }),
  );
  const checkedAt = context.clock.now();
  const records = await context.links.change((before) => ({
    ...before,
    links: before.links.map((link) => applyFinding(link, findings.get(toKey(link)), checkedAt)),
  }));
  const checked = records.links.filter((link) => links.some(({ id }) => id === link.id));
  const sound = checked.filter(({ status }) => status === 'ok');
  await Promise.all(sound.map((link) => refreshQuietly(context, link)));
  return checked;
}

/** With its credential: what was found of one says nothing about a successor that came meanwhile. */
function toKey({ id, credentialItem }: LinkRecord): string {
  return `${id} ${credentialItem}`;
}

async function readSecrets(
  context: OperationContext,
  links: readonly LinkRecord[],
): Promise<ReadonlyMap<string, Secret>> {
  const secrets = new Map<string, Secret>();
  for (const storage of new Set(links.map((link) => link.storage))) {
    const items = links.filter((link) => link.storage === storage).map((link) => link.credentialItem);
    const vault = await context.openVault(storage);
    for (const [item, secret] of await vault.read(items)) secrets.set(item, secret);
  }
  return secrets;
}

async function checkLink(
  context: OperationContext,
  link: LinkRecord,
  secret: Secret | null,
): Promise<Finding> {
  const isOfApp = isInstallation(link);
  if (!secret && !isOfApp) return { status: 'secretMissing', statusReason: link.storage, identity: null };
  try {
    if (isOfApp)
      return await askWithinDeadline(context, link, (signal) => checkInstallation(context, link, signal));
    const credential = tryUnpackCredential(secret);
    if (credential === null) return { status: 'secretMissing', statusReason: 'damaged', identity: null };
    if (isGitOnly(requireProvider(link), link)) return await checkGitCredential(context, link, credential);
    const identity = await askWithinDeadline(context, link, async (signal) => {
      const { provider, access } = await openLinkWith(context, toAsking(link), credential, signal);
      return provider.identify(access);
    });
    return { ...toInitialStatus(identity), identity };
  } catch (error) {
    // A link's own CA file that is gone is the fault of one link; else the surroundings of all are wrong.
    if (error instanceof UsageError && link.caFile !== null) {
      context.reporter.warn(`${link.name}: ${error.message}`);
      return { status: 'unreachable', statusReason: 'caFile', identity: null };
    }
    return toFinding(error, link);
  }
}

/** A token that waits for an owner's approval is asked about again by the place that it was made for. */
function toAsking(link: LinkRecord): LinkRecord {
  const { restriction, status, statusReason } = link;
  if (status !== 'pending' || statusReason !== 'approval' || restriction.mode === 'unrestricted') return link;
  const place = restriction.repositories[0]?.fullName ?? restriction.namespaces[0] ?? null;
  return { ...link, account: { login: place, kind: 'unknown', id: null } };
}

/** Ends requests that take too long. A sign-in that is being renewed is not among them: it would be lost. */
function askWithinDeadline<T>(
  context: OperationContext,
  { host }: LinkRecord,
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return withDeadline(context, deadlineMs, ask, host);
}

/** It is tried where the link may be used; a link of whole namespaces names no repository to try. */
async function checkGitCredential(
  context: OperationContext,
  link: LinkRecord,
  credential: StoredCredential,
): Promise<Finding> {
  const { restriction, account, caFile, host, flavour, hostVersion } = link;
  const [repository] = restriction.mode === 'restricted' ? restriction.repositories : [];
  if (!repository || account.login === null) {
    return { status: 'unchecked', statusReason: 'gitOnly', identity: null };
  }
  const description = { host, flavour, version: hostVersion };
  const request = { credential, username: account.login, repository: repository.fullName, caFile };
  const { identity } = await verifyGitCredential(context, requireProvider(link), description, request);
  return { status: 'ok', statusReason: null, identity };
}

/** A network fault says nothing about the credential; whatever is no answer of the host must not look like one. */
function toFinding(error: unknown, { storage }: LinkRecord): Finding {
  if (!(error instanceof GitlinkError)) throw error;
  if (error instanceof SpentError) {
    return { status: 'revoked', statusReason: toStatusReason(error), identity: null };
  }
  switch (error.code) {
    case 'auth':
      return { status: 'revoked', statusReason: null, identity: null };
    case 'forbidden':
    case 'notFound':
      return { status: 'insufficient', statusReason: 'role', identity: null };
    case 'unreachable':
      return { status: 'unreachable', statusReason: 'network', identity: null };
    case 'rateLimited':
      return { status: 'unreachable', statusReason: 'rateLimit', identity: null };
    case 'storage':
      // A store that failed while a sign-in was renewed; its secret is there.
      return { status: 'unchecked', statusReason: storage, identity: null };
    case 'internal':
    case 'unsupported':
      return { status: 'unreachable', statusReason: 'answer', identity: null };
    case 'usage':
    case 'cancelled':
      throw error;
  }
}

function applyFinding(link: LinkRecord, finding: Finding | undefined, checkedAt: number): LinkRecord {
  if (!finding || link.status === 'unlinking') return link;
  const { identity, status, statusReason } = finding;
  return {
    ...link,
    status,
    statusReason,
    checkedAt,
    ...(link.rotationBegunAt !== null && status === 'revoked' ? { statusReason: 'rotation' } : {}),
    ...(identity && {
      rotationBegunAt: null,
      scopes: identity.scopes === null ? link.scopes : [...identity.scopes],
      expiresAt: identity.expiresAt ?? link.expiresAt,
      // A renamed account keeps its id; a token that may not read its account keeps what was known.
      account: identity.account.id === null ? link.account : { ...identity.account },
    }),
  };
}
