import { StorageError, UnsupportedError } from '../errors.ts';
import { toDisplayHost } from '../http/base-url.ts';
import type { OAuthClient } from '../oauth/oauth-client.ts';
import type { ClientIdentity, OAuthSupport, SignInPlace } from '../providers/oauth-support.ts';
import type { Provider } from '../providers/provider.ts';
import type { ClientRecord, LinkRecord, Records } from '../store/link-schema.ts';
import type { OperationContext } from './context.ts';
import { readItem } from './read-stored.ts';

/** The client of a sign-in: on record, or named by the person just now and kept with the link. */
export interface SignInClient {
  readonly identity: ClientIdentity;
  /** Null for one that is not on record yet. */
  readonly record: ClientRecord | null;
  /** The port of the registered redirect, where that is not the provider's usual one. */
  readonly callbackPort: number | null;
}

/**
 * Finds the client that a link was signed in with.
 *
 * @returns null for a link that was made without one, or whose client is not in the records any more.
 */
export function findClientOf(records: Records, link: LinkRecord): ClientRecord | null {
  return records.clients.find(({ id }) => id === link.client) ?? null;
}

/**
 * Reads a client's secret from its store.
 *
 * @throws StorageError when the store does not answer, or has lost it.
 */
export async function readClientIdentity(
  context: Pick<OperationContext, 'openVault'>,
  client: ClientRecord,
): Promise<ClientIdentity> {
  const { clientId, secretItem, storage } = client;
  if (secretItem === null) return { id: clientId, secret: null };
  const secret = await readItem(context, storage, secretItem);
  if (secret) return { id: clientId, secret };
  throw new StorageError(`The secret of the client ${clientId} is no longer in the ${storage}.`, {
    hint: `Store it again with: gitlink client add ${client.provider} --host ${client.host} --client-id ${clientId} --with-secret`,
  });
}

/** The client as the flows of `oauth/` want it. A secret is sent wherever there is one. */
export function toOAuthClient(
  place: SignInPlace,
  support: OAuthSupport,
  { id, secret }: ClientIdentity,
): OAuthClient {
  return {
    host: toDisplayHost(place.host),
    // No provider's host names its issuer with a callback today; one that begins to is judged by its origin.
    issuer: null,
    sendsIssuer: false,
    tokenEndpoint: support.toEndpoints(place).token,
    clientId: id,
    clientSecret: secret,
    clientAuthentication: secret === null ? 'none' : support.clientAuthentication,
    explain: (failure) => support.explainRefusal?.(place.host, failure) ?? null,
  };
}

/** @throws UnsupportedError for a provider that nobody signs in to this way. */
export function requireOAuth(provider: Provider): OAuthSupport {
  if (provider.oauth) return provider.oauth;
  throw new UnsupportedError(`${provider.displayName} cannot be signed in to with a browser.`, {
    hint: 'Link it with a token: --method token',
  });
}
