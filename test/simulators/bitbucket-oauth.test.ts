import { describe, expect, test } from 'vitest';
import { visit } from '../support/browser.ts';
import { callBy, errorOf, start, valuesOf, textWith } from './bitbucket-kit.ts';
import {
  askForTokens,
  askPerson,
  authorizeUrl,
  callbackPort,
  redirect,
  refresh,
  signIn,
  verifier,
} from './bitbucket-oauth-kit.ts';
import { sendRequest } from './send-request.ts';

const monthMs = 30 * 86_400_000;

describe('the browser', () => {
  test('a sign-in gives long tokens that work at the API with the scopes of the consumer', async () => {
    const simulator = await start({ basePath: '/bitbucket' });
    const consumer = simulator.oauth.addApplication({ callbackPort });
    expect(consumer.key).toHaveLength(32);
    expect(consumer.secret).toHaveLength(76);
    const callback = await askPerson(authorizeUrl(simulator, consumer));
    expect([...callback.keys()].sort()).toEqual(['code', 'state']);
    const tokens = await signIn(simulator, consumer);
    expect(tokens).toMatchObject({
      token_type: 'bearer',
      expires_in: 3600,
      scope: 'account project repository:write pullrequest webhook',
    });
    expect(tokens).not.toHaveProperty('scopes');
    for (const token of [tokens.access_token, tokens.refresh_token]) {
      expect(token).toMatch(/^eyJ[\w-]+\.[\w-]+\.[\w-]+$/);
      expect(token.length).toBeGreaterThan(2_500);
      expect(token.length).toBeLessThan(3_000);
    }
    const user = await callBy(simulator, tokens.access_token)('/2.0/user');
    expect(user.json).toMatchObject({ username: 'ada' });
    expect(user.headers['x-oauth-scopes']).toBe('account, project, repository:write, pullrequest, webhook');
    expect((await callBy(simulator, tokens.refresh_token)('/2.0/user')).status).toBe(401);
    expect(simulator.oauth.countExchanges('authorization_code')).toBe(1);
    simulator.assertNoFailures();
  });

  test.each([
    ['an unknown consumer', { client_id: 'canary' }],
    ['another port', { redirect_uri: 'http://127.0.0.1:53212/callback' }],
    ['no port', { redirect_uri: 'http://127.0.0.1/callback' }],
    ['another path', { redirect_uri: `http://127.0.0.1:${callbackPort}/other` }],
    ['localhost for 127.0.0.1', { redirect_uri: `http://localhost:${callbackPort}/callback` }],
    ['a longer name instead of a longer path', { redirect_uri: `${redirect}-other` }],
  ])('%s ends at a page and never at the redirect', async (_, changes) => {
    const simulator = await start();
    const consumer = simulator.oauth.addApplication({ callbackPort });
    const end = await visit(authorizeUrl(simulator, consumer, changes));
    expect(end.status).toBe(400);
    expect(end.headers['content-type']).toContain('text/html');
    expect(end.addresses).toHaveLength(1);
  });

  test.each([
    ['left out', null],
    ['below the registered one', `${redirect}/below`],
  ])('a redirect may be %s', async (_, redirect_uri) => {
    const simulator = await start();
    const consumer = simulator.oauth.addApplication({ callbackPort });
    const callback = await askPerson(authorizeUrl(simulator, consumer, { redirect_uri }));
    const form = {
      grant_type: 'authorization_code',
      code: callback.get('code') ?? '',
      code_verifier: verifier,
    };
    const again = redirect_uri === null ? form : { ...form, redirect_uri };
    expect((await askForTokens(simulator, consumer, again)).status).toBe(200);
  });

  test.each([
    ['a scope that the consumer has not', { scope: 'account repository:admin' }, 'approve', 'invalid_scope'],
    ['another grant', { response_type: 'token' }, 'approve', 'unsupported_response_type'],
    ['a person who says no', {}, 'deny', 'access_denied'],
  ] as const)('%s is told to the redirect', async (_, changes, decision, error) => {
    const simulator = await start();
    const consumer = simulator.oauth.addApplication({ callbackPort });
    const callback = await askPerson(authorizeUrl(simulator, consumer, changes), decision);
    expect(callback.get('error')).toBe(error);
    expect(callback.get('state')).toBe('canary-state');
    expect(callback.has('code')).toBe(false);
  });

  test('a scope that is implied may be asked for, and does not narrow anything', async () => {
    const simulator = await start();
    const consumer = simulator.oauth.addApplication({ callbackPort, scopes: ['project', 'account'] });
    const callback = await askPerson(authorizeUrl(simulator, consumer, { scope: 'repository' }));
    expect(callback.has('code')).toBe(true);
    expect((await signIn(simulator, consumer)).scope).toBe('project account');
  });

  test('a consumer without a callback is refused everywhere', async () => {
    const simulator = await start();
    const consumer = simulator.oauth.addApplication({ callbackUrl: null, isPrivate: true });
    const wanted = {
      error: 'invalid_request',
      error_description: 'No callback uri defined for the OAuth client.',
    };
    const page = await sendRequest(authorizeUrl(simulator, consumer));
    expect(page).toMatchObject({ status: 400, json: wanted });
    const response = await askForTokens(simulator, consumer, { grant_type: 'client_credentials' });
    expect(response).toEqual({ status: 400, json: wanted });
  });

  test('what gitlink promises is missed where it is missing', async () => {
    const simulator = await start({ person: { consent: 'approve' } });
    const consumer = simulator.oauth.addApplication({ callbackPort });
    for (const changes of [{ state: null }, { code_challenge: null }, { code_challenge_method: 'plain' }]) {
      await askPerson(authorizeUrl(simulator, consumer, changes));
      expect(() => simulator.assertNoFailures()).toThrow(/an authorization request without/);
    }
  });
});

describe('the token endpoint', () => {
  test.each([
    ['no verifier', { code_verifier: '' }, 'invalid_grant'],
    ['another verifier', { code_verifier: `${verifier}-other` }, 'invalid_grant'],
    ['another code', { code: 'canary' }, 'invalid_grant'],
    ['another redirect', { redirect_uri: `${redirect}/below` }, 'invalid_grant'],
    ['another grant', { grant_type: 'password' }, 'unsupported_grant_type'],
  ])('%s: %s', async (_, changes, error) => {
    const simulator = await start();
    const consumer = simulator.oauth.addApplication({ callbackPort });
    const callback = await askPerson(authorizeUrl(simulator, consumer));
    const form = {
      grant_type: 'authorization_code',
      code: callback.get('code') ?? '',
      redirect_uri: redirect,
      code_verifier: verifier,
    };
    const response = await askForTokens(simulator, consumer, { ...form, ...changes });
    expect(response).toMatchObject({ status: 400, json: { error } });
    if (error !== 'invalid_grant' || 'code' in changes) return;
    // A code is good for one try.
    expect((await askForTokens(simulator, consumer, form)).json).toMatchObject({ error });
  });

  test('a code dies with time, and belongs to its consumer', async () => {
    const simulator = await start();
    const [consumer, other] = [1, 2].map(() => simulator.oauth.addApplication({ callbackPort }));
    if (!consumer || !other) throw new Error('No consumers.');
    const askWith = async (who: typeof consumer, waitMs: number) => {
      const code = (await askPerson(authorizeUrl(simulator, consumer))).get('code') ?? '';
      simulator.settings.clockOffsetMs += waitMs;
      const form = {
        grant_type: 'authorization_code',
        code,
        redirect_uri: redirect,
        code_verifier: verifier,
      };
      return (await askForTokens(simulator, who, form)).status;
    };
    expect(await askWith(consumer, 0)).toBe(200);
    expect(await askWith(other, 0)).toBe(400);
    expect(await askWith(consumer, 11 * 60_000)).toBe(400);
  });

  test.each([
    ['no credentials', () => null, 'unauthorized_client'],
    ['a wrong secret', (key: string) => `Basic ${btoa(`${key}:canary`)}`, 'invalid_client'],
    ['no secret', (key: string) => `Basic ${btoa(`${key}:`)}`, 'invalid_client'],
    ['a bearer', (key: string) => `Bearer ${key}`, 'unauthorized_client'],
  ])('%s: refused, also for a refresh and with the secret in the form', async (_, toHeader, error) => {
    const simulator = await start();
    const consumer = simulator.oauth.addApplication({ callbackPort });
    const { refresh_token } = await signIn(simulator, consumer);
    const form = { grant_type: 'refresh_token', refresh_token };
    const inForm = { client_id: consumer.key, client_secret: consumer.secret };
    for (const sent of [form, { ...form, ...inForm }]) {
      const response = await askForTokens(simulator, consumer, sent, toHeader(consumer.key));
      expect(response).toMatchObject({ status: 400, json: { error } });
    }
    expect((await refresh(simulator, consumer, refresh_token)).status).toBe(200);
  });

  test('JSON is not read', async () => {
    const simulator = await start();
    const { key, secret } = simulator.oauth.addApplication({ callbackPort });
    const response = await sendRequest(`${simulator.url}/site/oauth2/access_token`, {
      json: { grant_type: 'client_credentials' },
      authorization: `Basic ${btoa(`${key}:${secret}`)}`,
    });
    expect(response.status).toBe(400);
    expect(response.json).toMatchObject({ error_description: 'Unsupported grant type: None' });
    expect(() => simulator.assertNoFailures()).toThrow(/no form/);
  });

  test('a consumer acts for itself where it is private, without a refresh token, in its workspace', async () => {
    const simulator = await start();
    const form = { grant_type: 'client_credentials' };
    const open = simulator.oauth.addApplication({ callbackPort });
    expect(await askForTokens(simulator, open, form)).toMatchObject({
      status: 400,
      json: { error_description: textWith('marked as "public"') },
    });
    const consumer = simulator.oauth.addApplication({ callbackPort, isPrivate: true });
    const { json } = await askForTokens(simulator, consumer, form);
    expect(json).not.toHaveProperty('refresh_token');
    const call = callBy(simulator, String(json['access_token']));
    expect((await call('/2.0/user')).json).toMatchObject({ type: 'app_user', display_name: 'gitlink' });
    expect(valuesOf(await call('/2.0/user/workspaces'))).toHaveLength(1);
    expect((await call('/2.0/repositories/ada/notes')).status).toBe(200);
    expect((await call('/2.0/repositories/acme/api')).status).toBe(404);
  });

  test('old consumers are told their scopes by the old name', async () => {
    const simulator = await start({ settings: { saysScopes: true } });
    const tokens = await signIn(simulator, simulator.oauth.addApplication({ callbackPort }));
    expect(tokens).toHaveProperty('scopes');
    expect(tokens).not.toHaveProperty('scope');
  });
});

describe('the life of tokens', () => {
  test('a refresh token is good for one use, and the old access token lives on', async () => {
    const simulator = await start();
    const consumer = simulator.oauth.addApplication({ callbackPort });
    const first = await signIn(simulator, consumer);
    const { json } = await refresh(simulator, consumer, first.refresh_token);
    expect(json['refresh_token']).not.toBe(first.refresh_token);
    for (const token of [first.access_token, String(json['access_token'])]) {
      expect((await callBy(simulator, token)('/2.0/user')).status).toBe(200);
    }
    const again = await refresh(simulator, consumer, first.refresh_token);
    expect(again).toMatchObject({ status: 400, json: { error: 'invalid_grant' } });
    expect(simulator.oauth.isAlive(first.refresh_token)).toBe(false);
    // What was used does not end what came of it.
    expect(simulator.oauth.isAlive(String(json['refresh_token']))).toBe(true);
    expect(simulator.oauth.tokenRequests.at(-1)).toEqual({
      grantType: 'refresh_token',
      error: 'invalid_grant',
    });
  });

  test('where there is a grace, a lost answer can be asked for again, for so long', async () => {
    const simulator = await start({ settings: { refreshGraceS: 600 } });
    const consumer = simulator.oauth.addApplication({ callbackPort });
    const { refresh_token } = await signIn(simulator, consumer);
    simulator.oauth.spoilNextTokenAnswer((response) => response.writeHead(502).end('{}'));
    expect((await refresh(simulator, consumer, refresh_token)).status).toBe(502);
    expect((await refresh(simulator, consumer, refresh_token)).status).toBe(200);
    simulator.settings.clockOffsetMs += 601_000;
    expect((await refresh(simulator, consumer, refresh_token)).status).toBe(400);
    expect(simulator.oauth.countExchanges('refresh_token')).toBe(2);
  });

  test('a refresh token that nobody uses ends after three months, one that is used lives on', async () => {
    const simulator = await start();
    const consumer = simulator.oauth.addApplication({ callbackPort });
    const [idle, used] = [await signIn(simulator, consumer), await signIn(simulator, consumer)];
    simulator.settings.clockOffsetMs += 2 * monthMs;
    const { json } = await refresh(simulator, consumer, used.refresh_token);
    simulator.settings.clockOffsetMs += 2 * monthMs;
    expect((await refresh(simulator, consumer, idle.refresh_token)).status).toBe(400);
    expect((await refresh(simulator, consumer, String(json['refresh_token']))).status).toBe(200);
  });

  test('an access token ends with its own words, and lives as long as told', async () => {
    const simulator = await start();
    const consumer = simulator.oauth.addApplication({ callbackPort });
    simulator.oauth.setAccessTokenLife(7200);
    const tokens = await signIn(simulator, consumer);
    expect(tokens.expires_in).toBe(7200);
    simulator.settings.clockOffsetMs += 3_601_000;
    const call = callBy(simulator, tokens.access_token);
    expect((await call('/2.0/user')).status).toBe(200);
    simulator.oauth.endAccessTokens();
    expect(errorOf(await call('/2.0/user'))).toEqual({
      message: 'Access token expired. Use your refresh token to obtain a new access token.',
    });
    expect((await refresh(simulator, consumer, tokens.refresh_token)).status).toBe(200);
  });

  test('a grant that its person ended is dead with all its tokens', async () => {
    const simulator = await start();
    const consumer = simulator.oauth.addApplication({ callbackPort });
    const tokens = await signIn(simulator, consumer);
    simulator.oauth.person.signedInAs = 'bob';
    const ofBob = await signIn(simulator, consumer);
    simulator.oauth.revokeGrants('ada');
    expect(errorOf(await callBy(simulator, tokens.access_token)('/2.0/user'))).toMatchObject({
      message: textWith('Token is invalid'),
    });
    expect((await refresh(simulator, consumer, tokens.refresh_token)).status).toBe(400);
    expect(simulator.oauth.isAlive(ofBob.access_token)).toBe(true);
    expect((await callBy(simulator, ofBob.access_token)('/2.0/user')).json).toMatchObject({
      username: 'bob',
    });
  });

  test('at the API a sign-in counts by Bearer alone', async () => {
    const simulator = await start();
    const { access_token } = await signIn(simulator, simulator.oauth.addApplication({ callbackPort }));
    for (const name of ['x-token-auth', 'ada', 'ada@acme.test']) {
      const call = callBy(simulator, access_token, `Basic ${btoa(`${name}:${access_token}`)}`);
      expect((await call('/2.0/user')).status).toBe(401);
    }
    simulator.settings.oauthCredentialType = null;
    const { headers } = await callBy(simulator, access_token)('/2.0/user');
    expect(headers).not.toHaveProperty('x-credential-type');
  });
});
