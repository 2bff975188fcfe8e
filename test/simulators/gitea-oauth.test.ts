import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { visit } from '../support/browser.ts';
import type { GiteaApplication } from './gitea/oauth-state.ts';
import type { GiteaSimulator, GiteaSimulatorOptions } from './gitea/server.ts';
import { callAs, forgejo, gitea122, gitea126, start } from './gitea-kit.ts';
import { sendRequest } from './send-request.ts';

const redirectUri = 'http://127.0.0.1:41999/callback';
const verifier = 'canary-verifier-of-at-least-forty-three-characters';
const challenge = createHash('sha256').update(verifier).digest('base64url');
const scope = 'read:user read:organization write:repository';

type Fields = Readonly<Record<string, string | undefined>>;

function toQuery(fields: Fields): URLSearchParams {
  const given = Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return new URLSearchParams(given);
}

/** Goes to the consent page with these parameters changed, presses a button and stops at the callback. */
async function ask(
  gitea: GiteaSimulator,
  client: GiteaApplication,
  changes: Fields = {},
  decision: 'approve' | 'deny' = 'approve',
) {
  const query = toQuery({
    client_id: client.clientId,
    redirect_uri: redirectUri,
    response_type: 'code',
    state: 'canary-state',
    scope,
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...changes,
  });
  const address = `${gitea.url}/login/oauth/authorize?${query.toString()}`;
  const found = await visit(address, decision, (url) => !url.startsWith(gitea.url));
  const at = new URL(found.url);
  return { ...found, steps: found.addresses.length, callback: Object.fromEntries(at.searchParams) };
}

async function post(url: string, fields: Fields, authorization?: string) {
  const response = await globalThis.fetch(url, {
    method: 'POST',
    headers: { 'user-agent': 'gitlink/test', ...(authorization === undefined ? {} : { authorization }) },
    body: toQuery(fields),
  });
  const text = await response.text();
  const json = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {};
  return { status: response.status, text, json };
}

function send(gitea: GiteaSimulator, fields: Fields, authorization?: string) {
  return post(`${gitea.url}/login/oauth/access_token`, fields, authorization);
}

function asBasic({ clientId, clientSecret }: GiteaApplication, secret = clientSecret): string {
  return `Basic ${btoa(`${clientId}:${secret}`)}`;
}

async function signIn(gitea: GiteaSimulator, client: GiteaApplication, changes: Fields = {}) {
  const { callback } = await ask(gitea, client, changes);
  const { json } = await send(gitea, {
    grant_type: 'authorization_code',
    client_id: client.clientId,
    ...(client.confidential ? { client_secret: client.clientSecret } : {}),
    redirect_uri: changes['redirect_uri'] ?? redirectUri,
    code: callback['code'],
    code_verifier: verifier,
  });
  return { accessToken: String(json['access_token']), refreshToken: String(json['refresh_token']), json };
}

async function statusOf(gitea: GiteaSimulator, token: string, path = '/api/v1/user') {
  return (await sendRequest(gitea.url + path, { authorization: `Bearer ${token}` })).status;
}

async function prepare(options: GiteaSimulatorOptions = {}, client: object = {}) {
  const gitea = await start(options);
  return { gitea, client: gitea.oauth.addApplication(client) };
}

describe('authorizing', () => {
  test('a person approves; the tokens work at the API, with a path below the host and another person, too', async () => {
    const { gitea, client } = await prepare({ basePath: '/gitea', person: { signedInAs: 'bob' } });
    const { accessToken, json } = await signIn(gitea, client);
    expect(json).toMatchObject({ token_type: 'bearer', expires_in: 3600 });
    expect(json).not.toHaveProperty('scope');
    for (const authorization of [`token ${accessToken}`, `Basic ${btoa(`oauth2:${accessToken}`)}`]) {
      const { json: user } = await sendRequest(`${gitea.url}/api/v1/user`, { authorization });
      expect(user).toMatchObject({ login: 'bob' });
    }
    expect(await statusOf(gitea, accessToken, '/api/v1/token')).toBe(404);
    gitea.assertNoFailures();
  });

  test.each<[string, object, string | undefined, boolean]>([
    ['another port', {}, 'http://127.0.0.1:7/callback', true],
    ['a slash and capitals', {}, 'http://127.0.0.1:7/CALLBACK/', true],
    ['no port', {}, 'http://127.0.0.1/callback', true],
    ['another path', {}, 'http://127.0.0.1:7/other', false],
    ['a query', {}, 'http://127.0.0.1:7/callback?a=b', false],
    ['a name', {}, 'http://localhost:7/callback', false],
    ['https', {}, 'https://127.0.0.1:7/callback', false],
    ['a registered port', { redirectUris: ['http://127.0.0.1:5/callback'] }, redirectUri, false],
    ['IPv6, registered', { redirectUris: ['http://[::1]/callback'] }, 'http://[::1]:7/callback', false],
    ['a confidential client with a port', { confidential: true }, redirectUri, false],
    ['a confidential client without', { confidential: true }, 'http://127.0.0.1/callback', true],
  ])('a redirect with %s', async (_, application, redirect, isTaken) => {
    const { gitea, client } = await prepare({}, application);
    const found = await ask(gitea, client, { redirect_uri: redirect });
    if (isTaken) return expect(found.callback).toHaveProperty('code');
    // The person sees it, and nothing is sent back.
    expect(found).toMatchObject({ status: 400, steps: 1 });
    expect(found.text).toContain('Unregistered Redirect URI');
  });

  test.each<[string, Fields, string, string]>([
    ['no PKCE', { code_challenge_method: undefined }, 'invalid_request', 'PKCE is required'],
    ['another PKCE', { code_challenge_method: 'S512' }, 'invalid_request', 'unsupported code challenge'],
    ['no code wanted', { response_type: 'token' }, 'unsupported_response_type', 'Only code'],
    ['refused', {}, 'access_denied', 'the request is denied'],
  ])('%s comes back as an error', async (what, changes, error, description) => {
    const { gitea, client } = await prepare();
    const { callback } = await ask(gitea, client, changes, what === 'refused' ? 'deny' : 'approve');
    expect(callback).toMatchObject({ error, state: 'canary-state' });
    expect(callback['error_description']).toContain(description);
  });

  test('an unknown client is a page in the browser', async () => {
    const { gitea, client } = await prepare();
    const { status, text } = await ask(gitea, client, { client_id: 'nobody' });
    expect(status).toBe(400);
    expect(text).toContain('Client ID not registered');
  });

  test('the scopes of a grant never change, and a public client is asked each time', async () => {
    const { gitea, client } = await prepare();
    await signIn(gitea, client);
    const second = await ask(gitea, client, { scope: 'read:user' });
    expect(second.callback).toMatchObject({ error: 'server_error' });
    expect(second.callback['error_description']).toContain('a grant exists with different scope');
    expect((await ask(gitea, client)).steps).toBe(3);
    gitea.oauth.revokeGrants('ada');
    expect((await ask(gitea, client, { scope: 'read:user' })).callback).toHaveProperty('code');
  });

  test.each([
    ['confidential', { confidential: true }],
    ['trusted', { skipsConsent: true }],
  ])('a %s client that was approved is not asked again and keeps its scopes', async (_, application) => {
    const { gitea, client } = await prepare({}, application);
    const plain = { redirect_uri: 'http://127.0.0.1/callback' };
    await signIn(gitea, client, { ...plain, scope: 'read:user' });
    expect((await ask(gitea, client, plain)).steps).toBe(2);
    const { accessToken } = await signIn(gitea, client, plain);
    expect(await statusOf(gitea, accessToken, '/api/v1/user/orgs')).toBe(403);
  });

  test.each(['approve', 'deny'] as const)('without a page: %s', async (consent) => {
    const { gitea, client } = await prepare({ person: { consent } });
    const { callback, steps } = await ask(gitea, client);
    expect(steps).toBe(2);
    expect(callback).toHaveProperty(consent === 'approve' ? 'code' : 'error');
  });
});

describe('exchanging', () => {
  const confidential = { confidential: true };
  test.each<[string, object, Fields, string, string]>([
    ['a wrong verifier', {}, { code_verifier: 'x'.repeat(43) }, 'unauthorized_client', 'failed PKCE'],
    ['no verifier', {}, { code_verifier: undefined }, 'unauthorized_client', 'failed PKCE'],
    ['another port', {}, { redirect_uri: 'http://127.0.0.1:8/callback' }, 'invalid_grant', 'differs'],
    [
      'another path',
      {},
      { redirect_uri: 'http://127.0.0.1:8/b' },
      'unauthorized_client',
      'unexpected redirect',
    ],
    ['a wrong code', {}, { code: 'gta_canary' }, 'unauthorized_client', 'client is not authorized'],
    ['an unknown client', {}, { client_id: 'nobody' }, 'invalid_client', 'cannot load client'],
    ['another grant type', {}, { grant_type: 'password' }, 'unsupported_grant_type', 'Only'],
    ['no secret', confidential, {}, 'unauthorized_client', 'invalid empty client secret'],
    ['a wrong secret', confidential, { client_secret: 'no' }, 'unauthorized_client', 'invalid client secret'],
  ])('%s is 400', async (_, application, changes, error, description) => {
    const { gitea, client } = await prepare({}, application);
    const redirect_uri = client.confidential ? 'http://127.0.0.1/callback' : redirectUri;
    const { callback } = await ask(gitea, client, { redirect_uri });
    const fields = {
      client_id: client.clientId,
      redirect_uri,
      code: callback['code'],
      code_verifier: verifier,
    };
    const answer = await send(gitea, { grant_type: 'authorization_code', ...fields, ...changes });
    expect(answer).toMatchObject({ status: 400, json: { error } });
    expect(answer.json['error_description']).toContain(description);
    expect(gitea.oauth.tokenRequests.at(-1)?.error).toBe(error);
  });

  test('a code is good once', async () => {
    const { gitea, client } = await prepare();
    const { callback } = await ask(gitea, client);
    const fields = { client_id: client.clientId, redirect_uri: redirectUri, code_verifier: verifier };
    const exchange = () =>
      send(gitea, { grant_type: 'authorization_code', ...fields, code: callback['code'] });
    expect([(await exchange()).status, (await exchange()).status]).toEqual([200, 400]);
    expect(gitea.oauth.countExchanges('authorization_code')).toBe(1);
  });

  test.each<[string, GiteaSimulatorOptions, boolean]>([
    ['Gitea', {}, false],
    ['Gitea, if set so', { settings: { invalidateRefreshTokens: true } }, true],
    ['Forgejo', forgejo, true],
    ['Forgejo, if set so', { ...forgejo, settings: { invalidateRefreshTokens: false } }, false],
    ['Forgejo 8', { ...forgejo, version: '8.0.0' }, false],
  ])('%s: refresh tokens are good %s', async (_, options, isSingleUse) => {
    const { gitea, client } = await prepare(options);
    const { accessToken, refreshToken } = await signIn(gitea, client);
    const renew = (token: string) =>
      send(gitea, { grant_type: 'refresh_token', client_id: client.clientId, refresh_token: token });
    const first = await renew(refreshToken);
    const second = await renew(refreshToken);
    expect(second.json['error_description']).toBe(isSingleUse ? 'token was already used' : undefined);
    expect(gitea.oauth.isAlive(refreshToken)).toBe(!isSingleUse);
    // The old access token stays good; a sign-in elsewhere by the same client ends this refresh token.
    expect(await statusOf(gitea, accessToken)).toBe(200);
    await signIn(gitea, client);
    const third = await renew(String(first.json['refresh_token']));
    expect(third.status).toBe(isSingleUse ? 400 : 200);
  });

  test('a refresh token ends with time, grant, client, and belongs to one client', async () => {
    const { gitea, client } = await prepare({ settings: { refreshTokenLifeS: 0 } });
    const other = gitea.oauth.addApplication({ name: 'other' });
    const { refreshToken: ended } = await signIn(gitea, client);
    gitea.settings.refreshTokenLifeS = 60;
    const { refreshToken } = await signIn(gitea, client);
    const renew = async (token: string, by = client) => {
      const fields = { grant_type: 'refresh_token', client_id: by.clientId, refresh_token: token };
      const { json } = await send(gitea, fields);
      return `${String(json['error'])}: ${String(json['error_description'])}`;
    };
    expect(await renew(ended)).toBe('unauthorized_client: unable to parse refresh token');
    expect(await renew(refreshToken, other)).toMatch(/^invalid_grant: .* a different client$/);
    gitea.oauth.revokeGrants('ada');
    expect(await renew(refreshToken)).toBe('invalid_grant: grant does not exist');
    const call = callAs(gitea, ['write:user']);
    await call(`/api/v1/user/applications/oauth2/${client.id}`, { method: 'DELETE' });
    expect(await renew(refreshToken)).toMatch(/^invalid_client: cannot load client/);
  });

  test('the secret of a public client does no harm, a confidential one needs it to refresh', async () => {
    const { gitea, client } = await prepare();
    const closed = gitea.oauth.addApplication(confidential);
    const open = await signIn(gitea, client);
    const guarded = await signIn(gitea, closed, { redirect_uri: 'http://127.0.0.1/callback' });
    const renew = async (token: string, fields: Fields, authorization?: string) => {
      const sent = { grant_type: 'refresh_token', refresh_token: token, ...fields };
      return (await send(gitea, sent, authorization)).json['error'];
    };
    const { clientId: client_id, clientSecret: client_secret } = client;
    expect(await renew(open.refreshToken, { client_id })).toBeUndefined();
    expect(await renew(open.refreshToken, { client_id, client_secret })).toBeUndefined();
    expect(await renew(open.refreshToken, {}, asBasic(client))).toBeUndefined();
    expect(await renew(open.refreshToken, { client_id }, asBasic(closed))).toBe('invalid_request');
    expect(await renew(guarded.refreshToken, { client_id: closed.clientId })).toBe('invalid_client');
    expect(await renew(guarded.refreshToken, {}, asBasic(closed))).toBeUndefined();
    gitea.assertNoFailures();
  });

  test('a lost answer: the exchange took place', async () => {
    const { gitea, client } = await prepare(forgejo);
    const { refreshToken } = await signIn(gitea, client);
    gitea.oauth.spoilNextTokenAnswer((response) => response.destroy());
    const fields = { grant_type: 'refresh_token', client_id: client.clientId, refresh_token: refreshToken };
    await expect(send(gitea, fields)).rejects.toThrow();
    expect(gitea.oauth.countExchanges('refresh_token')).toBe(1);
    expect((await send(gitea, fields)).status).toBe(400);
  });
});

describe('tokens', () => {
  test.each(['time', 'revocation', 'deletion'])('an access token ends by %s', async (how) => {
    const { gitea, client } = await prepare();
    gitea.oauth.setAccessTokenLife(60);
    const { accessToken, json } = await signIn(gitea, client);
    expect(json['expires_in']).toBe(60);
    expect(await statusOf(gitea, accessToken)).toBe(200);
    const call = callAs(gitea, ['write:user']);
    if (how === 'time') gitea.oauth.endAccessTokens();
    if (how === 'revocation') gitea.oauth.revokeGrants('ada');
    if (how === 'deletion') {
      const { status } = await call(`/api/v1/user/applications/oauth2/${client.id}`, { method: 'DELETE' });
      expect(status).toBe(204);
    }
    expect(await statusOf(gitea, accessToken)).toBe(401);
    expect(gitea.oauth.isAlive(accessToken)).toBe(false);
  });

  const gitea127 = {};
  const forgejo8 = { ...forgejo, version: '8.0.0' };
  test.each<[string, GiteaSimulatorOptions, string, boolean]>([
    ['Gitea', gitea127, scope, false],
    ['Forgejo', forgejo, scope, false],
    ['Gitea 1.22', gitea122, scope, true],
    ['Forgejo 8', forgejo8, scope, true],
    ['Gitea', gitea127, '', true],
    ['Gitea', gitea127, 'openid profile', true],
    ['Gitea', gitea127, 'openid read:user', false],
    ['Gitea', gitea127, 'read:user bogus', true],
    ['Forgejo', forgejo, 'read:user bogus', false],
    ['Forgejo', forgejo, 'bogus', true],
    ['Gitea', gitea127, 'read:user,read:repository', false],
    ['Forgejo', forgejo, 'read:user,read:repository', true],
  ])('%s: "%s%s" lets a token do everything: %s', async (_, options, asked, isAll) => {
    const { gitea, client } = await prepare(options);
    const { accessToken } = await signIn(gitea, client, { scope: asked });
    const list = await sendRequest(`${gitea.url}/api/v1/user/applications/oauth2`, {
      json: { name: 'probe' },
      authorization: `Bearer ${accessToken}`,
    });
    expect(list.status).toBe(isAll ? 201 : 403);
  });

  test('introspection: the raw scopes, for any client with its secret, since 1.27 of its own tokens only', async () => {
    const { gitea, client } = await prepare(gitea126);
    const other = gitea.oauth.addApplication({ name: 'other' });
    const { accessToken: token } = await signIn(gitea, client);
    const look = (authorization?: string, of = gitea) =>
      post(`${of.url}/login/oauth/introspect`, { token }, authorization);
    const found = { active: true, scope, username: 'ada', aud: [client.clientId] };
    expect((await look(asBasic(client))).json).toMatchObject(found);
    expect((await look(asBasic(other))).json).toMatchObject(found);
    expect((await look()).status).toBe(401);
    expect((await look(asBasic(client, 'wrong'))).status).toBe(401);
    gitea.oauth.revokeGrants('ada');
    expect(await look(asBasic(client))).toMatchObject({ status: 401, text: 'Failed to authenticate user\n' });

    const newer = await prepare();
    const { accessToken } = await signIn(newer.gitea, newer.client);
    const stranger = newer.gitea.oauth.addApplication({ name: 'other' });
    const ask127 = (by: GiteaApplication) =>
      post(`${newer.gitea.url}/login/oauth/introspect`, { token: accessToken }, asBasic(by));
    expect((await ask127(newer.client)).json).toMatchObject({ active: true });
    expect((await ask127(stranger)).json).toEqual({ active: false });
  });
});

test('discovery tells where OAuth is; without OAuth there is none', async () => {
  const { gitea } = await prepare({ rootUrl: 'https://git.example/gitea' });
  const path = `${gitea.url}/.well-known/openid-configuration`;
  const { json } = await sendRequest(path);
  expect(json).toMatchObject({ token_endpoint: 'https://git.example/gitea/login/oauth/access_token' });
  gitea.settings.oauth2Enabled = false;
  expect((await sendRequest(path)).status).toBe(404);
  expect((await send(gitea, {})).status).toBe(403);
});

test('applications by API: scopes, one secret, a new one by PATCH, nobody else’s', async () => {
  const gitea = await start();
  const path = '/api/v1/user/applications/oauth2';
  const body = { name: 'gitlink', redirect_uris: ['http://127.0.0.1/callback'], confidential_client: false };
  const [writer, reader] = [callAs(gitea, ['write:user']), callAs(gitea, ['read:user'])];
  expect((await reader(path, { json: body })).status).toBe(403);
  expect((await writer(path, { json: {} })).status).toBe(422);
  expect((await callAs(gitea, ['public-only', 'write:user'])(path)).status).toBe(403);
  const made = (await writer(path, { json: body })).json as { id: number; client_secret: string };
  expect(made).toMatchObject(body);
  expect(made.client_secret).toMatch(/^gto_.{52}$/);
  expect((await reader(path)).json).toMatchObject([{ ...body, client_secret: '' }]);
  const one = `${path}/${made.id}`;
  expect((await callAs(gitea, ['all'], 'token', 'bob')(one)).status).toBe(404);
  const changed = (await writer(one, { method: 'PATCH', json: { name: 'other' } })).json;
  expect(changed).toMatchObject({ name: 'other', redirect_uris: [] });
  expect(changed).not.toMatchObject({ client_secret: made.client_secret });
  expect((await writer(one, { method: 'DELETE' })).status).toBe(204);
  expect((await writer(one, { method: 'DELETE' })).status).toBe(404);
  gitea.failures.forEach((failure) => expect(failure).toContain(path));
});

test.each<[string, Fields, string]>([
  ['no state', { state: undefined }, 'without a state'],
  ['PKCE in clear', { code_challenge_method: 'plain' }, 'without PKCE S256'],
])('what gitlink must never do fails the test: %s', async (_, changes, failure) => {
  const { gitea, client } = await prepare();
  await ask(gitea, client, changes);
  expect(() => gitea.assertNoFailures()).toThrow(failure);
});
