import { describe, expect, test } from 'vitest';
import { startChromium, chromiumObstacle, visit } from '../support/browser.ts';
import type { GitlabSimulator } from './gitlab/server.ts';
import { callBy, post, start, startReceiver } from './gitlab-kit.ts';
import {
  askPerson,
  authorizeUrl,
  redirect,
  refresh,
  signIn,
  verifier,
  type Tokens,
} from './gitlab-oauth-kit.ts';

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';

describe('the browser', () => {
  test('a sign-in gives tokens of the right shape that work at the API with their scopes', async () => {
    const simulator = await start({ basePath: '/gitlab' });
    const application = simulator.oauth.addApplication();
    const callback = await askPerson(authorizeUrl(simulator, application));
    expect([...callback.keys()].sort()).toEqual(['code', 'state']);
    const tokens = await signIn(simulator, application);
    expect(tokens).toMatchObject({ token_type: 'Bearer', expires_in: 7200, scope: 'api read_repository' });
    for (const token of [tokens.access_token, tokens.refresh_token]) expect(token).toMatch(/^[0-9a-f]{64}$/);
    expect(Math.abs(tokens.created_at - Date.now() / 1000)).toBeLessThan(5);

    const call = callBy(simulator, tokens.access_token);
    expect((await call('/api/v4/user')).json).toMatchObject({ username: 'ada' });
    expect((await call('/api/v4/personal_access_tokens/self')).json).toEqual({
      message: '400 Bad request - This endpoint requires token type to be a personal access token',
    });
    expect((await call('/oauth/token/info')).json).toMatchObject({
      resource_owner_id: simulator.state.findUser('ada')?.id,
      scope: ['api', 'read_repository'],
      application: { uid: application.applicationId },
    });
    expect((await callBy(simulator, tokens.refresh_token)('/api/v4/user')).status).toBe(401);
    simulator.assertNoFailures();
  });

  test.each([
    ['an unknown client', { client_id: 'canary' }],
    ['another path', { redirect_uri: 'http://127.0.0.1:53211/other' }],
    ['localhost for 127.0.0.1', { redirect_uri: 'http://localhost:53211/callback' }],
    ['a query', { redirect_uri: 'http://127.0.0.1:53211/callback?x=1' }],
    ['no redirect', { redirect_uri: '' }],
  ])('%s ends at a page and never at the redirect', async (_, changes) => {
    const simulator = await start();
    const end = await visit(authorizeUrl(simulator, simulator.oauth.addApplication(), changes));
    expect(end.status).toBeGreaterThanOrEqual(400);
    expect(end.headers['content-type']).toContain('text/html');
    expect(end.addresses).toHaveLength(1);
  });

  test('localhost is compared exactly', async () => {
    const simulator = await start();
    const application = simulator.oauth.addApplication({ redirectUris: ['http://localhost/callback'] });
    const withPort = await visit(
      authorizeUrl(simulator, application, { redirect_uri: 'http://localhost:7/callback' }),
    );
    expect(withPort.status).toBe(400);
    const url = authorizeUrl(simulator, application, { redirect_uri: 'http://localhost/callback' });
    expect((await askPerson(url)).get('code')).toMatch(/^[0-9a-f]{64}$/);
  });

  test.each([
    ['a scope that the application has not', { scope: 'api sudo' }, 'approve', 'invalid_scope'],
    ['a person who says no', {}, 'deny', 'access_denied'],
  ] as const)('%s is told to the redirect', async (_, changes, decision, error) => {
    const simulator = await start();
    const callback = await askPerson(
      authorizeUrl(simulator, simulator.oauth.addApplication(), changes),
      decision,
    );
    expect(callback.get('error')).toBe(error);
    expect(callback.get('state')).toBe('canary-state');
    simulator.assertNoFailures();
  });

  test('without PKCE, state or scopes the test fails, and a public client gets no code', async () => {
    const simulator = await start();
    const changes = { code_challenge: '', code_challenge_method: '', state: '' };
    const url = authorizeUrl(simulator, simulator.oauth.addApplication(), changes).replace(
      /&code_[^&]*/g,
      '',
    );
    expect((await askPerson(url)).get('error')).toBe('invalid_request');
    expect(() => simulator.assertNoFailures()).toThrow(/without state[^]*PKCE/);
  });

  test('each sign-in stands for itself, and is of whoever is signed in', async () => {
    const simulator = await start({ person: { consent: 'approve' } });
    const application = simulator.oauth.addApplication();
    const first = await signIn(simulator, application);
    simulator.oauth.person.signedInAs = 'bob';
    const second = await signIn(simulator, application);
    expect((await callBy(simulator, second.access_token)('/api/v4/user')).json).toMatchObject({
      username: 'bob',
    });
    expect(await simulator.oauth.isAlive(first.access_token)).toBe(true);
    await simulator.oauth.revokeGrants('ada');
    expect(await simulator.oauth.isAlive(first.refresh_token)).toBe(false);
    expect(await simulator.oauth.isAlive(second.refresh_token)).toBe(true);
  });

  test.skipIf(chromiumObstacle !== null)(
    'a real browser signs in, twice as different people, and on the device page',
    async () => {
      const simulator = await start({ basePath: '/gitlab' });
      const application = simulator.oauth.addApplication();
      const redirect_uri = new URL('/callback', (await startReceiver()).url).href;
      const chromium = await startChromium();
      try {
        const page = await (await chromium.newContext()).newPage();
        for (const name of ['ada', 'bob']) {
          simulator.oauth.person.signedInAs = name;
          await page.goto(authorizeUrl(simulator, application, { redirect_uri }));
          await page.getByRole('button', { name: 'Authorize' }).click();
          await page.waitForURL('**/callback?*');
          expect(new URL(page.url()).searchParams.get('code')).toMatch(/^[0-9a-f]{64}$/);
        }
        const begun = await post(simulator, '/oauth/authorize_device', {
          client_id: application.applicationId,
          scope: 'api',
        });
        const { user_code, verification_uri } = begun.json as { user_code: string; verification_uri: string };
        await page.goto(verification_uri);
        await page.getByLabel('Code').fill(user_code.toLowerCase());
        await page.getByRole('button', { name: 'Continue' }).click();
        await page.getByRole('button', { name: 'Authorize' }).click();
        await page.getByText('signed in').waitFor();
      } finally {
        await chromium.close();
      }
    },
  );
});

describe('refreshing', () => {
  test('ends both old tokens at once; the used one is refused and the new ones live on', async () => {
    const simulator = await start();
    const application = simulator.oauth.addApplication();
    const old = await signIn(simulator, application);
    const renewed = (await refresh(simulator, application, old.refresh_token)).json as Tokens;
    const dead = await callBy(simulator, old.access_token)('/api/v4/user');
    expect(dead.status).toBe(401);
    expect(dead.json).toMatchObject({
      error: 'invalid_token',
      error_description: expect.stringContaining('revoked') as unknown,
    });
    const again = await refresh(simulator, application, old.refresh_token);
    expect(again.status).toBe(400);
    expect(again.json).toMatchObject({ error: 'invalid_grant' });
    expect((await callBy(simulator, renewed.access_token)('/api/v4/user')).status).toBe(200);
    simulator.assertNoFailures();
  });

  test('of many at once exactly one wins', async () => {
    const simulator = await start();
    const application = simulator.oauth.addApplication();
    const { refresh_token } = await signIn(simulator, application);
    const all = await Promise.all(
      Array.from({ length: 16 }, () => refresh(simulator, application, refresh_token)),
    );
    expect(all.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(simulator.oauth.countExchanges('refresh_token')).toBe(1);
    expect(simulator.oauth.tokenRequests).toHaveLength(17);
  });

  test('a replica that lags refuses once, a lost answer uses the token up, an expired access token says so', async () => {
    const simulator = await start();
    const application = simulator.oauth.addApplication();
    simulator.oauth.setAccessTokenLife(60);
    const tokens = await signIn(simulator, application);
    expect(tokens.expires_in).toBe(60);
    await simulator.oauth.endAccessTokens();
    const dead = await callBy(simulator, tokens.access_token)('/api/v4/user');
    expect(dead.json).toMatchObject({ error_description: expect.stringContaining('expired') as unknown });

    simulator.oauth.troubles.lostRefreshes = 1;
    expect((await refresh(simulator, application, tokens.refresh_token)).json).toMatchObject({
      error: 'invalid_grant',
    });
    simulator.oauth.spoilNextTokenAnswer((response) => response.destroy());
    await expect(refresh(simulator, application, tokens.refresh_token)).rejects.toThrow();
    expect((await refresh(simulator, application, tokens.refresh_token)).status).toBe(400);
    simulator.assertNoFailures();
  });
});

describe('revoking', () => {
  test.each(['access_token', 'refresh_token'] as const)('either token ends both: %s', async (name) => {
    const simulator = await start();
    const application = simulator.oauth.addApplication();
    const tokens = await signIn(simulator, application);
    const form = { client_id: application.applicationId, token: tokens[name] };
    const response = await post(simulator, '/oauth/revoke', form);
    expect([response.status, response.json]).toEqual([200, {}]);
    expect(await simulator.oauth.isAlive(tokens.access_token)).toBe(false);
    expect(await simulator.oauth.isAlive(tokens.refresh_token)).toBe(false);
    expect((await callBy(simulator, tokens.access_token)('/oauth/token/info')).status).toBe(401);
    expect((await post(simulator, '/oauth/revoke', form)).status).toBe(200);
    simulator.assertNoFailures();
  });

  test('an expired access token is answered 200 and ends nothing; a token of another client is 403', async () => {
    const simulator = await start();
    const [application, other] = [simulator.oauth.addApplication(), simulator.oauth.addApplication()];
    const tokens = await signIn(simulator, application);
    const foreign = await post(simulator, '/oauth/revoke', {
      client_id: other.applicationId,
      token: tokens.refresh_token,
    });
    expect(foreign.status).toBe(403);
    expect(foreign.json).toMatchObject({ error: 'unauthorized_client' });
    await simulator.oauth.endAccessTokens();
    const form = { client_id: application.applicationId, token: tokens.access_token };
    expect((await post(simulator, '/oauth/revoke', form)).status).toBe(200);
    expect(await simulator.oauth.isAlive(tokens.refresh_token)).toBe(true);
  });

  test('deleting the application ends its sign-ins', async () => {
    const simulator = await start();
    const application = simulator.oauth.addApplication();
    const tokens = await signIn(simulator, application);
    const call = callBy(simulator, simulator.addToken({ scopes: ['api'] }).secret);
    await call(`/api/v4/user/applications/${application.id}`, { method: 'DELETE' });
    expect(await simulator.oauth.isAlive(tokens.refresh_token)).toBe(false);
    expect((await refresh(simulator, application, tokens.refresh_token)).json).toMatchObject({
      error: 'invalid_client',
    });
  });
});

describe('devices', () => {
  async function begin(simulator: GitlabSimulator) {
    const { applicationId: client_id } = simulator.oauth.addApplication();
    const begun = await post(simulator, '/oauth/authorize_device', { client_id, scope: 'api' });
    expect(begun.status, begun.text).toBe(200);
    const json = begun.json as { device_code: string; user_code: string; verification_uri_complete: string };
    const poll = () =>
      post(simulator, '/oauth/token', { grant_type: deviceGrant, client_id, device_code: json.device_code });
    return { ...json, begun: begun.json, poll };
  }

  test('wait for the person, and get tokens once', async () => {
    const simulator = await start({ basePath: '/gitlab' });
    simulator.oauth.polls.intervalS = 0;
    const { begun, poll, user_code, verification_uri_complete } = await begin(simulator);
    expect(begun).toMatchObject({
      expires_in: 300,
      interval: 0,
      verification_uri: `${simulator.url}/oauth/device`,
    });
    expect(user_code).toMatch(/^[A-Z]{8}$/);
    expect((await poll()).json).toMatchObject({ error: 'authorization_pending' });
    expect((await visit(verification_uri_complete)).text).toContain('signed in');
    expect((await poll()).json).toMatchObject({ scope: 'api', refresh_token: expect.any(String) as unknown });
    expect((await poll()).json).toMatchObject({ error: 'invalid_grant' });
    expect(simulator.oauth.countExchanges('device_code')).toBe(1);
    simulator.assertNoFailures();
  });

  test('are told to slow down, that the person said no, and that the code is over', async () => {
    const simulator = await start();
    const hasty = await begin(simulator);
    expect((await hasty.poll()).json).toMatchObject({ error: 'slow_down' });
    simulator.oauth.polls.intervalS = 0;
    const denied = await begin(simulator);
    await visit(denied.verification_uri_complete, 'deny');
    expect((await denied.poll()).json).toMatchObject({ error: 'access_denied' });
    simulator.oauth.lives.deviceCodeS = 1;
    const late = await begin(simulator);
    await expect
      .poll(async () => ((await late.poll()).json as { error: string }).error, { timeout: 5_000 })
      .toBe('expired_token');
  });

  test('are not known before 17.3', async () => {
    const simulator = await start({ version: '17.1.0-ee' });
    const { applicationId: client_id } = simulator.oauth.addApplication();
    expect((await post(simulator, '/oauth/authorize_device', { client_id, scope: 'api' })).status).toBe(404);
    const poll = await post(simulator, '/oauth/token', {
      grant_type: deviceGrant,
      client_id,
      device_code: 'canary',
    });
    expect(poll.json).toMatchObject({ error: 'unsupported_grant_type' });
  });
});

describe('the token endpoint is strict', () => {
  test.each([
    ['a wrong verifier', { code_verifier: `${verifier}x` }, 'invalid_grant'],
    ['another redirect', { redirect_uri: 'http://127.0.0.1:1/callback' }, 'invalid_grant'],
    ['an unknown client', { client_id: 'canary' }, 'invalid_client'],
    ['a wrong secret of a public client', { client_secret: 'canary' }, 'invalid_client'],
    ['the password grant', { grant_type: 'password' }, 'unsupported_grant_type'],
  ])('%s', async (_, changes, error) => {
    const simulator = await start({ person: { consent: 'approve' } });
    const application = simulator.oauth.addApplication();
    const callback = await askPerson(authorizeUrl(simulator, application));
    const form = {
      grant_type: 'authorization_code',
      client_id: application.applicationId,
      code: callback.get('code') ?? '',
      redirect_uri: redirect,
      code_verifier: verifier,
    };
    const refused = await post(simulator, '/oauth/token', { ...form, ...changes });
    expect(refused.status).toBe(error === 'invalid_client' ? 401 : 400);
    expect(refused.json).toMatchObject({ error });
  });

  test('a confidential application must send its secret', async () => {
    const simulator = await start({ person: { consent: 'approve' } });
    const application = simulator.oauth.addApplication({ confidential: true });
    const callback = await askPerson(authorizeUrl(simulator, application));
    const form = {
      grant_type: 'authorization_code',
      client_id: application.applicationId,
      code: callback.get('code') ?? '',
      redirect_uri: redirect,
      code_verifier: verifier,
    };
    expect((await post(simulator, '/oauth/token', form)).json).toMatchObject({ error: 'invalid_client' });
    const given = await post(simulator, '/oauth/token', { ...form, client_secret: application.secret });
    expect(given.status, given.text).toBe(200);
    simulator.assertNoFailures();
  });
});
