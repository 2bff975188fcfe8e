import type { Pacing } from '../../http/pacing.ts';

/** Gitea has no limits of its own; small servers stay well with few requests at a time. */
export const pacing: Pacing = { concurrency: 6, minWriteIntervalMs: 0, writesPerHour: null };
