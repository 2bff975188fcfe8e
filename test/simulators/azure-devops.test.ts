import { describe, expect, test } from 'vitest';
import {
  requireOrganization,
  requireProject,
  requireRepository,
  requireUser,
  zeroGuid,
} from './azure-devops/state.ts';
import {
  basic,
  callBy,
  callWith,
  messageOf,
  start,
  startServer,
  typeOf,
  valuesOf,
} from './azure-devops-kit.ts';
import { sendRequest } from './send-request.ts';

const connection = '/acme/_apis/connectionData';
const projects = '/acme/_apis/projects';
const noSuppress = { headers: { 'x-tfs-fedauthredirect': undefined } };

describe('who is signed in', () => {
  test.each(['new', 'old'] as const)(
    'a PAT of the %s shape says who its owner is, by any user name',
    async (shape) => {
      const simulator = await start();
      const { secret } = simulator.addToken({ shape, scopes: [] });
      const form =
        shape === 'new'
          ? /^\w{52}JQQJ99[A-Za-z0-9][A-L][A-Za-z0-9]{12}AAAAAZDO[A-Za-z0-9]{4}$/
          : /^[a-z2-7]{52}$/;
      expect(secret).toMatch(form);
      for (const username of ['', 'gitlink', 'acme']) {
        const { json } = await callBy(simulator, basic(secret, username))(connection);
        expect(json).toMatchObject({
          authenticatedUser: {
            id: requireUser(simulator.state, 'ada').id,
            providerDisplayName: 'Ada Lovelace',
            properties: { Account: { $value: 'ada@acme.test' } },
          },
          instanceId: requireOrganization(simulator.state, 'acme').id,
          deploymentType: 'hosted',
        });
      }
      simulator.assertNoFailures();
    },
  );

  test('an Entra token is a JWT of real size and goes by Bearer', async () => {
    const simulator = await start();
    const { secret } = simulator.addEntraToken({ scopes: ['vso.code'] });
    expect(secret.length).toBeGreaterThan(1500);
    expect(secret.length).toBeLessThan(3000);
    const claims = JSON.parse(Buffer.from(secret.split('.')[1] ?? '', 'base64url').toString()) as unknown;
    expect(claims).toMatchObject({ scp: 'vso.code', upn: 'ada@acme.test' });
    expect((await callBy(simulator, `Bearer ${secret}`)(connection)).status).toBe(200);
    expect((await callBy(simulator, basic(secret))(connection)).status).toBe(401);
  });

  test('without a credential some organizations answer as Anonymous, the others tell their tenant', async () => {
    const simulator = await start();
    const call = callBy(simulator, null);
    expect((await call('/homebrew/_apis/connectionData')).json).toMatchObject({
      authenticatedUser: { id: 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa', providerDisplayName: 'Anonymous' },
    });
    const { tenant } = requireOrganization(simulator.state, 'acme');
    for (const path of [connection, '/acme']) {
      const { status, headers } = await call(path);
      expect(status).toBe(401);
      expect(headers['x-vss-resourcetenant']).toBe(tenant);
      expect(headers['www-authenticate']).toMatch(
        `Bearer authorization_uri=${simulator.url}/login/${tenant},`,
      );
    }
    const { status, headers } = await sendRequest(`${simulator.url}/homebrew`, { method: 'HEAD' });
    expect([status, headers['x-vss-resourcetenant']]).toEqual([302, zeroGuid]);
    const unknown = await call('/nowhere');
    expect([unknown.status, unknown.headers['x-vss-resourcetenant']]).toEqual([404, undefined]);
    expect((await call('/nowhere/_apis/connectionData')).status).toBe(404);
  });
});

describe('bad credentials', () => {
  const wrong: [string, (simulator: Awaited<ReturnType<typeof start>>) => string][] = [
    ['unknown', () => basic('canary')],
    ['expired', (simulator) => basic(simulator.addToken({ expiresAt: Date.now() - 1 }).secret)],
    [
      'revoked',
      (simulator) => {
        const token = simulator.addToken();
        token.revoked = true;
        return basic(token.secret);
      },
    ],
    ['a PAT by Bearer', (simulator) => `Bearer ${simulator.addToken().secret}`],
    ['an expired Entra token', (simulator) => `Bearer ${simulator.addEntraToken({ expiresAt: 1 }).secret}`],
  ];

  test.each(wrong)('%s: the sign-in page, or a 401 for those who ask', async (_, make) => {
    const simulator = await start();
    const call = callBy(simulator, make(simulator));
    const page = await call(connection, noSuppress);
    expect([page.status, page.headers['content-type']]).toEqual([203, 'text/html; charset=utf-8']);
    expect(page.text).toContain('Sign In');
    simulator.settings.signIn = 'redirect';
    const redirect = await call(projects, noSuppress);
    expect([redirect.status, redirect.headers.location]).toEqual([302, `${simulator.url}/_signin`]);
    const refused = await call(connection);
    expect([refused.status, typeOf(refused)]).toEqual([401, 'UnauthorizedRequestException']);
    expect(messageOf(refused)).toMatch(/^TF400813: /);
    simulator.settings.suppressedBody = 'empty';
    expect(await call(connection)).toMatchObject({ status: 401, text: '' });
  });

  test('a PAT of another organization and a token of another tenant are refused in other words', async () => {
    const simulator = await start();
    const pat = callWith(simulator, { organization: 'acme-labs' });
    const eve = callBy(simulator, `Bearer ${simulator.addEntraToken({ user: 'eve' }).secret}`);
    for (const call of [pat, eve]) {
      const refused = await call(projects);
      expect(refused.status).toBe(401);
      expect(messageOf(refused)).toMatch(/^VS30063: You are not authorized to access/);
      expect((await call(projects, noSuppress)).status).toBe(203);
    }
  });

  test('who never opened the organization, and who does not belong to it', async () => {
    const simulator = await start();
    const by = (user: string) => callBy(simulator, `Bearer ${simulator.addEntraToken({ user }).secret}`);
    const absent = await by('zoe')(connection);
    expect([absent.status, typeOf(absent)]).toEqual([401, 'AadUserStateException']);
    expect(messageOf(absent)).toContain('has not been materialized');
    expect((await by('bob')('/acme-labs/_apis/connectionData')).status).toBe(401);
  });

  test('too few scopes look like a bad token, or as a test likes', async () => {
    const simulator = await start();
    const call = callWith(simulator, { scopes: ['vso.packaging'] });
    expect((await call(connection)).status).toBe(200);
    const refused = await call(projects);
    expect([refused.status, typeOf(refused)]).toEqual([401, 'UnauthorizedRequestException']);
    for (const status of [403, 203] as const) {
      simulator.settings.scopeRefusal = status;
      expect((await call(projects)).status).toBe(status);
    }
  });
});

describe('versions', () => {
  test.each([
    ['none', `${projects}?$top=1&api-version=`, 'VssVersionNotSupportedException'],
    ['too new', `${projects}?api-version=8.0`, 'VssVersionOutOfRangeException'],
    ['a preview without the word', `${projects}?api-version=7.2`, 'VssInvalidPreviewVersionException'],
    ['what was never released', `${connection}?api-version=7.1`, 'VssInvalidPreviewVersionException'],
  ])('%s', async (_, path, type) => {
    const simulator = await start();
    const { status, json } = await callWith(simulator)(path);
    expect(status).toBe(400);
    expect(json).toMatchObject({ $id: '1', typeKey: type, eventId: 3000, errorCode: 0 });
  });

  test('it must be there, in the query or in Accept', async () => {
    const simulator = await start();
    const authorization = basic(simulator.addToken().secret);
    const without = await sendRequest(simulator.url + projects, { authorization });
    expect([without.status, typeOf(without)]).toEqual([400, 'VssVersionNotSpecifiedException']);
    const headers = { accept: 'application/json;api-version=7.1' };
    expect((await sendRequest(simulator.url + projects, { authorization, headers })).status).toBe(200);
    simulator.assertNoFailures();
  });
});

describe('lists', () => {
  test('projects: those that the caller sees, well formed, page by page', async () => {
    const simulator = await start();
    const ada = callWith(simulator);
    const names = (response: Awaited<ReturnType<typeof ada>>) => valuesOf(response).map(({ name }) => name);
    const first = await ada(`${projects}?$top=3`);
    expect(names(first)).toEqual(['Platform', 'Secret plans', 'Straße Süd']);
    const token = String(first.headers['x-ms-continuationtoken']);
    const last = await ada(`${projects}?$top=3&continuationToken=${token}`);
    expect(names(last)).toEqual(['Versions of old']);
    expect(last.headers['x-ms-continuationtoken']).toBeUndefined();
    expect(names(await ada(`${projects}?stateFilter=all`))).toContain('Going');
    expect(names(await callWith(simulator, { user: 'bob' })(projects))).toEqual(['Platform', 'Straße Süd']);
    simulator.assertNoFailures();
    await ada(`${projects}?$top=3&continuationToken=1`);
    expect(() => simulator.assertNoFailures()).toThrow(/continuation token/);
    await ada(`${projects}?page=2`);
    expect(() => simulator.assertNoFailures()).toThrow(/unknown query parameter page/);
  });

  test('a page is a hundred projects unless told otherwise', async () => {
    const big = { name: 'Big', count: 101 };
    const world = {
      users: [{ login: 'ada', tenant: 'acme' }],
      organizations: [{ name: 'acme', tenant: 'acme', members: { ada: 'administrator' }, projects: [big] }],
    } as const;
    const simulator = await start({ world });
    const response = await callWith(simulator)(projects);
    expect(valuesOf(response)).toHaveLength(100);
    expect(response.headers['x-ms-continuationtoken']).toBe('100');
  });

  test('repositories of the organization, of a project by name and id, and one', async () => {
    const simulator = await start();
    const { state, url } = simulator;
    const call = callWith(simulator);
    const all = valuesOf(await call('/acme/_apis/git/repositories'));
    expect(all.map(({ name }) => name)).toEqual([
      'api',
      'gateway',
      'Platform',
      'empty',
      'old',
      'api',
      'werk zeug',
      'plan',
    ]);
    const { guid } = requireRepository(state, 'acme/Straße Süd/werk zeug');
    const host = url.replace('http://', '');
    expect(all[6]).toMatchObject({
      id: guid,
      defaultBranch: 'refs/heads/main',
      remoteUrl: `http://acme@${host}/acme/Stra%C3%9Fe%20S%C3%BCd/_git/werk%20zeug`,
      sshUrl: 'git@ssh.dev.azure.com:v3/acme/Stra%C3%9Fe%20S%C3%BCd/werk%20zeug',
      webUrl: `${url}/acme/Stra%C3%9Fe%20S%C3%BCd/_git/werk%20zeug`,
    });
    expect(all[3]).not.toHaveProperty('defaultBranch');
    expect(all[4]).toMatchObject({ name: 'old', isDisabled: true });
    const project = requireProject(state, 'acme/Straße Süd');
    for (const place of [project.id, encodeURIComponent(project.name)]) {
      const list = await call(`/acme/${place}/_apis/git/repositories`);
      expect(valuesOf(list).map(({ name }) => name)).toEqual(['api', 'werk zeug']);
      for (const name of [guid, 'werk%20zeug']) {
        expect((await call(`/acme/${place}/_apis/git/repositories/${name}`)).json).toEqual(all[6]);
      }
    }
    const hidden = await call('/acme/Platform/_apis/git/repositories?includeHidden=true');
    expect(valuesOf(hidden).map(({ name }) => name)).toContain('Platform.wiki');
    simulator.assertNoFailures();
  });

  test('what is unknown or hidden is not there', async () => {
    const simulator = await start();
    const bob = callWith(simulator, { user: 'bob' });
    const project = await bob('/acme/Secret%20plans/_apis/git/repositories');
    expect([project.status, typeOf(project)]).toEqual([404, 'ProjectDoesNotExistWithNameException']);
    expect(messageOf(project)).toMatch(/^TF200016: /);
    const { id } = requireProject(simulator.state, 'acme/Secret plans');
    const byId = await bob(`/acme/_apis/projects/${id}`);
    expect([byId.status, typeOf(byId)]).toEqual([404, 'ProjectDoesNotExistException']);
    expect(messageOf(byId)).toMatch(/^VS800075: /);
    const repository = await bob('/acme/Platform/_apis/git/repositories/none');
    expect([repository.status, typeOf(repository)]).toEqual([404, 'GitRepositoryNotFoundException']);
    expect(messageOf(repository)).toMatch(/^TF401019: /);
    expect((await bob('/acme/_apis/git/repositories/api')).status).toBe(404);
  });
});

describe('profile and organizations', () => {
  test('an Entra token lists the organizations of its tenant; a PAT cannot', async () => {
    const simulator = await start();
    const ada = callBy(simulator, `Bearer ${simulator.addEntraToken().secret}`);
    const { json } = await ada('/app-vssps/_apis/profile/profiles/me');
    const { id } = requireUser(simulator.state, 'ada');
    // A guest there: the token is of another tenant.
    const { members } = requireOrganization(simulator.state, 'others');
    members.set(id, { role: 'member', materialized: true });
    expect(json).toMatchObject({
      id,
      publicAlias: id,
      displayName: 'Ada Lovelace',
      emailAddress: 'ada@acme.test',
    });
    const accounts = await ada(`/app-vssps/_apis/accounts?memberId=${id}`);
    expect(valuesOf(accounts).map(({ accountName }) => accountName)).toEqual(['acme', 'acme-labs']);
    const pat = callWith(simulator);
    expect((await pat('/app-vssps/_apis/profile/profiles/me')).status).toBe(200);
    expect((await pat(`/app-vssps/_apis/accounts?memberId=${id}`)).status).toBe(401);
    expect((await ada('/app-vssps/_apis/accounts')).status).toBe(400);
    const ci = callBy(simulator, `Bearer ${simulator.addEntraToken({ user: 'ci' }).secret}`);
    const own = requireUser(simulator.state, 'ci').id;
    expect(valuesOf(await ci(`/app-vssps/_apis/accounts?memberId=${own}`))).toEqual([]);
    simulator.assertNoFailures();
  });
});

describe('limits', () => {
  test('Retry-After with a good answer, then 429', async () => {
    const simulator = await start({ settings: { delayS: 7 } });
    const call = callWith(simulator);
    expect(await call(projects)).toMatchObject({
      status: 200,
      headers: { 'retry-after': '7', 'x-ratelimit-delay': '7' },
    });
    simulator.settings.delayS = null;
    expect((await call(projects)).headers).not.toHaveProperty('retry-after');
    simulator.settings.throttle = { requests: 1, windowMs: 60_000 };
    expect((await call(projects)).status).toBe(200);
    const refused = await call(projects);
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, '60']);
    expect(messageOf(refused)).toMatch(/^TF400733: /);
    simulator.settings.clockOffsetMs = 61_000;
    expect((await call(projects)).status).toBe(200);
  });
});

describe('Azure DevOps Server', () => {
  test('collections below /tfs, PATs alone, an older API', async () => {
    const simulator = await startServer({ highestVersion: '6.0' });
    expect(simulator.urlOf('acme')).toMatch(/\/tfs\/acme$/);
    const call = callWith(simulator, { shape: 'old' });
    const newer = await call(`${connection}?api-version=7.0-preview.1`);
    expect([newer.status, typeOf(newer)]).toEqual([400, 'VssVersionOutOfRangeException']);
    const { json } = await call(`${connection}?api-version=6.0-preview.1`);
    expect(json).toMatchObject({ deploymentType: 'onPremises' });
    const [first] = valuesOf(await call('/acme/_apis/git/repositories?api-version=6.0'));
    expect(first).toMatchObject({ remoteUrl: `${simulator.url}/acme/Platform/_git/api` });
    const entra = callBy(simulator, `Bearer ${simulator.addEntraToken().secret}`);
    expect((await entra(connection)).status).toBe(401);
    simulator.assertNoFailures();
  });

  test('a stranger is told to sign in with Windows or a token, never by a page of a good status', async () => {
    const simulator = await startServer();
    const call = callBy(simulator, null);
    for (const path of [connection, '/_apis/connectionData']) {
      const { status, headers } = await call(path, noSuppress);
      expect(status).toBe(401);
      expect(headers['www-authenticate']).toContain('NTLM');
      expect(headers).not.toHaveProperty('x-vss-resourcetenant');
    }
    await callWith(simulator)('/app-vssps/_apis/profile/profiles/me');
    expect(() => simulator.assertNoFailures()).toThrow(/before it was known|unknown route/);
  });
});
