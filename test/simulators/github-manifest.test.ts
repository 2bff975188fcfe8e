import { createPrivateKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { GithubSimulator } from './github/server.ts';
import {
  browse,
  callAs,
  callBy,
  callWith,
  formOf,
  signJwt,
  start,
  startCloud,
  type GotPage,
} from './github-kit.ts';

const manifest = {
  name: 'gitlink-made',
  url: 'https://gitlink.example',
  redirect_url: 'http://127.0.0.1:53211/callback',
  callback_urls: ['http://127.0.0.1/callback'],
  public: false,
  default_permissions: { contents: 'write', repository_hooks: 'write' },
};

function propose(
  simulator: GithubSimulator,
  changes: object = {},
  place = '/settings/apps/new?state=canary-state',
): Promise<GotPage> {
  return browse(simulator, place, { manifest: JSON.stringify({ ...manifest, ...changes }) });
}

/** Both pages; gives the code. */
async function register(simulator: GithubSimulator, changes: object = {}): Promise<string> {
  const page = await propose(simulator, changes);
  const done = await browse(simulator, formOf(page, 'Create GitHub App'), { decision: 'approve' });
  return new URL(done.location ?? '').searchParams.get('code') ?? '';
}

describe('a manifest', () => {
  test('makes an app: a page to confirm, a way back, a key and secrets shown once', async () => {
    const simulator = await start();
    const page = await propose(simulator);
    expect([page.status, page.text]).toEqual([200, expect.stringContaining('gitlink-made')]);
    expect(simulator.state.apps.size).toBe(0);
    const done = await browse(simulator, formOf(page, 'Create GitHub App'), { name: 'Renamed by Ada' });
    const back = new URL(done.location ?? '');
    expect(back.origin + back.pathname).toBe(manifest.redirect_url);
    expect(back.searchParams.get('state')).toBe('canary-state');
    const convert = () =>
      callBy(simulator, '')(`/app-manifests/${back.searchParams.get('code')}/conversions`, {
        method: 'POST',
      });
    const made = await convert();
    expect(made.status).toBe(201);
    const { id, pem, ...app } = made.json as { id: number; pem: string };
    expect(app).toMatchObject({
      name: 'Renamed by Ada',
      slug: 'renamed-by-ada',
      owner: { login: 'ada' },
      webhook_secret: null,
      html_url: `${simulator.webUrl}/github-apps/renamed-by-ada`,
      permissions: { metadata: 'read', contents: 'write', repository_hooks: 'write' },
    });
    expect(pem).toContain('BEGIN RSA PRIVATE KEY');
    expect(createPrivateKey(pem).asymmetricKeyDetails?.modulusLength).toBe(2048);
    expect((await callBy(simulator, signJwt({ id }, pem))('/app')).status).toBe(200);
    expect((await convert()).status).toBe(404);
    simulator.assertNoFailures();
  });

  test('of an organization is for its owners', async () => {
    const simulator = await start();
    const page = await propose(simulator, {}, '/organizations/acme/settings/apps/new?state=s');
    await browse(simulator, formOf(page, 'Create GitHub App'), {});
    expect([...simulator.state.apps.values()][0]?.owner.login).toBe('acme');
    expect((await propose(simulator, {}, '/organizations/others/settings/apps/new?state=s')).status).toBe(
      404,
    );
    simulator.assertNoFailures();
  });

  test.each<[string, object, string]>([
    ['no homepage', { url: undefined }, '"url" wasn\'t supplied'],
    [
      'a webhook without an address, though it is off',
      { hook_attributes: { active: false } },
      '"url" wasn\'t supplied',
    ],
    ['no way back', { redirect_url: undefined }, 'redirect_url'],
    ['the name of an account', { name: 'acme' }, 'Name is already in use'],
    ['the name of an app', { name: 'Gitlink Canary' }, 'Name is already in use'],
    ['a name that is too long', { name: 'g'.repeat(35) }, 'too long'],
    ['a permission of another name', { default_permissions: { repo_hooks: 'write' } }, 'repo_hooks'],
    ['a key that there is not', { device_flow: true }, 'device_flow'],
    [
      'more than ten callbacks',
      { callback_urls: Array.from({ length: 11 }, () => 'http://127.0.0.1/') },
      'callback',
    ],
    ['events without a webhook', { default_events: ['push'] }, 'events'],
  ])('with %s is refused', async (_, changes, message) => {
    const simulator = await start();
    simulator.addApp();
    const page = await propose(simulator, changes);
    expect(page.status).toBe(422);
    expect(page.text.replaceAll('&#34;', '"')).toContain(message);
  });

  test('with a webhook on this machine: refused by github.com, taken by a server', async () => {
    const hook_attributes = { url: 'http://127.0.0.1:9/hook' };
    const refused = await propose(await startCloud(), { hook_attributes });
    expect(refused.text).toContain("isn't reachable over the public Internet");
    const simulator = await start();
    const code = await register(simulator, { hook_attributes, default_events: ['push'] });
    const { json } = await callBy(simulator, '')(`/app-manifests/${code}/conversions`, { method: 'POST' });
    expect(json).toMatchObject({
      webhook_secret: expect.stringMatching(/^canary/) as unknown,
      events: ['push'],
    });
    simulator.assertNoFailures();
  });

  test('its code lasts an hour and wants no credential', async () => {
    const simulator = await start();
    const path = `/app-manifests/${await register(simulator)}/conversions`;
    simulator.settings.clockOffsetMs = 3_600_000;
    expect((await callBy(simulator, '')(path, { method: 'POST' })).status).toBe(404);
    simulator.assertNoFailures();
    await callWith(simulator)(path, { method: 'POST' });
    expect(() => simulator.assertNoFailures()).toThrow('a credential at the conversion');
  });

  test('without a state is noticed', async () => {
    const simulator = await start();
    await propose(simulator, {}, '/settings/apps/new');
    expect(() => simulator.assertNoFailures()).toThrow('without a state');
  });
});

describe('the install page', () => {
  test('of a private app shows its owner alone; looking changes nothing', async () => {
    const simulator = await start();
    const created = simulator.addApp({ owner: 'ada' });
    const page = await browse(simulator, '/github-apps/gitlink-canary/installations/new');
    expect(page.text).toContain('<h2>ada</h2>');
    expect(page.text).not.toContain('acme');
    expect(simulator.installationsOf()).toEqual([]);
    const done = await browse(simulator, formOf(page, 'Install'), { decision: 'approve' });
    const [installation] = simulator.installationsOf(created.app);
    expect(done.location).toBe(`${simulator.webUrl}/settings/installations/${installation?.id}`);
    expect(installation).toMatchObject({ selection: 'all', account: { login: 'ada' } });
    simulator.person.signedInAs = 'bob';
    for (const page of ['', '/installations/new']) {
      expect((await browse(simulator, `/github-apps/gitlink-canary${page}`)).status).toBe(404);
    }
    simulator.assertNoFailures();
  });

  test('takes chosen repositories, and at least one', async () => {
    const simulator = await startCloud();
    const { app } = simulator.addApp({ owner: 'acme' });
    const page = await browse(simulator, '/apps/gitlink-canary/installations/new');
    const { id = 0 } = simulator.state.findRepository('acme/api') ?? {};
    const other = simulator.state.findRepository('acme/web')?.id ?? 0;
    const press = (ids: readonly number[]) =>
      browse(simulator, formOf(page, 'Install'), [
        ['install_target', 'selected'],
        ...ids.map((one) => ['repository_ids[]', String(one)] as const),
      ]);
    expect((await press([])).status).toBe(422);
    expect((await press([id, other])).status).toBe(302);
    expect(simulator.installationsOf(app)[0]?.repositoryIds).toEqual(new Set([id, other]));
    simulator.assertNoFailures();
  });

  test('a member asks, an owner grants; the app sees the wish and then the installation', async () => {
    const simulator = await start({ person: { signedInAs: 'bob' } });
    const created = simulator.addApp({ owner: 'bob', isPublic: true });
    const call = callAs(simulator, created);
    const { id: acme = 0 } = simulator.state.findAccount('acme') ?? {};
    const page = await browse(
      simulator,
      `/github-apps/gitlink-canary/installations/new/permissions?suggested_target_id=${acme}`,
    );
    const sent = await browse(simulator, formOf(page, 'Request'), {});
    expect(sent.text).toContain('An owner of acme has been asked');
    expect((await call('/app/installation-requests')).json).toMatchObject([
      { account: { login: 'acme' }, requester: { login: 'bob' } },
    ]);
    expect((await call('/app/installations')).json).toEqual([]);
    simulator.approveRequest(created.app, 'acme');
    expect((await call('/app/installation-requests')).json).toEqual([]);
    expect((await call('/app/installations')).json).toMatchObject([{ account: { login: 'acme' } }]);
    simulator.assertNoFailures();
  });

  test("goes on to the app's own page, with a number only where there is one", async () => {
    const simulator = await start({ person: { signedInAs: 'bob' } });
    simulator.addApp({ owner: 'bob', isPublic: true, setupUrl: 'http://127.0.0.1:9/setup' });
    const go = async (login: string, button: string) => {
      const { id } = simulator.state.findAccount(login) ?? { id: 0 };
      const path = `/github-apps/gitlink-canary/installations/new?state=s&target_id=${id}`;
      const done = await browse(simulator, formOf(await browse(simulator, path), button), {});
      return Object.fromEntries(new URL(done.location ?? '').searchParams);
    };
    expect(await go('acme', 'Request')).toEqual({ setup_action: 'request', state: 's' });
    expect(await go('others', 'Install')).toEqual({
      installation_id: String(simulator.installationsOf()[0]?.id),
      setup_action: 'install',
      state: 's',
    });
    simulator.assertNoFailures();
  });

  test('the settings of an installation: repositories, pause, end; for owners', async () => {
    const simulator = await start();
    const { app } = simulator.addApp({ owner: 'acme' });
    const installation = simulator.install(app, { account: 'acme' });
    const path = `/organizations/acme/settings/installations/${installation.id}`;
    const { id = 0 } = simulator.state.findRepository('acme/api') ?? {};
    const press = async (button: string, fields: Readonly<Record<string, string>>) =>
      browse(simulator, formOf(await browse(simulator, path), button), fields);
    await press('Save', { action: 'save', install_target: 'selected', 'repository_ids[]': String(id) });
    expect(installation).toMatchObject({ selection: 'selected', repositoryIds: new Set([id]) });
    await press('Suspend', { action: 'suspend' });
    expect(installation.suspendedBy?.login).toBe('ada');
    await press('Unsuspend', { action: 'unsuspend' });
    expect(installation.suspendedAt).toBeNull();
    simulator.person.signedInAs = 'bob';
    expect((await browse(simulator, path)).status).toBe(404);
    simulator.person.signedInAs = 'ada';
    await press('Uninstall', { action: 'uninstall' });
    expect(simulator.installationsOf()).toEqual([]);
    simulator.assertNoFailures();
  });
});
