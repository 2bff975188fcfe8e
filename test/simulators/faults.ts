import type { PlainAnswer } from './routes.ts';

/** One way in which a host, or what stands before it, misbehaves. */
export type Fault =
  /** Answers this instead of handling the request. */
  | { readonly kind: 'answer'; readonly answer: PlainAnswer }
  /** Cuts the connection before anything was done. */
  | { readonly kind: 'cut' }
  /** Does what was asked, then cuts the connection: the answer is lost. */
  | { readonly kind: 'lost' }
  /** An HTML page (a proxy's, an anti-bot's) instead of the API's answer. Default status 200. */
  | { readonly kind: 'html'; readonly status?: number }
  /** Does what was asked and answers half of the JSON as if it were all. */
  | { readonly kind: 'broken-json' }
  /** Does what was asked, sends half of the answer and then nothing more. */
  | { readonly kind: 'stall' }
  /** Answers rightly, but later. */
  | { readonly kind: 'slow'; readonly delayMs: number };

interface FaultRule {
  readonly fault: Fault;
  /** Only requests of this method. */
  readonly method?: string;
  /** Only requests whose path (below the base path) matches. */
  readonly path?: RegExp;
  /** From 0 to 1, drawn from the simulator's seeded generator. Default 1. */
  readonly probability?: number;
  /** Lets so many matching requests through first. */
  readonly skip?: number;
  /** Strikes so many times, then never again. */
  readonly times?: number;
}

export interface FaultPlan {
  /** @returns a function that takes the rule away again. */
  add(rule: FaultRule): () => void;
  clear(): void;
  /** The fault that this request meets, by the first rule that strikes. */
  pick(method: string, path: string): Fault | undefined;
}

/** Builds the faults of one simulator. The same seed and the same requests meet the same faults. */
export function createFaultPlan(random: () => number): FaultPlan {
  const rules = new Set<{ readonly rule: FaultRule; seen: number; struck: number }>();
  return {
    add: (rule) => {
      const entry = { rule, seen: 0, struck: 0 };
      rules.add(entry);
      return () => rules.delete(entry);
    },
    clear: () => rules.clear(),
    pick: (method, path) => {
      for (const entry of rules) {
        const { rule } = entry;
        if (rule.method !== undefined && rule.method !== method) continue;
        if (rule.path && !rule.path.test(path)) continue;
        entry.seen += 1;
        if (entry.seen <= (rule.skip ?? 0) || entry.struck >= (rule.times ?? Infinity)) continue;
        if (rule.probability !== undefined && random() >= rule.probability) continue;
        entry.struck += 1;
        return rule.fault;
      }
      return undefined;
    },
  };
}

/** A generator of numbers from 0 up to 1 that always gives the same sequence (mulberry32). */
export function createSeededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How a host, mostly a proxy before it, limits the rate of requests. */
export interface RateLimit {
  /** So many requests are answered in each window. */
  readonly requests: number;
  readonly windowMs: number;
  /** How the 429 says when to come back. Default `none`, as plain proxies. */
  readonly retryAfter?: 'seconds' | 'date' | 'none';
  /** Default `text`. */
  readonly body?: 'text' | 'html';
}

/**
 * Builds the counter of one rate limit: a fixed window that opens with its first request.
 *
 * @returns a function that gives the 429 for a request too many, or `undefined`.
 */
export function createRateLimiter(limit: RateLimit, now: () => number): () => PlainAnswer | undefined {
  let windowStart = -Infinity;
  let used = 0;
  return () => {
    const time = now();
    if (time - windowStart >= limit.windowMs) {
      windowStart = time;
      used = 0;
    }
    used += 1;
    if (used <= limit.requests) return undefined;
    const waitMs = windowStart + limit.windowMs - time;
    return { status: 429, headers: toRetryAfter(limit, waitMs), ...toLimitBody(limit) };
  };
}

function toRetryAfter(limit: RateLimit, waitMs: number): Record<string, string> {
  if (limit.retryAfter === 'seconds') return { 'retry-after': String(Math.ceil(waitMs / 1000)) };
  if (limit.retryAfter !== 'date') return {};
  const at = Math.ceil((Date.now() + waitMs) / 1000) * 1000;
  return { 'retry-after': new Date(at).toUTCString() };
}

function toLimitBody(limit: RateLimit): Pick<PlainAnswer, 'text' | 'contentType'> {
  if (limit.body !== 'html') return { text: 'Too many requests\n' };
  return {
    text: '<html><head><title>429 Too Many Requests</title></head><body><h1>429 Too Many Requests</h1></body></html>',
    contentType: 'text/html',
  };
}
