import { revokeToken } from '../oauth/revocation.ts';
import type { ClientIdentity, OAuthSupport, SignInPlace, SignInTokens } from '../providers/oauth-support.ts';
import { signInKind, type HostAccess, type Provider, type Revocation } from '../providers/provider.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import { findClientOf, readClientIdentity, requireOAuth, toOAuthClient } from './client-identity.ts';
import { isInstallation } from './is-installation.ts';
import { endMintedToken } from './apps/mint-token.ts';
import type { OperationContext } from './context.ts';
import type { KeptToken } from './minted-tokens.ts';
import { isAccepted, type OpenLink } from './host-access.ts';
import { openAnonymous } from './open-anonymous.ts';
import { readLinkSecret } from './read-stored.ts';
import { whileReplacing } from './renew-sign-in.ts';
import { unpackCredential, type StoredCredential } from './stored-credential.ts';

/**
 * What became at the host of a credential that was replaced. After a failure it may still work: the host could not be
 * asked, or the secret was not in the store any more.
 */
export type OldCredential =
  Revocation | { readonly outcome: 'failed'; readonly reason: string; readonly pageUrl: string };

/**
 * Ends a link's credential at its host: a token by the provider's own way, a sign-in by its refresh token, because
 * an access token that has expired ends nothing at some hosts.
 *
 * @param via - Another credential of the host that may manage tokens; null where none was named.
 * @throws GitlinkError when the host does not answer.
 */
export async function revokeCredential(
  context: OperationContext,
  open: OpenLink,
  via: HostAccess | null,
): Promise<Revocation> {
  const { link, provider, source } = open;
  const { minted } = source.current;
  if (minted !== undefined && isInstallation(link)) return endMintedTokens(context, link, minted);
  if (minted !== undefined) {
    return createImpossible(requireOAuth(provider), link, 'its last token ends by itself within the hour');
  }
  if (source.current.signIn === null) return endToken(open, via);
  const isRenewable = await isAccepted(() => source.get(null));
  return isRenewable
    ? whileReplacing(context, link.id, async () =>
        endSignIn(context, link, provider, await readNewest(context, link, source.current)),
      )
    : createImpossible(
        requireOAuth(provider),
        link,
        'it cannot be renewed any more, so it may be dead already',
      );
}

/** Ends what an app has minted for its installation; the installation itself stays. */
export async function endMintedTokens(
  context: OperationContext,
  link: LinkRecord,
  minted: readonly KeptToken[],
): Promise<Revocation> {
  const now = context.clock.now();
  const alive = minted.filter(({ expiresAt }) => expiresAt > now);
  for (const { token } of alive) await endMintedToken(context, link, token);
  return { outcome: alive.length > 0 ? 'revoked' : 'alreadyDead' };
}

/**
 * Ends a token by the provider's own way, where it has one.
 *
 * @param via the access of another link, which some hosts ask for; null for the token's own
 * @throws GitlinkError when the host does not answer.
 */
export async function endToken(
  { provider, access, link }: OpenLink,
  via: HostAccess | null,
): Promise<Revocation> {
  return (
    (await provider.revoke?.(access, via ?? undefined)) ?? {
      outcome: 'impossible',
      reason: `${provider.displayName} has no way by API`,
      pageUrl: findCredentialPage(provider, link),
    }
  );
}

/** Another process may have renewed it since. */
async function readNewest(
  context: OperationContext,
  link: LinkRecord,
  known: StoredCredential,
): Promise<StoredCredential> {
  const item = await readLinkSecret(context, link);
  return item ? unpackCredential(item) : known;
}

/**
 * Ends a sign-in as it stands, without renewing it first.
 *
 * @throws GitlinkError when the host does not answer.
 */
export async function endSignIn(
  context: OperationContext,
  link: LinkRecord,
  provider: Provider,
  { token, signIn }: StoredCredential,
): Promise<Revocation> {
  const client = findClientOf(context.links.read(), link);
  return endTokens(context, provider, {
    place: link,
    caFile: link.caFile,
    readIdentity: client === null ? null : () => readClientIdentity(context, client),
    tokens: { accessToken: token, refreshToken: signIn?.tokens.refreshToken ?? null },
  });
}

/** The tokens of a sign-in, and where they are ended. */
interface TokensToEnd {
  readonly place: SignInPlace;
  readonly caFile: string | null;
  /** Reads the client that they were given to; null where it is not known any more. */
  readonly readIdentity: (() => Promise<ClientIdentity>) | null;
  readonly tokens: SignInTokens;
  /** Ends the requests; default: the command's own signal. */
  readonly signal?: AbortSignal;
}

/**
 * Ends the tokens of a sign-in: by the provider's own way, else by its endpoint (RFC 7009) and the refresh token, where
 * there is one.
 *
 * @throws GitlinkError when the host does not answer.
 */
export async function endTokens(
  context: Pick<OperationContext, 'openHostClient' | 'openNetwork'>,
  provider: Provider,
  { place, caFile, readIdentity, tokens, signal }: TokensToEnd,
): Promise<Revocation> {
  const support = requireOAuth(provider);
  const { revocation } = support.toEndpoints(place);
  if (support.endSignIn && readIdentity !== null) {
    const api = await openAnonymous(context, provider, place.host, caFile, signal ? { signal } : {});
    return support.endSignIn(api, await readIdentity(), tokens);
  }
  if (revocation === null) {
    return createImpossible(support, place, `${provider.displayName} ends a sign-in on its page only`);
  }
  if (readIdentity === null) return createImpossible(support, place, 'its client is not known any more');
  const client = toOAuthClient(place, support, await readIdentity());
  const network = await context.openNetwork(caFile);
  const { accessToken, refreshToken } = tokens;
  const ended = await revokeToken(client, signal ? { ...network, signal } : network, revocation, {
    value: refreshToken ?? accessToken,
    kind: refreshToken === null ? 'access_token' : 'refresh_token',
  });
  return ended.outcome === 'accepted'
    ? { outcome: 'revoked' }
    : createImpossible(support, place, ended.reason);
}

function createImpossible(
  support: OAuthSupport,
  { host }: Pick<SignInPlace, 'host'>,
  reason: string,
): Revocation {
  return { outcome: 'impossible', reason, pageUrl: support.grantsPage(host) };
}

/** The page where a person ends a link's credential. */
export function findCredentialPage(provider: Provider, link: LinkRecord): string {
  const { host, account, credentialKind } = link;
  const grantsPage = credentialKind === signInKind ? provider.oauth?.grantsPage(host) : undefined;
  return (
    grantsPage ?? provider.credentialPage?.(link, account, credentialKind) ?? provider.tokenPage(link, []).url
  );
}
