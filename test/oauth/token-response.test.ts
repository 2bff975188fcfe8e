import { describe, expect, test } from 'vitest';
import { judgeTokenAnswer, type TokenAnswer } from '../../src/oauth/token-response.ts';
import { parseJson } from '../../src/http/safe-json.ts';
import { Secret } from '../../src/secret.ts';

const arrivedAt = { wall: Date.UTC(2026, 10, 20, 12), monotonic: 5_000 };
const good = { access_token: 'canary-access', token_type: 'bearer' };

/** Judges a body as it travels: an object is sent as JSON. */
function judge(body: unknown, status = 200, headers: Record<string, string> = {}): TokenAnswer {
  const parsed = parseJson(typeof body === 'string' ? body : JSON.stringify(body));
  return judgeTokenAnswer({
    status,
    headers: new Headers(headers),
    body: parsed.ok ? parsed.value : null,
    arrivedAt,
  });
}

function judgeTokens(body: unknown) {
  const answer = judge(body);
  if (answer.outcome !== 'tokens')
    throw new Error(`It was expected to give tokens: ${JSON.stringify(answer)}`);
  return answer.tokens;
}

describe('A21: answers of a token endpoint that give tokens', () => {
  test.each([
    ['the least', good],
    ['the type in capitals', { ...good, token_type: 'BEARER' }],
    ['the type as GitLab writes it', { ...good, token_type: 'Bearer' }],
    ['unknown fields', { ...good, created_at: 1, id_token: 'eyJ', nested: { error: 'x' }, list: [1] }],
    ['null for what is absent', { ...good, refresh_token: null, expires_in: null, scope: null, error: null }],
    ['an empty refresh token', { ...good, refresh_token: '' }],
    ['an empty error', { ...good, error: '' }],
    ['an empty scope', { ...good, scope: '' }],
    ['poisoned keys', '{"access_token":"canary-access","token_type":"bearer","__proto__":{"error":"x"}}'],
    ['one second of life', { ...good, expires_in: 1 }],
    ['ten years of life', { ...good, expires_in: 315_360_000 }],
    ['a fraction of life', { ...good, expires_in: 3599.5 }],
    ['a life as text', { ...good, expires_in: '3600' }],
  ])('%s', (_, body) => {
    expect(judgeTokens(body).accessToken.reveal()).toBe('canary-access');
  });

  test.each([10, 40, 64, 520, 2_500, 8_000])(
    'A22: a token of %i characters, of every visible kind',
    (length) => {
      const visible = Array.from({ length: 94 }, (_, index) => String.fromCharCode(0x21 + index)).join('');
      const token = visible.repeat(Math.ceil(length / 94)).slice(0, length);
      const tokens = judgeTokens({ ...good, access_token: token, refresh_token: token });
      expect(tokens.accessToken.reveal()).toBe(token);
      expect(tokens.refreshToken?.reveal()).toBe(token);
    },
  );

  test('F7: the end is counted from the arrival, on both clocks, and the skew is measured', () => {
    const answer = judge({ ...good, expires_in: 7200, refresh_token_expires_in: 86_400 }, 200, {
      date: 'Fri, 20 Nov 2026 12:10:00 GMT',
    });
    expect(answer).toMatchObject({
      tokens: {
        obtainedAt: arrivedAt.wall,
        expiresAt: arrivedAt.wall + 7_200_000,
        monotonicExpiresAt: 7_205_000,
        refreshExpiresAt: arrivedAt.wall + 86_400_000,
        clockSkewMs: 600_000,
      },
    });
    expect(judgeTokens(good)).toMatchObject({ expiresAt: null, clockSkewMs: null });
    expect(judge(good, 200, { date: 'yesterday' })).toMatchObject({ tokens: { clockSkewMs: null } });
  });

  test.each([
    ['repo gist', ['gist', 'repo']],
    ['repo,gist', ['gist', 'repo']],
    [' repo  repo ', ['repo']],
    ['', []],
    [undefined, null],
    [['repo'], null],
  ])('the scope %j reads as %j', (scope, expected) => {
    expect(judgeTokens({ ...good, scope }).scopes).toEqual(expected);
  });

  test('the older plural of scope is read', () => {
    expect(judgeTokens({ ...good, scopes: 'repository webhook' }).scopes).toEqual(['repository', 'webhook']);
  });
});

describe('A21: answers that give no tokens', () => {
  test.each([
    ['an empty body', ''],
    ['no JSON', 'access_token=canary&token_type=bearer'],
    ['a web page', '<!doctype html><title>Sign in</title>'],
    ['broken JSON', '{"access_token":"canary'],
    ['JSON nested too deeply', '['.repeat(100) + ']'.repeat(100)],
    ['null', 'null'],
    ['a list', [good]],
    ['a text', '"canary"'],
    ['a number', '1'],
    ['true', 'true'],
    ['nothing in it', {}],
    ['no token', { token_type: 'bearer' }],
    ['an empty token', { ...good, access_token: '' }],
    ['a null token', { ...good, access_token: null }],
    ['a token that is a number', { ...good, access_token: 1 }],
    ['a token that is a list', { ...good, access_token: ['canary'] }],
    ['a token that is an object', { ...good, access_token: { value: 'canary' } }],
    ['a token with a space', { ...good, access_token: 'canary access' }],
    ['a token with a line break', { ...good, access_token: 'canary\nhost=evil.example' }],
    ['a token with a carriage return', { ...good, access_token: 'canary\rX: y' }],
    ['a token with a NUL', { ...good, access_token: 'canary\0' }],
    ['a token with letters outside ASCII', { ...good, access_token: 'canäry' }],
    ['a token of 16,001 characters', { ...good, access_token: 'c'.repeat(16_001) }],
    ['a token only in a prototype', '{"__proto__":{"access_token":"canary"},"token_type":"bearer"}'],
    ['no type', { access_token: 'canary' }],
    ['a null type', { ...good, token_type: null }],
    ['an empty type', { ...good, token_type: '' }],
    ['the type mac', { ...good, token_type: 'mac' }],
    ['the type DPoP', { ...good, token_type: 'DPoP' }],
    ['a type with a space', { ...good, token_type: 'bearer ' }],
    ['a type that is a list', { ...good, token_type: ['bearer'] }],
    ['a refresh token that is a number', { ...good, refresh_token: 1 }],
    ['a refresh token with a line break', { ...good, refresh_token: 'a\nb' }],
    ['a life of zero', { ...good, expires_in: 0 }],
    ['a negative life', { ...good, expires_in: -1 }],
    ['a life beyond ten years', { ...good, expires_in: 315_360_001 }],
    ['an infinite life', '{"access_token":"canary","token_type":"bearer","expires_in":1e309}'],
    ['a life in words', { ...good, expires_in: 'soon' }],
    ['a life as a signed text', { ...good, expires_in: '-3600' }],
    ['a life as a text with a unit', { ...good, expires_in: '3600s' }],
    ['a life as an empty text', { ...good, expires_in: '' }],
    ['a life that is a list', { ...good, expires_in: [3600] }],
    ['a life that is true', { ...good, expires_in: true }],
    ['an error that is no text', { ...good, error: 1 }],
    ['an error that is an object', { ...good, error: { code: 'x' } }],
    ['an error that is false', { ...good, error: false }],
  ])('200 with %s is not understood', (_, body) => {
    expect(judge(body)).toMatchObject({ outcome: 'unexpected', isTransient: false });
  });

  test.each([201, 202, 204, 301, 400, 401, 403, 404, 418])(
    'tokens with status %i are not taken',
    (status) => {
      expect(judge(good, status)).toMatchObject({ outcome: 'unexpected', isTransient: false });
    },
  );

  test.each([429, 500, 502, 503, 504])(
    'status %i says nothing about the token, whatever its body',
    (status) => {
      for (const body of [good, { error: 'invalid_grant' }, '<html>', { error: 'Too Many Requests' }])
        expect(judge(body, status)).toMatchObject({ outcome: 'unexpected', isTransient: true });
    },
  );

  test('how long to wait is read', () => {
    expect(judge('', 503, { 'retry-after': '7' })).toMatchObject({ retryAfterMs: 7_000 });
    expect(judge('', 503, { 'retry-after': 'later' })).toMatchObject({ retryAfterMs: null });
  });

  test.each([200, 400, 401, 403])('an error with status %i is an error, even beside a token', (status) => {
    expect(judge({ ...good, error: 'bad_refresh_token' }, status)).toEqual({
      outcome: 'error',
      error: 'bad_refresh_token',
      description: null,
      intervalMs: null,
    });
  });

  test('polls that come too fast may be answered with 429', () => {
    expect(judge({ error: 'slow_down', interval: 15 }, 429)).toMatchObject({
      error: 'slow_down',
      intervalMs: 15_000,
    });
  });

  test('A10: what a server says is one printable line without secrets', () => {
    const secret = new Secret('canary-refresh-token-that-is-quoted');
    const answer = judge({
      error: 'invalid_grant\u001b[31m',
      error_description: `The token ${secret.reveal()} is\n\u001b]0;bad\u0007 ${'x'.repeat(1_000_000)}`,
    });
    if (answer.outcome !== 'error') throw new Error('It was expected to be an error.');
    expect(answer.error).toBe('invalid_grant\\x1b[31m');
    expect(answer.description).toContain('The token [redacted] is\\x0a\\x1b]0;bad\\x07');
    expect(answer.description?.length).toBeLessThanOrEqual(300);
  });
});
