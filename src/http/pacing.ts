import type { Clock } from '../runtime.ts';

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
  enter(
    kind: 'read' | 'write',
    template: string,
    signal: AbortSignal,
    onWait?: (durationMs: number) => void,
  ): Promise<() => void>;
}

const hourMs = 3_600_000;

/** Creates the pacer of one credential in this process. */
export function createPacer(pacing: Pacing, clock: Clock): Pacer {
  const places = createPlaces(Math.max(1, pacing.concurrency));
  const { minWriteIntervalMs, writesPerHour } = pacing;
  const isWritePaced = minWriteIntervalMs > 0 || writesPerHour !== null;
  /** When the last writes started: as many as the rules need to look back. */
  let writeStarts: number[] = [];
  let lastWriteTurn = Promise.resolve();

  function findWriteWait(): number {
    const now = clock.monotonic();
    const last = writeStarts.at(-1);
    const intervalEnd = last === undefined ? now : last + minWriteIntervalMs;
    const oldest = writesPerHour === null ? undefined : writeStarts.at(-writesPerHour);
    const budgetEnd = oldest === undefined ? now : oldest + hourMs;
    return Math.max(intervalEnd, budgetEnd) - now;
  }

  /** Writes queue one behind the other, so that a write waiting for its time takes no place from reads. */
  async function waitForWriteTurn(signal: AbortSignal, onWait?: (durationMs: number) => void): Promise<void> {
    const before = lastWriteTurn;
    let endTurn = (): void => undefined;
    lastWriteTurn = new Promise((resolve) => (endTurn = resolve));
    try {
      await before;
      const waitMs = findWriteWait();
      if (waitMs > 0) {
        onWait?.(waitMs);
        await clock.sleep(waitMs, signal);
      }
      await places.take(signal);
      writeStarts = [...writeStarts, clock.monotonic()].slice(-(writesPerHour ?? 1));
    } finally {
      endTurn();
    }
  }

  const budgets = (pacing.hourlyBudgets ?? []).map((budget) => createBudget(budget, clock));

  return {
    async enter(kind, template, signal, onWait) {
      for (const budget of budgets) await budget.spend(template, signal, onWait);
      if (kind === 'write' && isWritePaced) await waitForWriteTurn(signal, onWait);
      else await places.take(signal);
      return places.leave;
    },
  };
}

function createBudget({ requests, covers }: HourlyBudget, clock: Clock) {
  /** When the last ones were let through; a request that waits has its time already. */
  let starts: number[] = [];
  return {
    async spend(template: string, signal: AbortSignal, onWait?: (durationMs: number) => void): Promise<void> {
      if (!covers(template)) return;
      const now = clock.monotonic();
      const oldest = starts.at(-requests);
      const startAt = oldest === undefined ? now : Math.max(now, oldest + hourMs);
      starts = [...starts.slice(-requests + 1), startAt];
      if (startAt <= now) return;
      onWait?.(startAt - now);
      await clock.sleep(startAt - now, signal);
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
