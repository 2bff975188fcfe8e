import { describe, expect, it } from 'vitest';
import { readRateLimit } from './rate-limit.ts';

const now = Date.UTC(1994, 10, 6, 8, 49, 0);
const yearMs = 366 * 86_400_000;

describe('F3: Retry-After', () => {
  function parseRetryAfter(value: string, at: number) {
    const headers = new Headers({ 'retry-after': value });
    return readRateLimit({ status: 429, headers, body: null }, at, 1)?.until;
  }

  it.each([
    ['0', 0],
    ['37', 37_000],
    [' 37 ', 37_000],
    ['999999999999999', yearMs],
    ['Sun, 06 Nov 1994 08:49:37 GMT', 37_000],
    ['Sun Nov  6 08:49:37 1994', 37_000],
    ['Sun Nov 16 08:49:00 1994', 10 * 86_400_000],
    ['Sun, 06 Nov 1994 08:48:00 GMT', 0],
    ['Fri, 31 Dec 9999 23:59:59 GMT', yearMs],
  ])('reads %j as %d ms from now', (value, expectedMs) => {
    expect(parseRetryAfter(value, now)).toBe(now + expectedMs);
  });

  it('reads the two-digit years of RFC 850', () => {
    const today = Date.UTC(2026, 10, 20);
    expect(parseRetryAfter('Friday, 20-Nov-26 00:01:00 GMT', today)).toBe(today + 60_000);
  });

  it.each([
    '',
    '-1',
    '1.5',
    '1e9',
    '0x10',
    'NaN',
    'soon',
    '37, 40',
    '9'.repeat(16),
    '2026-11-20',
    'Sun, 06 Nov 1994 08:49:37 PST',
    'Sun, 06 Xyz 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 99:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT',
  ])('ignores %j', (value) => {
    expect(parseRetryAfter(value, now)).toBeNull();
  });
});

describe('F3: whether the host limits the client', () => {
  const epoch = now / 1_000;

  function read(
    status: number,
    headers: Record<string, string>,
    body: unknown = null,
    tries = 1,
    openMs?: number,
  ) {
    return readRateLimit({ status, headers: new Headers(headers), body }, now, tries, openMs);
  }

  const secondary = { message: 'You have exceeded a secondary rate limit. Please wait a few minutes.' };
  const page = { documentation_url: 'https://docs.github.com/rest/x#about-secondary-rate-limits' };

  it.each([
    [
      'GitHub, primary',
      read(403, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': `${epoch + 90}` }),
      90,
      true,
    ],
    [
      'GitHub, primary as 429',
      read(429, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': `${epoch + 90}` }),
      90,
      true,
    ],
    [
      'GitHub, search',
      read(403, {
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': `${epoch + 9}`,
        'x-ratelimit-resource': 'search',
      }),
      9,
      true,
    ],
    ['GitHub, secondary with header', read(403, { 'retry-after': '75' }, secondary), 75, true],
    ['GitHub, secondary without', read(403, {}, secondary), 60, true],
    ['GitHub, secondary by its page', read(403, {}, page), 60, true],
    ['GitHub, secondary for the third time', read(403, {}, secondary, 3), 240, true],
    [
      'GitLab',
      read(429, { 'retry-after': '12', 'ratelimit-remaining': '0', 'ratelimit-reset': `${epoch + 30}` }),
      12,
      true,
    ],
    [
      'GitLab without Retry-After',
      read(429, { 'ratelimit-remaining': '0', 'ratelimit-reset': `${epoch + 30}` }),
      30,
      true,
    ],
    ['the IETF draft', read(429, { 'ratelimit-remaining': '0', 'ratelimit-reset': '30' }), 30, true],
    ['Bitbucket, whose adapter knows a time', read(429, {}, null, 2, 30_000), 60, true],
    [
      'a reset that is over',
      read(429, { 'ratelimit-remaining': '0', 'ratelimit-reset': `${epoch - 5}` }),
      0,
      true,
    ],
    [
      'a reset beyond reason',
      read(429, { 'ratelimit-remaining': '0', 'ratelimit-reset': '999999999999' }),
      yearMs / 1_000,
      true,
    ],
    ['a closed server', read(503, { 'retry-after': '20' }), 20, false],
    ['Azure, which says it with 200', read(200, { 'retry-after': '5' }), 5, false],
    [
      'the last request of an hour',
      read(200, {
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': `${epoch + 90}`,
        'x-ratelimit-resource': 'core',
      }),
      90,
      false,
    ],
  ])('%s', (_name, limit, seconds, isRefusal) => {
    expect(limit).toEqual({ until: now + seconds * 1_000, isRefusal });
  });

  it('a 429 that names no time leaves the wait open', () => {
    expect(read(429, {})).toEqual({ until: null, isRefusal: true });
  });

  it.each([
    [
      'a plain 403',
      read(403, { 'x-ratelimit-remaining': '12', 'x-ratelimit-reset': `${epoch + 90}` }, { message: 'no' }),
    ],
    ['a plain 200', read(200, { 'x-ratelimit-remaining': '12', 'x-ratelimit-reset': `${epoch + 90}` })],
    [
      'a count of searches only',
      read(200, {
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': `${epoch + 90}`,
        'x-ratelimit-resource': 'search',
      }),
    ],
    ['an accepted job', read(202, { 'retry-after': '5' })],
    ['a plain 503', read(503, {})],
    ['a body that only looks like it', read(404, {}, secondary)],
    ['a reset that is no number', read(200, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1e309' })],
  ])('%s is no limit', (_name, limit) => {
    expect(limit).toBeNull();
  });
});
