import { describe, expect, test } from 'vitest';
import type { NewToken } from './github/token-state.ts';
import type { GithubWorld } from './github/world.ts';
import { callBy, callWith, errorWith, hookBody, hooksOfApi, namesOf, start } from './github-kit.ts';

/** ada and acme with one rule of its own, and a repository of each sort. */
function worldWith(
  policy: NonNullable<GithubWorld['organizations']>[number]['policy'],
  member: 'admin' | 'member' = 'member',
): GithubWorld {
  return {
    users: [{ login: 'ada' }],
    organizations: [{ login: 'acme', members: { ada: member }, policy: policy ?? {} }],
    repositories: [{ path: 'acme/api' }, { path: 'acme/site', private: false }, { path: 'ada/notes' }],
  };
}

describe('a token', () => {
  test.each<[string, NewToken, RegExp]>([
    ['classic', { kind: 'classic' }, /^ghp_canary[0-9a-f]{30}$/],
    ['from before 2021', { kind: 'legacy' }, /^[0-9a-f]{40}$/],
    ['fine-grained', { kind: 'fineGrained' }, /^github_pat_canary\w{16}_\w{59}$/],
  ])('%s: has its shape, says who, and ends with 401', async (_, token, shape) => {
    const simulator = await start();
    const { secret, ...made } = simulator.addToken(token);
    expect(secret).toMatch(shape);
    const call = callBy(simulator, secret);
    expect((await call('/user')).json).toMatchObject({ login: 'ada', type: 'User' });
    const kept = simulator.state.tokens.get(secret);
    if (kept) kept.revoked = true;
    const dead = await call('/user');
    expect([dead.status, dead.json]).toEqual([401, errorWith(401, 'Bad credentials')]);
    expect(made.lastUsedAt).toBeNull();
    simulator.assertNoFailures();
  });

  test('its end is told in one of two ways, and then it is dead', async () => {
    const simulator = await start();
    const expiresAt = new Date(Math.floor(Date.now() / 1000) * 1000 + 60_000);
    const call = callWith(simulator, { expiresAt });
    const told = async () =>
      String((await call('/user')).headers['github-authentication-token-expiration'] ?? '');
    const utc = await told();
    expect(utc).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
    simulator.settings.expiryFormat = 'offset';
    const offset = await told();
    expect(offset).toMatch(/ -0500$/);
    expect([Date.parse(utc), Date.parse(offset)]).toEqual([expiresAt.getTime(), expiresAt.getTime()]);
    simulator.settings.clockOffsetMs = 61_000;
    expect((await call('/user')).status).toBe(401);
    simulator.assertNoFailures();
  });

  test('scopes are shown where there are some, normalised, and permissions where there are those', async () => {
    const simulator = await start();
    const scopes = ['repo', 'public_repo', 'admin:org', 'read:org'];
    const classic = await callWith(simulator, { scopes })('/user/orgs');
    expect(classic.headers['x-oauth-scopes']).toBe('admin:org, repo');
    expect(classic.headers['x-accepted-oauth-scopes']).toContain('read:org');
    const fine = await callWith(simulator, { kind: 'fineGrained' })('/repos/ada/notes/hooks');
    expect(fine.headers['x-oauth-scopes']).toBeUndefined();
    expect(fine.headers['x-accepted-github-permissions']).toBe('repository_hooks=read');
    simulator.assertNoFailures();
  });

  test('too many wrong ones in an hour, and good ones are refused as well', async () => {
    const simulator = await start({ settings: { maxFailedLogins: 2 } });
    const [good, wrong] = [callWith(simulator), callBy(simulator, 'ghp_canary-wrong')];
    expect([(await wrong('/user')).status, (await wrong('/user')).status]).toEqual([401, 401]);
    expect((await good('/user')).status).toBe(403);
    simulator.settings.clockOffsetMs = 3_600_000;
    expect((await good('/user')).status).toBe(200);
  });

  test('nobody is told so by 401, but sees what is public', async () => {
    const simulator = await start();
    const nobody = callBy(simulator, '');
    expect((await nobody('/user')).json).toEqual(errorWith(401, 'Requires authentication'));
    expect((await nobody('/repos/ada/site')).status).toBe(200);
    expect((await nobody('/repos/ada/notes')).status).toBe(404);
    expect(namesOf(await nobody('/orgs/acme/repos'))).toEqual(['acme/handbook']);
    simulator.assertNoFailures();
  });
});

describe('a classic token', () => {
  test('without a scope lists no organizations and sees nothing private', async () => {
    const simulator = await start();
    const call = callWith(simulator, { scopes: [] });
    for (const path of ['/user/orgs', '/user/memberships/orgs']) expect((await call(path)).status).toBe(403);
    expect(namesOf(await call('/user/repos'))).toEqual(['acme/handbook', 'ada/site']);
    expect((await call('/repos/acme/api')).status).toBe(404);
    simulator.assertNoFailures();
  });

  test('lists where its user belongs, and as what', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    const { json } = await call('/user/memberships/orgs?state=active');
    const seen = (json as { role: string; organization: { login: string } }[]).map(
      ({ role, organization }) => [organization.login, role],
    );
    expect(seen).toEqual([
      ['acme', 'admin'],
      ['others', 'member'],
    ]);
    expect((await call('/user/orgs')).json).toMatchObject([{ login: 'acme' }, { login: 'others' }]);
    simulator.assertNoFailures();
  });

  test('webhooks by scopes of their own: without one there seem to be none, with each as far as it goes', async () => {
    const simulator = await start();
    const tryAll = async (scopes: readonly string[], place = hooksOfApi) => {
      const call = callWith(simulator, { scopes });
      const read = await call(place);
      const made = await call(place, { json: hookBody });
      const hook = simulator.hooksOf(place.slice('/repos/'.length, -'/hooks'.length)).at(-1);
      const gone = await call(`${place}/${hook?.id ?? 1}`, { method: 'DELETE' });
      if (hook) hook.url = 'http://127.0.0.1:9/other';
      return [read.status, made.status, gone.status];
    };
    expect(await tryAll(['read:org'])).toEqual([404, 404, 404]);
    expect(await tryAll(['public_repo'])).toEqual([404, 404, 404]);
    expect(await tryAll(['read:repo_hook'])).toEqual([200, 404, 404]);
    expect(await tryAll(['write:repo_hook'])).toEqual([200, 201, 404]);
    expect(await tryAll(['admin:repo_hook'])).toEqual([200, 201, 204]);
    expect(await tryAll(['repo'])).toEqual([200, 201, 204]);
    expect(await tryAll(['public_repo'], '/repos/ada/site/hooks')).toEqual([200, 201, 204]);
    // What it manages it does not see otherwise.
    const narrow = callWith(simulator, { scopes: ['admin:repo_hook'] });
    expect((await narrow('/repos/acme/api')).status).toBe(404);
    expect((await narrow('/repos/bob/secret/hooks')).status).toBe(404);
    expect((await callWith(simulator, { user: 'bob' })(hooksOfApi)).status).toBe(404);
    simulator.assertNoFailures();
  });
});

describe('a fine-grained token', () => {
  test('reaches one account: an empty list of organizations, its own membership, the chosen repositories', async () => {
    const simulator = await start();
    const call = callWith(simulator, {
      kind: 'fineGrained',
      resourceOwner: 'acme',
      repositories: ['acme/api'],
    });
    expect((await call('/user/orgs')).json).toEqual([]);
    expect((await call('/user/memberships/orgs')).json).toMatchObject([{ organization: { login: 'acme' } }]);
    expect(namesOf(await call('/user/repos'))).toEqual(['acme/api', 'acme/handbook', 'ada/site']);
    expect((await call('/repos/acme/web')).status).toBe(404);
    const all = callWith(simulator, { kind: 'fineGrained', resourceOwner: 'acme' });
    expect((await all('/repos/acme/web')).status).toBe(200);
    expect((await all('/repos/ada/notes')).status).toBe(404);
    expect((await call('/user/installations')).json).toEqual(
      errorWith(403, 'Resource not accessible by personal access token'),
    );
    simulator.assertNoFailures();
  });

  test('without a permission is told so, and with it still needs the role', async () => {
    const simulator = await start();
    const acme = { kind: 'fineGrained', resourceOwner: 'acme' } as const;
    const reading = callWith(simulator, { ...acme, permissions: { repository_hooks: 'read' } });
    expect((await reading(hooksOfApi)).status).toBe(200);
    const refused = await reading(hooksOfApi, { json: hookBody });
    expect(refused.json).toEqual(errorWith(403, 'Resource not accessible by personal access token'));
    expect(refused.headers['x-accepted-github-permissions']).toBe('repository_hooks=write');
    expect((await callWith(simulator, { ...acme, user: 'bob' })(hooksOfApi)).status).toBe(404);
    simulator.assertNoFailures();
  });

  test("that waits for approval sees public things only; an owner's own never waits", async () => {
    const policy = { approvesFineGrained: true };
    const fine = { kind: 'fineGrained', resourceOwner: 'acme' } as const;
    const waiting = callWith(await start({ world: worldWith(policy) }), fine);
    expect((await waiting('/repos/acme/api')).status).toBe(404);
    expect(namesOf(await waiting('/orgs/acme/repos'))).toEqual(['acme/site']);
    const owners = callWith(await start({ world: worldWith(policy, 'admin') }), fine);
    expect((await owners('/repos/acme/api')).status).toBe(200);
  });
});

describe('rules of an organization', () => {
  test('single sign-on: refused with an address, and lists that say what they leave out', async () => {
    const simulator = await start({ world: worldWith({ enforcesSaml: true }) });
    const token = simulator.addToken();
    const call = callBy(simulator, token.secret);
    const refused = await call('/repos/acme/api');
    expect(refused.status).toBe(403);
    expect(refused.headers['x-github-sso']).toMatch(/^required; url=http/);
    expect(refused.text).toContain('SAML enforcement');
    const { id } = simulator.state.findAccount('acme') ?? { id: 0 };
    for (const path of ['/user/repos', '/user/orgs', '/orgs/acme/repos']) {
      expect((await call(path)).headers['x-github-sso']).toBe(`partial-results; organizations=${id}`);
    }
    token.ssoOrganizations.add(id);
    expect((await call('/repos/acme/api')).status).toBe(200);
    const fine = callWith(simulator, { kind: 'fineGrained', resourceOwner: 'acme' });
    expect((await fine('/repos/acme/api')).status).toBe(200);
    simulator.assertNoFailures();
  });

  test('an allow list also closes what is public, to those who say who they are', async () => {
    const simulator = await start({ world: worldWith({ blocksAddress: true }) });
    const call = callWith(simulator);
    for (const path of ['/repos/acme/api', '/repos/acme/site', '/orgs/acme/repos']) {
      expect((await call(path)).text).toContain('IP allow list');
    }
    expect((await callBy(simulator, '')('/repos/acme/site')).status).toBe(200);
    simulator.assertNoFailures();
  });

  test('classic tokens are not welcome everywhere', async () => {
    const simulator = await start({ world: worldWith({ blocksClassicTokens: true }) });
    const refused = await callWith(simulator)('/repos/acme/api');
    expect(refused.status).toBe(403);
    expect(refused.text).toContain('forbids access via a personal access token (classic)');
    simulator.assertNoFailures();
  });
});
