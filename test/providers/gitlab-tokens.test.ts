import { describe, expect, test } from 'vitest';
import { AuthError, ForbiddenError, UnreachableError, UnsupportedError } from '../../src/errors.ts';
import { gitlabProvider } from '../../src/providers/gitlab/index.ts';
import { signInKind } from '../../src/providers/provider.ts';
import { Secret } from '../../src/secret.ts';
import { sendJson, startServer } from '../http/http-kit.ts';
import { tokenPrefixes, type NewToken } from '../simulators/gitlab/token-state.ts';
import { linkGitlab, startGitlab, usualScopes } from './gitlab-kit.ts';
import { createSession } from './provider-kit.ts';

const dayMs = 86_400_000;

describe('GitLab hosts', () => {
  test.each(['19.6.0-ee', '17.11.0', '16.0.0-ee', '15.1.0'])(
    '%s is told only to who may know it',
    async (version) => {
      const gitlab = await startGitlab({ version });
      const session = createSession(gitlabProvider);
      const ask = (scopes: readonly string[] | null) => {
        const secret = scopes === null ? null : gitlab.addToken({ scopes }).secret;
        return gitlabProvider.recognise(gitlab.url, session.open(gitlab.url, secret).http);
      };
      const nameless = { host: gitlab.url, flavour: 'gitlab', version: null };
      expect(await ask(null)).toEqual(nameless);
      expect(await ask(['read_repository'])).toEqual(nameless);
      expect(await ask(['read_user'])).toEqual({ ...nameless, version });
    },
  );

  test('a host that refuses in other words is another product', async () => {
    const session = createSession(gitlabProvider);
    const server = await startServer((_request, response) =>
      sendJson(
        response,
        { id: 'api.context.session_expired', message: 'Invalid session, sign in again.' },
        401,
      ),
    );
    expect(await gitlabProvider.recognise(server.base, session.open(server.base, null).http)).toBeNull();
  });

  test('one that is too old says so', async () => {
    const gitlab = await startGitlab({ version: '15.3.0' });
    const session = createSession(gitlabProvider);
    const { secret } = gitlab.addToken({ scopes: ['api'] });
    const error = await session.fail(gitlabProvider.identify(session.open(gitlab.url, secret)));
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(error.message).toContain('older than GitLab 16.0');
  });
});

describe('GitLab tokens by their shape', () => {
  const prefixed = (prefix: string, instance = '') =>
    new Secret(`${instance}gl${prefix}-canary0123456789abcdef`);
  const judge = (token: Secret) => gitlabProvider.recogniseToken?.(token);

  test.each([
    ['a personal one', prefixed('pat')],
    ['one with the prefix of an instance', prefixed('pat', 'acme-')],
    ['a routable one', new Secret(`${tokenPrefixes.personal}canaryY2FuYXJ5.01.0z1abcd23`)],
    ['one with a prefix of its own', new Secret('acme_canary0123456789abcdef')],
    ["a sign-in's", new Secret('0f'.repeat(32))],
    [
      'a personal one that holds the letters of another',
      new Secret(`${tokenPrefixes.personal}canary-gldt-012345`),
    ],
  ])('A22: %s is worth asking the host', (_name, token) => {
    expect(judge(token)).toEqual({ use: 'api', kind: 'personal-access-token' });
  });

  test.each(['', 'acme-'])('a deploy token serves git alone (%s)', (instance) => {
    expect(judge(prefixed('dt', instance))).toEqual({ use: 'git', kind: 'deploy-token' });
  });

  test.each(['oas', 'rt', 'rtr', 'ptt', 'cbt', 'ft', 'imt', 'agent', 'soat', 'ffct', 'wt'])(
    'gl%s- is something else, which has a name',
    (prefix) => {
      for (const instance of ['', 'acme-']) {
        expect(judge(prefixed(prefix, instance))).toMatchObject({ use: 'none', what: /^(a|the) \w/ });
      }
    },
  );
});

describe('GitLab accounts', () => {
  const api = { scopes: usualScopes } as const;

  test.each<[string, NewToken, Readonly<Record<string, string>>]>([
    ['a person', api, { kind: 'user', login: 'ada', credentialKind: 'personal-access-token' }],
    [
      'an impersonated person',
      { kind: 'impersonation' },
      { kind: 'user', credentialKind: 'personal-access-token' },
    ],
    [
      'a project',
      { kind: 'project', resource: 'acme/api', scopes: ['api'] },
      { kind: 'project', credentialKind: 'project-access-token' },
    ],
    [
      'a group',
      { kind: 'group', resource: 'acme', scopes: ['read_api'] },
      { kind: 'group', credentialKind: 'group-access-token' },
    ],
    [
      'a service account',
      { kind: 'serviceAccount', user: 'service_account_group_31_canary' },
      { kind: 'serviceAccount', credentialKind: 'service-account-token' },
    ],
  ])('%s', async (_name, token, { kind, login, credentialKind }) => {
    const { access } = await linkGitlab({}, token);
    expect(access.identity).toMatchObject({ account: { kind }, credentialKind });
    expect(access.identity.account.login).toMatch(login === undefined ? /^\w+$/ : new RegExp(`^${login}$`));
  });

  test.each([
    ['project_17_bot', true, 'project'],
    ['group_17_bot3', true, 'group'],
    ['project_17_bot_0a1b2c3d', true, 'project'],
    ['project_17_bot_0a1b2c3d', false, 'user'],
    ['project_17_bottle', true, 'serviceAccount'],
    ['renamed', true, 'serviceAccount'],
    ['service_account_7', false, 'serviceAccount'],
  ] as const)('%s with bot=%s is a %s', async (username, bot, kind) => {
    const server = await startServer(({ url }, response) =>
      sendJson(response, url.endsWith('/self') ? { scopes: ['api'] } : { id: 7, username, bot }),
    );
    const session = createSession(gitlabProvider);
    const identity = await gitlabProvider.identify(session.open(server.base, 'canary'));
    expect(identity.account).toEqual({ login: username, kind, id: '7' });
  });

  test('a token ends at the beginning of its last day in UTC', async () => {
    const { access } = await linkGitlab({}, { expiresAt: '2099-03-01' });
    expect(access.identity.expiresAt).toBe(Date.UTC(2099, 2, 1));
    const forEver = await linkGitlab({}, { expiresAt: null });
    expect(forEver.access.identity.expiresAt).toBeNull();
  });

  test('a fine-grained token has no scopes to compare; without a permission its account is unknown', async () => {
    const granted = ['read_user', 'read_metadata'];
    const known = await linkGitlab(
      {},
      { kind: 'fineGrained', granularScopes: [{ access: 'user', permissions: granted }] },
    );
    expect(known.access.identity).toMatchObject({
      account: { login: 'ada', kind: 'user' },
      credentialKind: 'fine-grained-token',
      scopes: null,
    });
    const blind = await linkGitlab(
      {},
      { kind: 'fineGrained', granularScopes: [{ access: 'all_memberships', permissions: ['read_project'] }] },
    );
    expect(blind.access.identity).toMatchObject({
      account: { login: null, kind: 'unknown', id: null },
      scopes: null,
    });
  });

  test('one that may not even describe itself is good all the same', async () => {
    const refusal = { error: 'insufficient_granular_scope', error_description: 'Access denied: …' };
    const server = await startServer((_request, response) => sendJson(response, refusal, 403));
    const session = createSession(gitlabProvider);
    const access = session.open(server.base, 'canary');
    expect(await gitlabProvider.identify(access)).toEqual({
      account: { login: null, kind: 'unknown', id: null },
      credentialKind: 'fine-grained-token',
      scopes: null,
      expiresAt: null,
    });
    expect(await gitlabProvider.revoke?.(access)).toMatchObject({ outcome: 'impossible' });
  });
});

describe('GitLab refusals', () => {
  const invalid = (text: string) => ({ error: 'invalid_token', error_description: text });

  test.each([
    [
      'expired',
      401,
      invalid('Token is expired. You can either do re-authorization or token refresh.'),
      AuthError,
      'expired',
    ],
    [
      'revoked',
      401,
      invalid('Token was revoked. You have to re-authorize from the user.'),
      AuthError,
      'revoked',
    ],
    ['unknown', 401, { message: '401 Unauthorized' }, AuthError, 'wrong'],
    [
      'impersonation',
      401,
      invalid('Token is an impersonation token but impersonation was disabled.'),
      ForbiddenError,
      'impersonation',
    ],
    [
      'DPoP',
      401,
      { error: 'dpop_error', error_description: 'DPoP validation error: DPoP header is missing' },
      ForbiddenError,
      'DPoP',
    ],
    [
      'blocked',
      403,
      { message: '403 Forbidden - Your account has been blocked.' },
      ForbiddenError,
      ': Your account has been blocked.',
    ],
    [
      'terms',
      403,
      { message: '403 Forbidden - You must accept the Terms of Service' },
      ForbiddenError,
      'Terms of Service',
    ],
    ['a proxy', 403, { reason: 'blocked by policy' }, UnreachableError, 'in between'],
    ['a list', 401, ['no'], UnreachableError, 'in between'],
  ] as const)('%s', async (_name, status, body, kind, words) => {
    const server = await startServer((_request, response) => sendJson(response, body, status));
    const session = createSession(gitlabProvider);
    const error = await session.fail(gitlabProvider.identify(session.open(server.base, 'canary-token')));
    expect(error).toBeInstanceOf(kind);
    expect(error.message).toContain(words);
  });

  test('E1: what the host says comes printable and without the token', async () => {
    const server = await startServer((_request, response) =>
      sendJson(response, { message: '403 Forbidden - \u001b[31mtoken canary-token-echo' }, 403),
    );
    const session = createSession(gitlabProvider);
    const error = await session.fail(gitlabProvider.identify(session.open(server.base, 'canary-token-echo')));
    expect(error.message).toContain('\\x1b[31mtoken [redacted]');
  });

  test('a DPoP demand does not make a token look dead', async () => {
    const server = await startServer((_request, response) =>
      sendJson(response, { error: 'dpop_error', error_description: 'DPoP validation error' }, 401),
    );
    const session = createSession(gitlabProvider);
    const work = Promise.resolve(gitlabProvider.revoke?.(session.open(server.base, 'canary')));
    expect(await session.fail(work)).toBeInstanceOf(ForbiddenError);
  });
});

describe("GitLab sign-ins' tokens", () => {
  const info = { resource_owner_id: 7, scope: ['read_api', 'api'], expires_in: 5120, created_at: 1 };
  const notPersonal = {
    message: '400 Bad request - This endpoint requires token type to be a personal access token',
  };

  async function startSignedIn(tokenInfo: unknown = info, infoStatus = 200) {
    return startServer(({ url }, response) => {
      if (url.endsWith('/oauth/token/info')) sendJson(response, tokenInfo, infoStatus);
      else if (url.endsWith('/user')) sendJson(response, { id: 7, username: 'ada', bot: false });
      else sendJson(response, notPersonal, 400);
    });
  }

  test('tell their scopes below the host, and no end, because they are renewed', async () => {
    const server = await startSignedIn();
    const session = createSession(gitlabProvider);
    const host = `${server.base}/git`;
    expect(await gitlabProvider.identify(session.open(host, 'canary', { kind: signInKind }))).toEqual({
      account: { login: 'ada', kind: 'user', id: '7' },
      credentialKind: signInKind,
      scopes: ['api', 'read_api'],
      expiresAt: null,
    });
    expect(server.seen.map(({ url }) => url)).toEqual(['/git/oauth/token/info', '/git/api/v4/user']);
  });

  test('that were pasted have an end and cannot be ended or replaced here', async () => {
    const server = await startSignedIn();
    const session = createSession(gitlabProvider);
    const access = session.open(server.base, 'canary');
    const identity = await gitlabProvider.identify(access);
    expect(identity.credentialKind).not.toBe(signInKind);
    expect(Math.abs((identity.expiresAt ?? 0) - Date.now() - 5_120_000)).toBeLessThan(dayMs);
    expect(await gitlabProvider.revoke?.(access)).toMatchObject({ outcome: 'impossible' });
    expect(await gitlabProvider.rotate?.(access, { expiresAt: null })).toMatchObject({
      outcome: 'impossible',
    });
    expect(server.seen.filter(({ method }) => method === 'POST')).toEqual([]);
    const { kind } = { kind: identity.credentialKind };
    const token = new Secret('canary');
    expect(gitlabProvider.git.toGitCredential({ kind, token }, identity.account)).toMatchObject({
      username: 'oauth2',
    });
  });

  test('of a service that token/info does not know are good if the API takes them', async () => {
    const server = await startSignedIn({ error: 'invalid_token' }, 401);
    const session = createSession(gitlabProvider);
    const identity = await gitlabProvider.identify(session.open(server.base, 'canary', { kind: signInKind }));
    expect(identity).toMatchObject({ account: { login: 'ada' }, scopes: null });
  });
});

describe('GitLab and git', () => {
  test.each([
    ['personal-access-token', 'ada', 'ada'],
    ['personal-access-token', null, 'oauth2'],
    [signInKind, 'ada', 'oauth2'],
    ['deploy-token', 'gitlab+deploy-token-7', 'gitlab+deploy-token-7'],
  ])('%s of %s goes with the name %s', (kind, login, username) => {
    const account = { login, kind: 'user', id: null } as const;
    const given = gitlabProvider.git.toGitCredential({ kind, token: new Secret('canary') }, account);
    expect(given).toMatchObject({ username });
  });

  test('a deploy token is neither asked about nor ended', async () => {
    const server = await startServer((_request, response) => sendJson(response, {}));
    const access = createSession(gitlabProvider).open(server.base, 'canary', { kind: 'deploy-token' });
    expect(await gitlabProvider.revoke?.(access)).toMatchObject({ outcome: 'impossible' });
    expect(await gitlabProvider.rotate?.(access, { expiresAt: null })).toMatchObject({
      outcome: 'impossible',
    });
    expect(server.seen).toEqual([]);
  });
});

describe('GitLab scopes', () => {
  test.each([
    [
      ['clone', 'webhooks'],
      ['api', 'read_repository'],
    ],
    [['clone'], ['read_api', 'read_repository']],
    [['push'], ['read_api', 'write_repository']],
    [
      ['clone', 'push', 'webhooks'],
      ['api', 'write_repository'],
    ],
    [[], ['read_api']],
  ] as const)('A20: for %j the least are %j', (capabilities, scopes) => {
    expect(gitlabProvider.oauth?.toScopes(capabilities)).toEqual(scopes);
  });

  test('api holds all that gitlink asks for; replacing itself is no power', () => {
    const needed = ['read_user', 'read_api', 'read_repository', 'write_repository', 'api'];
    expect(gitlabProvider.compareScopes(['api', 'self_rotate'], needed)).toEqual({ missing: [], excess: [] });
    expect(gitlabProvider.compareScopes(['read_api', 'self_rotate'], ['read_api']).excess).toEqual([]);
    expect(gitlabProvider.compareScopes(['api', 'sudo'], ['read_api'])).toEqual({
      missing: [],
      excess: ['api', 'sudo'],
    });
    expect(gitlabProvider.compareScopes(['read_api'], needed).missing).toEqual(['api', 'write_repository']);
  });

  test('the page for a token opens filled in', () => {
    const { url } = gitlabProvider.tokenPage({ host: 'https://h.dev/git' }, ['clone', 'webhooks']);
    expect(url).toBe(
      'https://h.dev/git/-/user_settings/personal_access_tokens?name=gitlink&scopes=api,read_repository,self_rotate',
    );
  });
});
