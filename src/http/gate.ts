import { RateLimitError } from '../errors.ts';
import type { Clock } from '../runtime.ts';
import {
  closeUntil,
  isLater,
  isScarce,
  noteWindow,
  takeFromWindow,
  type Budget,
  type RateWindow,
} from './budget.ts';
import { createPacer, type Pacing } from './pacing.ts';
import { readRateCount, type RateLimit } from './rate-limit.ts';

/** Why a request is not sent yet. */
export type WaitReason = 'rateLimit' | 'retry' | 'pacing';

/** A request that wants to pass. Times are on the clock that never jumps. */
export interface Traveller {
  /** Moves by the time spent in the queue. */
  deadlineAt: number;
  /** When it passed last. */
  enteredAt: number;
}

interface GateOptions {
  readonly origin: string;
  readonly pacing: Pacing;
  readonly budget: Budget;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told before each wait. */
  readonly onWait: (durationMs: number, reason: WaitReason) => void;
}

/** Decides when requests may go to one host. */
export interface Gate {
  /**
   * Waits until the host wants requests and it is this one's turn.
   *
   * @returns what to call when the request has ended.
   * @throws RateLimitError when the host asks for a longer wait than the deadline allows.
   */
  enter(traveller: Traveller, kind: 'read' | 'write', template: string): Promise<() => void>;
  /**
   * Learns from an answer.
   *
   * @param limit - What it says of limits; null for nothing that concerns other requests.
   */
  note(traveller: Traveller, headers: Headers, limit: RateLimit | null): Promise<void>;
  /** Whether the host wants no requests now. */
  isClosed(): boolean;
  createRateLimitError(): RateLimitError;
}

/** Who has sent more is at work on many things and can wait; whoever asks little wants an answer or the reason for none. */
const manyRequests = 20;
/** The longest that work on many things waits: hosts that count by the hour begin anew within one. */
const longestWaitMs = 65 * 60_000;

const leastDistanceMs = 50;
const longestDistanceMs = 2_000;
const recovery = 0.97;

export function createGate({ origin, pacing, budget, clock, signal, onWait }: GateOptions): Gate {
  const pacer = createPacer(pacing, clock, budget);
  let sent = 0;
  let ownClosedUntil = 0;
  /** The host's count as this process has seen it. */
  let count: RateWindow | null = null;
  let lastShare = Promise.resolve();
  /** Between requests, after the host has refused some for a reason that its count does not tell. */
  let distanceMs = 0;
  let distanceSetAt = -Infinity;
  let nextPlaceAt = -Infinity;

  const findClosedUntil = (): number => Math.max(ownClosedUntil, budget.read().closedUntil);
  const isPatient = (): boolean => sent > manyRequests;

  async function wait(durationMs: number, reason: WaitReason): Promise<void> {
    onWait(durationMs, reason);
    await clock.sleep(durationMs, signal);
  }

  async function waitUntilOpen(traveller: Traveller): Promise<void> {
    signal.throwIfAborted();
    // Another answer may have moved the time during the wait.
    for (;;) {
      const waitMs = findClosedUntil() - clock.now();
      if (waitMs <= 0) return;
      const isLong = clock.monotonic() + waitMs >= traveller.deadlineAt;
      if (isLong && !(isPatient() && waitMs <= longestWaitMs)) throw createRateLimitError();
      if (isPatient()) traveller.deadlineAt += waitMs;
      await wait(waitMs, 'rateLimit');
    }
  }

  /** Takes a share of what the host still takes, where that is little. One by one: each wait depends on the one before. */
  async function takeShare(): Promise<void> {
    if (budget.read().window === null) return;
    const before = lastShare;
    let endTurn = (): void => undefined;
    lastShare = new Promise((resolve) => (endTurn = resolve));
    try {
      await before;
      for (;;) {
        signal.throwIfAborted();
        const canWait = isPatient();
        const startAt = await budget.change((state) => takeFromWindow(state, canWait, clock.now()));
        if (startAt === null) return;
        if (!canWait) {
          ownClosedUntil = Math.max(ownClosedUntil, startAt);
          return;
        }
        await wait(Math.max(1, startAt - clock.now()), 'rateLimit');
      }
    } finally {
      endTurn();
    }
  }

  async function keepDistance(): Promise<void> {
    const now = clock.monotonic();
    const placeAt = Math.max(now, nextPlaceAt);
    nextPlaceAt = placeAt + distanceMs;
    if (placeAt > now) await wait(placeAt - now, 'pacing');
  }

  /** Many requests are refused at once: one that went before the distance grew says nothing about it. */
  function adaptDistance({ enteredAt }: Traveller, isRefusal: boolean): void {
    if (!isRefusal) {
      distanceMs = distanceMs < 1 ? 0 : distanceMs * recovery;
    } else if (enteredAt >= distanceSetAt) {
      distanceMs = Math.min(longestDistanceMs, Math.max(leastDistanceMs, distanceMs * 2));
      distanceSetAt = clock.monotonic();
    }
  }

  async function noteCount(headers: Headers): Promise<void> {
    const now = clock.now();
    const found = readRateCount(headers, now);
    if (found === null) return;
    // A later end is that of a clock which differs from ours.
    const told = { ...found, resetAt: Math.min(found.resetAt, now + longestWaitMs) };
    const seen = noteWindow(count, { ...told, most: told.remaining }, now);
    count = seen;
    if (seen === null || seen.resetAt <= now) return;
    const { window } = budget.read();
    if (!isScarce(seen)) {
      // The host counts anew, whatever our clock says about the end of the count before.
      if (window !== null && isLater(seen, window)) {
        await budget.change((state) => [{ ...state, window: null }, undefined]);
      }
      return;
    }
    const isKnown = window !== null && window.resetAt > now && window.remaining <= seen.remaining;
    if (isKnown) return;
    await budget.change((state) => [{ ...state, window: noteWindow(state.window, seen, now) }, undefined]);
  }

  function createRateLimitError(): RateLimitError {
    const closedUntil = findClosedUntil();
    const isTimed = closedUntil > clock.now();
    const until = isTimed
      ? `asks gitlink to wait until ${new Date(closedUntil).toISOString()}`
      : 'keeps refusing';
    return new RateLimitError(`${origin} ${until}: its rate limit is used up.`, {
      hint: isTimed ? 'Run the command again after that time.' : 'Run the command again in some minutes.',
    });
  }

  return {
    async enter(traveller, kind, template) {
      for (;;) {
        await waitUntilOpen(traveller);
        const queuedAt = clock.monotonic();
        await takeShare();
        if (distanceMs > 0) await keepDistance();
        const leave = await pacer.enter(kind, template, signal, (durationMs) => onWait(durationMs, 'pacing'));
        traveller.deadlineAt += clock.monotonic() - queuedAt;
        if (findClosedUntil() <= clock.now()) {
          traveller.enteredAt = clock.monotonic();
          sent += 1;
          return leave;
        }
        leave();
      }
    },
    async note(traveller, headers, limit) {
      const until = limit?.until ?? 0;
      if (until > findClosedUntil()) {
        ownClosedUntil = until;
        await budget.change((state) => [closeUntil(state, until), undefined]);
      }
      await noteCount(headers);
      // Where the host's own count explains a refusal, it also tells how to go on.
      adaptDistance(traveller, limit?.isRefusal === true && count?.remaining !== 0);
    },
    isClosed: () => findClosedUntil() > clock.now(),
    createRateLimitError,
  };
}
