import { describe, expect, test } from 'vitest';
import { visit } from '../support/browser.ts';
import {
  callBy,
  createHook,
  errorWith,
  hookBody,
  installApp,
  namesOf,
  start,
  startCloud,
} from './github-kit.ts';
import {
  askAsClient,
  askForTokens,
  askPerson,
  authorizeUrl,
  codeForm,
  redirect,
  refresh,
  signIn,
  type Tokens,
} from './github-oauth-kit.ts';

function problem(error: string): unknown {
  return {
    error,
    error_description: expect.any(String) as unknown,
    error_uri: expect.stringContaining('https://docs.github.com/') as unknown,
  };
}

describe('the browser', () => {
  test('brings a code and the state back to any port of the loopback address', async () => {
    const simulator = await start();
    const client = simulator.oauth.addApplication();
    const callback = await askPerson(authorizeUrl(simulator, client));
    expect(callback.get('state')).toBe('canary-state');
    expect(callback.get('code')).toMatch(/^canary/);
    simulator.assertNoFailures();
  });

  test.each([
    ['another path', 'http://127.0.0.1:53211/callback2'],
    ['a slash more', 'http://127.0.0.1:53211/callback/'],
    ['another name of this machine', 'http://localhost:53211/callback'],
    ['https', 'https://127.0.0.1:53211/callback'],
  ])('stays where it is for %s', async (_, redirect_uri) => {
    const simulator = await start();
    const client = simulator.oauth.addApplication();
    const end = await visit(authorizeUrl(simulator, client, { redirect_uri }));
    expect(end.text).toContain('redirect_uri is not associated');
    simulator.assertNoFailures();
  });

  test('a client that there is not has no page, and a person may refuse', async () => {
    const simulator = await start();
    const client = simulator.oauth.addApplication();
    const unknown = { ...client, clientId: 'Ov23licanary-none' };
    expect((await visit(authorizeUrl(simulator, unknown))).status).toBe(404);
    const callback = await askPerson(authorizeUrl(simulator, client), 'deny');
    expect(callback.get('error')).toBe('access_denied');
    expect(callback.get('state')).toBe('canary-state');
    simulator.assertNoFailures();
  });

  test('plain PKCE is refused; none at all, and no state, are noticed', async () => {
    const simulator = await start();
    const client = simulator.oauth.addApplication();
    const plain = await askPerson(authorizeUrl(simulator, client, { code_challenge_method: 'plain' }));
    expect(plain.get('error')).toBe('invalid_request');
    simulator.assertNoFailures();
    await askPerson(authorizeUrl(simulator, client, { code_challenge: '' }));
    expect(() => simulator.assertNoFailures()).toThrow('without PKCE');
    await askPerson(authorizeUrl(simulator, client, { state: '' }));
    expect(() => simulator.assertNoFailures()).toThrow('without a state');
    await askPerson(authorizeUrl(simulator, client, { scope: 'everything' }));
    expect(() => simulator.assertNoFailures()).toThrow('unknown scope "everything"');
  });

  test('who agreed before is not asked again, unless an account is to be chosen', async () => {
    const simulator = await start();
    const client = simulator.oauth.addApplication();
    await signIn(simulator, client);
    const again = await visit(authorizeUrl(simulator, client), 'leave', (url) => url.startsWith(redirect));
    expect(again.url).toContain('code=');
    const chosen = await visit(authorizeUrl(simulator, client, { prompt: 'select_account' }), 'leave');
    expect(chosen.text).toContain('Signed in as ada');
    const wider = await visit(authorizeUrl(simulator, client, { scope: 'repo workflow' }), 'leave');
    expect(wider.text).toContain('Authorize');
    simulator.assertNoFailures();
  });
});

describe('the token endpoint', () => {
  test('gives a token that does not end, its scopes normalised and joined by commas', async () => {
    const simulator = await start();
    const client = simulator.oauth.addApplication();
    const tokens = await signIn(simulator, client, { scope: 'repo public_repo read:org' });
    expect(tokens).toEqual({
      access_token: expect.stringMatching(/^gho_canary/) as unknown,
      token_type: 'bearer',
      scope: 'read:org,repo',
    });
    const user = await callBy(simulator, tokens.access_token)('/user');
    expect(user.headers).toMatchObject({
      'x-oauth-scopes': 'read:org, repo',
      'x-oauth-client-id': client.clientId,
    });
    simulator.assertNoFailures();
  });

  test('speaks JSON only to those who ask for it', async () => {
    const simulator = await start();
    const client = simulator.oauth.addApplication();
    const response = await askForTokens(simulator, await codeForm(simulator, client), '*/*');
    expect(response.json).toBeUndefined();
    expect(new URLSearchParams(response.text).get('access_token')).toMatch(/^gho_/);
    simulator.assertNoFailures();
  });

  test.each<[string, Readonly<Record<string, string>>, string]>([
    ['a wrong secret', { client_secret: 'canary-wrong' }, 'incorrect_client_credentials'],
    ['another client', { client_id: 'Ov23licanary-none' }, 'incorrect_client_credentials'],
    ['a wrong code', { code: 'canary-wrong' }, 'bad_verification_code'],
    ['a wrong verifier', { code_verifier: 'canary'.repeat(9) }, 'bad_verification_code'],
    ['another redirect', { redirect_uri: 'http://127.0.0.1:1/callback' }, 'redirect_uri_mismatch'],
    ['a grant that there is not', { grant_type: 'password' }, 'unsupported_grant_type'],
  ])('refuses %s with 200', async (_, changes, error) => {
    const simulator = await start();
    const form = await codeForm(simulator, simulator.oauth.addApplication());
    const response = await askForTokens(simulator, { ...form, ...changes });
    expect([response.status, response.json]).toEqual([200, problem(error)]);
    simulator.assertNoFailures();
  });

  test('wants the secret in spite of PKCE, and a code once and soon', async () => {
    const simulator = await start();
    const client = simulator.oauth.addApplication();
    const { client_secret: secret, ...form } = await codeForm(simulator, client);
    expect((await askForTokens(simulator, form)).json).toEqual(problem('incorrect_client_credentials'));
    const whole = { ...form, client_secret: secret ?? '' };
    expect((await askForTokens(simulator, whole)).json).toHaveProperty('access_token');
    expect((await askForTokens(simulator, whole)).json).toEqual(problem('bad_verification_code'));
    const late = await codeForm(simulator, client);
    simulator.settings.clockOffsetMs = 10 * 60_000;
    expect((await askForTokens(simulator, late)).json).toEqual(problem('bad_verification_code'));
    simulator.assertNoFailures();
  });

  test('refreshing kills the old pair, and a used one is worth nothing', async () => {
    const simulator = await start();
    const client = simulator.oauth.addApplication({ expiresTokens: true });
    const old = await signIn(simulator, client);
    expect(old).toMatchObject({ expires_in: 28_800, refresh_token_expires_in: 15_897_600 });
    const renewed = await refresh(simulator, client, old.refresh_token);
    const { access_token: access } = renewed.json as Tokens;
    expect((await callBy(simulator, old.access_token)('/user')).status).toBe(401);
    expect((await callBy(simulator, access)('/user')).status).toBe(200);
    const again = await refresh(simulator, client, old.refresh_token);
    expect([again.status, again.json]).toEqual([200, problem('bad_refresh_token')]);
    expect((await callBy(simulator, access)('/user')).status).toBe(200);
    const { refresh_token: next } = renewed.json as Tokens;
    expect((await refresh(simulator, client, next, {})).json).toEqual(
      problem('incorrect_client_credentials'),
    );
    simulator.settings.clockOffsetMs = 15_897_600_000;
    expect((await refresh(simulator, client, next)).json).toEqual(problem('bad_refresh_token'));
    simulator.assertNoFailures();
  });

  test('offline_access makes tokens of OAuth Apps end, where it is known', async () => {
    const [server, cloud] = [await start(), await start({ flavour: 'github.com' })];
    const scope = 'repo offline_access';
    expect(await signIn(server, server.oauth.addApplication(), { scope })).not.toHaveProperty(
      'refresh_token',
    );
    const client = cloud.oauth.addApplication();
    const tokens = await signIn(cloud, client, { scope });
    expect(tokens).toMatchObject({ scope: 'repo', expires_in: 28_800 });
    expect((await refresh(cloud, client, tokens.refresh_token)).json).toHaveProperty('refresh_token');
    cloud.assertNoFailures();
  });

  test('ten tokens of the same sort; the eleventh costs the one that was missed least', async () => {
    const simulator = await start();
    const client = simulator.oauth.addApplication();
    const tokens: string[] = [];
    for (let index = 0; index < 10; index += 1) {
      tokens.push((await signIn(simulator, client)).access_token);
      await callBy(simulator, tokens[index] ?? '')('/user');
      simulator.settings.clockOffsetMs += 1_000;
    }
    // The first is the oldest, but the second was used the longest ago.
    await callBy(simulator, tokens[0] ?? '')('/user');
    await signIn(simulator, client, { scope: 'repo' });
    expect(tokens.map((token) => simulator.oauth.isAlive(token))).not.toContain(false);
    await signIn(simulator, client);
    const alive = tokens.map((token) => simulator.oauth.isAlive(token));
    expect(alive.filter((isAlive) => !isAlive)).toHaveLength(1);
    expect(alive[1]).toBe(false);
    simulator.assertNoFailures();
  });

  test('an authorization header or a query beside the form is noticed', async () => {
    const simulator = await start();
    const client = simulator.oauth.addApplication();
    const form = await codeForm(simulator, client);
    await askForTokens(simulator, { ...form, scope: 'repo' });
    expect(() => simulator.assertNoFailures()).toThrow('unknown parameter "scope"');
  });
});

describe('a user token of a GitHub App', () => {
  test('has no scopes, ends after eight hours, and reaches what both may', async () => {
    const simulator = await start();
    const callbackUrls = ['http://127.0.0.1/callback'];
    const { app, installation } = installApp(
      simulator,
      { owner: 'acme', callbackUrls },
      { account: 'acme', repositories: ['api', 'web'] },
    );
    simulator.person.signedInAs = 'bob';
    const tokens = await signIn(simulator, app.client);
    expect(tokens).toMatchObject({
      access_token: expect.stringMatching(/^ghu_/) as unknown,
      scope: '',
      expires_in: 28_800,
    });
    const call = callBy(simulator, tokens.access_token);
    const list = await call('/user/installations');
    expect(list.headers['x-oauth-scopes']).toBeUndefined();
    expect(list.json).toMatchObject({ total_count: 1, installations: [{ id: installation.id }] });
    const reached = await call(`/user/installations/${installation.id}/repositories`);
    expect(reached.json).toMatchObject({
      total_count: 2,
      repositories: [{ permissions: { push: true, admin: false } }, {}],
    });
    expect((await call('/repos/acme/empty')).status).toBe(404);
    expect((await call('/repos/acme/api/hooks')).status).toBe(404);
    simulator.setSuspended(installation, 'ada');
    expect((await call('/repos/acme/api')).status).toBe(404);
    simulator.assertNoFailures();
  });

  test('narrowed to one repository by the exchange; one out of reach is ignored', async () => {
    const simulator = await start();
    const callbackUrls = ['http://127.0.0.1/callback'];
    const { app, installation } = installApp(simulator, { owner: 'acme', callbackUrls });
    const idOf = (name: string) => String(simulator.state.findRepository(name)?.id);
    const redeem = async (repository_id: string) => {
      const response = await askForTokens(simulator, {
        ...(await codeForm(simulator, app.client)),
        repository_id,
      });
      const call = callBy(simulator, (response.json as Tokens).access_token);
      return namesOf(await call(`/user/installations/${installation.id}/repositories`));
    };
    // What is public can be seen by everybody.
    expect(await redeem(idOf('acme/web'))).toEqual(['acme/web', 'acme/handbook']);
    expect(await redeem(idOf('bob/secret'))).toHaveLength(5);
    simulator.assertNoFailures();
  });
});

describe('what a client asks about its tokens', () => {
  test('by Basic: whose it is, a new one, the end of one, the end of all', async () => {
    const simulator = await start();
    const client = simulator.oauth.addApplication();
    const { access_token } = await signIn(simulator, client);
    const checked = await askAsClient(simulator, client, 'POST', 'token', { access_token });
    expect(checked.json).toMatchObject({
      user: { login: 'ada' },
      scopes: ['read:org', 'repo'],
      token_last_eight: access_token.slice(-8),
    });
    expect(checked.text).not.toContain(access_token);
    const reset = await askAsClient(simulator, client, 'PATCH', 'token', { access_token });
    const { token } = reset.json as { token: string };
    expect([simulator.oauth.isAlive(access_token), simulator.oauth.isAlive(token)]).toEqual([false, true]);
    const gone = await askAsClient(simulator, client, 'POST', 'token', { access_token });
    expect(gone.json).toEqual(errorWith(404, 'Not Found'));
    const other = (await signIn(simulator, client)).access_token;
    const end = await askAsClient(simulator, client, 'DELETE', 'token', { access_token: token });
    expect([end.status, simulator.oauth.isAlive(token), simulator.oauth.isAlive(other)]).toEqual([
      204,
      false,
      true,
    ]);
    const third = (await signIn(simulator, client)).access_token;
    await askAsClient(simulator, client, 'DELETE', 'grant', { access_token: third });
    expect([simulator.oauth.isAlive(other), simulator.oauth.isAlive(third)]).toEqual([false, false]);
    simulator.assertNoFailures();
  });

  test('another client, a wrong secret and no Basic are refused', async () => {
    const simulator = await start();
    const [client, other] = [simulator.oauth.addApplication(), simulator.oauth.addApplication()];
    const { access_token } = await signIn(simulator, client);
    const ask = (as: typeof client) => askAsClient(simulator, as, 'POST', 'token', { access_token });
    expect((await ask(other)).status).toBe(404);
    expect((await ask({ ...client, clientSecret: 'canary-wrong' })).status).toBe(401);
    const path = `/applications/${client.clientId}/token`;
    expect((await callBy(simulator, access_token)(path, { json: { access_token } })).status).toBe(401);
    simulator.assertNoFailures();
  });

  test('a narrower token of a GitHub App', async () => {
    const simulator = await start();
    const callbackUrls = ['http://127.0.0.1/callback'];
    const { app } = installApp(simulator, { owner: 'acme', callbackUrls });
    const { access_token } = await signIn(simulator, app.client);
    const scoped = await askAsClient(simulator, app.client, 'POST', 'token/scoped', {
      access_token,
      target: 'acme',
      repositories: ['api'],
      permissions: { repository_hooks: 'write' },
    });
    const { token } = scoped.json as { token: string };
    await createHook(callBy(simulator, token), hookBody);
    expect((await callBy(simulator, token)('/repos/acme/web')).status).toBe(404);
    expect((await callBy(simulator, access_token)('/repos/acme/web')).status).toBe(200);
    simulator.assertNoFailures();
  });
});

describe('revoking without a credential', () => {
  test('ends what it is sent, on github.com alone', async () => {
    const simulator = await startCloud();
    const secrets = [simulator.addToken().secret, simulator.addToken({ kind: 'fineGrained' }).secret];
    const nobody = callBy(simulator, '');
    const done = await nobody('/credentials/revoke', { json: { credentials: secrets } });
    expect([done.status, done.json]).toEqual([202, {}]);
    for (const secret of secrets) expect((await callBy(simulator, secret)('/user')).status).toBe(401);
    simulator.assertNoFailures();
    const server = await start();
    const refused = await callBy(server, '')('/credentials/revoke', { json: { credentials: secrets } });
    expect(refused.json).toEqual(errorWith(404, 'Not Found'));
    server.assertNoFailures();
  });

  test('refuses who says who they are, what it cannot end, and too many', async () => {
    const simulator = await startCloud();
    const { secret } = simulator.addToken();
    const nobody = callBy(simulator, '');
    const revoke = (credentials: readonly string[]) =>
      nobody('/credentials/revoke', { json: { credentials } });
    const known = await callBy(simulator, secret)('/credentials/revoke', { json: { credentials: [secret] } });
    expect(known.status).toBe(403);
    expect((await revoke(['ghs_canary'])).status).toBe(422);
    expect((await revoke([])).status).toBe(422);
    expect((await revoke(Array.from({ length: 1001 }, () => secret))).status).toBe(422);
    for (let count = 3; count < 60; count += 1) await revoke([secret]);
    expect((await revoke([secret])).status).toBe(403);
    simulator.assertNoFailures();
  });

  test('of an access token leaves its refresh token alive, which has to be named too', async () => {
    const simulator = await start({ flavour: 'github.com' });
    const client = simulator.oauth.addApplication({ expiresTokens: true });
    const tokens = await signIn(simulator, client);
    const nobody = callBy(simulator, '');
    await nobody('/credentials/revoke', { json: { credentials: [tokens.access_token] } });
    expect(simulator.oauth.isAlive(tokens.refresh_token ?? '')).toBe(true);
    await nobody('/credentials/revoke', { json: { credentials: [tokens.refresh_token] } });
    expect((await refresh(simulator, client, tokens.refresh_token)).json).toEqual(
      problem('bad_refresh_token'),
    );
    simulator.assertNoFailures();
  });
});
