import { describe, expect, test } from 'vitest';
import { renameRepository } from './github/world.ts';
import {
  apiHeaders,
  browse,
  callAs,
  callBy,
  callWith,
  createHook,
  errorWith,
  installApp,
  linkOf,
  mint,
  namesOf,
  start,
  startCloud,
  startReceiver,
} from './github-kit.ts';
import { sendRequest, type GotResponse } from './send-request.ts';

describe('lists and names', () => {
  test('10,000 repositories page by page: 100 at most, and links to follow', async () => {
    const world = { users: [{ login: 'ada' }], repositories: [{ path: 'ada/service', count: 10_000 }] };
    const simulator = await start({ world, basePath: '/git' });
    const call = callWith(simulator);
    const seen = new Set<string>();
    let path: string | undefined = '/user/repos?per_page=250&sort=full_name';
    let pages = 0;
    while (path !== undefined) {
      const response: GotResponse = await call(path);
      for (const name of namesOf(response)) seen.add(name);
      path = linkOf(response, 'next');
      pages += 1;
    }
    expect(seen.size).toBe(10_000);
    expect(pages).toBe(100);
    simulator.assertNoFailures();
  });

  test('30 to a page unless told otherwise; a last page and the way back', async () => {
    const world = { users: [{ login: 'ada' }], repositories: [{ path: 'ada/service', count: 70 }] };
    const simulator = await start({ world });
    const call = callWith(simulator);
    const first = await call('/user/repos');
    expect(namesOf(first)).toHaveLength(30);
    expect(linkOf(first, 'last')).toContain('page=3');
    expect(linkOf(first, 'prev')).toBeUndefined();
    const last = await call('/user/repos?page=3');
    expect(namesOf(last)).toHaveLength(10);
    expect(linkOf(last, 'next')).toBeUndefined();
    expect(linkOf(last, 'first')).toContain('page=1');
    simulator.assertNoFailures();
  });

  test('the links of an organization name it by its number', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    const next = linkOf(await call('/orgs/acme/repos?per_page=2'), 'next');
    expect(next).toMatch(/\/organizations\/\d+\/repos\?/);
    expect((await call(next ?? '')).status).toBe(200);
    simulator.assertNoFailures();
  });

  test('whose repositories: by affiliation and visibility, never with a type beside', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    expect(namesOf(await call('/user/repos'))).toEqual([
      'acme/api',
      'acme/empty',
      'acme/handbook',
      'acme/legacy',
      'acme/web',
      'ada/notes',
      'ada/site',
      'bob/shared',
      'others/tool',
    ]);
    expect(namesOf(await call('/user/repos?affiliation=owner'))).toEqual(['ada/notes', 'ada/site']);
    expect(namesOf(await call('/user/repos?affiliation=collaborator'))).toEqual(['bob/shared']);
    expect(namesOf(await call('/user/repos?visibility=public&direction=desc'))).toEqual([
      'ada/site',
      'acme/handbook',
    ]);
    const both = await call('/user/repos?type=owner&affiliation=owner');
    expect(both.status).toBe(422);
    expect(namesOf(await call('/users/ada/repos'))).toEqual(['ada/site']);
    simulator.assertNoFailures();
  });

  test('roles show in the permissions; what one may not see is not found', async () => {
    const simulator = await start();
    const [ada, bob] = [callWith(simulator), callWith(simulator, { user: 'bob' })];
    const permissionsOf = ({ json }: GotResponse) => (json as { permissions: unknown }).permissions;
    const admin = { admin: true, maintain: true, push: true, triage: true, pull: true };
    expect(permissionsOf(await ada('/repos/acme/api'))).toEqual(admin);
    expect(permissionsOf(await bob('/repos/acme/api'))).toEqual({ ...admin, admin: false, maintain: false });
    expect(permissionsOf(await bob('/repos/acme/web'))).toMatchObject({ push: false, pull: true });
    expect((await ada('/repos/bob/secret')).json).toEqual(errorWith(404, 'Not Found'));
    expect((await ada('/orgs/nobody/repos')).json).toEqual(errorWith(404, 'Not Found'));
    simulator.assertNoFailures();
  });

  test('an old name leads to the number, by 301 for reading and 307 for the rest', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    renameRepository(simulator.state, 'acme/api', 'acme/core');
    const moved = await call('/repos/acme/api/hooks?per_page=5');
    expect(moved.status).toBe(301);
    expect(moved.headers.location).toMatch(/\/repositories\/\d+\/hooks\?per_page=5$/);
    expect((await call(moved.headers.location ?? '')).status).toBe(200);
    const { json } = await call((await call('/repos/acme/api')).headers.location ?? '');
    expect(json).toMatchObject({ full_name: 'acme/core' });
    const posted = await call('/repos/acme/api/hooks', { json: { config: { url: 'https://ci.example' } } });
    expect(posted.status).toBe(307);
    simulator.settings.redirectsRenamed = false;
    expect((await call('/repos/acme/api')).status).toBe(404);
    simulator.assertNoFailures();
  });
});

describe('manners', () => {
  test.each<[string, Record<string, string | undefined>, number, string]>([
    ['no User-Agent', { 'user-agent': undefined }, 403, 'User-Agent'],
    ['another User-Agent', { 'user-agent': 'curl/8' }, 200, 'User-Agent'],
    ['another Accept', { accept: 'application/json' }, 200, 'Accept'],
    ['no version', { 'x-github-api-version': undefined }, 200, 'no version'],
    ['the token scheme', { authorization: 'token' }, 200, 'token authorization'],
  ])('%s is noticed', async (_, headers, status, failure) => {
    const simulator = await start();
    const { secret } = simulator.addToken();
    const scheme = headers['authorization'] ?? 'Bearer';
    const response = await sendRequest(`${simulator.apiUrl}/user`, {
      headers: { ...apiHeaders, ...headers, authorization: `${scheme} ${secret}` },
    });
    expect(response.status).toBe(status);
    expect(() => simulator.assertNoFailures()).toThrow(failure);
  });

  test('a version that there is not is refused, the new one where it is not known too', async () => {
    const [server, cloud] = [await start(), await startCloud()];
    const ask = async (simulator: typeof server, version: string) =>
      (await callWith(simulator)('/user', { headers: { 'x-github-api-version': version } })).status;
    expect(await ask(server, '2026-03-10')).toBe(400);
    expect(await ask(cloud, '2026-03-10')).toBe(200);
    expect(await ask(cloud, '2021-01-01')).toBe(400);
  });

  test('an unknown address, an undescribed parameter and a token in the query fail the test', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    expect((await call('/user/emails')).status).toBe(404);
    expect(() => simulator.assertNoFailures()).toThrow('unknown route');
    await call('/user/repos?order=asc');
    expect(() => simulator.assertNoFailures()).toThrow('unknown query parameter order');
    await call('/user?access_token=canary');
    expect(() => simulator.assertNoFailures()).toThrow('a credential in the query');
  });
});

describe('the two forms', () => {
  test('an Enterprise Server says which it is, and nothing of limits', async () => {
    const simulator = await start();
    const anonymous = callBy(simulator, '');
    const meta = await anonymous('/meta');
    expect(meta.json).toMatchObject({ installed_version: '3.19.1' });
    expect(meta.headers).toMatchObject({ 'x-github-enterprise-version': '3.19.1' });
    expect(meta.headers['x-ratelimit-limit']).toBeUndefined();
    expect((await callWith(simulator)('/rate_limit')).status).toBe(404);
    simulator.settings.privateMode = true;
    expect((await anonymous('/meta')).status).toBe(401);
    expect((await anonymous('/repos/ada/site')).status).toBe(401);
    simulator.assertNoFailures();
  });

  test('github.com has a host for pages and one for the API, each with its own part', async () => {
    const simulator = await startCloud();
    const call = callWith(simulator);
    const { headers, json } = await call('/meta');
    expect(json).not.toHaveProperty('installed_version');
    expect(headers['x-github-enterprise-version']).toBeUndefined();
    expect(headers['x-github-request-id']).toMatch(/^[0-9A-F]+$/);
    expect((await call('/user')).json).toMatchObject({ html_url: 'http://github.com/ada' });
    simulator.assertNoFailures();
    expect((await call('http://github.com/user')).status).toBe(404);
    expect(() => simulator.assertNoFailures()).toThrow('which has no such address');
  });

  test('a tenant has hosts of its own, and says in deliveries who it is', async () => {
    const receiver = await startReceiver();
    const simulator = await start({
      flavour: 'tenant',
      rootUrl: 'http://acme.ghe.com',
      apiRootUrl: 'http://api.acme.ghe.com',
      settings: { allowsLocalWebhooks: true },
    });
    const installed = installApp(simulator);
    expect(await mint(simulator, installed)).toMatch(/^ghs_\d+_eyJ/);
    const { json } = await callAs(simulator, installed)('/app');
    expect(json).toMatchObject({ html_url: 'http://acme.ghe.com/apps/gitlink-canary' });
    await createHook(callWith(simulator), { config: { url: receiver.url } });
    await simulator.settle();
    expect(receiver.received[0]?.headers['x-github-tenant']).toBe('acme');
    simulator.assertNoFailures();
  });

  test('pages that gitlink sends people to are there', async () => {
    const simulator = await start();
    const paths = [
      '/settings/tokens/new?scopes=repo',
      '/settings/personal-access-tokens/new',
      '/settings/apps/x',
    ];
    for (const path of paths) expect((await browse(simulator, path)).status).toBe(200);
    expect((await browse(simulator, '/settings/secrets')).status).toBe(404);
    expect(() => simulator.assertNoFailures()).toThrow('unknown route');
  });

  test('the root answers HEAD, as a cheap look at the headers', async () => {
    const simulator = await start();
    const { status, headers, text } = await callWith(simulator)('/', { method: 'HEAD' });
    expect({ status, text }).toEqual({ status: 200, text: '' });
    expect(headers['x-oauth-scopes']).toBe('read:org, repo');
    simulator.assertNoFailures();
  });
});
