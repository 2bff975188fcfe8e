import { describe, expect, test } from 'vitest';
import type { NewToken } from './bitbucket-dc/token-state.ts';
import { renameRepository } from './bitbucket-dc/world.ts';
import {
  callBy,
  callWith,
  hookBody,
  hooksOfApi,
  messageOf,
  namesIn,
  start,
  toBasic,
  userIn,
  type Page,
} from './bitbucket-dc-kit.ts';
import { sendRequest, type SentRequest } from './send-request.ts';

const properties = '/rest/api/latest/application-properties';
const repos = '/rest/api/latest/repos';
const strict = '/rest/api/latest/inbox/pull-requests/count';

describe('who asks', () => {
  test('a server tells its version to anybody, below its context path, by both names of the API', async () => {
    const simulator = await start({ basePath: '/bitbucket' });
    for (const path of [properties, properties.replace('latest', '1.0')]) {
      const response = await callBy(simulator)(path);
      expect(response.json).toMatchObject({ version: '9.4.3', displayName: 'Bitbucket' });
      expect(userIn(response)).toBeUndefined();
    }
    simulator.assertNoFailures();
    expect((await callBy(simulator)(properties.replace('latest', '2.0'))).status).toBe(404);
  });

  test.each<[string, NewToken, string]>([
    ['a person', {}, 'ada'],
    ['a person whose name is no slug', { user: 'Grace@acme.test' }, 'Grace%40acme.test'],
    ['a token without the prefix', { shape: 'legacy' }, 'ada'],
    ['a token of a project', { kind: 'project', resource: 'ACME' }, 'access-token-user%2F1%2F41'],
    ['a token of a repository', { kind: 'repository', resource: 'ACME/api' }, 'access-token-user%2F2%2F701'],
  ])('%s is named in a header of every answer', async (_, token, name) => {
    const simulator = await start();
    const call = callWith(simulator, token);
    for (const path of [properties, strict]) expect(userIn(await call(path))).toBe(name);
    simulator.assertNoFailures();
  });

  test('a dead token is a stranger: 200 and no name where strangers may come, 401 where not', async () => {
    const simulator = await start();
    for (const token of [{ expiryDays: -1 }, {}] satisfies NewToken[]) {
      const { secret } = simulator.addToken(token);
      if (!('expiryDays' in token)) simulator.state.tokens.delete(secret);
      const call = callBy(simulator, `Bearer ${secret}`);
      const greeted = await call(properties);
      expect([greeted.status, userIn(greeted)]).toEqual([200, undefined]);
      expect(namesIn(await call(`${repos}?permission=REPO_READ`))).toEqual([]);
      expect(namesIn(await call(repos))).toEqual(['VAULT/handbook']);
      expect((await call(strict)).status).toBe(401);
    }
    simulator.settings.publicAccess = false;
    expect((await callBy(simulator)(repos)).status).toBe(401);
    expect((await callBy(simulator)(properties)).status).toBe(200);
    simulator.assertNoFailures();
  });

  test('Basic takes passwords and user tokens beside the real name, and no other token', async () => {
    const simulator = await start();
    const own = simulator.addToken({ user: 'Grace@acme.test' }).secret;
    const ofProject = simulator.addToken({ kind: 'project', resource: 'ACME' }).secret;
    const ask = async (name: string, password?: string) =>
      (await callBy(simulator, toBasic(name, password))(strict)).status;
    expect(await ask('Grace@acme.test')).toBe(200);
    expect(await ask('Grace@acme.test', own)).toBe(200);
    expect(await ask('grace_acme.test', own)).toBe(401);
    expect(await ask('ada', own)).toBe(401);
    expect(await ask('ada', ofProject)).toBe(401);
    expect(await ask('access-token-user/1/41', ofProject)).toBe(401);
  });

  test('wrong passwords lead to a CAPTCHA, even where anybody may come, and Basic can be switched off', async () => {
    const simulator = await start({ settings: { maxFailedLogins: 2 } });
    const wrong = callBy(simulator, toBasic('bob', 'canary'));
    expect((await wrong(properties)).status).toBe(401);
    await wrong(properties);
    const right = await callBy(simulator, toBasic('bob'))(properties);
    expect(right.status).toBe(401);
    expect(right.headers['x-authentication-denied-reason']).toContain('CAPTCHA_CHALLENGE');
    simulator.settings.allowsBasicAtRest = false;
    expect((await callBy(simulator, toBasic('ada'))(properties)).status).toBe(403);
    const older = await start({ version: '9.3.2', settings: { allowsBasicAtRest: false } });
    expect((await callBy(older, toBasic('ada'))(properties)).status).toBe(200);
  });

  test.each([
    ['9.4.3', ''],
    ['9.3.2', ''],
    ['8.19.12', ''],
    ['8.9.22', ''],
    ['9.3.1', 'ada'],
    ['8.19.11', 'ada'],
    ['8.18.9', 'ada'],
  ])('at %s a token tells the pages outside REST: %j', async (version, name) => {
    const simulator = await start({ version });
    expect((await callWith(simulator)('/plugins/servlet/applinks/whoami')).text).toBe(name);
    expect((await callBy(simulator, toBasic('ada'))('/plugins/servlet/applinks/whoami')).text).toBe('ada');
  });

  test('whether there is OAuth 2.0 shows in a 401, and admin endpoints take no tokens', async () => {
    const simulator = await start();
    const admin = '/rest/api/latest/admin/rate-limit/settings';
    expect((await callBy(simulator)('/rest/oauth2/1.0/client')).status).toBe(401);
    expect((await callWith(simulator, { user: 'root' })(admin)).status).toBe(401);
    expect((await callBy(simulator, toBasic('root'))(admin)).status).toBe(200);
    expect((await callBy(simulator, toBasic('ada'))(admin)).status).toBe(401);
    const older = await start({ version: '7.19.0' });
    expect((await callBy(older)('/rest/oauth2/1.0/client')).status).toBe(404);
  });

  test('a search for people finds parts of names', async () => {
    const simulator = await start();
    const found = await callWith(simulator)('/rest/api/latest/users?filter=acme.test');
    expect((found.json as Page<object>).values).toMatchObject([
      { name: 'Grace@acme.test', slug: 'grace_acme.test', displayName: 'Grace Hopper', type: 'NORMAL' },
    ]);
    simulator.assertNoFailures();
  });
});

describe('what there is', () => {
  test.each<[string, NewToken, string, readonly string[]]>([
    [
      'without a filter also public ones, no archived',
      {},
      '',
      ['ACME/api', 'ACME/empty', 'VAULT/handbook', 'WEB/shop', 'WEB/tools', '~ada/notes'],
    ],
    [
      'with READ',
      {},
      '?permission=REPO_READ',
      ['ACME/api', 'ACME/empty', 'WEB/shop', 'WEB/tools', '~ada/notes'],
    ],
    ['with ADMIN', {}, '?permission=REPO_ADMIN', ['ACME/api', 'ACME/empty', 'WEB/tools', '~ada/notes']],
    ['archived ones', {}, '?archived=ARCHIVED', ['ACME/old']],
    ['all of one project', {}, '?projectkey=acme&archived=ALL', ['ACME/api', 'ACME/old', 'ACME/empty']],
    ['by name', {}, '?name=SHO', ['WEB/shop']],
    ['public ones', {}, '?visibility=public', ['VAULT/handbook']],
    ['a token that only reads, ADMIN', { permissions: ['REPO_READ'] }, '?permission=REPO_ADMIN', []],
    [
      'a token of bob',
      { user: 'bob' },
      '?permission=REPO_WRITE',
      ['VAULT/secret', 'VAULT/handbook', 'WEB/shop', 'WEB/tools'],
    ],
    [
      'a token of a project',
      { kind: 'project', resource: 'ACME' },
      '?permission=REPO_READ',
      ['ACME/api', 'ACME/empty'],
    ],
    [
      'a token of a repository',
      { kind: 'repository', resource: 'WEB/shop' },
      '?permission=REPO_READ',
      ['WEB/shop'],
    ],
  ])('repositories %s', async (_, token, query, names) => {
    const simulator = await start();
    expect(namesIn(await callWith(simulator, token)(repos + query))).toEqual(names);
    simulator.assertNoFailures();
  });

  test.each<[NewToken, string, readonly string[]]>([
    [{}, '', ['ACME', 'WEB', 'VAULT', '~ada']],
    [{}, '?permission=PROJECT_ADMIN', ['ACME', '~ada']],
    [{ permissions: ['PROJECT_READ', 'REPO_READ'] }, '?permission=PROJECT_ADMIN', []],
    [{ permissions: ['REPO_ADMIN'] }, '', []],
    [{ kind: 'project', resource: 'WEB' }, '?permission=PROJECT_ADMIN', ['WEB']],
    [{ kind: 'repository', resource: 'ACME/api' }, '', []],
  ])('projects for %j%s', async (token, query, keys) => {
    const simulator = await start();
    const response = await callWith(simulator, token)(`/rest/api/latest/projects${query}`);
    expect((response.json as Page<{ key: string }>).values.map(({ key }) => key)).toEqual(keys);
    simulator.assertNoFailures();
  });

  test.each<[string, NewToken, string, number]>([
    ['a repository', {}, '/projects/acme/repos/API', 200],
    ['a personal one', {}, '/projects/~ada/repos/notes', 200],
    ['an archived one', {}, '/projects/ACME/repos/old', 200],
    ['a public one of others', {}, '/projects/VAULT/repos/handbook', 200],
    ['a hidden one', {}, '/projects/VAULT/repos/secret', 404],
    ['one that is not there', {}, '/projects/ACME/repos/none', 404],
    ['a hidden project', { user: 'Grace@acme.test' }, '/projects/WEB', 404],
    [
      'a project for a token of a repository',
      { kind: 'repository', resource: 'ACME/api' },
      '/projects/ACME',
      404,
    ],
    ['the hooks of one that one only writes', {}, '/projects/WEB/repos/shop/webhooks', 401],
    [
      'the hooks with a token that only writes',
      { permissions: ['REPO_WRITE'] },
      '/projects/ACME/repos/api/webhooks',
      401,
    ],
    ['the hooks of a public one', {}, '/projects/VAULT/repos/handbook/webhooks', 401],
    [
      'the hooks of a project',
      { permissions: ['PROJECT_WRITE', 'REPO_ADMIN'] },
      '/projects/ACME/webhooks',
      401,
    ],
  ])('%s: %j %s is %i', async (_, token, path, status) => {
    const simulator = await start();
    const response = await callWith(simulator, token)(`/rest/api/latest${path}`);
    expect(response.status).toBe(status);
    if (status !== 200) expect(messageOf(response)).toMatch(/not permitted|does not exist/);
    simulator.assertNoFailures();
  });

  test('an address to clone by has small letters and the name of whoever asks', async () => {
    const simulator = await start({ basePath: '/bitbucket' });
    const call = callWith(simulator, { user: 'Grace@acme.test' });
    const { host } = new URL(simulator.url);
    expect((await call('/rest/api/latest/projects/ACME/repos/api')).json).toMatchObject({
      links: {
        clone: [
          { name: 'ssh', href: 'ssh://git@127.0.0.1:7999/acme/api.git' },
          { name: 'http', href: `http://Grace%40acme.test@${host}/bitbucket/scm/acme/api.git` },
        ],
      },
    });
    expect((await call('/rest/api/latest/projects/ACME/repos/empty/branches/default')).status).toBe(204);
    expect((await call('/rest/api/latest/projects/ACME/repos/empty/default-branch')).status).toBe(200);
  });

  test('hidden ones may also be 401, and a repository that moved is known by its id alone', async () => {
    const simulator = await start({ settings: { hidesRepositories: false } });
    const call = callWith(simulator);
    expect((await call('/rest/api/latest/projects/VAULT/repos/secret')).status).toBe(401);
    const { id } = (await call('/rest/api/latest/projects/ACME/repos/api')).json as { id: number };
    renameRepository(simulator.state, 'ACME/api', 'WEB/backend');
    expect((await call('/rest/api/latest/projects/ACME/repos/api')).status).toBe(404);
    expect((await call('/rest/api/latest/projects/WEB/repos/backend')).json).toMatchObject({ id });
  });
});

describe('pages', () => {
  test('go on at nextPageStart, and nowhere else', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    const first = await call(`${repos}?limit=4`);
    const { nextPageStart, isLastPage, size } = first.json as Page<object>;
    expect({ isLastPage, size }).toEqual({ isLastPage: false, size: 4 });
    const second = await call(`${repos}?limit=4&start=${nextPageStart ?? ''}`);
    expect(second.json).toMatchObject({ isLastPage: true, nextPageStart: null });
    expect(new Set([...namesIn(first), ...namesIn(second)]).size).toBe(6);
    simulator.assertNoFailures();
    const wrong = await call(`${repos}?limit=4&start=4`);
    expect(namesIn(wrong)).not.toEqual(namesIn(second));
    expect(() => simulator.assertNoFailures()).toThrow('never a nextPageStart');
  });

  test('are as long as the server wants', async () => {
    const simulator = await start({ settings: { maxPageSize: 2 } });
    const page = (await callWith(simulator)(`${repos}?limit=1000`)).json;
    expect(page).toMatchObject({ limit: 2, size: 2, isLastPage: false });
  });
});

describe('rate limits', () => {
  test.each([true, false])('end in a page that is no JSON, with retry-after: %s', async (hasRetryAfter) => {
    const simulator = await start({
      settings: { rateLimit: { capacity: 2, fillRate: 0.5, hasRetryAfter } },
    });
    const call = callWith(simulator);
    for (const status of [200, 200, 429]) expect((await call(strict)).status).toBe(status);
    const limited = await call(strict);
    expect(limited.headers['retry-after']).toBe(hasRetryAfter ? '2' : undefined);
    expect(limited.json).toBeUndefined();
    expect((await callWith(simulator, { user: 'bob' })(strict)).status).toBe(200);
    expect((await callBy(simulator)(properties)).status).toBe(200);
  });
});

describe('what gitlink must never do fails the test', () => {
  test.each<[string, string, SentRequest, string]>([
    ['a token in the query', `${properties}?access_token=canary`, {}, 'credential in the query'],
    ['another name', properties, { headers: { 'user-agent': 'curl/8' } }, 'User-Agent'],
    ['an unknown authorization', properties, { authorization: 'token canary' }, 'neither Bearer nor Basic'],
    ['an unknown parameter', `${repos}?role=admin`, {}, 'unknown query parameter role'],
    ['a permission that is none', `${repos}?permission=ADMIN`, {}, 'permission'],
    ['an unknown field', hooksOfApi, { json: { ...hookBody, colour: 'red' } }, 'colour'],
    [
      'a body that is no JSON',
      hooksOfApi,
      { json: {}, headers: { 'content-type': 'text/plain' } },
      'instead of JSON',
    ],
    ['a route that does not exist', '/rest/api/latest/user', {}, 'unknown route'],
  ])('%s', async (_, path, sent, failure) => {
    const simulator = await start();
    await callWith(simulator)(path, sent);
    expect(() => simulator.assertNoFailures()).toThrow(failure);
  });
});

test('the questions meant for other products find nothing, and tell nothing', async () => {
  const simulator = await start();
  const response = await sendRequest(`${simulator.url}/api/v4/version`);
  expect(response.status).toBe(404);
  simulator.assertNoFailures();
});
