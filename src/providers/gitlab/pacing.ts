import type { Pacing } from '../../http/pacing.ts';

/**
 * gitlab.com bears 2,000 calls a minute and says when they are used up. Its limits of single features answer 429
 * without any header, and count by the minute.
 *
 * @see https://docs.gitlab.com/user/gitlab_com/#rate-limits-on-gitlabcom
 */
export const pacing: Pacing = {
  concurrency: 6,
  minWriteIntervalMs: 0,
  writesPerHour: null,
  unstatedLimitMs: 60_000,
};
