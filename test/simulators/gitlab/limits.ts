import type { PlainAnswer, SimulatorRequest } from '../routes.ts';
import type { GitlabSettings } from './call.ts';

/** So many requests in each window. */
export interface Throttle {
  readonly requests: number;
  readonly windowMs: number;
}

export interface Limits {
  /** Counts a request; gives the 429 for one too many, and the headers for the others. */
  count(
    request: SimulatorRequest,
    template: string,
    settings: GitlabSettings,
  ): { readonly refusal?: PlainAnswer; readonly headers: Readonly<Record<string, string>> };
  /** Counts one use of something limited by itself; false for one too many. */
  take(key: string, throttle: Throttle): boolean;
}

interface Window {
  readonly start: number;
  used: number;
}

/** The two systems of rate limits that do not know of each other (`providers/gitlab.md` §8). */
export function createLimits(): Limits {
  const windows = new Map<string, Window>();

  const count = (key: string, { windowMs }: Throttle): Window => {
    const time = performance.now();
    const known = windows.get(key);
    const window = known && time - known.start < windowMs ? known : { start: time, used: 0 };
    window.used += 1;
    windows.set(key, window);
    return window;
  };

  return {
    take: (key, throttle) => count(key, throttle).used <= throttle.requests,
    count: ({ method }, template, { throttle, applicationLimits }) => {
      const headers = throttle ? describe(throttle, count('throttle', throttle)) : {};
      if (throttle && Number(headers['ratelimit-observed']) > throttle.requests) {
        return { headers, refusal: { status: 429, headers, text: 'Retry later\n' } };
      }
      const name = `${method} ${template}`;
      const limit = applicationLimits[name];
      if (limit && count(name, limit).used > limit.requests) return { headers, refusal: refuseTooMany() };
      return { headers: throttle ? withoutRetry(headers) : {} };
    },
  };
}

/** The application's limits say neither how many nor how long. */
export function refuseTooMany(): PlainAnswer {
  const error = 'This endpoint has been requested too many times. Try again later.';
  return { status: 429, json: { message: { error } } };
}

function describe(
  { requests, windowMs }: Throttle,
  { start, used }: Window,
): Readonly<Record<string, string>> {
  const waitS = Math.ceil((start + windowMs - performance.now()) / 1000);
  const resetS = Math.ceil(Date.now() / 1000) + waitS;
  return {
    'ratelimit-name': 'throttle_authenticated_api',
    'ratelimit-limit': String(Math.round((requests * 60_000) / windowMs)),
    'ratelimit-observed': String(used),
    'ratelimit-remaining': String(Math.max(requests - used, 0)),
    'ratelimit-reset': String(resetS),
    'ratelimit-resettime': new Date(resetS * 1000).toUTCString(),
    'retry-after': String(waitS),
  };
}

/** Only a 429 says when to come back. */
function withoutRetry(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const ofRefusals = ['retry-after', 'ratelimit-resettime'];
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !ofRefusals.includes(name)));
}
