import type { PlainAnswer, SimulatorRequest } from '../routes.ts';
import type { Actor, GithubContext } from './call.ts';
import { toErrorAnswer } from './call.ts';

/** So many requests in each window, which opens with its first request. */
export interface Throttle {
  readonly requests: number;
  readonly windowMs: number;
}

/**
 * `core`: by user, installation or address. `anonymous`: without a credential. `points`: of the secondary limit, five
 * for a write. `creation`: writes. `integration_manifest` and `revocation` have buckets of their own.
 */
export type Bucket =
  | 'core'
  | 'anonymous'
  | 'points'
  | 'creationPerMinute'
  | 'creationPerHour'
  | 'integration_manifest'
  | 'revocation';

const hourMs = 3_600_000;
const minuteMs = 60_000;

/** The service's own (`providers/github.md` §9). */
export const realLimits: Readonly<Record<Bucket, Throttle>> = {
  core: { requests: 5_000, windowMs: hourMs },
  anonymous: { requests: 60, windowMs: hourMs },
  points: { requests: 900, windowMs: minuteMs },
  creationPerMinute: { requests: 80, windowMs: minuteMs },
  creationPerHour: { requests: 500, windowMs: hourMs },
  integration_manifest: { requests: 5_000, windowMs: hourMs },
  revocation: { requests: 60, windowMs: hourMs },
};

interface Window {
  openedAt: number;
  used: number;
}

export interface Counted {
  /** Null where the request may go on. */
  readonly refusal: PlainAnswer | null;
  /** The service's word on it; nothing where there are no limits. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Limits {
  count(context: GithubContext, request: SimulatorRequest, actor: Actor): Counted;
  /** What `GET /rate_limit` says, without counting. */
  describe(context: GithubContext, actor: Actor): Readonly<Record<string, object>>;
}

/** Counts requests (`providers/github.md` §9.1, §9.2). */
export function createLimits(): Limits {
  const windows = new Map<string, Window>();

  const open = (context: GithubContext, bucket: Bucket, who: string): Window => {
    const key = `${bucket} ${who}`;
    const known = windows.get(key);
    if (known && context.now() - known.openedAt < context.settings.limits[bucket].windowMs) return known;
    const window = { openedAt: context.now(), used: 0 };
    windows.set(key, window);
    return window;
  };

  const take = (context: GithubContext, bucket: Bucket, who: string, cost: number) => {
    const window = open(context, bucket, who);
    window.used += cost;
    return { window, isOver: window.used > context.settings.limits[bucket].requests };
  };

  const tell = (context: GithubContext, bucket: Bucket, window: Window) => {
    const { requests, windowMs } = context.settings.limits[bucket];
    return {
      limit: requests,
      used: Math.min(window.used, requests),
      remaining: Math.max(0, requests - window.used),
      reset: Math.ceil((window.openedAt + windowMs) / 1000),
    };
  };

  return {
    count: (context, request, actor) => {
      const { settings } = context;
      if (!settings.hasRateLimits) return { refusal: null, headers: {} };
      const who = whoOf(actor);
      const bucket = bucketOf(request.path, actor);
      const isFree = /\/rate_limit$/.test(request.path);
      const { window, isOver } = take(context, bucket, who, isFree ? 0 : 1);
      const told = tell(context, bucket, window);
      const headers = {
        'x-ratelimit-limit': String(told.limit),
        'x-ratelimit-remaining': String(told.remaining),
        'x-ratelimit-used': String(told.used),
        'x-ratelimit-reset': String(told.reset),
        'x-ratelimit-resource': bucket === 'anonymous' ? 'core' : bucket,
      };
      if (isOver && !isFree) return { refusal: answerPrimary(settings.limitStatus, actor), headers };
      const isWrite = !['GET', 'HEAD', 'OPTIONS'].includes(request.method);
      const secondary: readonly [Bucket, number][] = [
        ['points', isWrite ? 5 : 1],
        ['creationPerMinute', isWrite ? 1 : 0],
        ['creationPerHour', isWrite ? 1 : 0],
      ];
      for (const [name, cost] of secondary) {
        const taken = take(context, name, who, cost);
        if (cost === 0 || !taken.isOver) continue;
        const waitMs = taken.window.openedAt + settings.limits[name].windowMs - context.now();
        const retryAfterS = settings.secondaryRetryAfter ? Math.max(1, Math.ceil(waitMs / 1000)) : null;
        return { refusal: answerSecondary(settings.limitStatus, retryAfterS), headers };
      }
      return { refusal: null, headers };
    },
    describe: (context, actor) => {
      const bucket = actor.kind === 'nobody' ? 'anonymous' : 'core';
      const other = 'integration_manifest';
      return {
        core: tell(context, bucket, open(context, bucket, whoOf(actor))),
        [other]: tell(context, other, open(context, other, whoOf(actor))),
      };
    },
  };
}

/** All tokens of a user share; an installation is somebody of its own. */
function whoOf(actor: Actor): string {
  if (actor.kind === 'nobody') return 'address';
  if (actor.kind === 'app') return `app ${actor.app.id}`;
  return actor.user ? `user ${actor.user.id}` : `installation ${String(actor.token.installation?.id)}`;
}

function bucketOf(path: string, actor: Actor): Bucket {
  if (path.includes('/app-manifests/')) return 'integration_manifest';
  if (path.endsWith('/credentials/revoke')) return 'revocation';
  return actor.kind === 'nobody' ? 'anonymous' : 'core';
}

function answerPrimary(status: number, actor: Actor): PlainAnswer {
  const who =
    actor.kind === 'token' && actor.user
      ? `user ID ${actor.user.id}`
      : actor.kind === 'nobody'
        ? '127.0.0.1'
        : 'installation';
  return toErrorAnswer(status, `API rate limit exceeded for ${who}.`, {
    page: 'using-the-rest-api/rate-limits-for-the-rest-api',
  });
}

/** The refusal for going too fast. */
function answerSecondary(status: 403 | 429, retryAfterS: number | null): PlainAnswer {
  return {
    ...toErrorAnswer(
      status,
      'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.',
      { page: 'using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits' },
    ),
    ...(retryAfterS === null ? {} : { headers: { 'retry-after': String(retryAfterS) } }),
  };
}
