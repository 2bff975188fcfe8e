import type { Clock } from '../runtime.ts';

/** How fast long work goes, and how long the rest will take. */
export interface RateMeter {
  /** Words for a status line, such as ` (4.2/s, 3 min left)`; nothing before there is a rate. */
  describe(done: number, total: number): string;
}

export function createRateMeter(clock: Clock): RateMeter {
  let startedAt: number | null = null;
  return {
    describe(done, total) {
      startedAt ??= clock.monotonic();
      const seconds = (clock.monotonic() - startedAt) / 1000;
      if (seconds < 1 || done < 2) return '';
      const rate = done / seconds;
      return ` (${rate.toFixed(1)}/s, ${describeDuration((total - done) / rate)} left)`;
    },
  };
}

function describeDuration(seconds: number): string {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
}
