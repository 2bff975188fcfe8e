import type { Pacing } from '../../http/pacing.ts';

/**
 * Azure DevOps Services counts the work that requests make, over five minutes, and tells what is left only when
 * little is: first it answers late and says `Retry-After` with a 200, then it refuses. Server has no limits.
 *
 * @see https://learn.microsoft.com/azure/devops/integrate/concepts/rate-limits
 */
export const pacing: Pacing = {
  concurrency: 4,
  minWriteIntervalMs: 0,
  writesPerHour: null,
  unstatedLimitMs: 30_000,
};
