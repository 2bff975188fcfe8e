/** When a host wants to be left alone. */
export interface RateLimit {
  /** Milliseconds since the epoch, or null where neither the host nor the adapter names a time. */
  readonly until: number | null;
  /** Whether this very request was refused for it, and so was not carried out. */
  readonly isRefusal: boolean;
}

const secondaryLimitMs = 60_000;
/** Times beyond it are nonsense; it also keeps them inside what `Date` can show. */
const longestWaitMs = 366 * 86_400_000;

/**
 * Reads whether the host limits the client.
 *
 * @param answer - Status, headers and the parsed body.
 * @param now - Milliseconds since the epoch.
 * @param tries - How often this request was sent: waits that the host leaves open double each time.
 * @param unstatedLimitMs - The first wait after a 429 that names no time, if the adapter knows one.
 * @returns null where nothing has to be waited for.
 * @see https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
 * @see https://docs.gitlab.com/security/rate_limits/ (`RateLimit-Reset` in epoch seconds)
 * @see https://learn.microsoft.com/azure/devops/integrate/concepts/rate-limits (`Retry-After` with 200)
 */
export function readRateLimit(
  answer: { readonly status: number; readonly headers: Headers; readonly body: unknown },
  now: number,
  tries: number,
  unstatedLimitMs?: number,
): RateLimit | null {
  const { status, headers } = answer;
  const retryAfter = parseRetryAfter(headers.get('retry-after'), now);
  const exhausted = readExhaustedUntil(headers, now);
  const stated = retryAfter ?? exhausted;
  const isSecondary = (status === 403 || status === 429) && namesSecondaryLimit(answer.body);
  if (status === 429 || (status === 403 && stated !== null) || isSecondary) {
    const openMs = isSecondary ? secondaryLimitMs : unstatedLimitMs;
    const guessed = openMs === undefined ? null : now + openMs * 2 ** (tries - 1);
    return { until: stated ?? guessed, isRefusal: true };
  }
  if (status === 503 && retryAfter !== null) return { until: retryAfter, isRefusal: false };
  // 202 with `Retry-After` says when to ask for the result, not to stay away.
  if (status < 200 || status > 299 || status === 202) return null;
  const until = retryAfter ?? (isForAllKinds(headers) ? exhausted : null);
  return until === null ? null : { until, isRefusal: false };
}

/** Whether a body says that GitHub's secondary limit was met, which need not come with a header. */
function namesSecondaryLimit(body: unknown): boolean {
  if (typeof body !== 'object' || body === null) return false;
  const { message, documentation_url: page } = body as Record<string, unknown>;
  const hasWords = typeof message === 'string' && /secondary rate limit/i.test(message.slice(0, 1_000));
  return (
    hasWords ||
    (typeof page === 'string' && /secondary-rate-limits$|#abuse-rate-limits$/.test(page.slice(-100)))
  );
}

/**
 * Reads `Retry-After`: seconds or an HTTP date (RFC 9110, 10.2.3).
 *
 * @returns Milliseconds since the epoch, or null where it is absent or malformed.
 */
function parseRetryAfter(value: string | null, now: number): number | null {
  if (value === null) return null;
  const text = value.trim();
  if (/^\d{1,15}$/.test(text)) return now + Math.min(Number(text) * 1_000, longestWaitMs);
  const date = parseHttpDate(text);
  return date === null ? null : Math.min(Math.max(date, now), now + longestWaitMs);
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/** IMF-fixdate, RFC 850 and asctime (RFC 9110, 5.6.7). `Date.parse` would read the last one as local time. */
const dateGrammars = [
  /^[A-Z][a-z]{2}, (?<day>\d{2}) (?<month>[A-Z][a-z]{2}) (?<year>\d{4}) (?<time>\d{2}:\d{2}:\d{2}) GMT$/,
  /^[A-Z][a-z]{5,8}, (?<day>\d{2})-(?<month>[A-Z][a-z]{2})-(?<year>\d{2}) (?<time>\d{2}:\d{2}:\d{2}) GMT$/,
  /^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \d]\d) (?<time>\d{2}:\d{2}:\d{2}) (?<year>\d{4})$/,
];

function parseHttpDate(text: string): number | null {
  const groups = dateGrammars.map((grammar) => grammar.exec(text)?.groups).find((found) => found);
  if (!groups) return null;
  const { day = '', month = '', year = '', time = '' } = groups;
  const monthNumber = String(months.indexOf(month) + 1).padStart(2, '0');
  const fullYear = year.length === 2 ? `20${year}` : year;
  const parsed = Date.parse(`${fullYear}-${monthNumber}-${day.trim().padStart(2, '0')}T${time}Z`);
  return Number.isNaN(parsed) ? null : parsed;
}

/** When the count begins anew, if nothing is left of it. */
function readExhaustedUntil(headers: Headers, now: number): number | null {
  const counts = readCounts(headers, now);
  return counts.find(({ remaining }) => remaining === 0)?.resetAt ?? null;
}

/** What the host tells of its count: how many requests are left of it, and when it begins anew. */
interface RateCount {
  readonly remaining: number;
  /** Milliseconds since the epoch. */
  readonly resetAt: number;
}

/**
 * Reads the host's count of the requests of all kinds.
 *
 * @returns null where the host tells none, or that of one kind of request.
 */
export function readRateCount(headers: Headers, now: number): RateCount | null {
  return isForAllKinds(headers) ? (readCounts(headers, now)[0] ?? null) : null;
}

function readCounts(headers: Headers, now: number): readonly RateCount[] {
  return ['x-ratelimit', 'ratelimit'].flatMap((prefix) => {
    const remaining = headers.get(`${prefix}-remaining`)?.trim() ?? '';
    const reset = headers.get(`${prefix}-reset`)?.trim() ?? '';
    if (!/^\d{1,9}$/.test(remaining) || !/^\d{1,12}(?:\.\d{1,9})?$/.test(reset)) return [];
    // Hosts send epoch seconds; the IETF draft of the `RateLimit-` fields means seconds from now.
    const isEpoch = Number(reset) > 100_000_000;
    const resetAt = isEpoch ? Number(reset) * 1_000 : now + Number(reset) * 1_000;
    return { remaining: Number(remaining), resetAt: Math.min(Math.max(resetAt, now), now + longestWaitMs) };
  });
}

/** GitHub counts some kinds of request apart; an empty count of those does not concern the others. */
function isForAllKinds(headers: Headers): boolean {
  return ['core', null].includes(headers.get('x-ratelimit-resource'));
}
