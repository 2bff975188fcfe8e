import { AuthError, ForbiddenError, GitlinkError, StorageError, UnsupportedError } from '../errors.ts';
import type { Credential, HostAccess, HostDescription, Provider } from '../providers/provider.ts';
import { getProvider } from '../providers/registry.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import type { OperationContext } from './context.ts';
import { mapLink } from './find-link.ts';
import { unpackCredential } from './stored-credential.ts';

/** A link with the way to its host. */
export interface OpenLink {
  readonly link: LinkRecord;
  readonly provider: Provider;
  readonly access: HostAccess;
}

export interface AccessOptions {
  readonly caFile: string | null;
  readonly signal?: AbortSignal;
}

/** Makes the way to a host for a credential that need not be stored yet. */
export async function openAccess(
  context: OperationContext,
  provider: Provider,
  description: HostDescription,
  credential: Credential,
  options: AccessOptions & { readonly account?: HostAccess['account'] },
): Promise<HostAccess> {
  const http = await context.openHostClient({
    base: provider.toApiBase(description.host),
    caFile: options.caFile,
    pacing: provider.pacing,
    authorization: provider.toAuthorization(credential),
    ...(options.signal ? { signal: options.signal } : {}),
  });
  return {
    ...description,
    credential,
    account: options.account ?? { login: null, kind: 'unknown', id: null },
    http,
    now: () => context.clock.now(),
  };
}

/**
 * Opens a stored link: reads its credential and makes the way to its host.
 *
 * @throws StorageError when the secret store does not answer or the secret is not there.
 * @throws ForbiddenError for a link that is being unlinked.
 */
export async function openLink(
  context: OperationContext,
  link: LinkRecord,
  signal?: AbortSignal,
): Promise<OpenLink> {
  assertNotUnlinking(link);
  const vault = await context.openVault(link.storage);
  const item = (await vault.read([link.credentialItem])).get(link.credentialItem);
  if (!item) throw secretMissing(link);
  return openLinkWith(context, link, unpackCredential(item), signal);
}

/** Opens a link whose credential has been read already. */
export async function openLinkWith(
  context: OperationContext,
  link: LinkRecord,
  credential: Credential,
  signal?: AbortSignal,
): Promise<OpenLink> {
  const provider = requireProvider(link);
  const description = { host: link.host, flavour: link.flavour, version: link.hostVersion };
  const access = await openAccess(context, provider, description, credential, {
    caFile: link.caFile,
    account: link.account,
    ...(signal ? { signal } : {}),
  });
  return { link, provider, access };
}

/** @throws ForbiddenError for a link that is being unlinked. */
export function assertNotUnlinking(link: LinkRecord): void {
  if (link.status !== 'unlinking') return;
  throw new ForbiddenError(`"${link.name}" is being unlinked, so it can do nothing else.`, {
    hint: `To finish that: gitlink unlink ${link.name}`,
  });
}

export function requireProvider(link: LinkRecord): Provider {
  const provider = getProvider(link.provider);
  if (provider) return provider;
  throw new UnsupportedError(`This version of gitlink does not have the provider ${link.provider}.`);
}

export function secretMissing(link: LinkRecord): StorageError {
  return new StorageError(`The secret of "${link.name}" is no longer in the ${link.storage}.`, {
    hint: `Store a new one with: gitlink relink ${link.name}`,
  });
}

/**
 * Runs work that asks a link's host. When the host refuses the credential, the link says so from then on. A 401
 * may be the word of a proxy, or about one request alone, so the adapter is asked before it is believed.
 *
 * @throws AuthError when the credential is refused; whatever else the work, or asking again, threw.
 */
export async function whileTrusted<T>(
  context: OperationContext,
  link: LinkRecord,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isAuthError(error) || !(await isRefused(context, link))) throw error;
    const checkedAt = context.clock.now();
    await updateLink(context, link.id, (current) =>
      // A relink meanwhile has given it another credential, of which nothing is known.
      current.credentialItem === link.credentialItem
        ? { ...current, status: 'revoked', statusReason: null, checkedAt }
        : current,
    );
    throw new AuthError(`${link.host} no longer accepts the credential of "${link.name}".`, {
      hint: `Give the link a new one with: gitlink relink ${link.name}`,
    });
  }
}

/** @throws UnreachableError when it is not the host that answers. */
async function isRefused(context: OperationContext, link: LinkRecord): Promise<boolean> {
  const { provider, access } = await openLink(context, link);
  try {
    await provider.identify(access);
    return false;
  } catch (error) {
    if (isAuthError(error)) return true;
    throw error;
  }
}

/** Whether the host refused the credential. */
export function isAuthError(error: unknown): error is GitlinkError {
  return error instanceof GitlinkError && error.code === 'auth';
}

/** Changes one link's record, if it is still there. */
export async function updateLink(
  context: OperationContext,
  id: string,
  change: (link: LinkRecord) => LinkRecord,
): Promise<LinkRecord | null> {
  const records = await context.links.change((before) => mapLink(before, id, change));
  return records.links.find((link) => link.id === id) ?? null;
}
