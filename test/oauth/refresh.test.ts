import { describe, expect, test } from 'vitest';
import { CancelledError } from '../../src/errors.ts';
import { signInByBrowser } from '../../src/oauth/authorization-code.ts';
import { refreshTokens, type RefreshRules } from '../../src/oauth/refresh.ts';
import { revokeToken } from '../../src/oauth/revocation.ts';
import { isClockWrong, isRefreshDue, type TokenSet } from '../../src/oauth/token-set.ts';
import { Secret } from '../../src/secret.ts';
import type { OAuthServer } from '../support/oauth-server.ts';
import {
  catchError,
  createVirtualClock,
  sendJson,
  startServer as startHttpServer,
} from '../http/http-kit.ts';
import { createFlow, createNetwork, createTokens, startServer, toClient } from './oauth-kit.ts';

const rules: RefreshRules = {
  spent: [{ error: 'invalid_grant' }, { error: 'unauthorized_client', descriptionIncludes: 'already used' }],
  secondTryAfterMs: null,
  forgivesLostAnswer: false,
  parameters: {},
};

type Refreshable = TokenSet & { readonly refreshToken: Secret };

async function signIn(server: OAuthServer): Promise<Refreshable> {
  const tokens = await signInByBrowser(createFlow(server));
  if (tokens.refreshToken === null) throw new Error('There is no refresh token.');
  return { ...tokens, refreshToken: tokens.refreshToken };
}

/** Refreshes at a server that gives one answer. */
async function refreshAt(answer: object, status: number, current: Partial<TokenSet> = {}) {
  const server = await startHttpServer((_, response) => sendJson(response, answer, status));
  const tokens = { ...createTokens(current), refreshToken: new Secret('canary-refresh-token') };
  const client = {
    host: 'git.example',
    issuer: null,
    sendsIssuer: false,
    tokenEndpoint: `${server.base}/token`,
    clientId: 'client',
    clientSecret: new Secret('canary-client-secret'),
    clientAuthentication: 'post',
  } as const;
  const parameters = { redirect_uri: 'http://127.0.0.1/callback' };
  const outcome = await refreshTokens(client, createNetwork(), { ...rules, parameters }, tokens);
  return { outcome, server };
}

describe('refreshing', () => {
  test('gives a new pair, and the old one is dead where the host rotates', async () => {
    const server = await startServer();
    const before = await signIn(server);
    const outcome = await refreshTokens(toClient(server), createNetwork(), rules, before);
    if (outcome.outcome !== 'refreshed') throw new Error('It was expected to be refreshed.');
    const { accessToken, refreshToken } = outcome.tokens;
    expect(await server.isAlive(accessToken.reveal())).toBe(true);
    expect(await server.isAlive(before.accessToken.reveal())).toBe(false);
    expect(refreshToken?.equals(before.refreshToken)).toBe(false);
    expect(outcome.tokens.scopes).toEqual(['api', 'read_user']);
  });

  test.each(['refuse', 'revokeGrant'] as const)('F5: a used refresh token is spent (%s)', async (reuse) => {
    const server = await startServer({ reuse });
    const before = await signIn(server);
    const first = await refreshTokens(toClient(server), createNetwork(), rules, before);
    const second = await refreshTokens(toClient(server), createNetwork(), rules, before);
    expect([first.outcome, second.outcome]).toEqual(['refreshed', 'spent']);
    expect(second).toMatchObject({
      error: { exitCode: 4, hint: expect.stringContaining('relink') as string },
    });
  });

  test.each([
    [{ error: 'invalid_grant' }, 400, 'spent'],
    [{ error: 'invalid_grant' }, 200, 'spent'],
    [{ error: 'unauthorized_client', error_description: 'token was already used' }, 400, 'spent'],
    [{ error: 'unauthorized_client', error_description: 'wrong secret' }, 400, 'failed'],
    [{ error: 'invalid_client' }, 401, 'failed'],
    [{ error: 'something_new' }, 400, 'failed'],
    [{ error: 'temporarily_unavailable' }, 400, 'transient'],
    [{ error: 'invalid_grant' }, 503, 'transient'],
    [{}, 429, 'transient'],
    [{}, 500, 'transient'],
    [{}, 200, 'failed'],
    [{ access_token: 'a b', token_type: 'bearer' }, 200, 'failed'],
  ])('the answer %j with %i means %s', async (answer, status, outcome) => {
    expect((await refreshAt(answer, status)).outcome).toMatchObject({ outcome });
  });

  test('F6: an answer that is not understood counts as lost, a refusal does not', async () => {
    const judge = async (answer: object, status: number) => (await refreshAt(answer, status)).outcome;
    expect(await judge({}, 200)).toMatchObject({ isAnswerLost: true });
    expect(await judge({}, 502)).toMatchObject({ isAnswerLost: true });
    expect(await judge({ error: 'invalid_client' }, 401)).toMatchObject({ isAnswerLost: false });
    expect(await judge({ error: 'temporarily_unavailable' }, 400)).toMatchObject({ isAnswerLost: false });
  });

  test('what the answer leaves out stays as it was', async () => {
    const current = { scopes: ['api'], refreshExpiresAt: 99 };
    const { outcome, server } = await refreshAt(
      { access_token: 'canary-new', token_type: 'bearer' },
      200,
      current,
    );
    expect(outcome).toMatchObject({ tokens: { ...current, expiresAt: null } });
    expect(outcome.outcome === 'refreshed' && outcome.tokens.refreshToken?.reveal()).toBe(
      'canary-refresh-token',
    );
    const sent = Object.fromEntries(new URLSearchParams(server.seen[0]?.body));
    expect(sent).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'canary-refresh-token',
      client_id: 'client',
      client_secret: 'canary-client-secret',
      redirect_uri: 'http://127.0.0.1/callback',
    });
    expect(server.seen[0]).toMatchObject({ method: 'POST', headers: { accept: 'application/json' } });
  });

  test('F6: a lost answer is told from a connection that was never made', async () => {
    const server = await startServer();
    const before = await signIn(server);
    server.spoilNextTokenAnswer((response) => response.destroy());
    const lost = await refreshTokens(toClient(server), createNetwork(), rules, before);
    expect(lost).toMatchObject({ outcome: 'transient', isAnswerLost: true, error: { exitCode: 7 } });
    expect(server.countExchanges('refresh_token')).toBe(1);
    server.spoilNextTokenAnswer((response) => response.end('x'.repeat(2_000_000)));
    const again = await refreshTokens(toClient(server), createNetwork(), rules, before);
    expect(again).toMatchObject({ outcome: 'transient', isAnswerLost: true });
    const nowhere = { ...toClient(server), tokenEndpoint: 'http://127.0.0.1:1/token' };
    const unmade = await refreshTokens(nowhere, createNetwork(), rules, before);
    expect(unmade).toMatchObject({ outcome: 'transient', isAnswerLost: false });
  });

  test('Ctrl-C during the exchange does not lose the new tokens; before it nothing is sent', async () => {
    const server = await startServer();
    const before = await signIn(server);
    const controller = new AbortController();
    const network = createNetwork({
      signal: controller.signal,
      fetch: (input, init) => {
        controller.abort(new CancelledError());
        return globalThis.fetch(input, init);
      },
    });
    expect(await refreshTokens(toClient(server), network, rules, before)).toMatchObject({
      outcome: 'refreshed',
    });
    const error = await catchError(refreshTokens(toClient(server), network, rules, before));
    expect(error).toBeInstanceOf(CancelledError);
    expect(server.countExchanges('refresh_token')).toBe(1);
  });
});

describe('F7: when a refresh is due', () => {
  const minute = 60_000;

  test.each([
    ['2 h, 6 min left', 120, 114, false],
    ['2 h, 5 min left', 120, 115, true],
    ['10 min, 3 min left', 10, 7, false],
    ['10 min, 2 min left', 10, 8, true],
    ['1 min, 13 s left', 1, 47 / 60, false],
    ['1 min, 12 s left', 1, 48 / 60, true],
    ['long over', 60, 10_000, true],
  ])('a life of %s', (_, lifeMinutes, ageMinutes, isDue) => {
    const clock = createVirtualClock(false, 0);
    clock.advance(ageMinutes * minute);
    expect(isRefreshDue(createTokens({ expiresAt: lifeMinutes * minute }), clock)).toBe(isDue);
  });

  test('a token without an end is never due', () => {
    const clock = createVirtualClock(false, 10 ** 13);
    expect(isRefreshDue(createTokens({ expiresAt: null }), clock)).toBe(false);
  });

  test('a wall clock that jumps by a day changes nothing in the process that got the token', () => {
    for (const jump of [-86_400_000, 86_400_000]) {
      const clock = createVirtualClock(false, jump);
      expect(isRefreshDue(createTokens({ monotonicExpiresAt: 7_200_000 }), clock)).toBe(false);
      clock.advance(115 * minute);
      expect(isRefreshDue(createTokens({ monotonicExpiresAt: 7_200_000 }), clock)).toBe(true);
    }
  });

  test('a clock that was set back a day says nothing of the age of a stored token: it is refreshed', () => {
    expect(isRefreshDue(createTokens(), createVirtualClock(false, -86_400_000))).toBe(true);
    expect(isRefreshDue(createTokens(), createVirtualClock(false, -2 * minute))).toBe(false);
  });

  test('a skew of more than 5 min is worth a warning, both ways', () => {
    expect(
      [-301_000, -300_000, 0, 300_000, 301_000].map((clockSkewMs) =>
        isClockWrong(createTokens({ clockSkewMs })),
      ),
    ).toEqual([true, false, false, false, true]);
    expect(isClockWrong(createTokens({ clockSkewMs: null }))).toBe(false);
  });
});

describe('revoking', () => {
  test('ends a refresh token; an unknown one is accepted alike', async () => {
    const server = await startServer();
    const { refreshToken } = await signIn(server);
    const token = { value: refreshToken, kind: 'refresh_token' } as const;
    for (let times = 0; times < 2; times += 1) {
      const result = await revokeToken(toClient(server), createNetwork(), server.revocationEndpoint, token);
      expect(result).toEqual({ outcome: 'accepted' });
    }
    expect(await server.isAlive(refreshToken.reveal())).toBe(false);
  });

  test.each([
    ['an empty 200', 200, '', { outcome: 'accepted' }],
    ['a 200 with anything', 200, '{}', { outcome: 'accepted' }],
    [
      'a 200 with an error',
      200,
      '{"error":"invalid_client"}',
      { outcome: 'refused', reason: 'invalid_client' },
    ],
    [
      'another client',
      403,
      '{"error":"unauthorized_client","error_description":"not yours"}',
      { outcome: 'refused', reason: 'unauthorized_client: not yours' },
    ],
    ['no such endpoint', 404, '', { outcome: 'refused', reason: 'this server has no way to end a sign-in' }],
  ])('%s', async (_, status, body, expected) => {
    const server = await startHttpServer((_request, response) => void response.writeHead(status).end(body));
    const client = { ...toClient(await startServer()) };
    const token = { value: new Secret('canary-token'), kind: 'access_token' } as const;
    expect(await revokeToken(client, createNetwork(), server.base, token)).toEqual(expected);
    expect(server.seen[0]?.body).toContain('token_type_hint=access_token');
  });

  test.each([500, 302])('status %i leaves the outcome unknown', async (status) => {
    const server = await startHttpServer((_, response) => void response.writeHead(status).end());
    const token = { value: new Secret('canary-token'), kind: 'access_token' } as const;
    const error = await catchError(
      revokeToken(toClient(await startServer()), createNetwork(), server.base, token),
    );
    expect(error).toMatchObject({ exitCode: 7 });
  });
});
