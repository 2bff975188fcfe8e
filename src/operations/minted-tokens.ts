import type { Secret } from '../secret.ts';

/** A token that an app's key has minted for one of its installations, kept for the rest of its hour. */
export interface KeptToken {
  /** `OWNER/NAME` that it is good for alone; null for all that the installation reaches. */
  readonly repository: string | null;
  readonly token: Secret;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** A token is not handed out in its last minutes: whatever it is for must have time to end. */
const spareMs = 5 * 60_000;
const keptLimit = 8;

/** Finds a token that is good for a repository alone, or, where none is named, for all of the installation. */
export function findKeptToken(
  tokens: readonly KeptToken[],
  repository: string | null,
  now: number,
): KeptToken | null {
  return tokens.find((kept) => isFor(kept, repository) && isLasting(kept, now)) ?? null;
}

/** Adds a token; the newest are kept, and none that has ended. */
export function keepToken(tokens: readonly KeptToken[], added: KeptToken, now: number): readonly KeptToken[] {
  const others = dropTokensFor(tokens, added.repository).filter((kept) => isLasting(kept, now));
  return [added, ...others].slice(0, keptLimit);
}

/** Takes out a token that a server refused. */
export function dropToken(tokens: readonly KeptToken[], refused: Secret): readonly KeptToken[] {
  return tokens.filter(({ token }) => !token.equals(refused));
}

/** Takes out what is good for a repository alone, or, where none is named, for all of the installation. */
export function dropTokensFor(tokens: readonly KeptToken[], repository: string | null): readonly KeptToken[] {
  return tokens.filter((kept) => !isFor(kept, repository));
}

function isFor(kept: KeptToken, repository: string | null): boolean {
  return (kept.repository?.toLowerCase() ?? null) === (repository?.toLowerCase() ?? null);
}

function isLasting({ expiresAt }: KeptToken, now: number): boolean {
  return expiresAt - spareMs > now;
}
