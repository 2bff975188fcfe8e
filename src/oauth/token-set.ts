import type { Clock } from '../runtime.ts';
import type { Secret } from '../secret.ts';

/** What a token endpoint granted. */
export interface TokenSet {
  readonly accessToken: Secret;
  readonly refreshToken: Secret | null;
  /** When the answer arrived, in milliseconds since the epoch on this machine's clock. */
  readonly obtainedAt: number;
  /** When the access token ends, on the same clock; null where the server does not tell. */
  readonly expiresAt: number | null;
  /** When the refresh token ends, on the same clock; null where the server does not tell. */
  readonly refreshExpiresAt: number | null;
  /** What was granted, in the server's words; null where it does not tell. */
  readonly scopes: readonly string[] | null;
  /** How far the server's clock is ahead of this machine's, in milliseconds; null without a `Date`. */
  readonly clockSkewMs: number | null;
  /**
   * When the access token ends on the clock of this process that never jumps. Absent on a set that was read
   * from a store.
   */
  readonly monotonicExpiresAt?: number;
}

const longestMarginMs = 5 * 60_000;
/** More than this and signatures or dates of this machine may be refused; worth a warning. */
const tolerableSkewMs = 5 * 60_000;

/**
 * Whether an access token should be replaced before it is used: within the last five minutes or the last fifth
 * of its life, whichever is shorter.
 *
 * A clock that was set back to before the token was obtained says nothing about its age: then it is due.
 */
export function isRefreshDue(tokens: TokenSet, clock: Pick<Clock, 'now' | 'monotonic'>): boolean {
  const { expiresAt, monotonicExpiresAt, obtainedAt } = tokens;
  if (expiresAt === null) return false;
  const marginMs = Math.min(longestMarginMs, (expiresAt - obtainedAt) / 5);
  if (monotonicExpiresAt !== undefined) return clock.monotonic() >= monotonicExpiresAt - marginMs;
  const now = clock.now();
  return now >= expiresAt - marginMs || now < obtainedAt - longestMarginMs;
}

/** Whether the server's clock and this machine's differ so much that a person should hear of it. */
export function isClockWrong(tokens: TokenSet): boolean {
  return tokens.clockSkewMs !== null && Math.abs(tokens.clockSkewMs) > tolerableSkewMs;
}
