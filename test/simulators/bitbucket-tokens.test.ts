import { describe, expect, test } from 'vitest';
import type { NewToken } from './bitbucket/token-state.ts';
import { apiScopes, basic, callBy, callWith, errorOf, hooksOfApi, start, someText } from './bitbucket-kit.ts';
import { sendRequest } from './send-request.ts';

const api: NewToken = { kind: 'api', scopes: apiScopes };
const ofRepository: NewToken = {
  kind: 'repository',
  resource: 'acme/api',
  scopes: ['repository', 'webhook'],
};
const ofProject: NewToken = { kind: 'project', resource: 'acme/API', scopes: ['project', 'webhook'] };
const ofWorkspace: NewToken = { kind: 'workspace', resource: 'acme', scopes: ['account', 'repository'] };
const notSupported = 'Token is invalid, expired, or not supported for this endpoint.';

describe('how a credential is sent', () => {
  const asEmail = (secret: string) => basic('ada@acme.test', secret);
  const asBearer = (secret: string) => `Bearer ${secret}`;

  test.each<[string, NewToken, (secret: string) => string, number]>([
    ['an API token by Basic with the e-mail', api, asEmail, 200],
    ['an API token by Basic with the user name', api, (secret) => basic('ada', secret), 401],
    ['an API token with somebody else’s e-mail', api, (secret) => basic('bob@acme.test', secret), 401],
    ['an API token by Bearer', api, asBearer, 401],
    ['an API token by "token"', api, (secret) => `token ${secret}`, 401],
    ['an API token for no product', { ...api, isUnscoped: true }, asEmail, 401],
    ['an API token that ended', { ...api, expiresAt: Date.now() - 1 }, asEmail, 401],
    ['an app password by Basic with the user name', { kind: 'appPassword' }, (s) => basic('ada', s), 401],
    ['an app password by Bearer', { kind: 'appPassword' }, asBearer, 401],
    ['a repository token by Bearer', ofRepository, asBearer, 200],
    ['a repository token by Basic', ofRepository, (secret) => basic('x-token-auth', secret), 401],
    ['a repository token by Basic with an e-mail', ofRepository, asEmail, 401],
    ['a project token by Bearer', ofProject, asBearer, 200],
    ['a workspace token by Bearer', ofWorkspace, asBearer, 200],
    ['a workspace token by Basic', ofWorkspace, asEmail, 401],
    ['nobody’s token', api, () => 'Bearer canary', 401],
    ['another scheme', api, (secret) => `Digest ${secret}`, 401],
  ])('%s: %s', async (_, token, toHeader, status) => {
    const simulator = await start();
    const { secret } = simulator.addToken(token);
    const response = await callBy(simulator, secret, toHeader(secret))('/2.0/repositories/acme/api');
    expect(response.status, response.text).toBe(status);
    if (status === 200) return;
    expect(errorOf(response)).toEqual({ message: notSupported });
    expect(response.headers['www-authenticate']).toBe('Basic realm="Bitbucket.org HTTP"');
    expect(response.headers['x-credential-type']).toBeUndefined();
  });

  test('a token in the address or the body is refused, and a failure of the test', async () => {
    const simulator = await start();
    const { secret } = simulator.addToken(ofWorkspace);
    const url = `${simulator.url}/2.0/repositories/acme/site`;
    expect((await sendRequest(`${url}?access_token=${secret}`)).status).toBe(401);
    expect((await sendRequest(`${url}/hooks`, { json: { access_token: secret } })).status).toBe(401);
    expect(() => simulator.assertNoFailures()).toThrow(/a token in the query or the body/);
  });

  test('secrets have the shapes of real ones, and none is real', async () => {
    const simulator = await start();
    const shapes: readonly (readonly [NewToken, RegExp])[] = [
      [api, /^ATATT3[A-Za-z0-9_\-=]{186}$/],
      [ofRepository, /^ATCTT3xFfG[A-Za-z0-9+/=_-]+=[A-Za-z0-9]{8}$/],
      [ofWorkspace, /^ATCTT3xFfG[A-Za-z0-9+/=_-]+=[A-Za-z0-9]{8}$/],
      [{ kind: 'appPassword' }, /^ATBB[A-Za-z0-9_=.-]+$/],
    ];
    for (const [token, shape] of shapes) {
      const [one, other] = [simulator.addToken(token).secret, simulator.addToken(token).secret];
      expect(one).toMatch(shape);
      expect(one).toContain('canary');
      expect(one).not.toBe(other);
    }
  });

  test('scopes that a kind cannot have are a mistake of the test', async () => {
    const simulator = await start();
    const wrong: readonly NewToken[] = [
      { kind: 'api', scopes: ['repository'] },
      { kind: 'repository', resource: 'acme/api', scopes: ['account'] },
      { kind: 'project', resource: 'acme/API', scopes: ['read:project:bitbucket'] },
      { kind: 'workspace', resource: 'acme', scopes: ['email'] },
    ];
    for (const token of wrong) expect(() => simulator.addToken(token)).toThrow(/No scope/);
  });
});

describe('what a credential is', () => {
  test.each<[string, NewToken, string, string, string]>([
    ['API token', api, 'api_token', apiScopes.join(', '), 'read:user:bitbucket'],
    ['repository token', ofRepository, 'repo_access_token', 'repository, webhook', 'account'],
    ['project token', ofProject, 'project_access_token', 'project, webhook', 'account'],
    ['workspace token', ofWorkspace, 'workspace_access_token', 'account, repository', 'account'],
  ])('an %s tells its kind and scopes in every answer', async (_, token, type, scopes, accepted) => {
    const simulator = await start();
    const response = await callWith(simulator, token)('/2.0/user');
    expect(response.headers).toMatchObject({
      'x-credential-type': type,
      'x-oauth-scopes': scopes,
      'x-accepted-oauth-scopes': accepted,
    });
    expect(response.status).toBe(type === 'api_token' ? 200 : 403);
  });

  test('an access token has no user, also with the scope for it', async () => {
    const simulator = await start();
    const scopes = ['account', 'repository'];
    const call = callWith(simulator, { kind: 'workspace', resource: 'acme', scopes });
    for (const path of [
      '/2.0/user',
      '/2.0/user/workspaces',
      '/2.0/user/workspaces/acme/permission',
      '/2.0/user/workspaces/acme/permissions/repositories',
    ]) {
      const response = await call(path);
      expect(response.status, path).toBe(403);
      expect(errorOf(response)).toEqual({ message: 'Forbidden' });
    }
  });

  test('an access token reaches its own resource only', async () => {
    const simulator = await start();
    const reach = async (token: NewToken) => {
      const call = callWith(simulator, token);
      const names = ['acme/api', 'acme/gateway', 'acme/old', 'ada/notes', 'ada/site'];
      const found = await Promise.all(names.map((name) => call(`/2.0/repositories/${name}`)));
      return names.filter((_, index) => found[index]?.status === 200);
    };
    expect(await reach(ofRepository)).toEqual(['acme/api', 'ada/site']);
    expect(await reach(ofProject)).toEqual(['acme/api', 'acme/gateway', 'ada/site']);
    expect(await reach(ofWorkspace)).toEqual(['acme/api', 'acme/gateway', 'acme/old', 'ada/site']);
    expect(await reach({ ...api, workspaceLimit: 'ada' })).toEqual(['ada/notes', 'ada/site']);
  });

  test('a repository token lists only with a filter for a project', async () => {
    const simulator = await start();
    const call = callWith(simulator, ofRepository);
    expect((await call('/2.0/repositories/acme')).status).toBe(403);
    const filtered = await call('/2.0/repositories/acme?role=member&q=project.key%3D%22API%22');
    expect(filtered.status).toBe(200);
    expect(filtered.json).toMatchObject({ values: [{ full_name: 'acme/api' }] });
  });
});

const classic = (...scopes: string[]): NewToken => ({ kind: 'workspace', resource: 'acme', scopes });
const fine = (...scopes: string[]): NewToken => ({
  kind: 'api',
  scopes: scopes.map((scope) => `${scope}:bitbucket`),
});

test.each<[string, string, NewToken, boolean]>([
  ['GET', '/2.0/repositories/acme/api', classic('repository:write'), true],
  ['GET', '/2.0/repositories/acme/api', classic('pullrequest'), true],
  ['GET', '/2.0/repositories/acme/api', classic('pullrequest:write'), true],
  ['GET', '/2.0/repositories/acme/api', classic('project'), true],
  ['GET', '/2.0/repositories/acme/api', classic('repository:admin', 'project:admin', 'webhook'), false],
  ['GET', '/2.0/workspaces/acme/projects', classic('project:admin'), false],
  ['GET', hooksOfApi, classic('webhook'), true],
  ['GET', hooksOfApi, classic('repository:admin'), false],
  ['GET', '/2.0/repositories/acme/api', fine('read:repository'), true],
  ['GET', '/2.0/repositories/acme/api', fine('write:repository', 'admin:repository'), false],
  ['GET', '/2.0/repositories/acme/api', fine('read:project', 'read:pullrequest'), false],
  ['GET', '/2.0/workspaces/acme', fine('read:repository'), false],
  ['GET', '/2.0/workspaces/acme', classic('repository'), true],
  ['GET', '/2.0/user/workspaces', fine('read:user'), false],
  ['GET', '/2.0/user/emails', fine('read:user'), true],
  ['GET', '/2.0/workspaces/acme/projects', fine('read:project'), true],
  ['GET', hooksOfApi, fine('write:webhook', 'read:repository'), false],
  ['DELETE', `${hooksOfApi}/%7Bcanary%7D`, fine('read:webhook', 'write:webhook'), false],
  ['DELETE', `${hooksOfApi}/%7Bcanary%7D`, fine('delete:webhook'), true],
])('%s %s with %o: %s', async (method, path, token, isAllowed) => {
  const simulator = await start();
  const response = await callWith(simulator, token)(path, { method });
  expect(response.status === 200 || response.status === 404, response.text).toBe(isAllowed);
  if (isAllowed) return;
  expect(errorOf(response)).toMatchObject({
    message: 'Your credentials lack one or more required privilege scopes.',
    detail: { required: [someText], granted: token.scopes },
  });
});

test('of several scopes that are missing one is named', async () => {
  const simulator = await start();
  const call = callWith(simulator, classic('webhook'));
  const response = await call('/2.0/user/workspaces/acme/permissions/repositories');
  expect(errorOf(response)).toMatchObject({ detail: { required: ['account'], granted: ['webhook'] } });
});

describe('how much is too much', () => {
  const few = (requests: number) => ({ requests, windowMs: 3_600_000 });
  const apiOf = (user: string): NewToken => ({ kind: 'api', user, scopes: apiScopes });

  test('each bucket is counted alone, by user, and its 429 tells nothing', async () => {
    const simulator = await start();
    Object.assign(simulator.settings.limits, { webhook: few(1), api: few(1), other: few(1) });
    const call = callWith(simulator);
    const paths = [hooksOfApi, '/2.0/workspaces/acme/hooks', '/2.0/repositories/acme/api', '/2.0/user'];
    const ask = async () => (await Promise.all(paths.map((path) => call(path)))).map(({ status }) => status);
    // Hooks of repositories and workspaces share one.
    expect(await ask()).toEqual([200, 429, 200, 200]);
    expect(await ask()).toEqual([429, 429, 429, 429]);
    const refused = await callWith(simulator)('/2.0/user');
    expect(refused.status).toBe(429);
    expect(refused.text).toBe('Rate limit for this resource has been exceeded');
    expect(refused.headers['content-type']).toContain('text/plain');
    expect(refused.headers['retry-after']).toBeUndefined();
    expect((await callWith(simulator, apiOf('bob'))('/2.0/user')).status).toBe(200);
    simulator.settings.clockOffsetMs += 3_600_000;
    expect((await call('/2.0/user')).status).toBe(200);
  });

  test('anonymous callers share little', async () => {
    const simulator = await start();
    simulator.settings.limits.anonymous = few(1);
    const url = `${simulator.url}/2.0/repositories/acme/site`;
    expect((await sendRequest(url)).status).toBe(200);
    expect((await sendRequest(url)).status).toBe(429);
  });

  test('only access tokens are told their limit, and only where it grows', async () => {
    const simulator = await start();
    const headersOf = async (token: NewToken, path: string) =>
      Object.keys((await callWith(simulator, token)(path)).headers).filter((name) => name.includes('rate'));
    expect(await headersOf(ofRepository, '/2.0/repositories/acme/api')).toHaveLength(3);
    expect(await headersOf(ofRepository, '/2.0/user')).toEqual([]);
    expect(await headersOf(api, '/2.0/repositories/acme/api')).toEqual([]);
  });
});

test('behind a proxy each of the two hosts has its own part', async () => {
  const simulator = await start({
    rootUrl: 'http://bitbucket.test',
    apiRootUrl: 'http://api.bitbucket.test',
  });
  const ask = (host: string, path: string) => sendRequest(`${simulator.url}${path}`, { headers: { host } });
  expect((await ask('api.bitbucket.test', '/2.0/repositories/acme/site')).json).toMatchObject({
    links: {
      self: { href: 'http://api.bitbucket.test/2.0/repositories/acme/site' },
      html: { href: 'http://bitbucket.test/acme/site' },
    },
  });
  simulator.assertNoFailures();
  for (const [host, path] of [
    ['bitbucket.test', '/2.0/repositories/acme/site'],
    ['api.bitbucket.test', '/acme/site.git/info/refs?service=git-upload-pack'],
    ['api.bitbucket.test', '/site/oauth2/authorize'],
  ] as const) {
    expect((await ask(host, path)).status).toBe(404);
    expect(() => simulator.assertNoFailures()).toThrow(/which has no such address/);
  }
});
