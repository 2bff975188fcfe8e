import type { GitlinkError } from '../errors.ts';
import type { Clock } from '../runtime.ts';
import type { Secret } from '../secret.ts';
import { createSpentError, type RefreshOutcome, type RefreshRules, type SpentError } from './refresh.ts';
import type { TokenSet } from './token-set.ts';

/** A sign-in as it lies in its store. */
export interface StoredTokens {
  readonly tokens: TokenSet;
  /** Whether a refresh of this very refresh token was begun and its end never recorded. */
  readonly isRefreshUnfinished: boolean;
}

type Refreshable = TokenSet & { readonly refreshToken: Secret };

/** What refreshing needs from its surroundings; all of it concerns one credential. */
export interface RefreshSurroundings {
  readonly host: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly rules: Pick<RefreshRules, 'secondTryAfterMs' | 'forgivesLostAnswer'>;
  /** Runs work while no other process holds the credential's lock. A busy lock is its error to throw. */
  readonly withLock: <T>(work: () => Promise<T>) => Promise<T>;
  /** Reads the store anew, past every cache. */
  readonly read: () => Promise<StoredTokens>;
  /** Whether these tokens must be replaced; for a 401: whether they are still those that were refused. */
  readonly isNeeded: (tokens: TokenSet) => boolean;
  /** Records durably that a refresh begins or, with false, that it certainly did not take place. */
  readonly markUnfinished: (isUnfinished: boolean) => Promise<void>;
  readonly refresh: (tokens: Refreshable) => Promise<RefreshOutcome>;
  /** Stores the new tokens durably and clears the mark. */
  readonly write: (tokens: TokenSet) => Promise<void>;
  /** Marks the link as revoked. Deletes nothing. */
  readonly markSpent: (error: SpentError) => Promise<void>;
}

export type LockedRefresh =
  /** These are good to use; refreshed here, or by another process in the meantime. */
  | { readonly outcome: 'usable'; readonly tokens: TokenSet; readonly isNew: boolean }
  | { readonly outcome: 'spent'; readonly error: SpentError }
  /** The stored tokens stay as they are. */
  | { readonly outcome: 'failed'; readonly error: GitlinkError };

/**
 * Refreshes a credential exactly once, however many processes ask: lock, read again, refresh only if it is still
 * needed, prove that the store takes a write, exchange, store, release. Refresh tokens are single use at many
 * hosts, and some end the old access token at once.
 *
 * @throws what the lock and the store throw, and the signal's reason before anything is sent.
 */
export function refreshUnderLock(surroundings: RefreshSurroundings): Promise<LockedRefresh> {
  return surroundings.withLock(() => refreshLocked(surroundings));
}

async function refreshLocked(surroundings: RefreshSurroundings): Promise<LockedRefresh> {
  const { host, signal, read, isNeeded } = surroundings;
  const { tokens, isRefreshUnfinished } = await read();
  if (!isNeeded(tokens)) return { outcome: 'usable', tokens, isNew: false };
  if (!isRefreshable(tokens)) return endSpent(surroundings, createSpentError(host, 'it cannot be renewed'));
  signal.throwIfAborted();
  const result = await tryOnce(surroundings, tokens, isRefreshUnfinished);
  if (result.outcome === 'spent') return settleSpent(surroundings, tokens, result.error);
  if (result.outcome === 'refreshed') return keep(surroundings, result.tokens);
  return { outcome: 'failed', error: result.error };
}

/** An exchange between its marks. An earlier lost answer stays unfinished whatever a later try ends with. */
async function tryOnce(
  surroundings: RefreshSurroundings,
  tokens: Refreshable,
  wasUnfinished: boolean,
): Promise<RefreshOutcome> {
  const { markUnfinished } = surroundings;
  // Written before anything is sent: a store that takes no write would lose the new tokens.
  await markUnfinished(true);
  const result = await exchange(surroundings, tokens);
  const didNothing = result.outcome !== 'refreshed' && !isUncertain(result);
  if (didNothing && !wasUnfinished) await markUnfinished(false);
  return result;
}

/** One exchange, and a second where the answer was lost and the host documents that it forgives one. */
async function exchange(
  { refresh, rules }: RefreshSurroundings,
  tokens: Refreshable,
): Promise<RefreshOutcome> {
  const first = await refresh(tokens);
  return rules.forgivesLostAnswer && isUncertain(first) ? refresh(tokens) : first;
}

/** *Spent* is believed only after another look: a process elsewhere may have refreshed without this lock. */
async function settleSpent(
  surroundings: RefreshSurroundings,
  refused: Refreshable,
  error: SpentError,
): Promise<LockedRefresh> {
  const { host, clock, signal, rules, read, isNeeded } = surroundings;
  let isLost = false;
  for (const pauseMs of rules.secondTryAfterMs === null ? [0] : [0, rules.secondTryAfterMs]) {
    if (pauseMs > 0) await clock.sleep(pauseMs, signal);
    const { tokens: current, isRefreshUnfinished } = await read();
    const isChanged = current.refreshToken === null || !current.refreshToken.equals(refused.refreshToken);
    if (isChanged && !isNeeded(current)) return { outcome: 'usable', tokens: current, isNew: false };
    isLost = isRefreshUnfinished && !isChanged;
    if (!isRefreshable(current) || (!isChanged && pauseMs === 0)) continue;
    const again = await tryOnce(surroundings, current, isRefreshUnfinished);
    if (again.outcome === 'refreshed') return keep(surroundings, again.tokens);
    if (again.outcome !== 'spent') return { outcome: 'failed', error: again.error };
    if (isChanged) break;
  }
  const lost = 'an earlier renewal was interrupted, and its answer was lost';
  return endSpent(surroundings, isLost ? createSpentError(host, lost, true) : error);
}

async function keep({ write }: RefreshSurroundings, tokens: TokenSet): Promise<LockedRefresh> {
  await write(tokens);
  return { outcome: 'usable', tokens, isNew: true };
}

async function endSpent({ markSpent }: RefreshSurroundings, error: SpentError): Promise<LockedRefresh> {
  await markSpent(error);
  return { outcome: 'spent', error };
}

function isRefreshable(tokens: TokenSet): tokens is Refreshable {
  return tokens.refreshToken !== null;
}

function isUncertain(result: RefreshOutcome): boolean {
  return 'isAnswerLost' in result && result.isAnswerLost;
}
