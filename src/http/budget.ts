/**
 * What is known of how much a host still takes from one account. All who use the account share it: parts of this
 * process, and other processes where the budget is kept in a file. Times are milliseconds since the epoch.
 */
export interface BudgetState {
  /** Until when the host wants no requests at all. */
  readonly closedUntil: number;
  /** The host's own count, once it is so low that its users must share what is left. */
  readonly window: RateWindow | null;
  /** When requests that are limited by the hour were let through, by the name of the limit, oldest first. */
  readonly starts: Readonly<Record<string, readonly number[]>>;
}

/** The host's count of requests until it begins anew. */
export interface RateWindow {
  /** What is left, less what was let through since the host said so. */
  readonly remaining: number;
  /** The most that was known to be left of it. */
  readonly most: number;
  readonly resetAt: number;
  /** When the next request may go that can wait. */
  readonly nextAt: number;
}

/** What one answer, or one process, knows of the count. */
type ToldWindow = Pick<RateWindow, 'remaining' | 'most' | 'resetAt'>;

/** Keeps a {@link BudgetState}. */
export interface Budget {
  /** What is known now. Asked before every request, so it costs nothing to speak of. */
  read(): BudgetState;
  /** Changes it by a pure function, while nobody else does. */
  change<Result>(work: (before: BudgetState) => readonly [BudgetState, Result]): Promise<Result>;
}

export const emptyBudget: BudgetState = { closedUntil: 0, window: null, starts: {} };

/** A budget that nobody shares. */
export function createMemoryBudget(): Budget {
  let state = emptyBudget;
  return {
    read: () => state,
    change(work) {
      const [after, result] = work(state);
      state = after;
      return Promise.resolve(result);
    },
  };
}

/** A limit on how often something may start. */
export interface StartLimit {
  readonly name: string;
  /** So many within any hour, or null. */
  readonly perHour: number | null;
  readonly leastIntervalMs: number;
}

const hourMs = 3_600_000;

/**
 * Takes a start now, if a limit allows one. Later ones are not given away: who waits for one may never use it.
 *
 * @returns null for a start now, else when to ask again.
 */
export function takeStart(
  before: BudgetState,
  { name, perHour, leastIntervalMs }: StartLimit,
  now: number,
): readonly [BudgetState, number | null] {
  // The clock may have been set back: a start to come is none.
  const starts = (before.starts[name] ?? []).filter((at) => at <= now);
  const last = starts.at(-1);
  const oldest = perHour === null ? undefined : starts.at(-perHour);
  const startAt = Math.max(
    now,
    last === undefined ? now : last + leastIntervalMs,
    oldest === undefined ? now : oldest + hourMs,
  );
  if (startAt > now) return [before, startAt];
  const kept = [...starts, now].slice(-(perHour ?? 1));
  return [{ ...before, starts: { ...before.starts, [name]: kept } }, null];
}

/** Below it what is left is handed out one by one: more than several processes have under way together. */
const leastCarefulCount = 32;
const carefulPart = 0.25;
/** Left for the person and for other programs. */
const reservedPart = 0.05;

/** Whether so little is left that each request has to take its share. */
export function isScarce(window: ToldWindow): boolean {
  return window.remaining <= Math.max(leastCarefulCount, window.most * carefulPart);
}

/**
 * Takes one request from what is left of the host's count.
 *
 * @param canWait - One of many: it keeps its distance, so that what is left lasts until the count begins anew, and
 *   leaves a reserve. Any other goes at once as long as there is something.
 * @returns null for a request that may go now, else when to ask again.
 */
export function takeFromWindow(
  before: BudgetState,
  canWait: boolean,
  now: number,
): readonly [BudgetState, number | null] {
  const { window } = before;
  if (window === null || window.resetAt <= now) return [{ ...before, window: null }, null];
  const usable = window.remaining - (canWait ? Math.floor(window.most * reservedPart) : 0);
  if (usable <= 0) return [before, window.resetAt];
  if (canWait && window.nextAt > now) return [before, Math.min(window.nextAt, window.resetAt)];
  const remaining = window.remaining - 1;
  const nextAt = canWait ? now + (window.resetAt - now) / usable : window.nextAt;
  return [{ ...before, window: { ...window, remaining, nextAt } }, null];
}

/** Hosts round the end of their count to seconds, and their clocks differ a little from answer to answer. */
const sameResetMs = 2_500;

/**
 * Takes over what an answer said of the host's count. Answers overtake each other, and requests are under way
 * that the host has not counted yet, so within one count the lowest number is believed.
 */
export function noteWindow(before: RateWindow | null, told: ToldWindow, now: number): RateWindow | null {
  if (told.resetAt <= now) return before;
  if (before === null || before.resetAt <= now || isLater(told, before)) return { ...told, nextAt: now };
  const remaining = Math.min(before.remaining, told.remaining);
  return { ...before, remaining, most: Math.max(before.most, told.most) };
}

/** Whether what an answer said is of a count that began after the one that is known. */
export function isLater(told: Pick<ToldWindow, 'resetAt'>, known: Pick<ToldWindow, 'resetAt'>): boolean {
  return told.resetAt - known.resetAt >= sameResetMs;
}

/** Closes the host until a time, if it is not closed for longer. */
export function closeUntil(before: BudgetState, until: number): BudgetState {
  return until <= before.closedUntil ? before : { ...before, closedUntil: until };
}
