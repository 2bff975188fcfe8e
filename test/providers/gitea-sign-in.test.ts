import { describe, expect, onTestFinished, test } from 'vitest';
import { ForbiddenError, UnreachableError, UnsupportedError } from '../../src/errors.ts';
import { signInByBrowser } from '../../src/oauth/authorization-code.ts';
import { refreshTokens } from '../../src/oauth/refresh.ts';
import type { TokenSet } from '../../src/oauth/token-set.ts';
import { toOAuthClient } from '../../src/operations/client-identity.ts';
import { giteaProvider } from '../../src/providers/gitea/index.ts';
import { rotate } from '../../src/providers/gitea/rotate.ts';
import { oauth } from '../../src/providers/gitea/sign-in.ts';
import type { ClientIdentity, OAuthSupport } from '../../src/providers/oauth-support.ts';
import { signInKind, type HostAccess } from '../../src/providers/provider.ts';
import { systemClock, systemRandom } from '../../src/runtime.ts';
import { Secret } from '../../src/secret.ts';
import { catchError, createTestClient } from '../http/http-kit.ts';
import {
  startGiteaSimulator,
  type GiteaSimulator,
  type GiteaSimulatorOptions,
} from '../simulators/gitea/server.ts';
import { visit } from '../support/browser.ts';

/** As the operations see it. */
const support: OAuthSupport = oauth;
const userAgent = 'gitlink/test';
const registeredRedirect = 'http://127.0.0.1/callback';
const constantScopes = ['read:organization', 'read:user', 'write:repository'];
const network = {
  fetch: globalThis.fetch,
  clock: systemClock,
  userAgent,
  signal: new AbortController().signal,
};

const gitea126 = { flavour: 'gitea', version: '1.26.2' } as const;
const gitea122 = { flavour: 'gitea', version: '1.22.6' } as const;
const forgejo = { flavour: 'forgejo' } as const;
const forgejo8 = { flavour: 'forgejo', version: '8.0.0' } as const;

/** A simulator that ends with the test and must not have met anything strange. */
async function start(options: GiteaSimulatorOptions = {}): Promise<GiteaSimulator> {
  const gitea = await startGiteaSimulator(options);
  onTestFinished(async () => {
    await gitea.close();
    gitea.assertNoFailures();
  });
  return gitea;
}

async function open(
  gitea: GiteaSimulator,
  token: Secret,
  made: Partial<Pick<HostAccess, 'client' | 'version'>> & { readonly kind?: string } = {},
): Promise<HostAccess> {
  const host = gitea.url;
  const anonymous = createTestClient(`${host}/api/v1`, { userAgent, authorize: () => Promise.resolve(null) });
  const description = await giteaProvider.recognise(host, anonymous);
  if (description === null) throw new Error('The simulator is not recognised.');
  const credential = { kind: made.kind ?? 'token', token };
  const openBase = (base: string) =>
    createTestClient(base, {
      userAgent,
      authorize: () => Promise.resolve(giteaProvider.toAuthorization(credential)),
    });
  return {
    ...description,
    ...('version' in made ? { version: made.version ?? null } : {}),
    credential,
    client: made.client ?? null,
    account: { login: null, kind: 'unknown', id: null },
    http: openBase(`${host}/api/v1`),
    openBase: (base) => Promise.resolve(openBase(base)),
    now: () => Date.UTC(2026, 10, 20, 7, 41, 58),
    sleep: (durationMs) => systemClock.sleep(durationMs),
  };
}

function register(gitea: GiteaSimulator, application: object = {}): ClientIdentity {
  const { clientId, clientSecret } = gitea.oauth.addApplication(application);
  return { id: clientId, secret: new Secret(clientSecret) };
}

/** Signs in as the adapter's data says, by the real flow; the person approves. */
function signIn(gitea: GiteaSimulator, client: ClientIdentity, scope?: string): Promise<TokenSet> {
  return signInByBrowser({
    client: toOAuthClient({ host: gitea.url }, oauth, client),
    network,
    authorizationEndpoint: oauth.toEndpoints({ host: gitea.url }).authorization,
    scope: scope ?? support.toScopes(['clone', 'webhooks', 'admin']).join(' '),
    redirect: oauth.redirect,
    random: systemRandom,
    openBrowser: (url) => visit(url).then(() => undefined),
    onWaiting: () => undefined,
    store: () => Promise.resolve(),
  });
}

async function openSignIn(
  gitea: GiteaSimulator,
  client: ClientIdentity,
  scope?: string,
): Promise<HostAccess> {
  const { accessToken } = await signIn(gitea, client, scope);
  return open(gitea, accessToken, { kind: signInKind, client });
}

function openToken(gitea: GiteaSimulator, scopes: readonly string[]): Promise<HostAccess> {
  return open(gitea, new Secret(gitea.addToken({ user: 'ada', scopes }).secret));
}

describe('what is data', () => {
  test('the same scopes in the same order for whatever is wanted: the server compares the string', () => {
    expect(support.toScopes([])).toEqual(['read:user', 'read:organization', 'write:repository']);
    expect(support.toScopes(['admin', 'namespace-webhooks'])).toEqual(support.toScopes([]));
    expect(oauth.hasConstantScopes).toBe(true);
  });

  test('addresses below the path of a host, and what a person enters to register a client', () => {
    const host = 'https://acme.dev/gitea';
    expect(oauth.toEndpoints({ host })).toEqual({
      authorization: 'https://acme.dev/gitea/login/oauth/authorize',
      token: 'https://acme.dev/gitea/login/oauth/access_token',
      device: null,
      revocation: null,
    });
    const page = 'https://acme.dev/gitea/user/settings/applications';
    expect(oauth.grantsPage(host)).toBe(page);
    expect(oauth.registration(host, registeredRedirect)).toEqual({
      url: page,
      fields: [
        ['Application Name', 'gitlink'],
        ['Redirect URIs', registeredRedirect],
        ['Confidential Client', 'not ticked'],
      ],
    });
  });

  test('git is told `oauth2` beside the token of a sign-in, and the login beside a pasted one', () => {
    const account = { login: 'ada', kind: 'user', id: '1' } as const;
    const nameFor = (kind: string) =>
      giteaProvider.git.toGitCredential({ kind, token: new Secret('canary-token') }, account);
    expect([nameFor(signInKind), nameFor('personal-access-token')]).toMatchObject([
      { username: 'oauth2' },
      { username: 'ada' },
    ]);
  });
});

describe('signing in', () => {
  test.each<[string, GiteaSimulatorOptions, object]>([
    ['Gitea 1.27', {}, {}],
    ['Gitea 1.26 below a path', { ...gitea126, basePath: '/gitea' }, {}],
    ['Forgejo', forgejo, {}],
    ['Gitea, by a trusted client', {}, { skipsConsent: true }],
  ])('%s: the account and what was granted', async (_, options, application) => {
    const gitea = await start(options);
    const access = await openSignIn(gitea, register(gitea, application));
    expect(await giteaProvider.identify(access)).toEqual({
      account: { login: 'ada', kind: 'user', id: String(gitea.state.findOwner('ada')?.id) },
      credentialKind: signInKind,
      scopes: constantScopes,
      expiresAt: null,
    });
    // That route knows no sign-ins.
    expect(gitea.requests.map(({ path }) => path)).not.toContain('/api/v1/token');
  });

  test.each<[string, GiteaSimulatorOptions, string, readonly string[]]>([
    ['Gitea', {}, '', ['all']],
    ['Gitea', {}, 'openid email', ['all']],
    ['Gitea', {}, 'openid read:user', ['read:user']],
    ['Gitea', {}, 'read:user bogus', ['all']],
    ['Gitea', {}, 'read:user,read:repository', ['read:repository', 'read:user']],
    ['Gitea', {}, 'public-only read:user', ['public-only', 'read:user']],
    ['Gitea 1.26', gitea126, 'read:user', ['read:user']],
    ['Gitea 1.22', gitea122, 'read:user', ['all']],
    ['Forgejo', forgejo, 'read:user bogus', ['read:user']],
    ['Forgejo', forgejo, 'bogus', ['all']],
    ['Forgejo', forgejo, 'read:user,read:repository', ['all']],
    ['Forgejo 8', forgejo8, 'read:user', ['all']],
  ])('%s: "%s%s" is never shown narrower than it is: %s', async (_, options, scope, scopes) => {
    const gitea = await start(options);
    const access = await openSignIn(gitea, register(gitea), scope);
    expect((await giteaProvider.identify(access)).scopes).toEqual(scopes);
    // The simulator agrees about what the token may do.
    const { status } = await access.http.request({
      method: 'GET',
      route: { path: '/users/ada/orgs/acme/permissions', template: '' },
      accept: [403],
    });
    expect(status).toBe(scopes.includes('all') ? 200 : 403);
  });

  test.each<[string, (client: ClientIdentity, gitea: GiteaSimulator) => ClientIdentity | null]>([
    ['without the secret', ({ id }) => ({ id, secret: null })],
    ['with a wrong secret', ({ id }) => ({ id, secret: new Secret('gto_canary-wrong') })],
    ['with another client', (_, gitea) => register(gitea)],
    ['without the client', () => null],
  ])('%s nobody knows the scopes', async (_, change) => {
    const gitea = await start();
    const client = register(gitea);
    const access = { ...(await openSignIn(gitea, client)), client: change(client, gitea) };
    expect(await giteaProvider.identify(access)).toMatchObject({ account: { login: 'ada' }, scopes: null });
  });

  test('a server that tells its version only to those who signed in is asked then', async () => {
    const gitea = await start({ ...gitea122, settings: { requireSignIn: true } });
    const access = await openSignIn(gitea, register(gitea));
    expect(access.version).toBeNull();
    expect((await giteaProvider.identify(access)).scopes).toEqual(['all']);
  });

  test('a version that cannot be read: nobody knows whether scopes count there', async () => {
    const gitea = await start();
    const access = { ...(await openSignIn(gitea, register(gitea))), version: 'development' };
    expect((await giteaProvider.identify(access)).scopes).toBeNull();
  });

  test('a sign-in that may not read its account is identified all the same', async () => {
    const gitea = await start();
    const access = await openSignIn(gitea, register(gitea), 'write:repository');
    expect(await giteaProvider.identify(access)).toMatchObject({
      account: { login: null, kind: 'unknown' },
      scopes: ['write:repository'],
    });
  });

  test('a token of a sign-in that was pasted by hand is a token like others', async () => {
    const gitea = await start();
    const { accessToken } = await signIn(gitea, register(gitea));
    const identity = await giteaProvider.identify(await open(gitea, accessToken));
    expect(identity).toMatchObject({ account: { login: 'ada' }, scopes: null });
  });

  test.each(['revoked', 'expired', 'client deleted'])('%s: exit 4, and how to sign in again', async (how) => {
    const gitea = await start();
    const access = await openSignIn(gitea, register(gitea));
    if (how === 'revoked') gitea.oauth.revokeGrants('ada');
    if (how === 'expired') gitea.oauth.endAccessTokens();
    if (how === 'client deleted') gitea.state.oauth.grants.clear();
    const error = await catchError(giteaProvider.identify(access));
    expect(error).toMatchObject({ code: 'auth', hint: 'Sign in again with: gitlink relink' });
  });

  test.each<[string, RegExp, Parameters<GiteaSimulator['faults']['add']>[0]['fault']]>([
    ['a cut connection', /introspect/, { kind: 'cut' }],
    ['a page of a proxy', /introspect/, { kind: 'html' }],
    ['a 401 without a word', /\/user$/, { kind: 'answer', answer: { status: 401 } }],
    ['a 502', /\/user$/, { kind: 'answer', answer: { status: 502 } }],
  ])('%s is the network’s fault, not the sign-in’s', async (_, path, fault) => {
    const gitea = await start();
    const access = await openSignIn(gitea, register(gitea));
    gitea.faults.add({ path, fault });
    expect(await catchError(giteaProvider.identify(access))).toMatchObject({ code: 'unreachable' });
  });
});

describe('refreshing', () => {
  function renew(gitea: GiteaSimulator, client: ClientIdentity, tokens: TokenSet) {
    const { refreshToken } = tokens;
    if (refreshToken === null) throw new Error('There is nothing to refresh.');
    return refreshTokens(toOAuthClient({ host: gitea.url }, oauth, client), network, oauth.refresh, {
      ...tokens,
      refreshToken,
    });
  }

  test.each<[string, GiteaSimulatorOptions, (gitea: GiteaSimulator) => void, string]>([
    ['in good order', {}, () => undefined, 'refreshed'],
    [
      'used before, where that is allowed',
      { settings: { invalidateRefreshTokens: false } },
      () => 'use',
      'refreshed',
    ],
    ['used before', forgejo, () => 'use', 'spent'],
    ['expired', { settings: { refreshTokenLifeS: 0 } }, () => undefined, 'spent'],
    ['revoked', {}, (gitea) => gitea.oauth.revokeGrants('ada'), 'spent'],
    ['of a client that is gone', {}, (gitea) => gitea.state.oauth.applications.clear(), 'failed'],
  ])('%s', async (_, options, happen, outcome) => {
    const gitea = await start(options);
    const client = register(gitea);
    const tokens = await signIn(gitea, client);
    const event: unknown = happen(gitea);
    if (event === 'use') expect((await renew(gitea, client, tokens)).outcome).toBe('refreshed');
    expect(await renew(gitea, client, tokens)).toMatchObject({ outcome });
  });

  test('a lost answer is not asked for again: Forgejo would take that for a theft', () => {
    expect(oauth.refresh).toMatchObject({ forgivesLostAnswer: false, secondTryAfterMs: null });
  });
});

describe('clients', () => {
  test('a host with OAuth off says so; a fault says nothing', async () => {
    const gitea = await start({ basePath: '/gitea' });
    const web = createTestClient(gitea.url, { userAgent, authorize: () => Promise.resolve(null) });
    expect(await oauth.isOffered(web)).toBe(true);
    gitea.settings.oauth2Enabled = false;
    expect(await oauth.isOffered(web)).toBe(false);
    gitea.faults.add({ fault: { kind: 'html' } });
    expect(await catchError(oauth.isOffered(web))).toBeInstanceOf(UnreachableError);
  });

  test('one made by API signs people in on any port; its deletion ends that, and is no error twice', async () => {
    const gitea = await start();
    const access = await openToken(gitea, ['write:user']);
    const made = await oauth.createClient(access, { name: 'gitlink', redirectUri: registeredRedirect });
    const [application] = gitea.state.oauth.applications.values();
    expect(application).toMatchObject({
      name: 'gitlink',
      confidential: false,
      redirectUris: [registeredRedirect],
    });
    expect(made.secret?.reveal()).toBe(application?.clientSecret);

    const { accessToken } = await signIn(gitea, made);
    expect(await oauth.deleteClient(access, made.registrationId)).toBe('removed');
    expect(gitea.oauth.isAlive(accessToken.reveal())).toBe(false);
    expect(await oauth.deleteClient(access, made.registrationId)).toBe('gone');
  });

  test('without write:user neither works, and the error names it', async () => {
    const gitea = await start();
    const client = register(gitea);
    const access = await openSignIn(gitea, client);
    const wish = { name: 'gitlink', redirectUri: registeredRedirect };
    const calls = [() => oauth.createClient(access, wish), () => oauth.deleteClient(access, '51')];
    for (const call of calls) {
      const error = await catchError(call());
      expect(error).toBeInstanceOf(ForbiddenError);
      expect(error.message).toContain('write:user');
    }
    expect(gitea.state.oauth.applications.size).toBe(1);
  });
});

describe('rotating a token', () => {
  const forever = { expiresAt: null };

  test.each<[string, GiteaSimulatorOptions, readonly string[]]>([
    ['Gitea 1.27', {}, ['read:repository', 'write:user']],
    ['Gitea 1.26', gitea126, ['read:repository', 'write:user']],
    ['Gitea 1.26, all', gitea126, ['all']],
  ])('%s: a new one with the same scopes, the old one still good', async (_, options, scopes) => {
    const gitea = await start(options);
    const access = await openToken(gitea, scopes);
    const rotation = await rotate(access, forever);
    expect(rotation).toMatchObject({ outcome: 'rotated', endsOld: false, expiresAt: null });
    const token = rotation.outcome === 'rotated' ? rotation.token : access.credential.token;
    expect(token.equals(access.credential.token)).toBe(false);
    const made = gitea.state.tokens.get(token.reveal());
    expect(made).toMatchObject({ name: 'gitlink 2026-11-20 07:41:58', scopes });
    expect((await giteaProvider.identify(access)).account.login).toBe('ada');
  });

  test('a name that is taken: once more with another, then no more', async () => {
    const gitea = await start();
    const access = await openToken(gitea, ['write:user']);
    const outcomes = [];
    for (let count = 0; count < 3; count += 1) outcomes.push((await rotate(access, forever)).outcome);
    expect(outcomes).toEqual(['rotated', 'rotated', 'impossible']);
    expect([...gitea.state.tokens.values()].at(-1)?.name).toBe('gitlink 2026-11-20 07:41:58 (2)');
  });

  test.each<[string, GiteaSimulatorOptions, readonly string[], string]>([
    ['Forgejo', forgejo, ['all'], 'account password'],
    ['without write:user', {}, ['read:user', 'write:repository'], 'scope write:user'],
    ['unable to read the account', gitea126, ['write:repository'], 'scope write:user'],
  ])('%s: impossible, with the reason and the page', async (_, options, scopes, reason) => {
    const gitea = await start(options);
    const rotation = await rotate(await openToken(gitea, scopes), forever);
    expect(rotation).toMatchObject({
      outcome: 'impossible',
      reason: expect.stringContaining(reason) as unknown,
      pageUrl: `${gitea.url}/user/settings/applications`,
    });
    expect(gitea.state.tokens.size).toBe(1);
  });

  test('a sign-in never makes a token', async () => {
    const gitea = await start(gitea122);
    const access = await openSignIn(gitea, register(gitea));
    expect(await rotate(access, forever)).toMatchObject({ outcome: 'impossible' });
  });

  test('an end cannot be chosen', async () => {
    const gitea = await start();
    const access = await openToken(gitea, ['write:user']);
    expect(await catchError(rotate(access, { expiresAt: access.now() }))).toBeInstanceOf(UnsupportedError);
  });

  test('sent once: after a lost answer there is one token more, not several', async () => {
    const gitea = await start();
    const access = await openToken(gitea, ['write:user']);
    gitea.faults.add({ method: 'POST', fault: { kind: 'lost' } });
    gitea.clearRequests();
    expect(await catchError(rotate(access, forever))).toBeInstanceOf(UnreachableError);
    expect(gitea.requests.filter(({ method }) => method === 'POST')).toHaveLength(1);
    expect(gitea.state.tokens.size).toBe(2);
  });
});
