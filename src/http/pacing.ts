import type { Clock } from '../runtime.ts';
import { createMemoryBudget, takeStart, type Budget, type StartLimit } from './budget.ts';

/** How fast one credential may be used at a host: data of the adapter, from the provider's published limits. */
export interface Pacing {
  /** The most requests under way at once. */
  readonly concurrency: number;
  /** The least time between the starts of two writes, in milliseconds. */
  readonly minWriteIntervalMs: number;
  /** The most writes within any hour, or null where the host sets no such limit. */
  readonly writesPerHour: number | null;
  /** Kinds of requests, reads among them, of which the host takes so many within any hour. */
  readonly hourlyBudgets?: readonly HourlyBudget[];
  /**
   * How long to stay away after a 429 that names no time, in milliseconds, doubled each time. Default: the
   * backoff of any other retry.
   */
  readonly unstatedLimitMs?: number;
}

export interface HourlyBudget {
  readonly requests: number;
  /** @param template - The path with `{}` in place of its values. */
  readonly covers: (template: string) => boolean;
}

export const defaultPacing: Pacing = { concurrency: 8, minWriteIntervalMs: 0, writesPerHour: null };

/** Gives requests their turn. */
export interface Pacer {
  /**
   * Waits for the turn of one request. The caller must call the returned function when the request has ended.
   *
   * @param kind - Reads wait for a free place and their hourly budgets, writes also for their interval and number.
   * @param template - The request's path without its values, which decides the budgets.
   * @param signal - Ends the wait; its reason is thrown.
   * @param onWait - Told before each wait for an interval or budget, in milliseconds.
   */
  enter(kind: 'read' | 'write', template: string, signal: AbortSignal, onWait?: OnWait): Promise<() => void>;
}

type OnWait = (durationMs: number) => void;

/**
 * Creates the pacer of one credential.
 *
 * @param budget - Remembers what started, for all who share the credential.
 */
export function createPacer(pacing: Pacing, clock: Clock, budget: Budget = createMemoryBudget()): Pacer {
  const places = createPlaces(Math.max(1, pacing.concurrency));
  const { minWriteIntervalMs, writesPerHour } = pacing;
  const isWritePaced = minWriteIntervalMs > 0 || writesPerHour !== null;
  const writeLimit = { name: 'writes', perHour: writesPerHour, leastIntervalMs: minWriteIntervalMs };
  const hourlyLimits = (pacing.hourlyBudgets ?? []).map(({ requests, covers }, index) => ({
    covers,
    limit: { name: `hourly-${index}`, perHour: requests, leastIntervalMs: 0 },
  }));
  /** On the clock that never jumps. */
  let lastWriteAt = -Infinity;
  let lastWriteTurn = Promise.resolve();

  async function waitForStart(limit: StartLimit, signal: AbortSignal, onWait?: OnWait): Promise<void> {
    for (;;) {
      const startAt = await budget.change((state) => takeStart(state, limit, clock.now()));
      if (startAt === null) return;
      await waitFor(startAt - clock.now(), signal, onWait);
    }
  }

  async function waitFor(waitMs: number, signal: AbortSignal, onWait?: OnWait): Promise<void> {
    if (waitMs <= 0) return;
    onWait?.(waitMs);
    await clock.sleep(waitMs, signal);
  }

  /** Writes queue one behind the other, so that a write waiting for its time takes no place from reads. */
  async function waitForWriteTurn(signal: AbortSignal, onWait?: OnWait): Promise<void> {
    const before = lastWriteTurn;
    let endTurn = (): void => undefined;
    lastWriteTurn = new Promise((resolve) => (endTurn = resolve));
    try {
      await before;
      signal.throwIfAborted();
      await waitForStart(writeLimit, signal, onWait);
      // The write before may have waited for its place after its time had come.
      await waitFor(lastWriteAt + minWriteIntervalMs - clock.monotonic(), signal, onWait);
      await places.take(signal);
      lastWriteAt = clock.monotonic();
    } finally {
      endTurn();
    }
  }

  return {
    async enter(kind, template, signal, onWait) {
      for (const { covers, limit } of hourlyLimits) {
        if (covers(template)) await waitForStart(limit, signal, onWait);
      }
      if (kind === 'write' && isWritePaced) await waitForWriteTurn(signal, onWait);
      else await places.take(signal);
      return places.leave;
    },
  };
}

function createPlaces(count: number) {
  const waiting = new Set<() => void>();
  let free = count;
  return {
    async take(signal: AbortSignal): Promise<void> {
      signal.throwIfAborted();
      if (free > 0) {
        free -= 1;
        return;
      }
      await new Promise<void>((resolve, reject) => {
        const start = () => {
          waiting.delete(start);
          signal.removeEventListener('abort', giveUp);
          resolve();
        };
        const giveUp = () => {
          waiting.delete(start);
          reject(signal.reason as Error);
        };
        waiting.add(start);
        signal.addEventListener('abort', giveUp, { once: true });
      });
    },
    leave(this: void): void {
      const [next] = waiting;
      if (next) next();
      else free += 1;
    },
  };
}
