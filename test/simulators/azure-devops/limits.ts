import type { PlainAnswer } from '../routes.ts';
import { toErrorAnswer, type Actor, type AzureDevopsSettings } from './call.ts';

export interface Limits {
  /** Counts a request of somebody; the 429 for one too many (`providers/azure-devops.md` §7). */
  count(actor: Actor, settings: AzureDevopsSettings): PlainAnswer | undefined;
}

/** Counters over a sliding window, one for each identity. */
export function createLimits(now: () => number): Limits {
  const times = new Map<string, number[]>();
  return {
    count: ({ user }, { throttle }) => {
      if (!throttle) return undefined;
      const time = now();
      const recent = (times.get(user.id) ?? []).filter((earlier) => time - earlier < throttle.windowMs);
      times.set(user.id, recent);
      if (recent.length < throttle.requests) {
        recent.push(time);
        return undefined;
      }
      const waitS = Math.ceil(((recent[0] ?? time) + throttle.windowMs - time) / 1000);
      const message =
        "TF400733: The request has been canceled: Request was blocked due to exceeding usage of resource 'Concurrency' in namespace 'User'.";
      return {
        ...toErrorAnswer(429, 'RequestBlockedException', message),
        headers: toLimitHeaders(waitS, throttle.requests, 0, time),
      };
    },
  };
}

/** What near and over the limit is said beside the answer. */
export function toLimitHeaders(
  waitS: number,
  limit: number,
  remaining: number,
  now: number,
): Readonly<Record<string, string>> {
  return {
    'retry-after': String(waitS),
    'x-ratelimit-resource': 'Web API/Concurrency',
    'x-ratelimit-delay': String(waitS),
    'x-ratelimit-limit': String(limit),
    'x-ratelimit-remaining': String(remaining),
    'x-ratelimit-reset': String(Math.ceil(now / 1000) + waitS),
  };
}
