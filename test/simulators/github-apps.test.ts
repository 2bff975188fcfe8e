import { describe, expect, test } from 'vitest';
import {
  apiHeaders,
  callAs,
  callBy,
  callWith,
  createHook,
  errorWith,
  hooksOfApi,
  installApp,
  mint,
  namesOf,
  signJwt,
  start,
  startCloud,
} from './github-kit.ts';
import { sendRequest } from './send-request.ts';

describe('an app that signs', () => {
  test.each<[string, (time: number) => Record<string, unknown>, number, string]>([
    ['without an issuer', () => ({ iss: undefined }), 401, "'Issuer' claim ('iss')"],
    ['of an app that there is not', () => ({ iss: '99' }), 404, 'Integration not found'],
    ['that has ended', (time) => ({ exp: time - 1 }), 401, "'Expiration time' claim ('exp') must be"],
    ['for too long', (time) => ({ exp: time + 700 }), 401, "'Expiration time' claim ('exp') is too far"],
    ['from the future', (time) => ({ iat: time + 120 }), 401, "'Issued at' claim ('iat') must be"],
    ['by another algorithm', () => ({ alg: 'HS256' }), 401, 'could not be decoded'],
  ])('%s is refused', async (_, changes, status, message) => {
    const simulator = await start();
    const { app, pem } = simulator.addApp();
    const jwt = signJwt(app, pem, changes(Math.floor(Date.now() / 1000)));
    const response = await callBy(simulator, jwt)('/app');
    expect(response.status).toBe(status);
    expect(response.text).toContain(message);
    simulator.assertNoFailures();
  });

  test('with another key, or by the word for tokens, is refused; by client id or number it is heard', async () => {
    const simulator = await start();
    const { app, pem } = simulator.addApp();
    const other = simulator.addApp({ name: 'other-canary' });
    expect((await callBy(simulator, signJwt(app, other.pem))('/app')).status).toBe(401);
    for (const iss of [app.id, String(app.id), app.client.clientId]) {
      expect((await callBy(simulator, signJwt(app, pem, { iss }))('/app')).json).toMatchObject({
        id: app.id,
        slug: 'gitlink-canary',
        client_id: app.client.clientId,
        owner: { login: 'ada' },
      });
    }
    simulator.assertNoFailures();
    const headers = { ...apiHeaders, authorization: `token ${signJwt(app, pem)}` };
    expect((await sendRequest(`${simulator.apiUrl}/app`, { headers })).status).toBe(401);
  });

  test('a clock that is wrong shows in the Date of the answer', async () => {
    const simulator = await start({ settings: { clockOffsetMs: -900_000 } });
    const { app, pem } = simulator.addApp();
    const refused = await callBy(simulator, signJwt(app, pem))('/app');
    expect(refused.text).toContain("'Expiration time' claim ('exp') is too far");
    const time = Math.floor(Date.parse(String(refused.headers.date)) / 1000);
    const mended = signJwt(app, pem, { iat: time - 60, exp: time + 540 });
    expect((await callBy(simulator, mended)('/app')).status).toBe(200);
    simulator.assertNoFailures();
  });

  test('is nobody elsewhere, and nobody else is it', async () => {
    const simulator = await start();
    const created = simulator.addApp();
    expect((await callAs(simulator, created)('/user')).status).toBe(401);
    expect(() => simulator.assertNoFailures()).toThrow('an app that speaks for itself');
    const token = await callWith(simulator)('/app');
    expect(token.json).toEqual(errorWith(401, 'A JSON web token could not be decoded'));
    simulator.assertNoFailures();
  });
});

describe('installations', () => {
  test('are listed, suspended ones too, and found by account and repository', async () => {
    const simulator = await start();
    const one = installApp(simulator, { owner: 'acme', isPublic: true });
    const two = simulator.install(one.app, { account: 'ada', repositories: ['notes'] });
    simulator.setSuspended(two, 'ada');
    const call = callAs(simulator, one);
    expect((await call('/app/installations')).json).toMatchObject([
      {
        id: one.installation.id,
        repository_selection: 'all',
        suspended_at: null,
        account: { login: 'acme' },
      },
      { id: two.id, repository_selection: 'selected', suspended_by: { login: 'ada' } },
    ]);
    const found = await call('/orgs/acme/installation');
    expect(found.json).toMatchObject({
      html_url: `${simulator.webUrl}/organizations/acme/settings/installations/${one.installation.id}`,
    });
    expect((await call('/users/ada/installation')).json).toMatchObject({ id: two.id });
    expect((await call('/repos/ada/notes/installation')).json).toMatchObject({ id: two.id });
    for (const path of [
      '/repos/ada/site/installation',
      '/orgs/others/installation',
      '/users/bob/installation',
    ]) {
      expect((await call(path)).status).toBe(404);
    }
    const other = simulator.addApp({ name: 'other-canary' });
    expect((await callAs(simulator, other)(`/app/installations/${two.id}`)).status).toBe(404);
    expect((await call('/app/installations?since=2100-01-01T00:00:00Z')).json).toEqual([]);
    simulator.assertNoFailures();
  });

  test('have the same numbers at every host', async () => {
    const [here, there] = [installApp(await start()), installApp(await startCloud())];
    expect(here.installation.id).toBe(there.installation.id);
    expect(here.app.id).toBe(there.app.id);
  });

  test('end by 204, or 202 in the new version, and with them their tokens', async () => {
    const simulator = await startCloud();
    const installed = installApp(simulator);
    const token = await mint(simulator, installed);
    const path = `/app/installations/${installed.installation.id}`;
    const call = callAs(simulator, installed);
    const headers = { 'x-github-api-version': '2026-03-10' };
    expect((await call(path, { method: 'DELETE', headers })).status).toBe(202);
    expect((await callBy(simulator, token)('/installation/repositories')).status).toBe(401);
    expect((await call(path, { method: 'DELETE' })).status).toBe(404);
    simulator.install(installed.app, { account: 'acme' });
    const next = `/app/installations/${installed.installation.id + 1}`;
    expect((await call(next, { method: 'DELETE' })).status).toBe(204);
    simulator.assertNoFailures();
  });

  test('an app suspends and lifts what it suspended, not what an owner did', async () => {
    const simulator = await start();
    const installed = installApp(simulator);
    const token = await mint(simulator, installed);
    const call = callAs(simulator, installed);
    const path = `/app/installations/${installed.installation.id}`;
    expect((await call(`${path}/suspended`, { method: 'PUT' })).status).toBe(204);
    const refused = await call(`${path}/access_tokens`, { method: 'POST' });
    expect(refused.json).toEqual(errorWith(403, 'This installation has been suspended'));
    const old = await callBy(simulator, token)('/installation/repositories');
    expect(old.json).toEqual(errorWith(403, 'This installation has been suspended'));
    expect((await call(`${path}/suspended`, { method: 'DELETE' })).status).toBe(204);
    expect((await callBy(simulator, token)('/installation/repositories')).status).toBe(200);
    simulator.setSuspended(installed.installation, 'ada');
    expect((await call(`${path}/suspended`, { method: 'DELETE' })).status).toBe(403);
    simulator.assertNoFailures();
  });
});

describe('an installation token', () => {
  test('is long where github.com makes it, 40 characters on a server, and lives an hour', async () => {
    const [server, cloud] = [await start(), await startCloud()];
    expect(await mint(server, installApp(server))).toMatch(/^ghs_canary[0-9a-f]{30}$/);
    const installed = installApp(cloud);
    const long = await mint(cloud, installed);
    expect(long).toMatch(new RegExp(`^ghs_${installed.app.id}_eyJ[\\w-]+\\.[\\w-]+\\.[\\w-]+$`));
    expect(Math.abs(long.length - 520)).toBeLessThan(25);
    const path = `/app/installations/${installed.installation.id}/access_tokens`;
    const old = await callAs(cloud, installed)(path, {
      method: 'POST',
      headers: { 'x-github-stateless-s2s-token': 'disabled' },
    });
    const { token, expires_at: end } = old.json as { token: string; expires_at: string };
    expect(token).toHaveLength(40);
    expect(Date.parse(end) - Date.now()).toBeGreaterThan(3_590_000);
    expect((await callBy(cloud, long)('/installation/repositories')).status).toBe(200);
    cloud.settings.clockOffsetMs = 3_601_000;
    expect((await callBy(cloud, long)('/installation/repositories')).status).toBe(401);
    cloud.assertNoFailures();
  });

  test('is nobody: no user, no list of theirs, and no role that it shows', async () => {
    const simulator = await start();
    const call = callBy(simulator, await mint(simulator, installApp(simulator)));
    for (const path of ['/user', '/user/repos', '/user/orgs', '/user/memberships/orgs']) {
      expect((await call(path)).json).toEqual(errorWith(403, 'Resource not accessible by integration'));
    }
    const { json } = await call('/repos/acme/api');
    expect(json).toMatchObject({ permissions: { admin: false, pull: false } });
    expect((await callWith(simulator)('/installation/repositories')).status).toBe(403);
    simulator.assertNoFailures();
  });

  test('narrowed to names or numbers reaches no further', async () => {
    const simulator = await start();
    const installed = installApp(simulator);
    const narrow = callBy(simulator, await mint(simulator, installed, { repositories: ['api'] }));
    const list = await narrow('/installation/repositories');
    expect(list.json).toMatchObject({ total_count: 1, repository_selection: 'selected' });
    expect(namesOf(list)).toEqual(['acme/api']);
    expect((await narrow('/repos/acme/web')).status).toBe(404);
    expect((await narrow('/repos/acme/web/hooks')).status).toBe(404);
    expect((await narrow(hooksOfApi)).status).toBe(200);
    const { id } = simulator.state.findRepository('acme/web') ?? { id: 0 };
    const byId = callBy(simulator, await mint(simulator, installed, { repository_ids: [id] }));
    expect(namesOf(await byId('/installation/repositories'))).toEqual(['acme/web']);
    simulator.assertNoFailures();
  });

  test.each<[string, object, string]>([
    ['a name with its owner', { repositories: ['acme/api'] }, 'at least one repository that does not exist'],
    ['a repository of somebody else', { repositories: ['tool'] }, 'at least one repository'],
    ['more than 500', { repositories: Array.from({ length: 501 }, () => 'api') }, 'Too many repositories'],
    [
      'a permission that was not granted',
      { permissions: { members: 'read' } },
      'not granted to this installation',
    ],
    ['more of one', { permissions: { metadata: 'write' } }, 'not granted to this installation'],
  ])('is not made for %s', async (_, json, message) => {
    const simulator = await start();
    const installed = installApp(simulator);
    const path = `/app/installations/${installed.installation.id}/access_tokens`;
    const refused = await callAs(simulator, installed)(path, { json });
    expect(refused.status).toBe(422);
    expect(refused.text).toContain(message);
  });

  test('with less may less; the app is told what it lacks until an owner agrees', async () => {
    const simulator = await start();
    const installed = installApp(simulator);
    const reading = callBy(
      simulator,
      await mint(simulator, installed, { permissions: { contents: 'read' } }),
    );
    const refused = await reading(hooksOfApi);
    expect(refused.json).toEqual(errorWith(403, 'Resource not accessible by integration'));
    await createHook(callBy(simulator, await mint(simulator, installed)));
    installed.app.permissions = { ...installed.app.permissions, members: 'read' };
    const path = `/app/installations/${installed.installation.id}/access_tokens`;
    const wish = { json: { permissions: { members: 'read' } } };
    expect((await callAs(simulator, installed)(path, wish)).status).toBe(422);
    simulator.acceptPermissions(installed.installation);
    expect((await callAs(simulator, installed)(path, wish)).status).toBe(201);
    simulator.assertNoFailures();
  });

  test('ends itself, and is unknown at first where servers lag behind', async () => {
    const simulator = await start({ settings: { replicationLagMs: 2_000 } });
    const installed = installApp(simulator);
    const call = callBy(simulator, await mint(simulator, installed));
    expect((await call('/installation/repositories')).status).toBe(401);
    simulator.settings.clockOffsetMs = 2_000;
    expect((await call('/installation/repositories')).status).toBe(200);
    expect((await call('/installation/token', { method: 'DELETE' })).status).toBe(204);
    expect((await call('/installation/token', { method: 'DELETE' })).status).toBe(401);
    simulator.assertNoFailures();
  });

  test('follows its installation: chosen repositories, and what is taken away', async () => {
    const simulator = await start();
    const installed = installApp(simulator, undefined, {
      account: 'acme',
      repositories: ['api', 'acme/web'],
    });
    const call = callBy(simulator, await mint(simulator, installed));
    expect(namesOf(await call('/installation/repositories'))).toEqual(['acme/api', 'acme/web']);
    simulator.changeRepositories(installed.installation, ['web']);
    expect(namesOf(await call('/installation/repositories'))).toEqual(['acme/web']);
    expect((await call('/repos/acme/web')).status).toBe(200);
    expect((await call('/repos/acme/api')).status).toBe(404);
    simulator.changeRepositories(installed.installation, 'all');
    expect((await call('/repos/others/tool')).status).toBe(404);
    expect((await call('/installation/repositories')).json).toMatchObject({ total_count: 5 });
    simulator.assertNoFailures();
  });
});

describe('changing what an installation reaches', () => {
  test('takes a classic token with repo, of an admin, and never the last one', async () => {
    const simulator = await start();
    const { installation } = installApp(simulator, undefined, { account: 'acme', repositories: ['api'] });
    const idOf = (name: string) => simulator.state.findRepository(name)?.id ?? 0;
    const path = (name: string) => `/user/installations/${installation.id}/repositories/${idOf(name)}`;
    const call = callWith(simulator);
    expect((await call(path('acme/web'), { method: 'PUT' })).status).toBe(204);
    expect(installation.repositoryIds.size).toBe(2);
    expect((await call(path('acme/web'), { method: 'DELETE' })).status).toBe(204);
    expect((await call(path('acme/api'), { method: 'DELETE' })).status).toBe(422);
    expect((await call(path('others/tool'), { method: 'PUT' })).status).toBe(404);
    expect((await callWith(simulator, { user: 'bob' })(path('acme/web'), { method: 'PUT' })).status).toBe(
      404,
    );
    const fine = callWith(simulator, { kind: 'fineGrained', resourceOwner: 'acme' });
    expect((await fine(path('acme/web'), { method: 'PUT' })).status).toBe(403);
    simulator.changeRepositories(installation, 'all');
    expect((await call(path('acme/web'), { method: 'DELETE' })).status).toBe(422);
    simulator.assertNoFailures();
  });
});
