import type { Pacing } from '../../http/pacing.ts';

/**
 * Limits are each server's own: as a rule a bucket of 60 calls per account and node that five calls a second fill
 * again. A 429 need not say for how long.
 *
 * @see https://confluence.atlassian.com/bitbucketserver/improving-instance-stability-with-rate-limiting-976171954.html
 */
export const pacing: Pacing = {
  concurrency: 4,
  minWriteIntervalMs: 0,
  writesPerHour: null,
  unstatedLimitMs: 2_000,
};
