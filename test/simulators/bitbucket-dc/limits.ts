import type { PlainAnswer } from '../routes.ts';
import type { Actor, DcSettings } from './call.ts';

export interface Limits {
  /** Counts a request of somebody who signed in; the 429 for one too many. */
  count(actor: Actor, settings: DcSettings): PlainAnswer | null;
}

/** Builds the token buckets, one for each user (`providers/bitbucket-data-center.md` §8). */
export function createLimits(): Limits {
  const buckets = new Map<number, { left: number; filledAt: number }>();
  return {
    count: ({ user }, { rateLimit: limit }) => {
      if (!limit) return null;
      const now = performance.now();
      const bucket = buckets.get(user.id) ?? { left: limit.capacity, filledAt: now };
      buckets.set(user.id, bucket);
      const filled = bucket.left + ((now - bucket.filledAt) / 1000) * limit.fillRate;
      bucket.left = Math.min(filled, limit.capacity);
      bucket.filledAt = now;
      if (bucket.left < 1) {
        const waitS = Math.ceil((1 - bucket.left) / limit.fillRate);
        return {
          status: 429,
          headers: limit.hasRetryAfter ? { 'retry-after': String(waitS) } : {},
          text: '<html><head><title>Too many requests</title></head><body>You have exceeded your rate limit.</body></html>',
          contentType: 'text/html;charset=utf-8',
        };
      }
      bucket.left -= 1;
      return null;
    },
  };
}
