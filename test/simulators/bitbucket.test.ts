import { request } from 'node:http';
import { describe, expect, test } from 'vitest';
import { renameRepository, smallWorld } from './bitbucket/world.ts';
import {
  apiScopes,
  callWith,
  errorOf,
  start,
  valuesOf,
  type Caller,
  someText,
  textWith,
} from './bitbucket-kit.ts';
import { sendRequest, type GotResponse } from './send-request.ts';

const bob = { kind: 'api', user: 'bob', scopes: apiScopes } as const;

async function namesAt(call: Caller, path: string, name = 'full_name'): Promise<readonly unknown[]> {
  return valuesOf(await call(path)).map((value) => value[name]);
}

/** `URL` would encode braces. */
function askAsIs(port: number, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    request({ port, host: '127.0.0.1', path }, (response) => response.resume().on('end', resolve))
      .on('error', reject)
      .end();
  });
}

function q(text: string): string {
  return `q=${encodeURIComponent(text)}`;
}

describe('people and workspaces', () => {
  test('the caller, with and without a user name', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    const { json } = await call('/2.0/user');
    const ada = simulator.state.findUser('ada');
    expect(json).toMatchObject({
      type: 'user',
      uuid: ada?.uuid,
      account_id: ada?.accountId,
      username: 'ada',
    });
    simulator.settings.tellsUsername = false;
    expect((await call('/2.0/user')).json).not.toHaveProperty('username');
    simulator.assertNoFailures();
  });

  test('workspaces of the caller, by their own ids, filters and roles', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    const slugsAt = async (query: string) =>
      valuesOf(await call(`/2.0/user/workspaces?${query}`)).map(
        ({ workspace }) => (workspace as { slug: string }).slug,
      );
    expect(await slugsAt('sort=slug&pagelen=100')).toEqual(['acme', 'ada', 'others']);
    expect(await slugsAt('sort=-slug')).toEqual(['others', 'ada', 'acme']);
    expect(await slugsAt('administrator=true&sort=slug')).toEqual(['acme', 'ada']);
    expect(await slugsAt('administrator=false')).toEqual(['others']);
    expect(await slugsAt(q('slug="acme"'))).toEqual(['acme']);
    const [value] = valuesOf(await call(`/2.0/user/workspaces?${q('slug="acme"')}`));
    expect(value?.['workspace']).not.toHaveProperty('name');
    expect((await call('/2.0/workspaces/acme')).json).toMatchObject({ slug: 'acme', name: 'acme' });
    const uuid = encodeURIComponent(simulator.state.findWorkspace('acme')?.uuid ?? '');
    expect((await call(`/2.0/workspaces/${uuid}`)).json).toMatchObject({ slug: 'acme' });
    const limited = callWith(simulator, { kind: 'api', scopes: apiScopes, workspaceLimit: 'acme' });
    expect(valuesOf(await limited('/2.0/user/workspaces'))).toHaveLength(1);
    simulator.assertNoFailures();
  });

  test.each([
    ['ada', 'acme', 'owner'],
    ['ada', 'others', 'member'],
    ['bob', 'acme', 'member'],
    ['bob', 'ada', null],
  ])('%s is in %s: %s', async (user, workspace, permission) => {
    const call = callWith(await start(), { kind: 'api', user, scopes: apiScopes });
    const response = await call(`/2.0/user/workspaces/${workspace}/permission`);
    if (permission !== null) expect(response.json).toMatchObject({ permission });
    else expect(response.status).toBe(403);
  });

  test('effective roles in repositories', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    const path = '/2.0/user/workspaces/others/permissions/repositories';
    const read = async (query: string) =>
      valuesOf(await call(`${path}?${query}`)).map(
        ({ repository, permission }) =>
          `${(repository as { full_name: string }).full_name} ${String(permission)}`,
      );
    expect(await read('')).toEqual(['others/docs read', 'others/pen write', 'others/tool read']);
    expect(await read(q('permission>"read"'))).toEqual(['others/pen write']);
    expect(await read(q('permission="admin"'))).toEqual([]);
    const ofAcme = await call(`${path.replace('others', 'acme')}?${q('permission="admin"')}`);
    expect(valuesOf(ofAcme)).toHaveLength(5);
    simulator.assertNoFailures();
  });

  test('projects, of which others see what is for them', async () => {
    const simulator = await start();
    const path = '/2.0/workspaces/acme/projects';
    expect(await namesAt(callWith(simulator), path, 'key')).toEqual(['API', 'WEB']);
    expect(await namesAt(callWith(simulator, bob), path, 'key')).toEqual(['API', 'WEB']);
    simulator.state.findRepository('acme', 'api')?.roles.clear();
    expect(await namesAt(callWith(simulator, bob), path, 'key')).toEqual(['WEB']);
    expect((await callWith(simulator)(`${path}/NONE`)).status).toBe(404);
    expect((await callWith(simulator)(`${path}/API`)).json).toMatchObject({ key: 'API' });
    simulator.assertNoFailures();
  });
});

describe('lists of repositories', () => {
  test.each([
    ['ada', 'others', '', ['docs', 'pen', 'public', 'tool']],
    ['ada', 'others', 'role=member', ['docs', 'pen', 'tool']],
    ['ada', 'others', 'role=contributor', ['pen']],
    ['ada', 'others', 'role=admin', []],
    ['ada', 'acme', 'role=admin', ['api', 'empty', 'gateway', 'old', 'site']],
    ['ada', 'ada', 'role=owner', ['notes', 'site']],
    ['ada', 'acme', 'role=owner', []],
    ['bob', 'acme', 'role=member', ['api']],
    ['bob', 'acme', '', ['api', 'site']],
    ['ada', 'acme', q('project.key="API"'), ['api', 'gateway']],
    ['ada', 'acme', q('project.key IN ("API", "NONE") AND name !~ "GATE"'), ['api']],
    ['ada', 'acme', q('(is_private = false OR slug="old") AND project.key NOT IN ("API")'), ['old', 'site']],
    ['ada', 'acme', 'sort=-full_name', ['site', 'old', 'gateway', 'empty', 'api']],
  ])('%s in %s with "%s"', async (user, workspace, query, slugs) => {
    const simulator = await start();
    const call = callWith(simulator, { kind: 'api', user, scopes: apiScopes });
    expect(await namesAt(call, `/2.0/repositories/${workspace}?${query}`, 'slug')).toEqual(slugs);
    simulator.assertNoFailures();
  });

  test.each([
    ['q=project.key', 400],
    [q('nonsense="x"'), 400],
    [q('name=word'), 400],
    [q('name="x" AND'), 400],
    [q('(name="x"'), 400],
    [q('name="x" name="y"'), 400],
    ['sort=nonsense', 400],
    ['role=guest', 400],
    ['pagelen=101', 400],
    ['pagelen=0', 400],
    ['pagelen=many', 400],
    ['page=7', 404],
    ['pagelen=1', 200],
  ])('"%s" is answered %i', async (query, status) => {
    const call = callWith(await start());
    const response = await call(`/2.0/repositories/acme?${query}`);
    expect(response.status).toBe(status);
    if (status !== 200) expect(errorOf(response)).toHaveProperty('message');
  });

  test('pages are followed by `next`, which has what was asked for and cannot be guessed', async () => {
    const repositories = [{ path: 'acme/many', count: 25 }];
    const simulator = await start({ world: { ...smallWorld, repositories } });
    const call = callWith(simulator);
    const found: unknown[] = [];
    let url: string | undefined = `/2.0/repositories/acme?role=member&pagelen=3&sort=full_name`;
    let pages = 0;
    while (url !== undefined) {
      const response: GotResponse = await call(url);
      found.push(...valuesOf(response).map(({ slug }) => slug));
      url = (response.json as { next?: string }).next;
      pages += 1;
      expect(response.json).not.toHaveProperty('size');
    }
    expect(pages).toBe(3);
    expect(new Set(found).size).toBe(25);
    simulator.assertNoFailures();
    expect((await call('/2.0/repositories/acme?page=2')).status).toBe(200);
    expect(() => simulator.assertNoFailures()).toThrow(/not taken from `next`/);
  });

  test('`fields` leaves out what it does not name, the way to the next page too', async () => {
    const repositories = [{ path: 'acme/many', count: 11 }];
    const simulator = await start({ world: { ...smallWorld, repositories } });
    const read = async (fields: string) =>
      (await callWith(simulator)(`/2.0/repositories/acme?fields=${fields}`)).json as {
        next?: string;
        values: readonly object[];
      };
    expect(await read('values.slug,values.project.key')).toEqual({
      values: Array.from({ length: 10 }, () => ({ slug: someText, project: { key: 'API' } })),
    });
    const { next, values } = await read('next,values.links.clone.href,values.project.*');
    expect(next).toContain('page=2');
    const href = 'http://ada@127.0.0.1:';
    expect(values[0]).toMatchObject({ links: { clone: [{ href: textWith(href) }, {}] } });
    expect(values[0]).not.toHaveProperty('uuid');
    const without = await read('-values.links,-next');
    expect(without).not.toHaveProperty('next');
    expect(without.values[0]).toHaveProperty('uuid');
    expect(without.values[0]).not.toHaveProperty('links');
    expect(await read('%2Bvalues.owner')).toHaveProperty('next');
    simulator.assertNoFailures();
    await read('+values.owner');
    expect(() => simulator.assertNoFailures()).toThrow(/not encoded/);
  });
});

describe('one repository', () => {
  test('by name, by id, and by id alone', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    const uuid = encodeURIComponent(simulator.state.findRepository('acme', 'api')?.uuid ?? '');
    for (const path of ['acme/api', 'ACME/API', `acme/${uuid}`, `%7B%7D/${uuid}`]) {
      const { json } = await call(`/2.0/repositories/${path}`);
      expect(json, path).toMatchObject({ full_name: 'acme/api', is_private: true, project: { key: 'API' } });
    }
    expect((await call(`/2.0/repositories/ada/${uuid}`)).status).toBe(404);
    expect((await call('/2.0/repositories/acme/empty')).json).toMatchObject({ mainbranch: null });
    simulator.assertNoFailures();
    await askAsIs(simulator.port, `/2.0/repositories/acme/${decodeURIComponent(uuid)}`);
    expect(() => simulator.assertNoFailures()).toThrow(/braces that are not encoded/);
  });

  test('what is hidden is as what is not there, and an old name leads to the new one', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    for (const name of ['others/hidden', 'acme/nothing', 'nobody/nothing']) {
      const response = await call(`/2.0/repositories/${name}`);
      expect(response.status).toBe(404);
      expect(errorOf(response)).toEqual({ message: `Repository ${name} not found` });
    }
    expect((await call('/2.0/repositories/bob')).status).toBe(404);
    renameRepository(simulator.state, 'acme/api', 'acme/interface');
    const moved = await call('/2.0/repositories/acme/api/hooks');
    expect(moved.status).toBe(301);
    expect(moved.headers.location).toBe(`${simulator.url}/2.0/repositories/acme/interface/hooks`);
    expect((await call('/2.0/repositories/acme/api/hooks', { json: {} })).status).toBe(404);
    simulator.settings.redirectsRenamed = false;
    expect((await call('/2.0/repositories/acme/api')).status).toBe(404);
  });

  test('a repository token dies when its repository leaves the workspace', async () => {
    const simulator = await start();
    const call = callWith(simulator, { kind: 'repository', resource: 'acme/api', scopes: ['repository'] });
    renameRepository(simulator.state, 'acme/api', 'acme/interface');
    expect((await call('/2.0/repositories/acme/interface')).status).toBe(200);
    renameRepository(simulator.state, 'acme/interface', 'ada/interface');
    expect((await call('/2.0/repositories/ada/interface')).status).toBe(401);
  });

  test('what is public is for everybody', async () => {
    const simulator = await start();
    const ask = (path: string) => sendRequest(`${simulator.url}/2.0/${path}`);
    expect((await ask('repositories/acme/site')).status).toBe(200);
    expect((await ask('repositories/acme/api')).status).toBe(404);
    expect((await ask('user')).status).toBe(401);
    expect((await ask('workspaces/acme/projects')).status).toBe(401);
    expect((await ask('hook_events/repository')).status).toBe(200);
  });
});

test.each([
  'repositories',
  'workspaces',
  'user/permissions/workspaces',
  'user/permissions/repositories',
  'snippets',
  'pullrequests/ada',
])('/2.0/%s is gone', async (path) => {
  const simulator = await start();
  const response = await callWith(simulator)(`/2.0/${path}`);
  expect(response.status).toBe(410);
  expect(errorOf(response)).toEqual({
    message: 'CHANGE-2770 - Functionality has been deprecated',
    detail: someText,
    data: { announcement_url: 'https://developer.atlassian.com/cloud/bitbucket/changelog#CHANGE-2770' },
  });
  expect(() => simulator.assertNoFailures()).toThrow(/removed/);
});

test('questions for other products are answered by a page, and what is not described fails the test', async () => {
  const simulator = await start();
  const probe = await sendRequest(`${simulator.url}/api/v4/version`);
  expect(probe.status).toBe(404);
  expect(probe.headers['content-type']).toContain('text/html');
  simulator.assertNoFailures();
  await callWith(simulator)('/2.0/repositories/acme?per_page=5');
  expect(() => simulator.assertNoFailures()).toThrow(/unknown query parameter per_page/);
  await sendRequest(`${simulator.url}/2.0/user`, { headers: { 'user-agent': 'curl' } });
  expect(() => simulator.assertNoFailures()).toThrow(/User-Agent/);
});

test('10,000 repositories are there in a moment', async () => {
  const repositories = [{ path: 'acme/many', count: 10_000 }];
  const startedAt = performance.now();
  const simulator = await start({ world: { ...smallWorld, repositories } });
  expect(valuesOf(await callWith(simulator)('/2.0/repositories/acme?pagelen=100'))).toHaveLength(100);
  expect(performance.now() - startedAt).toBeLessThan(2_000);
});
