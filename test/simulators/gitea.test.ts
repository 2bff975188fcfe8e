import { describe, expect, test } from 'vitest';
import type { GiteaSimulator } from './gitea/server.ts';
import { renameOwner, renameRepository } from './gitea/world.ts';
import { callAs, createHook, forgejo, gitea122, hookBody, hooksOfSite, start } from './gitea-kit.ts';
import { sendRequest, type SentRequest } from './send-request.ts';

describe('lists and names', () => {
  test('10,000 repositories: the limit is cut without a word, the count is exact, every one comes once', async () => {
    const repositories = [{ owner: 'ada', name: 'service', count: 10_000 }];
    const simulator = await start({ world: { users: [{ login: 'ada' }], repositories } });
    const call = callAs(simulator, ['read:user', 'read:repository']);
    const first = await call('/api/v1/user/repos?limit=1000');
    expect(first.json).toHaveLength(50);
    expect(first.headers['x-total-count']).toBe('10000');
    expect(first.headers.link).toContain('rel="next"');
    const pages = Array.from({ length: 200 }, (_, index) =>
      call(`/api/v1/user/repos?limit=50&page=${index + 1}`),
    );
    const all = (await Promise.all(pages)).flatMap((page) => page.json as { id: number }[]);
    expect(new Set(all.map((repository) => repository.id)).size).toBe(10_000);
    expect((await call('/api/v1/user/repos')).json).toHaveLength(30);
  });

  test('lists of repository hooks have a count and no Link', async () => {
    const call = callAs(await start(), ['all']);
    for (let count = 0; count < 3; count += 1) await createHook(call);
    const { headers, json } = await call(`${hooksOfSite}?limit=2`);
    expect(json).toHaveLength(2);
    expect(headers).toMatchObject({ 'x-total-count': '3' });
    expect(headers.link).toBeUndefined();
  });

  test.each([
    ['Gitea 1.27', {}, 301],
    ['Gitea 1.22', gitea122, 307],
    ['Forgejo', forgejo, 301],
  ])('%s: an old name answers every method with %s%i', async (_, options, status) => {
    const simulator = await start({ ...options, basePath: '/gitea' });
    renameRepository(simulator.state, 'ada/site', 'acme/home');
    const call = callAs(simulator, ['all']);
    const sent: SentRequest[] = [{}, { json: hookBody }];
    for (const request of sent) {
      const response = await call(`${hooksOfSite}?limit=2`, request);
      expect(response.status).toBe(status);
      expect(response.headers.location).toBe('/gitea/api/v1/repos/acme/home/hooks?limit=2');
    }
    expect((await call('/api/v1/repos/acme/home')).status).toBe(200);
  });

  test('a renamed owner redirects with 307', async () => {
    const simulator = await start();
    renameOwner(simulator.state, 'acme', 'acme-inc');
    const response = await callAs(simulator, ['all'])('/api/v1/orgs/acme/repos');
    expect(response.status).toBe(307);
    expect(response.headers.location).toBe('/api/v1/orgs/acme-inc/repos');
  });

  test('roles: only an owner owns, only what one may see is listed', async () => {
    const simulator = await start();
    const path = '/api/v1/users/ada/orgs/acme/permissions';
    expect((await callAs(simulator, ['all'])(path)).json).toMatchObject({ is_owner: true, is_admin: true });
    const bob = callAs(simulator, ['all'], 'token', 'bob');
    expect((await bob(path.replace('ada', 'bob'))).json).toMatchObject({ is_owner: false, can_write: false });
    const seen = (await bob('/api/v1/repos/acme/api')).json;
    expect(seen).toMatchObject({ permissions: { admin: false, push: false, pull: true } });
    expect((await bob('/api/v1/repos/ada/notes')).status).toBe(404);
  });

  test.each([
    ['Gitea 1.27', {}, { message: 'not found' }],
    ['Forgejo', forgejo, { message: "The target couldn't be found.", errors: [] }],
  ])('%s: what is not there', async (_, options, body) => {
    const simulator = await start(options);
    const { json } = await callAs(simulator, ['all'])('/api/v1/repos/ada/nothing');
    expect(json).toEqual({ ...body, url: `${simulator.url}/api/swagger` });
  });

  test('products are told apart, and a closed instance tells nothing', async () => {
    const [gitea, other] = [await start(), await start(forgejo)];
    const ask = (simulator: GiteaSimulator, path: string) => sendRequest(simulator.url + path);
    expect((await ask(gitea, '/api/v1/version')).json).toEqual({ version: '1.27.0' });
    expect((await ask(gitea, '/api/forgejo/v1/version')).status).toBe(404);
    expect((await ask(other, '/api/v1/version')).json).toEqual({ version: '16.0.0+gitea-1.22.0' });
    expect((await ask(other, '/api/forgejo/v1/version')).status).toBe(200);
    gitea.settings.requireSignIn = true;
    const closed = await ask(gitea, '/api/v1/version');
    expect(closed.status).toBe(403);
    expect(closed.json).toEqual({ message: 'Only signed in user is allowed to call APIs.' });
  });
});

describe('what gitlink must never do fails the test', () => {
  test.each<[string, string, SentRequest, string]>([
    ['a token in the query', '/api/v1/user?token=canary', {}, 'a token in the query'],
    ['no name', '/api/v1/version', { headers: { 'user-agent': undefined } }, 'User-Agent'],
    ['another name', '/api/v1/version', { headers: { 'user-agent': 'curl/8' } }, 'User-Agent'],
    ['an unknown parameter', '/api/v1/user/repos?per_page=3', {}, 'unknown query parameter per_page'],
    ['a field that is not there', hooksOfSite, { json: { ...hookBody, colour: 'red' } }, 'colour'],
    ['a field of the wrong type', hooksOfSite, { json: { ...hookBody, active: 'yes' } }, 'active'],
    [
      'a body that is no JSON',
      hooksOfSite,
      { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, json: {} },
      'instead of JSON',
    ],
    ['a route that does not exist', '/api/v1/user/webhooks', {}, 'unknown route'],
    ['an unreadable header', '/api/v1/user', { authorization: 'Bearer' }, 'cannot be read'],
  ])('%s', async (_, path, sent, failure) => {
    const simulator = await start();
    await callAs(simulator, ['all'])(path, sent);
    expect(() => simulator.assertNoFailures()).toThrow(failure);
  });
});
