import { describe, expect, test } from 'vitest';
import { visit } from '../support/browser.ts';
import {
  askForToken,
  askPerson,
  authorizeUrl,
  callBy,
  exchange,
  hooksOfAcme,
  hooksOfApi,
  refresh,
  signIn,
  start,
  userIn,
  type Tokens,
} from './bitbucket-dc-kit.ts';

const strict = '/rest/api/latest/inbox/pull-requests/count';
/** As servers whose admin lets OAuth come back to this machine. */
const settings = { requiresHttpsRedirect: false };

describe('the browser', () => {
  test('a sign-in gives tokens that work at the API as the person', async () => {
    const simulator = await start({ settings, basePath: '/bitbucket' });
    const application = simulator.oauth.addApplication();
    const callback = await askPerson(authorizeUrl(simulator, application));
    expect(callback.get('state')).toBe('canary-state');
    const response = await exchange(simulator, application, callback.get('code') ?? '');
    expect(response.json).toEqual({
      access_token: expect.any(String) as unknown,
      token_type: 'bearer',
      expires_in: 3600,
      refresh_token: expect.any(String) as unknown,
      created_at: expect.any(Number) as unknown,
    });
    const { access_token, refresh_token } = response.json as Tokens;
    expect(userIn(await callBy(simulator, `Bearer ${access_token}`)(strict))).toBe('ada');
    expect((await callBy(simulator, `Bearer ${refresh_token}`)(strict)).status).toBe(401);
    expect(simulator.requests.at(-2)?.authorization?.tokenId).toBe('oauth:ada');
    expect(simulator.oauth.countExchanges('authorization_code')).toBe(1);
    simulator.assertNoFailures();
  });

  test('a redirect to http stays in the browser on servers that are left as they come', async () => {
    const simulator = await start();
    const end = await visit(authorizeUrl(simulator, simulator.oauth.addApplication()));
    expect([end.status, end.addresses.length]).toEqual([400, 1]);
    expect(end.text).toContain('https');
    const redirectUri = 'https://ci.test/callback';
    const https = simulator.oauth.addApplication({ redirectUri });
    expect((await askPerson(authorizeUrl(simulator, https))).get('code')).toMatch(/^canary/);
  });

  test.each([
    ['an unknown client', { client_id: 'canary' }],
    ['another port', { redirect_uri: 'http://127.0.0.1:34120/callback' }],
    ['a final slash', { redirect_uri: 'http://127.0.0.1:34119/callback/' }],
    ['localhost', { redirect_uri: 'http://localhost:34119/callback' }],
  ])('%s stays in the browser', async (_, changes) => {
    const simulator = await start({ settings });
    const end = await visit(authorizeUrl(simulator, simulator.oauth.addApplication(), changes));
    expect([end.status, end.addresses.length]).toEqual([400, 1]);
    expect(end.headers['content-type']).toContain('text/html');
  });

  test.each([
    ['a scope that is none', { scope: 'api' }, 'approve', 'invalid_scope'],
    ['a scope above the application', { scope: 'SYSTEM_ADMIN' }, 'approve', 'invalid_scope'],
    ['another response', { response_type: 'token' }, 'approve', 'unsupported_response_type'],
    ['a person who says no', {}, 'deny', 'access_denied'],
  ] as const)('%s is told to the redirect', async (_, changes, decision, error) => {
    const simulator = await start({ settings });
    const url = authorizeUrl(simulator, simulator.oauth.addApplication(), changes);
    const callback = await askPerson(url, decision);
    expect([callback.get('error'), callback.get('state')]).toEqual([error, 'canary-state']);
    simulator.assertNoFailures();
  });

  test('without PKCE or state the test fails', async () => {
    const simulator = await start({ settings });
    const changes = { code_challenge: '', code_challenge_method: '', state: '' };
    await askPerson(authorizeUrl(simulator, simulator.oauth.addApplication(), changes));
    expect(() => simulator.assertNoFailures()).toThrow(/without a state[^]*PKCE/);
  });

  test('who is before it can change, and there is no OAuth before 7.20', async () => {
    const simulator = await start({ settings, person: { consent: 'approve' } });
    simulator.oauth.person.signedInAs = 'Grace@acme.test';
    const { access_token } = await signIn(simulator, simulator.oauth.addApplication());
    expect(userIn(await callBy(simulator, `Bearer ${access_token}`)(strict))).toBe('Grace%40acme.test');
    const older = await start({ settings, version: '7.19.3' });
    expect((await visit(authorizeUrl(older, older.oauth.addApplication()))).status).toBe(404);
  });
});

describe('a code', () => {
  test.each([
    [
      'with another verifier',
      { code_verifier: 'canary-of-another-flow-that-is-long-enough-too' },
      'invalid_grant',
    ],
    ['with another redirect', { redirect_uri: 'http://127.0.0.1:1/callback' }, 'invalid_grant'],
    ['that is none', { code: 'canary' }, 'invalid_grant'],
    ['with a wrong secret', { client_secret: 'canary' }, 'invalid_client'],
    ['for another grant', { grant_type: 'password' }, 'unsupported_grant_type'],
  ])('%s is refused', async (_, changes, error) => {
    const simulator = await start({ settings });
    const application = simulator.oauth.addApplication();
    const callback = await askPerson(authorizeUrl(simulator, application));
    const response = await exchange(simulator, application, callback.get('code') ?? '', changes);
    expect(response.json).toMatchObject({ error });
    expect(simulator.oauth.tokenRequests).toMatchObject([{ error }]);
  });

  test('is good for one use and ten seconds', async () => {
    const simulator = await start({ settings });
    const application = simulator.oauth.addApplication();
    const code = async () => (await askPerson(authorizeUrl(simulator, application))).get('code') ?? '';
    const used = await code();
    expect((await exchange(simulator, application, used)).status).toBe(200);
    expect((await exchange(simulator, application, used)).status).toBe(400);
    const old = await code();
    simulator.settings.clockOffsetMs = 10_000;
    expect((await exchange(simulator, application, old)).status).toBe(400);
  });
});

describe('scopes', () => {
  test.each([
    ['PUBLIC_REPOS', [200, 404, 404]],
    ['REPO_READ', [200, 401, 401]],
    ['REPO_ADMIN', [200, 200, 401]],
    ['PROJECT_ADMIN', [200, 200, 200]],
  ])('%s', async (scope, statuses) => {
    const simulator = await start({ settings });
    const { access_token } = await signIn(simulator, simulator.oauth.addApplication(), { scope });
    const call = callBy(simulator, `Bearer ${access_token}`);
    const found = [await call(strict), await call(hooksOfApi), await call(hooksOfAcme)];
    expect(found.map(({ status }) => status)).toEqual(statuses);
  });

  test('never exceed what the person may', async () => {
    const simulator = await start({ settings, person: { signedInAs: 'bob' } });
    const scope = 'PROJECT_ADMIN';
    const { access_token } = await signIn(simulator, simulator.oauth.addApplication(), { scope });
    expect((await callBy(simulator, `Bearer ${access_token}`)(hooksOfApi)).status).toBe(401);
  });
});

describe('refreshing', () => {
  test('ends both old tokens, and of two at once one wins', async () => {
    const simulator = await start({ settings });
    const application = simulator.oauth.addApplication();
    const old = await signIn(simulator, application);
    const both = await Promise.all([
      refresh(simulator, application, old),
      refresh(simulator, application, old),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 400]);
    expect(both.find(({ status }) => status === 400)?.json).toEqual({
      error: 'invalid_grant',
      error_description: 'The provided refresh_token is invalid',
    });
    const renewed = both.find(({ status }) => status === 200)?.json as Tokens;
    const { oauth } = simulator;
    expect([oauth.isAlive(old.access_token), oauth.isAlive(old.refresh_token)]).toEqual([false, false]);
    expect([oauth.isAlive(renewed.access_token), oauth.isAlive(renewed.refresh_token)]).toEqual([true, true]);
    expect(oauth.countExchanges('refresh_token')).toBe(1);
    simulator.assertNoFailures();
  });

  test('wants the redirect again, where that is checked', async () => {
    const simulator = await start({ settings });
    const application = simulator.oauth.addApplication();
    const tokens = await signIn(simulator, application);
    expect((await refresh(simulator, application, tokens, {})).json).toMatchObject({
      error: 'invalid_request',
    });
    const other = { redirect_uri: 'http://127.0.0.1:1/callback' };
    expect((await refresh(simulator, application, tokens, other)).status).toBe(400);
    simulator.settings.refreshNeedsRedirect = false;
    expect((await refresh(simulator, application, tokens, {})).status).toBe(200);
  });

  test('goes on after the access token has ended, not after the person took it back or it grew old', async () => {
    const simulator = await start({ settings });
    const application = simulator.oauth.addApplication();
    simulator.oauth.setAccessTokenLife(60);
    const first = await signIn(simulator, application);
    simulator.oauth.endAccessTokens();
    expect(simulator.oauth.isAlive(first.access_token)).toBe(false);
    const renewed = await refresh(simulator, application, first);
    expect(renewed.json).toMatchObject({ expires_in: 60 });
    simulator.oauth.revokeGrants('ada');
    expect((await refresh(simulator, application, renewed.json as Tokens)).status).toBe(400);
    const second = await signIn(simulator, application);
    simulator.settings.clockOffsetMs = 90 * 86_400_000;
    expect((await refresh(simulator, application, second)).status).toBe(400);
  });

  test('may have done its work and lose its answer', async () => {
    const simulator = await start({ settings });
    const application = simulator.oauth.addApplication();
    const tokens = await signIn(simulator, application);
    simulator.oauth.spoilNextTokenAnswer((response) => response.destroy());
    await expect(refresh(simulator, application, tokens)).rejects.toThrow();
    expect(simulator.oauth.isAlive(tokens.refresh_token)).toBe(false);
  });
});

describe('ending a sign-in', () => {
  test('is no call of a server as it comes', async () => {
    const simulator = await start({ settings });
    const application = simulator.oauth.addApplication();
    const { access_token } = await signIn(simulator, application);
    expect((await askForToken(simulator, application, { token: access_token }, 'revoke')).status).toBe(404);
    expect(simulator.oauth.isAlive(access_token)).toBe(true);
  });

  test('ends both tokens where it is one, for the own client', async () => {
    const simulator = await start({ settings: { ...settings, hasOAuthRevocation: true } });
    const application = simulator.oauth.addApplication();
    const { access_token, refresh_token } = await signIn(simulator, application);
    const other = simulator.oauth.addApplication();
    await askForToken(simulator, other, { token: refresh_token }, 'revoke');
    expect(simulator.oauth.isAlive(access_token)).toBe(true);
    expect((await askForToken(simulator, application, { token: refresh_token }, 'revoke')).status).toBe(200);
    expect(simulator.oauth.isAlive(access_token)).toBe(false);
    simulator.assertNoFailures();
  });
});
