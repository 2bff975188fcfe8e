import { describe, expect, test } from 'vitest';
import { AuthError, RateLimitError } from '../../src/errors.ts';
import { githubProvider } from '../../src/providers/github/index.ts';
import { installationKind, signInKind } from '../../src/providers/provider.ts';
import { Secret } from '../../src/secret.ts';
import { storeToken, type GithubToken } from '../simulators/github/token-state.ts';
import { requireUser } from '../simulators/github/state.ts';
import { smallWorld } from '../simulators/github/world.ts';
import type { GithubSimulator } from '../simulators/github/server.ts';
import { apps, cloud, linkGithub, openApp, startGithub } from './github-kit.ts';
import { collect, createSession } from './provider-kit.ts';

const body36 = 'CANARY'.repeat(6);

describe('the shape of a token', () => {
  test.each([
    ['ghp_', 'personal-access-token'],
    ['github_pat_', 'fine-grained-token'],
    ['gho_', 'oauth-token'],
    ['ghu_', 'oauth-token'],
    ['ghs_', installationKind],
    ['', 'personal-access-token'],
  ])('%s tells %s', (prefix, kind) => {
    expect(githubProvider.recogniseToken?.(new Secret(prefix + body36))).toEqual({ use: 'api', kind });
  });

  test('§0 no. 1, §13 no. 9: an installation token has any length and dots', () => {
    const stateless = `ghs_123456_eyJhbGciOi.${'canary'.repeat(80)}.FAKE-_`;
    for (const token of [stateless, 'ghs_canary']) {
      expect(githubProvider.recogniseToken?.(new Secret(token))).toEqual({
        use: 'api',
        kind: installationKind,
      });
    }
  });

  test('40 hex digits are a token of before 2021', () => {
    const token = new Secret('0123456789abcdef0123456789abcdef01234567');
    expect(githubProvider.recogniseToken?.(token)).toEqual({ use: 'api', kind: 'legacy-token' });
  });

  test.each([
    ['a refresh token', `ghr_${body36}`, '--method oauth'],
    ["an App's own token", 'eyJcanary.eyJcanary.canary-_', '--app-key-file'],
    ['a key', '-----BEGIN RSA PRIVATE KEY-----\ncanary\n-----END RSA PRIVATE KEY-----', '--app-key-file'],
  ])('%s is none to paste', (_name, text, hint) => {
    const shape = githubProvider.recogniseToken?.(new Secret(text));
    expect(shape).toMatchObject({ use: 'none', hint: expect.stringContaining(hint) as unknown });
  });
});

/** A token of ada's by way of an App. */
function addAppUser(github: GithubSimulator, client: GithubToken['client']): GithubToken {
  const user = requireUser(github.state, 'ada');
  return storeToken(github.state, Date.now(), { kind: 'userAccess', name: 'canary', user, client });
}

describe('identifying a token', () => {
  test.each([
    ['classic', 'personal-access-token', ['read:org', 'repo']],
    ['legacy', 'legacy-token', ['read:org', 'repo']],
    ['fineGrained', 'fine-grained-token', null],
  ] as const)('a %s one tells its account, kind and scopes', async (kind, credentialKind, scopes) => {
    const { access } = await linkGithub({}, { kind, scopes: ['repo', 'read:org'] });
    const account = { login: 'ada', kind: 'user' };
    expect(access.identity).toMatchObject({ account, credentialKind, scopes, expiresAt: null });
    expect(access.identity).not.toHaveProperty('hindrance');
  });

  test.each(['utc', 'offset'] as const)(
    '§13 no. 19: its end is read where the host writes it in the form %s',
    async (expiryFormat) => {
      const expiresAt = new Date('2031-03-04T05:06:07Z');
      const { access } = await linkGithub({ settings: { expiryFormat } }, { expiresAt });
      expect(access.identity.expiresAt).toBe(expiresAt.getTime());
    },
  );

  test("§13 no. 26: a sign-in's token that ends is not the end of the sign-in", async () => {
    const github = await startGithub();
    const session = createSession(githubProvider);
    const { secret } = github.addToken({ expiresAt: new Date(Date.now() + 60_000) });
    const identity = await githubProvider.identify(session.open(github.url, secret, { kind: signInKind }));
    expect(identity).toMatchObject({ credentialKind: signInKind, expiresAt: null });
  });

  test('too many wrong credentials are no word on a good one (§3)', async () => {
    const { github, session, access } = await linkGithub({ settings: { maxFailedLogins: 1 } });
    const wrong = session.open(github.url, `ghp_${body36}`);
    expect(await session.fail(githubProvider.identify(wrong))).toBeInstanceOf(AuthError);
    expect(await session.fail(githubProvider.identify(access))).toBeInstanceOf(RateLimitError);
  });
});

describe('§13 no. 14 and 15: organizations with single sign-on', () => {
  const world = {
    ...smallWorld,
    organizations: [
      { login: 'acme', members: { ada: 'admin' }, policy: { enforcesSaml: true } },
      { login: 'others', members: { ada: 'member' } },
    ],
  } as const;

  test('are named when a classic token is not authorised for them', async () => {
    const { access, github } = await linkGithub({ ...cloud, world });
    const { hindrance } = access.identity;
    const acme = github.state.findAccount('acme')?.id;
    expect(hindrance).toMatchObject({
      status: 'insufficient',
      reason: 'sso',
      pageUrl: `${github.url}/settings/tokens`,
    });
    expect(hindrance?.explanation).toContain(`id ${acme})`);
  });

  test('hide nothing from one that is', async () => {
    const github = await startGithub({ ...cloud, world });
    const token = github.addToken();
    token.ssoOrganizations.add(github.state.findAccount('acme')?.id ?? 0);
    const access = await createSession(githubProvider).link(github.url, token.secret);
    expect(access.identity).not.toHaveProperty('hindrance');
  });

  test('refuse what is asked of them with the page that authorises the token', async () => {
    const { access, session, github } = await linkGithub({ ...cloud, world });
    const error = await session.fail(githubProvider.findRepository(access, 'acme/api'));
    expect(error).toMatchObject({ code: 'forbidden' });
    expect(error.message).toContain('single sign-on');
    expect((error as AuthError).hint).toContain(`${github.url}/orgs/acme/sso?`);
  });
});

describe('a fine-grained token', () => {
  const world = {
    ...smallWorld,
    organizations: [
      { login: 'acme', members: { ada: 'member', bob: 'admin' }, policy: { approvesFineGrained: true } },
      { login: 'others', members: { bob: 'admin', ada: 'member' } },
    ],
  } as const;

  async function identifyFor(place: string | null, resourceOwner: string) {
    const github = await startGithub({ ...cloud, world });
    const { secret } = github.addToken({ kind: 'fineGrained', resourceOwner });
    const access = createSession(githubProvider).open(github.url, secret, {
      account: { login: place, kind: 'unknown', id: null },
    });
    return githubProvider.identify(access);
  }

  test.each(['acme', 'acme/api', 'ACME/api'])('that nobody approved yet is pending for %s', async (place) => {
    const identity = await identifyFor(place, 'acme');
    expect(identity).toMatchObject({
      account: { login: 'ada' },
      hindrance: { status: 'pending', reason: 'approval' },
    });
    expect(identity.hindrance?.explanation).toContain('approve');
  });

  test.each(['others', 'others/tool'])('that nobody has to approve works for %s', async (place) => {
    expect(await identifyFor(place, 'others')).not.toHaveProperty('hindrance');
  });

  test.each([null, 'ada', 'ada/notes', 'Ada/site'])('needs no approval for %s', async (place) => {
    expect(await identifyFor(place, 'ada')).not.toHaveProperty('hindrance');
  });

  test('§0 no. 10: finds its organization by the memberships, because the other list is empty for it', async () => {
    const { access, github } = await linkGithub({}, { kind: 'fineGrained', resourceOwner: 'acme' });
    expect(await collect(githubProvider.listNamespaces(access))).toEqual([
      { path: 'ada', kind: 'user' },
      { path: 'acme', kind: 'organization' },
    ]);
    expect(github.requests.map(({ path }) => path)).not.toContain('/api/v3/user/orgs');
  });
});

describe("an installation's token", () => {
  async function mintOn(account: string, repositories?: readonly string[]) {
    const opened = await openApp(cloud);
    const installation = opened.github.install(opened.app, {
      account,
      ...(repositories ? { repositories } : {}),
    });
    const { token } = await apps.mint(opened.access, String(installation.id), {
      repository: null,
      permissions: null,
    });
    const access = opened.session.open(opened.github.url, token.reveal(), { kind: installationKind });
    return { ...opened, installation, access };
  }

  test('§13 no. 10: is never asked who it is; what it reaches tells the account', async () => {
    const { access, github } = await mintOn('acme');
    const now = Date.now();
    expect(await githubProvider.identify({ ...access, now: () => now })).toEqual({
      account: { login: 'acme', kind: 'installation', id: null },
      credentialKind: installationKind,
      scopes: null,
      // Nobody renews one that was pasted.
      expiresAt: now + 3_600_000,
    });
    expect(github.requests.map(({ path }) => path)).not.toContain('/api/v3/user');
  });

  test('is known by its kind while it is not minted yet', async () => {
    const { access, github } = await mintOn('acme');
    const credential = { kind: installationKind, token: new Secret('') };
    expect((await githubProvider.identify({ ...access, credential })).credentialKind).toBe(installationKind);
    expect(github.requests.map(({ path }) => path)).not.toContain('/api/v3/user');
  });

  test('keeps the account that its link knows', async () => {
    const { access } = await mintOn('acme', []);
    const account = { login: 'acme', kind: 'installation', id: '7' } as const;
    expect(await githubProvider.identify({ ...access, account })).toMatchObject({ account, expiresAt: null });
  });

  test('reaches what was chosen, and may manage webhooks there without a role', async () => {
    const { access } = await mintOn('acme', ['api', 'web']);
    const found = await collect(githubProvider.listRepositories(access, null));
    expect(found.map(({ fullName }) => fullName)).toEqual(['acme/api', 'acme/web']);
    expect(found.every(({ canManageWebhooks }) => canManageWebhooks)).toBe(true);
    expect(await collect(githubProvider.listRepositories(access, 'ADA'))).toEqual([]);
    expect(await collect(githubProvider.listNamespaces(access))).toEqual([
      { path: 'acme', kind: 'organization' },
    ]);
    const own = { ...access, account: { login: 'Acme', kind: 'installation', id: '1' } } as const;
    expect(await githubProvider.findRepository(own, 'acme/api')).toEqual(found[0]);
    expect(await githubProvider.findRepository(own, 'ada/site')).toMatchObject({ canManageWebhooks: false });
    expect(await githubProvider.findRepository(own, 'acme/legacy')).toBeNull();
  });

  test('§13 no. 8: a suspended installation is no wrong token', async () => {
    const { access, github } = await mintOn('acme');
    const answer = { status: 403, json: { message: 'This installation has been suspended' } };
    github.faults.add({ fault: { kind: 'answer', answer } });
    expect((await githubProvider.identify(access)).hindrance).toMatchObject({
      status: 'suspended',
      reason: 'suspended',
    });
  });

  test('is ended by itself', async () => {
    const { access, session } = await mintOn('ada');
    expect(await githubProvider.revoke?.(access)).toEqual({ outcome: 'revoked' });
    expect(await githubProvider.revoke?.(access)).toEqual({ outcome: 'alreadyDead' });
    const error = await session.fail(githubProvider.identify(access));
    expect(error).toBeInstanceOf(AuthError);
    expect((error as AuthError).hint).toContain('--app-key-file');
  });
});

describe("a person's token by way of an App (ghu_)", () => {
  async function linkAppUser() {
    const opened = await openApp(cloud, { isPublic: true, permissions: { contents: 'write' } });
    const { github, app, session } = opened;
    github.install(app, { account: 'ada', repositories: ['notes'] });
    const ofAcme = github.install(app, { account: 'acme' });
    const { secret } = addAppUser(github, app.client);
    const access = session.open(github.url, secret, { kind: signInKind });
    return { ...opened, ofAcme, access };
  }

  test('has permissions where others have scopes, so that nothing seems to be missing', async () => {
    const { access } = await linkAppUser();
    const { scopes, credentialKind } = await githubProvider.identify(access);
    expect({ scopes, credentialKind }).toEqual({
      scopes: ['contents:write', 'metadata:read'],
      credentialKind: signInKind,
    });
    expect(githubProvider.compareScopes(scopes ?? [], ['repo', 'read:org'], signInKind)).toEqual({
      missing: [],
      excess: [],
    });
  });

  test('§4.1: reaches what the App is installed on, and §13 no. 8: nothing where it is suspended', async () => {
    const { access, github, ofAcme } = await linkAppUser();
    const names = async (namespace: string | null = null) =>
      (await collect(githubProvider.listRepositories(access, namespace))).map(({ fullName }) => fullName);
    const namespaces = async () =>
      (await collect(githubProvider.listNamespaces(access))).map(({ path }) => path);
    expect(await names()).toEqual(expect.arrayContaining(['ada/notes', 'acme/api']));
    expect(await names()).not.toContain('ada/site');
    expect(await names('ADA')).toEqual(['ada/notes']);
    expect(await namespaces()).toEqual(['ada', 'acme']);
    github.setSuspended(ofAcme, 'ada');
    expect(await names()).toEqual(['ada/notes']);
    expect(await namespaces()).toEqual(['ada']);
  });

  test('§13 no. 11: only such a token asks for installations', async () => {
    for (const kind of ['classic', 'fineGrained'] as const) {
      const { access, github } = await linkGithub(cloud, { kind });
      await collect(githubProvider.listNamespaces(access));
      await collect(githubProvider.listRepositories(access, null));
      expect(github.requests.filter(({ path }) => path.includes('/installations'))).toEqual([]);
    }
  });
});
