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
  const wanted = repository?.toLowerCase() ?? null;
  const isWanted = (kept: KeptToken): boolean => (kept.repository?.toLowerCase() ?? null) === wanted;
  return tokens.find((kept) => isWanted(kept) && kept.expiresAt - spareMs > now) ?? null;
}

/** Adds a token; the newest are kept, and none that has ended. */
export function keepToken(tokens: readonly KeptToken[], added: KeptToken, now: number): readonly KeptToken[] {
  const others = tokens.filter(
    (kept) =>
      kept.repository?.toLowerCase() !== added.repository?.toLowerCase() && kept.expiresAt - spareMs > now,
  );
  return [added, ...others].slice(0, keptLimit);
}

/** Takes out a token that a server refused. */
export function dropToken(tokens: readonly KeptToken[], refused: Secret): readonly KeptToken[] {
  return tokens.filter(({ token }) => !token.equals(refused));
}
