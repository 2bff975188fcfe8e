import { AuthError, isAuthError } from '../errors.ts';
import type { Authorization, HostClient } from '../http/host-client.ts';
import { SpentError } from '../oauth/refresh.ts';
import type { ClientIdentity } from '../providers/oauth-support.ts';
import type { HostAccess, HostDescription, Provider } from '../providers/provider.ts';
import { environmentId, nameEnvironmentStep } from '../store/environment-records.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import { updateLink } from './change-link.ts';
import { findClientOf, readClientIdentity } from './client-identity.ts';
import type { MintContext } from './apps/mint-token.ts';
import { describeHost } from './describe-host.ts';
import { createSource, type CredentialSource } from './credential-source.ts';
import { findPacing } from './open-anonymous.ts';
import type { RenewalContext } from './renew-sign-in.ts';
import { assertNotUnlinking, requireProvider } from './link-faults.ts';
import { assertServesApi } from './verify-git-credential.ts';
import { readLinkSecret, readStored } from './read-stored.ts';
import type { StoredCredential } from './stored-credential.ts';

/** What opening a link needs of its surroundings: a part of every command's, and all that git's helper has. */
export type AccessContext = MintContext & RenewalContext;

/** A link with the way to its host. */
export interface OpenLink {
  readonly link: LinkRecord;
  readonly provider: Provider;
  readonly access: HostAccess;
  readonly source: CredentialSource;
}

export interface AccessOptions {
  readonly caFile: string | null;
  /** The client that a sign-in was made with; default none. */
  readonly client?: ClientIdentity | null;
  readonly signal?: AbortSignal;
  /** Names what the host counts requests by; see {@link HostClientRequest}. */
  readonly budgetKey?: string;
}

/** Makes the way to a host for a credential that need not be stored yet. */
export async function openAccess(
  context: AccessContext,
  provider: Provider,
  description: HostDescription,
  source: CredentialSource,
  options: AccessOptions & { readonly account?: HostAccess['account'] },
): Promise<HostAccess> {
  const { caFile, signal, budgetKey } = options;
  const clients = new Map<string, Promise<HostClient>>();

  async function authorize(refused: Authorization | null): Promise<Authorization> {
    return provider.toAuthorization(await source.get(refused?.secret ?? null));
  }

  function openBase(base: string): Promise<HostClient> {
    const client =
      clients.get(base) ??
      context.openHostClient({
        base,
        caFile,
        pacing: findPacing(provider, description.host),
        authorize,
        ...(signal ? { signal } : {}),
        ...(budgetKey === undefined ? {} : { budgetKey }),
      });
    clients.set(base, client);
    return client;
  }

  return {
    ...description,
    get credential() {
      return source.current;
    },
    client: options.client ?? null,
    account: options.account ?? { login: null, kind: 'unknown', id: null },
    http: await openBase(provider.toApiBase(description.host)),
    openBase,
    now: () => context.clock.now(),
    sleep: (durationMs) => {
      const ends = signal ? AbortSignal.any([context.signal, signal]) : context.signal;
      return context.clock.sleep(durationMs, ends);
    },
  };
}

/**
 * Opens a stored link: reads its credential and makes the way to its host.
 *
 * @throws StorageError when the secret store does not answer or the secret is not there.
 * @throws ForbiddenError for a link that is being unlinked.
 */
export async function openLink(
  context: AccessContext,
  link: LinkRecord,
  signal?: AbortSignal,
): Promise<OpenLink> {
  assertNotUnlinking(link);
  assertServesApi(requireProvider(link), link);
  const item = await readLinkSecret(context, link);
  return openLinkWith(context, link, readStored(link, item), signal);
}

/** Opens a link whose credential has been read already. */
export async function openLinkWith(
  context: AccessContext,
  link: LinkRecord,
  stored: StoredCredential,
  signal?: AbortSignal,
): Promise<OpenLink> {
  return openLinkFrom(context, link, createSource(context, link, stored), signal);
}

/** Opens a link with a credential from elsewhere, such as one that is not to be renewed. */
export async function openLinkFrom(
  context: AccessContext,
  link: LinkRecord,
  source: CredentialSource,
  signal?: AbortSignal,
): Promise<OpenLink> {
  const provider = requireProvider(link);
  const description = describeHost(link);
  const client = findClientOf(context.links.read(), link);
  const access = await openAccess(context, provider, description, source, {
    caFile: link.caFile,
    account: link.account,
    // Nothing is written for the link of the environment.
    ...(link.id === environmentId ? {} : { budgetKey: toBudgetKey(link) }),
    client: client === null ? null : await readClientIdentity(context, client),
    ...(signal ? { signal } : {}),
  });
  return { link, provider, access, source };
}

/** Hosts count by account; of one without an id only its credential is known. */
function toBudgetKey({ account, credentialItem }: LinkRecord): string {
  return account.id === null ? credentialItem : `${account.kind}:${account.id}`;
}

/**
 * Runs work that asks a link's host. When the host refuses the credential, the link says so from then on. A 401
 * may be the word of a proxy, or about one request alone, so the adapter is asked before it is believed.
 *
 * @throws AuthError when the credential is refused; whatever else the work, or asking again, threw.
 */
export async function whileTrusted<T>(
  context: AccessContext,
  link: LinkRecord,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // A renewal that failed for good has made sure of it, and has marked the link.
    if (!isAuthError(error) || error instanceof SpentError) throw error;
    const { provider, access } = await openLink(context, link);
    if (await isAccepted(() => provider.identify(access))) throw error;
    const checkedAt = context.clock.now();
    await updateLink(context, link.id, (current) =>
      // A relink meanwhile has given it another credential, of which nothing is known.
      current.credentialItem === link.credentialItem
        ? { ...current, status: 'revoked', statusReason: null, checkedAt }
        : current,
    );
    throw new AuthError(`${link.host} no longer accepts the credential of "${link.name}".`, {
      hint:
        link.id === environmentId
          ? `To mend it, ${nameEnvironmentStep(link)}.`
          : `Give the link a new one with: gitlink relink ${link.name}`,
    });
  }
}

/**
 * Whether the host accepts a credential.
 *
 * @param use - A use of it that changes nothing.
 * @throws what `use` throws, where that is no refusal.
 */
export async function isAccepted(use: () => Promise<unknown>): Promise<boolean> {
  try {
    await use();
    return true;
  } catch (error) {
    if (isAuthError(error)) return false;
    throw error;
  }
}
