import { AuthError, ForbiddenError, GitlinkError, UnsupportedError } from '../errors.ts';
import { toDisplayHost } from '../http/base-url.ts';
import { refreshTokens, SpentError, type RefreshOutcome } from '../oauth/refresh.ts';
import { refreshUnderLock, type StoredTokens } from '../oauth/refresh-under-lock.ts';
import { isRefreshDue, type TokenSet } from '../oauth/token-set.ts';
import type { OAuthSupport } from '../providers/oauth-support.ts';
import type { Secret } from '../secret.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import type { Vault } from '../vault/vault.ts';
import { updateLink } from './change-link.ts';
import { findClientOf, readClientIdentity, requireOAuth, toOAuthClient } from './client-identity.ts';
import { nameRedirectUri } from './client-redirect.ts';
import type { OperationContext } from './context.ts';
import { getUnchangedLink } from './find-link.ts';
import { requireProvider, secretMissing } from './link-faults.ts';
import { readLinkSecret } from './read-stored.ts';
import { findSignInEnd, packCredential, toStoredCredential, unpackCredential } from './stored-credential.ts';
import type { StoredCredential } from './stored-credential.ts';

/** What renewing needs of its surroundings: a part of every command's, and all that git's helper has. */
export type RenewalContext = Pick<
  OperationContext,
  'clock' | 'signal' | 'links' | 'withLock' | 'openVault' | 'openNetwork'
>;

/** Whoever holds the lock may ask the host twice, for 30 seconds each, with a pause. */
const lockWaitMs = 65_000;
const storeTries = 3;
const storePauseMs = 1_000;

/** Runs work that replaces a link's credential, by whatever means, while nobody else does. */
export function whileReplacing<T>(
  context: Pick<OperationContext, 'withLock'>,
  linkId: string,
  work: () => Promise<T>,
): Promise<T> {
  return context.withLock(`credential-${linkId}`, work, lockWaitMs);
}

/** A sign-in as it lies in its store, with the record that names it. */
interface OpenSignIn {
  readonly link: LinkRecord;
  readonly vault: Vault;
  readonly stored: StoredTokens;
}

/**
 * Renews a sign-in if that is still needed once nobody else does it: its access token is about to end, git said
 * that a server refused it, or it is the one that was refused just now.
 *
 * @param opened - The link as whoever asks knows it: another credential that it has by now may be for another host.
 * @param refused - The access token that the host has just refused; null where only the clock asks.
 * @returns what is stored now.
 * @throws SpentError when a person must sign in again; the link says so from then on.
 * @throws UnreachableError and others when nothing changed, and a later try may succeed.
 */
export async function renewSignIn(
  context: RenewalContext,
  opened: LinkRecord,
  refused: Secret | null,
): Promise<StoredCredential> {
  const { clock, signal } = context;
  let current = await openSignIn(context, opened);
  const oauth = requireOAuth(requireProvider(current.link));
  // Asked before anything is marked as begun.
  if (findClientOf(context.links.read(), current.link) === null) throw createClientMissing(current.link);
  const result = await refreshUnderLock({
    host: toDisplayHost(current.link.host),
    clock,
    signal,
    rules: oauth.refresh,
    withLock: (work) => whileReplacing(context, opened.id, work),
    read: async () => {
      current = await openSignIn(context, opened);
      return current.stored;
    },
    isNeeded: (tokens) =>
      isRefreshDue(tokens, clock) ||
      refused?.equals(tokens.accessToken) === true ||
      current.link.statusReason === 'refused',
    markUnfinished: (isRefreshUnfinished) => writeTokens(current, current.stored.tokens, isRefreshUnfinished),
    refresh: (tokens) => exchange(context, current.link, oauth, tokens),
    write: async (tokens) => {
      await keepTokens(context, current, tokens);
      await noteRenewal(context, current.link, tokens);
    },
    markSpent: (error) => markRevoked(context, current.link, error),
  });
  if (result.outcome === 'usable') return toStoredCredential(result.tokens);
  if (result.outcome === 'failed') throw judgeFailure(result.error, refused, current.link);
  const { message, isInterrupted } = result.error;
  throw new SpentError(message, `Sign in again with: gitlink relink ${current.link.name}`, isInterrupted);
}

/**
 * A client that the host refuses says nothing about the sign-in, which may be good for as long as its access token
 * lives. Where the host has refused that one, too, a person must act.
 */
function judgeFailure(error: GitlinkError, refused: Secret | null, { name }: LinkRecord): GitlinkError {
  if (error.code !== 'auth') return error;
  return refused === null
    ? new ForbiddenError(error.message, { hint: error.hint })
    : new AuthError(error.message, { hint: `${error.hint ?? ''} Then: gitlink relink ${name}`.trimStart() });
}

async function openSignIn(context: RenewalContext, opened: LinkRecord): Promise<OpenSignIn> {
  const link = getUnchangedLink(context.links.read(), opened);
  const vault = await context.openVault(link.storage);
  const item = await readLinkSecret(context, link);
  if (!item) throw secretMissing(link);
  const { signIn } = unpackCredential(item);
  if (signIn) return { link, vault, stored: signIn };
  // A relink may have replaced a sign-in by a token meanwhile.
  throw new UnsupportedError(`"${link.name}" holds a token, which is not renewed.`, {
    hint: 'Run the command again.',
  });
}

function writeTokens(
  { link, vault }: OpenSignIn,
  tokens: TokenSet,
  isRefreshUnfinished: boolean,
): Promise<void> {
  const stored = toStoredCredential(tokens);
  return vault.write(
    link.credentialItem,
    packCredential({ ...stored, signIn: { tokens, isRefreshUnfinished } }),
  );
}

/** Neither a store that fails for a moment nor Ctrl-C may cost the only copy of the new tokens. */
async function keepTokens(context: RenewalContext, open: OpenSignIn, tokens: TokenSet): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await writeTokens(open, tokens, false);
      return;
    } catch (error) {
      if (!(error instanceof GitlinkError) || tries === storeTries) throw error;
      await context.clock.sleep(storePauseMs);
    }
  }
}

function createClientMissing({ name }: LinkRecord): AuthError {
  return new AuthError(`The client that "${name}" was signed in with is not known any more.`, {
    hint: `Sign in again with: gitlink relink ${name}`,
  });
}

async function exchange(
  context: RenewalContext,
  link: LinkRecord,
  oauth: OAuthSupport,
  tokens: TokenSet & { readonly refreshToken: Secret },
): Promise<RefreshOutcome> {
  const client = findClientOf(context.links.read(), link);
  if (client === null) throw createClientMissing(link);
  const identity = await readClientIdentity(context, client);
  const network = await context.openNetwork(link.caFile);
  const { parameters, repeatsRedirect } = oauth.refresh;
  const redirectUri = nameRedirectUri(oauth.redirect, client.callbackPort);
  const rules = repeatsRedirect
    ? { ...oauth.refresh, parameters: { ...parameters, redirect_uri: redirectUri } }
    : oauth.refresh;
  return refreshTokens(toOAuthClient(link, oauth, identity), network, rules, tokens);
}

/** The record is written only where it would say something else than before. */
async function noteRenewal(context: RenewalContext, link: LinkRecord, tokens: TokenSet): Promise<void> {
  const isSuspect = link.status === 'unchecked' || link.status === 'unreachable' || link.status === 'revoked';
  const expiresAt = findSignInEnd(tokens);
  if (!isSuspect && link.expiresAt === expiresAt) return;
  await updateLink(context, link.id, (record) =>
    record.credentialItem === link.credentialItem && record.status !== 'unlinking'
      ? {
          ...record,
          ...(isSuspect ? { status: 'ok', statusReason: null, checkedAt: context.clock.now() } : {}),
          expiresAt,
        }
      : record,
  );
}

async function markRevoked(context: RenewalContext, link: LinkRecord, error: SpentError): Promise<void> {
  const checkedAt = context.clock.now();
  await updateLink(context, link.id, (record) =>
    record.credentialItem === link.credentialItem && record.status !== 'unlinking'
      ? { ...record, status: 'revoked', statusReason: toStatusReason(error), checkedAt }
      : record,
  );
}

/** Why a link's sign-in is over, where gitlink knows. */
export function toStatusReason({ isInterrupted }: SpentError): string | null {
  return isInterrupted ? 'renewalInterrupted' : null;
}
