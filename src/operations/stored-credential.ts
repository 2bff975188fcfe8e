import { StorageError } from '../errors.ts';
import type { StoredTokens } from '../oauth/refresh-under-lock.ts';
import type { TokenSet } from '../oauth/token-set.ts';
import { signInKind, type Credential } from '../providers/provider.ts';
import { Secret } from '../secret.ts';
import type { KeptToken } from './minted-tokens.ts';

/** A link's credential with all that its secret store keeps of it. */
export interface StoredCredential extends Credential {
  /** How a sign-in is renewed; null for a token, which stays as it is. */
  readonly signIn: StoredTokens | null;
  /** What a program that signs in by itself was given last; absent for credentials of people. */
  readonly minted?: readonly KeptToken[];
}

/** How a credential lies in a secret store: one JSON text, so that the two tokens of a sign-in change as one. */
export function packCredential({ kind, token, username, signIn, minted }: StoredCredential): Secret {
  if (minted !== undefined) {
    const tokens = minted.map((kept) => ({ ...kept, token: kept.token.reveal() }));
    return new Secret(JSON.stringify({ version: 1, kind, minted: tokens }));
  }
  const packed = { version: 1, kind, token: token.reveal(), ...(username === undefined ? {} : { username }) };
  if (signIn === null) return new Secret(JSON.stringify(packed));
  const { refreshToken, obtainedAt, expiresAt, refreshExpiresAt, scopes } = signIn.tokens;
  return new Secret(
    JSON.stringify({
      ...packed,
      signIn: {
        refreshToken: refreshToken?.reveal() ?? null,
        obtainedAt,
        expiresAt,
        refreshExpiresAt,
        scopes,
        isRefreshUnfinished: signIn.isRefreshUnfinished,
      },
    }),
  );
}

/** @throws StorageError when the item is not what gitlink wrote; its text is never quoted. */
export function unpackCredential(item: Secret): StoredCredential {
  let parsed: unknown;
  try {
    parsed = JSON.parse(item.reveal());
  } catch {
    parsed = null;
  }
  const { kind, token, username, signIn, minted } = (parsed ?? {}) as Partial<PackedCredential>;
  if (typeof kind === 'string' && Array.isArray(minted)) {
    return toMintedCredential(kind, minted.map(unpackKept));
  }
  if (typeof kind !== 'string' || typeof token !== 'string') throw createDamagedError();
  const accessToken = new Secret(token);
  return {
    kind,
    token: accessToken,
    ...(typeof username === 'string' ? { username } : {}),
    signIn: signIn ? unpackSignIn(accessToken, signIn) : null,
  };
}

/** The credential of a program that signs in by itself: nothing but the short-lived tokens that it was given. */
export function toMintedCredential(kind: string, minted: readonly KeptToken[]): StoredCredential {
  const widest = minted.find(({ repository }) => repository === null);
  return { kind, token: widest?.token ?? new Secret(''), signIn: null, minted };
}

function unpackKept(packed: unknown): KeptToken {
  const { repository, token, expiresAt } = (packed ?? {}) as Partial<Record<keyof KeptToken, unknown>>;
  if (typeof token !== 'string' || typeof expiresAt !== 'number') throw createDamagedError();
  return {
    repository: typeof repository === 'string' ? repository : null,
    token: new Secret(token),
    expiresAt,
  };
}

/** The same where a damaged item is one of the things that can be; null for that, and for none. */
export function tryUnpackCredential(item: Secret | null): StoredCredential | null {
  try {
    return item ? unpackCredential(item) : null;
  } catch (error) {
    if (error instanceof StorageError) return null;
    throw error;
  }
}

interface PackedCredential {
  readonly kind: unknown;
  readonly token: unknown;
  readonly username: unknown;
  readonly signIn: PackedSignIn | null;
  readonly minted: unknown;
}

type PackedSignIn = Partial<Record<keyof TokenSet | 'isRefreshUnfinished', unknown>>;

function unpackSignIn(accessToken: Secret, packed: PackedSignIn): StoredTokens {
  const { refreshToken, obtainedAt, expiresAt, refreshExpiresAt, scopes, isRefreshUnfinished } = packed;
  if (typeof obtainedAt !== 'number') throw createDamagedError();
  return {
    tokens: {
      accessToken,
      refreshToken: typeof refreshToken === 'string' ? new Secret(refreshToken) : null,
      obtainedAt,
      expiresAt: typeof expiresAt === 'number' ? expiresAt : null,
      refreshExpiresAt: typeof refreshExpiresAt === 'number' ? refreshExpiresAt : null,
      scopes: Array.isArray(scopes) ? scopes.map(String) : null,
      clockSkewMs: null,
    },
    isRefreshUnfinished: isRefreshUnfinished === true,
  };
}

function createDamagedError(): StorageError {
  return new StorageError('The stored credential cannot be read: something else has written to its place.', {
    hint: 'Store a new one with: gitlink relink',
  });
}

/** What a sign-in, or its renewal, is kept as. */
export function toStoredCredential(tokens: TokenSet): StoredCredential {
  return {
    kind: signInKind,
    token: tokens.accessToken,
    signIn: { tokens, isRefreshUnfinished: false },
  };
}

/**
 * When a person must sign in again, in milliseconds since the epoch: at the end of the refresh token, or of the
 * access token where that is all there is. Null for never, as far as is known.
 */
export function findSignInEnd({ refreshToken, refreshExpiresAt, expiresAt }: TokenSet): number | null {
  return refreshToken === null ? expiresAt : refreshExpiresAt;
}
