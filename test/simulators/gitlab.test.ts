import { describe, expect, test } from 'vitest';
import { renameProject } from './gitlab/world.ts';
import { callBy, callWith, createHook, gitlab18, hookBody, hooksOfApi, nextOf, start } from './gitlab-kit.ts';
import { sendRequest, type GotResponse, type SentRequest } from './send-request.ts';

const keyset = 'pagination=keyset&order_by=id&sort=asc&simple=true';

function pathsOf({ json }: GotResponse): readonly string[] {
  return (json as { path_with_namespace: string }[]).map((project) => project.path_with_namespace);
}

describe('lists and names', () => {
  test('10,000 projects by keyset: only a next link, after every page but the empty last', async () => {
    const world = { users: [{ username: 'ada' }], projects: [{ path: 'ada/service', count: 10_000 }] };
    const simulator = await start({ world, basePath: '/gitlab' });
    const call = callWith(simulator);
    const seen = new Set<number>();
    let path: string | undefined = `/api/v4/projects?membership=true&per_page=100&${keyset}`;
    let pages = 0;
    while (path !== undefined) {
      const response: GotResponse = await call(path);
      for (const { id } of response.json as { id: number }[]) seen.add(id);
      expect(response.headers['x-total']).toBeUndefined();
      path = nextOf(response)?.replace(simulator.url, '');
      pages += 1;
    }
    expect(seen.size).toBe(10_000);
    expect(pages).toBe(101);
    simulator.assertNoFailures();
  });

  test('offset paging: counts until there is too much to count, and an end', async () => {
    const simulator = await start({ settings: { maxCountedRows: 3, maxOffset: 4 } });
    const call = callWith(simulator);
    const group = await call('/api/v4/groups/acme/projects?per_page=2&with_shared=false');
    expect(group.headers).toMatchObject({ 'x-total': '3', 'x-total-pages': '2', 'x-next-page': '2' });
    expect(group.headers.link).toContain('rel="last"');
    const many = await call('/api/v4/projects?per_page=2&page=2');
    expect(many.headers['x-total']).toBeUndefined();
    expect(many.headers.link).not.toContain('rel="last"');
    const behind = await call('/api/v4/projects?per_page=2&page=4');
    expect(behind.status).toBe(405);
    expect(behind.json).toMatchObject({
      error: expect.stringContaining('maximum allowed offset of 4') as unknown,
    });
    simulator.assertNoFailures();
  });

  test('the filters of lists: role, membership, archive, subgroups, shared projects', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    const managed = await call(
      `/api/v4/projects?membership=true&min_access_level=40&archived=false&${keyset}`,
    );
    expect(pathsOf(managed)).toEqual([
      'ada/site',
      'ada/notes',
      'acme/api',
      'acme/platform/tools/cli',
      'acme/platform/empty',
      'acme/doomed',
      'others/shared',
    ]);
    const ofGroup = (query: string) => call(`/api/v4/groups/acme/projects?sort=asc&${query}`);
    expect(pathsOf(await ofGroup('archived=false'))).toEqual(['acme/api', 'acme/doomed', 'others/shared']);
    const tree = await ofGroup('include_subgroups=true&with_shared=false&archived=false');
    expect(pathsOf(tree)).toContain('acme/platform/tools/cli');
    expect(pathsOf(tree)).not.toContain('others/shared');
    simulator.assertNoFailures();
  });

  test('roles: 404 for what one may not see, 403 below the role, and permissions tell where a role comes from', async () => {
    const simulator = await start();
    const [ada, bob] = [callWith(simulator), callWith(simulator, { user: 'bob' })];
    expect((await ada('/api/v4/projects/bob%2Fsecret')).json).toEqual({ message: '404 Project Not Found' });
    expect((await bob(hooksOfApi)).json).toEqual({ message: '403 Forbidden' });
    const { permissions } = (await ada('/api/v4/projects/others%2Ftool')).json as { permissions: unknown };
    expect(permissions).toMatchObject({ project_access: null, group_access: { access_level: 30 } });
    expect((await ada('/api/v4/namespaces/acme%2Fplatform')).json).toMatchObject({
      kind: 'group',
      path: 'platform',
    });
    expect((await ada('/api/v4/namespaces/bob')).status).toBe(404);
  });

  test('an old path leads to the number for reading, and nowhere for writing', async () => {
    const simulator = await start({ basePath: '/gitlab' });
    renameProject(simulator.state, 'acme/api', 'acme/platform/backend');
    const call = callWith(simulator);
    const moved = await call('/api/v4/projects/acme%2Fapi?license=true');
    expect(moved.status).toBe(301);
    expect(moved.headers.location).toMatch(/\/gitlab\/api\/v4\/projects\/\d+\?license=true$/);
    expect((await call(hooksOfApi, { json: hookBody })).status).toBe(404);
  });
});

describe('limits', () => {
  test('of Rack::Attack have headers and plain text, of the application neither', async () => {
    const simulator = await start({ settings: { throttle: { requests: 1, windowMs: 60_000 } } });
    const call = callWith(simulator);
    expect((await call('/api/v4/user')).headers).toMatchObject({ 'ratelimit-remaining': '0' });
    const throttled = await call('/api/v4/user');
    expect(throttled.status).toBe(429);
    expect(throttled.text).toBe('Retry later\n');
    expect(Number(throttled.headers['retry-after'])).toBeGreaterThan(50);

    simulator.settings.throttle = null;
    simulator.settings.applicationLimits = { 'GET /api/v4/projects/{id}': { requests: 1, windowMs: 60_000 } };
    await call('/api/v4/projects/acme%2Fapi');
    const limited = await call('/api/v4/projects/ada%2Fsite');
    expect(limited.status).toBe(429);
    expect(limited.headers['retry-after']).toBeUndefined();
    expect(limited.json).toHaveProperty('message.error');
  });
});

test('an instance is recognised without a credential, and every answer has an id', async () => {
  const simulator = await start({ basePath: '/gitlab' });
  const discovered = await sendRequest(`${simulator.url}/.well-known/openid-configuration`);
  expect(discovered.json).toMatchObject({
    issuer: simulator.url,
    token_endpoint: `${simulator.url}/oauth/token`,
  });
  const version = await sendRequest(`${simulator.url}/api/v4/version`);
  expect(version.status).toBe(401);
  expect(version.json).toEqual({ message: '401 Unauthorized' });
  expect(version.headers['x-request-id']).toMatch(/^[0-9a-f]{26}$/);
  simulator.assertNoFailures();
});

test.each([
  ['metadata', '15.1.0-ee', '/api/v4/metadata'],
  ['the own token', '15.4.0-ee', '/api/v4/personal_access_tokens/self'],
  ['associations', '17.3.0-ee', '/api/v4/personal_access_tokens/self/associations'],
  ['applications', '18.11.0-ee', '/api/v4/user/applications'],
  ['webhooks of groups in the community edition', '19.6.0', '/api/v4/groups/acme/hooks'],
])('%s is not a route of %s', async (_, version, path) => {
  const simulator = await start({ version });
  const response = await callWith(simulator)(path);
  expect(response.status).toBe(404);
  expect(response.json).toEqual({ error: '404 Not Found' });
  simulator.assertNoFailures();
});

test('applications by API belong to a user, on self-managed servers', async () => {
  const simulator = await start();
  const call = callWith(simulator);
  const wish = {
    name: 'gitlink',
    redirect_uri: 'http://127.0.0.1/callback',
    scopes: 'api',
    confidential: false,
  };
  const made = await call('/api/v4/user/applications', { json: wish });
  expect(made.status).toBe(201);
  expect(made.json).toMatchObject({
    application_name: 'gitlink',
    confidential: false,
    callback_url: wish.redirect_uri,
  });
  const { id, application_id } = made.json as { id: number; application_id: string };
  expect(application_id).toMatch(/^[0-9a-f]{64}$/);
  const one = `/api/v4/user/applications/${id}`;
  expect((await call(one)).json).not.toHaveProperty('secret');
  expect((await callWith(simulator, { user: 'bob' })(one)).status).toBe(403);
  expect((await call('/api/v4/user/applications', { json: { ...wish, scopes: 'everything' } })).status).toBe(
    400,
  );
  expect((await call(one, { method: 'DELETE' })).status).toBe(204);
  expect((await call(one, { method: 'DELETE' })).status).toBe(404);
  simulator.settings.isGitlabCom = true;
  expect((await call('/api/v4/user/applications', { json: wish })).json).toEqual({ error: '404 Not Found' });
  simulator.assertNoFailures();
});

describe('what gitlink must never do fails the test', () => {
  test.each<[string, string, SentRequest, string]>([
    ['a token in the query', '/api/v4/user?private_token=canary', {}, 'a credential in the query'],
    [
      'a token in a header of its own',
      '/api/v4/user',
      { headers: { 'private-token': 'canary' } },
      'private-token',
    ],
    ['Basic at the API', '/api/v4/user', { authorization: `Basic ${btoa('ada:canary')}` }, 'with basic'],
    ['another name', '/api/v4/user', { headers: { 'user-agent': 'curl/8' } }, 'User-Agent'],
    ['an unknown parameter', '/api/v4/projects?limit=3', {}, 'unknown parameter "limit"'],
    ['too long a page', '/api/v4/projects?per_page=200', {}, 'per_page'],
    ['a parameter of the wrong type', '/api/v4/projects?archived=no', {}, 'archived is invalid'],
    ['a role that is none', '/api/v4/projects?min_access_level=41', {}, 'does not have a valid value'],
    ['keyset where there is none', '/api/v4/projects?pagination=keyset', {}, 'keyset'],
    ['a hook without an address', hooksOfApi, { json: { token: 'canary' } }, 'url is missing'],
    ['a field that is not there', hooksOfApi, { json: { ...hookBody, colour: 'red' } }, 'colour'],
    [
      'a body that is no JSON',
      hooksOfApi,
      { json: {}, headers: { 'content-type': 'text/plain' } },
      'instead of JSON',
    ],
    ['a route that does not exist', '/api/v4/user/webhooks', {}, 'unknown route'],
  ])('%s', async (_, path, sent, failure) => {
    const simulator = await start();
    await callWith(simulator)(path, sent);
    expect(() => simulator.assertNoFailures()).toThrow(failure);
  });

  test('a hook that is edited without its address', async () => {
    const simulator = await start(gitlab18);
    const call = callWith(simulator);
    const { id } = await createHook(call);
    await callBy(simulator, call.secret)(`${hooksOfApi}/${id}`, { method: 'PUT', json: { token: 'canary' } });
    expect(() => simulator.assertNoFailures()).toThrow('without its url');
  });
});
