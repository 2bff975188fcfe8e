import type { Pacing } from '../../http/pacing.ts';

/**
 * Bitbucket counts by the hour, over whatever hour has just passed: 1,000 calls that concern webhooks, and 1,000 to
 * repositories beside them. Used up, it answers 429 without any header.
 * A tenth is left for the person and for other programs.
 *
 * @see https://support.atlassian.com/bitbucket-cloud/docs/api-request-limits/
 */
export const pacing: Pacing = {
  concurrency: 6,
  minWriteIntervalMs: 0,
  writesPerHour: null,
  hourlyBudgets: [{ requests: 900, covers: (template) => template.includes('/hooks') }],
  unstatedLimitMs: 30_000,
};
