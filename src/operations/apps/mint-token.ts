import { AuthError, GitlinkError, isAuthError, NotFoundError } from '../../errors.ts';
import type { MintWish } from '../../providers/app-support.ts';
import type { Secret } from '../../secret.ts';
import type { LinkRecord } from '../../store/link-schema.ts';
import type { OperationContext } from '../context.ts';
import { getUnchangedLink } from '../find-link.ts';
import { isInstallation } from '../is-installation.ts';
import { assertNotUnlinking, requireProvider } from '../link-faults.ts';
import { openAnonymous } from '../open-anonymous.ts';
import { dropToken, dropTokensFor, findKeptToken, keepToken, type KeptToken } from '../minted-tokens.ts';
import { readLinkSecret } from '../read-stored.ts';
import { whileReplacing } from '../renew-sign-in.ts';
import { packCredential, toMintedCredential, unpackCredential } from '../stored-credential.ts';
import type { CredentialSource } from '../credential-source.ts';
import type { StoredCredential } from '../stored-credential.ts';
import { renewServiceToken } from './service-token.ts';
import { openAppOf, requireApps, type AppContext, type OpenApp } from './open-app.ts';

/** What minting needs of its surroundings: a part of every command's, and all that git's helper has. */
export type MintContext = AppContext & Pick<OperationContext, 'signal' | 'withLock' | 'openNetwork'>;

/** A new token is not known to all of a host's servers at once. */
const settlingMs = 5_000;
const settlingPauseMs = 500;
const endLimitMs = 10_000;

/**
 * Mints a token of a link's installation, for this one use: it is not kept.
 *
 * @throws ForbiddenError when the installation is suspended, does not reach the repository, or lacks a permission.
 * @throws AuthError when the app is not installed any more.
 */
export async function mintOnce(context: MintContext, link: LinkRecord, wish: MintWish): Promise<KeptToken> {
  const app = await openAppOf(context, link);
  return mintFrom(context, app, link, wish);
}

/** Ends a minted token, also when the command was stopped. */
export async function endMintedToken(
  context: Pick<OperationContext, 'openHostClient'>,
  link: LinkRecord,
  token: Secret,
): Promise<'revoked' | 'alreadyDead'> {
  const provider = requireProvider(link);
  const signal = AbortSignal.timeout(endLimitMs);
  const http = await openAnonymous(context, provider, link.host, link.caFile, { signal });
  return requireApps(provider).endToken(http, token);
}

/**
 * Gives a token of a link's installation: one that is kept, else a new one, which is durable when this returns. Only
 * one process at a time mints for a link.
 *
 * @param repository - `OWNER/NAME` that it shall be good for alone; null for all that the installation reaches.
 * @param refused - A token that a server refused just now: it is forgotten.
 * @throws what {@link mintOnce} throws.
 */
export async function getMintedToken(
  context: MintContext,
  opened: LinkRecord,
  repository: string | null,
  refused: Secret | null,
): Promise<StoredCredential> {
  return whileReplacing(context, opened.id, async () => {
    const { link, kept } = await readKept(context, opened);
    const usable = refused === null ? kept : dropToken(kept, refused);
    const found = findKeptToken(usable, repository, context.clock.now());
    if (found !== null && usable.length === kept.length) return withToken(link, usable, found);
    const fresh = found ?? (await mint(context, link, repository));
    const minted = keepToken(usable, fresh, context.clock.now());
    const vault = await context.openVault(link.storage);
    await vault.write(link.credentialItem, packCredential(toMintedCredential(link.credentialKind, minted)));
    return withToken(link, minted, fresh);
  });
}

/** Forgets the kept token of a repository, which a server refused, so that the next question mints another. */
export async function forgetMintedToken(
  context: MintContext,
  opened: LinkRecord,
  repository: string | null,
): Promise<void> {
  await whileReplacing(context, opened.id, async () => {
    const { link, kept } = await readKept(context, opened);
    const vault = await context.openVault(link.storage);
    const left = dropTokensFor(kept, repository);
    await vault.write(link.credentialItem, packCredential(toMintedCredential(link.credentialKind, left)));
  });
}

/** Where the requests of an app's link get their token from: all that the installation reaches, minted when needed. */
export function createMintedSource(
  context: MintContext,
  link: LinkRecord,
  stored: StoredCredential,
): CredentialSource {
  let current = stored;
  let minting: Promise<StoredCredential> | null = null;

  /** Requests side by side share one token. */
  function mint(refused: Secret | null): Promise<StoredCredential> {
    minting ??= getMintedToken(context, link, null, refused)
      .then((minted) => (current = minted))
      .finally(() => (minting = null));
    return minting;
  }

  return {
    get current() {
      return current;
    },
    get(refused) {
      const isRefused = refused?.equals(current.token) === true;
      const isUsable = findKeptToken(current.minted ?? [], null, context.clock.now()) !== null;
      return isUsable && !isRefused ? Promise.resolve(current) : mint(refused);
    },
  };
}

/** The installation that a link is of. @throws NotFoundError for a request that no owner has approved yet. */
export function requireInstallation(link: LinkRecord): string {
  if (link.account.id !== null) return link.account.id;
  throw new NotFoundError(
    `"${link.name}" waits for an owner of ${link.account.login ?? 'the account'} to install the App.`,
    {
      hint: `When that is done: gitlink link --resume ${link.name}`,
    },
  );
}

/** A new token: of the app's installation, or of the program itself. */
async function mint(context: MintContext, link: LinkRecord, repository: string | null): Promise<KeptToken> {
  if (!isInstallation(link)) return renewServiceToken(context, link);
  return mintFrom(context, await openAppOf(context, link), link, { repository, permissions: null });
}

async function mintFrom(
  context: MintContext,
  { support, access, client }: OpenApp,
  link: LinkRecord,
  wish: MintWish,
): Promise<KeptToken> {
  const installation = requireInstallation(link);
  try {
    const { token, expiresAt } = await support.mint(access, installation, wish);
    try {
      await settle(context, () => support.probe(access.http, token));
    } catch (error) {
      // Nobody will ever use it.
      await endMintedToken(context, link, token).catch(() => null);
      throw error;
    }
    return { repository: wish.repository, token, expiresAt };
  } catch (error) {
    if (!(error instanceof GitlinkError) || error.code !== 'notFound') throw error;
    throw new AuthError(
      `The App ${client.app.slug} is not installed on ${link.account.login ?? 'that account'} any more.`,
      { hint: `Install it again: gitlink relink ${link.name}` },
    );
  }
}

/** Waits until the host knows its own token, so that whoever gets it is not refused. */
async function settle({ clock, signal }: MintContext, probe: () => Promise<void>): Promise<void> {
  const giveUpAt = clock.monotonic() + settlingMs;
  for (;;) {
    try {
      await probe();
      return;
    } catch (error) {
      if (!isAuthError(error) || clock.monotonic() >= giveUpAt) throw error;
      await clock.sleep(settlingPauseMs, signal);
    }
  }
}

interface KeptTokens {
  readonly link: LinkRecord;
  readonly kept: readonly KeptToken[];
}

async function readKept(context: MintContext, opened: LinkRecord): Promise<KeptTokens> {
  const link = getUnchangedLink(context.links.read(), opened);
  const item = await readLinkSecret(context, link);
  // Whoever takes the link apart may need a token for that; what it is minted for anybody else would be left behind.
  if (opened.status !== 'unlinking') assertNotUnlinking(link);
  return { link, kept: item ? (unpackCredential(item).minted ?? []) : [] };
}

/** What is kept, with one of it as the token to use. */
function withToken(
  { credentialKind: kind }: LinkRecord,
  minted: readonly KeptToken[],
  { token }: KeptToken,
): StoredCredential {
  return { kind, token, signIn: null, minted };
}
