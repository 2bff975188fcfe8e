import type { PlainAnswer } from '../routes.ts';
import type { Actor, BitbucketSettings } from './call.ts';

/** So many requests in each rolling window. */
export interface Throttle {
  readonly requests: number;
  readonly windowMs: number;
}

export type Bucket = 'anonymous' | 'api' | 'webhook' | 'other' | 'git';

const hourMs = 3_600_000;

/** The service's own (`providers/bitbucket.md` §8). */
export const realLimits: Readonly<Record<Bucket, Throttle>> = {
  anonymous: { requests: 60, windowMs: hourMs },
  api: { requests: 1_000, windowMs: hourMs },
  webhook: { requests: 1_000, windowMs: hourMs },
  other: { requests: 1_000, windowMs: hourMs },
  git: { requests: 60_000, windowMs: hourMs },
};

export interface Limits {
  /** Counts a request of somebody; the 429 for one too many. */
  count(bucket: Bucket, actor: Actor | null, settings: BitbucketSettings): PlainAnswer | undefined;
}

/** Counters that do not know of each other, by user; an access token is a user of its own. */
export function createLimits(now: () => number): Limits {
  const times = new Map<string, number[]>();
  return {
    count: (bucket, actor, { limits }) => {
      const { requests, windowMs } = limits[bucket];
      const key = `${bucket} ${actor?.user?.uuid ?? actor?.token.secret ?? ''}`;
      const time = now();
      const recent = (times.get(key) ?? []).filter((earlier) => time - earlier < windowMs);
      times.set(key, recent);
      // No `Retry-After`, and no JSON.
      if (recent.length >= requests) {
        return { status: 429, text: 'Rate limit for this resource has been exceeded' };
      }
      recent.push(time);
      return undefined;
    },
  };
}

export function bucketOf(path: string, actor: Actor | null): Bucket {
  if (!actor) return 'anonymous';
  if (/\/hooks(\/|$)/.test(path)) return 'webhook';
  return path.startsWith('/2.0/repositories') ? 'api' : 'other';
}
