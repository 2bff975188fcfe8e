import { describe, expect, test } from 'vitest';
import { AuthError, ForbiddenError, NotFoundError, UnreachableError, UsageError } from '../../src/errors.ts';
import { bitbucketGit } from '../../src/providers/bitbucket/git.ts';
import { bitbucketProvider } from '../../src/providers/bitbucket/index.ts';
import { identify, revoke, rotate } from '../../src/providers/bitbucket/tokens.ts';
import { signInKind, type Account } from '../../src/providers/provider.ts';
import { Secret } from '../../src/secret.ts';
import { sendJson, startServer } from '../http/http-kit.ts';
import {
  addSignIn,
  linkPlace,
  openWith,
  startBitbucket,
  toCredential,
  unknownAccount,
  usualApiScopes,
} from './bitbucket-kit.ts';
import { createSession } from './provider-kit.ts';

const judge = (text: string) => bitbucketProvider.recogniseToken?.(new Secret(text));
const apiToken = `ATATT3xFfGF0canary${'0'.repeat(160)}=1A2B3C4D`;
const accessToken = `ATCTT3xFfGN0canary${'0'.repeat(160)}=5E6F7A8B`;

describe('Bitbucket tokens by their shape', () => {
  test('fact 1: an app password is refused with the way out', () => {
    expect(judge('ATBBcanary0123456789')).toMatchObject({
      use: 'none',
      what: expect.stringContaining('switched off on 2026-07-28') as string,
      hint: expect.stringContaining('https://id.atlassian.com/manage-profile/security/api-tokens') as string,
    });
  });

  test.each([
    ['an API token, which wants an address beside it', apiToken, { kind: 'api-token', companion: 'email' }],
    ['an access token of a kind that only the host knows', accessToken, { kind: 'access-token' }],
    ["a sign-in's", 'eyJcanary.eyJcanary.canary', { kind: 'oauth-token' }],
    ['one without a known shape', 'canary0123456789', { kind: 'oauth-token' }],
  ])('A22: %s', (_name, token, shape) => {
    expect(judge(token)).toEqual({ use: 'api', ...shape });
  });

  test('one of Data Center belongs elsewhere', () => {
    expect(judge('BBDC-canary0123456789')).toMatchObject({
      use: 'none',
      hint: expect.stringContaining('bitbucket-dc') as string,
    });
  });
});

describe('fact 6: three ways on the wire', () => {
  test('an API token is a password beside the e-mail address, all others are bearer tokens', () => {
    const token = new Secret('canary');
    expect(
      bitbucketProvider.toAuthorization({ kind: 'api-token', token, username: 'ada@acme.test' }),
    ).toEqual({
      scheme: 'Basic',
      username: 'ada@acme.test',
      secret: token,
    });
    for (const kind of [signInKind, 'oauth-token', 'access-token', 'repository-access-token']) {
      expect(bitbucketProvider.toAuthorization({ kind, token })).toEqual({ scheme: 'Bearer', secret: token });
    }
    expect(() => bitbucketProvider.toAuthorization({ kind: 'api-token', token })).toThrow(UsageError);
  });

  test.each([
    ['api-token', 'x-bitbucket-api-token-auth'],
    [signInKind, 'x-token-auth'],
    ['oauth-token', 'x-token-auth'],
    ['repository-access-token', 'x-token-auth'],
    ['project-access-token', 'x-token-auth'],
    ['workspace-access-token', 'x-token-auth'],
  ])('git gets %s beside the name %s, and never the address', (kind, username) => {
    const password = new Secret('canary');
    const credential = { kind, token: password, username: 'ada@acme.test' };
    const account = { login: 'ada', kind: 'user', id: null } as const;
    expect(bitbucketGit.toGitCredential(credential, account)).toEqual({ username, password });
  });
});

describe('Bitbucket accounts', () => {
  test('fact 4: a sign-in whose token is long; it says itself when it ends', async () => {
    const bitbucket = await startBitbucket();
    const secret = addSignIn(bitbucket, ['account', 'repository']);
    expect(secret.length).toBeGreaterThan(2_500);
    const identity = await identify(openWith(bitbucket.url, { kind: signInKind, token: new Secret(secret) }));
    expect(identity).toEqual({
      account: { login: 'ada', kind: 'user', id: expect.stringMatching(/^\{[0-9a-f-]{36}\}$/) as string },
      credentialKind: signInKind,
      scopes: ['account', 'repository'],
      expiresAt: null,
    });
  });

  test('fact 10: an API token, whose end nobody tells', async () => {
    const bitbucket = await startBitbucket({ settings: { tellsUsername: false } });
    const { secret } = bitbucket.addToken({ kind: 'api', scopes: usualApiScopes });
    expect(await identify(openWith(bitbucket.url, toCredential(secret)))).toMatchObject({
      account: { login: 'Ada Lovelace', kind: 'user' },
      credentialKind: 'api-token',
      scopes: usualApiScopes,
      expiresAt: null,
      isExpiryHidden: true,
    });
  });

  test.each([
    ['api', ['read:repository:bitbucket']],
    ['sign-in', ['repository']],
  ] as const)('one without the scope for it (%s) is good, and its account unknown', async (kind, scopes) => {
    const bitbucket = await startBitbucket({ settings: { oauthCredentialType: null } });
    const secret =
      kind === 'api' ? bitbucket.addToken({ kind, scopes }).secret : addSignIn(bitbucket, scopes);
    expect(await identify(openWith(bitbucket.url, toCredential(secret)))).toMatchObject({
      account: unknownAccount,
      scopes,
    });
  });

  test('the scopes stand in the refusal, too', async () => {
    const detail = { required: ['account'], granted: ['webhook', 'repository'] };
    const error = { message: 'Your credentials lack one or more required privilege scopes.', detail };
    const server = await startServer((_request, response) =>
      sendJson(response, { type: 'error', error }, 403),
    );
    const { scopes } = await identify(openWith(server.base, toCredential('eyJcanary')));
    expect(scopes).toEqual(['repository', 'webhook']);
  });
});

describe('fact 7: tokens with nobody behind them', () => {
  test.each([
    ['repository', 'acme/api', 'repository-access-token', ['repository', 'webhook']],
    ['project', 'acme/API', 'project-access-token', ['project', 'repository']],
    ['project', 'acme/API', 'project-access-token', ['repository']],
    ['workspace', 'acme', 'workspace-access-token', ['account', 'repository']],
  ] as const)(
    'a token of the %s %s is named by it (%s, %j)',
    async (kind, resource, credentialKind, scopes) => {
      const bitbucket = await startBitbucket();
      const { identity } = await linkPlace(bitbucket, { kind, resource, scopes });
      expect(identity).toEqual({
        account: { kind, login: resource, id: expect.stringMatching(/^\{[0-9a-f-]{36}\}$/) as string },
        credentialKind,
        scopes,
        expiresAt: null,
        isExpiryHidden: true,
      });
    },
  );

  test('without a name its kind is told, so that somebody can ask', async () => {
    const bitbucket = await startBitbucket();
    const { secret } = bitbucket.addToken({ kind: 'project', resource: 'acme/API', scopes: ['repository'] });
    const identity = await identify(openWith(bitbucket.url, toCredential(secret)));
    expect(identity.account).toEqual({ login: null, kind: 'project', id: null });
  });

  test.each([
    ['another private repository', 'repository', 'acme/old', NotFoundError],
    ['one that is not there', 'repository', 'acme/none', NotFoundError],
    ['a workspace', 'repository', 'acme', UsageError],
    ['something deeper', 'repository', 'acme/api/x', UsageError],
    ['another private project', 'project', 'acme/API', NotFoundError],
    ['a repository', 'workspace', 'acme/api', UsageError],
    ['another workspace', 'workspace', 'bob', NotFoundError],
  ] as const)('%s is not what a %s token is of', async (_name, kind, named, error) => {
    const bitbucket = await startBitbucket();
    const resource = { repository: 'acme/api', project: 'acme/WEB', workspace: 'acme' }[kind];
    const token = { kind, resource, scopes: ['repository', ...(kind === 'repository' ? [] : ['project'])] };
    await expect(linkPlace(bitbucket, token, named)).rejects.toThrow(error);
  });

  test('the name is that of the host, and a known id outlives it', async () => {
    const bitbucket = await startBitbucket();
    const token = { kind: 'repository', resource: 'acme/api', scopes: ['repository'] } as const;
    const { identity, access } = await linkPlace(bitbucket, token, 'ACME/API');
    expect(identity.account.login).toBe('acme/api');
    const repository = [...bitbucket.state.repositories.values()].find(({ slug }) => slug === 'api');
    if (repository) repository.slug = 'interface';
    bitbucket.state.reindex();
    expect((await identify(access)).account).toEqual({ ...identity.account, login: 'acme/interface' });
  });
});

describe('fact 7: what no header tells', () => {
  const say = (message: string) => ({ type: 'error', error: { message } });

  test('a link that knows what its token is stays with that', async () => {
    const { server, access } = await openRefusing(say('Forbidden'), 'workspace-access-token');
    expect((await identify(access)).account).toEqual({ login: null, kind: 'workspace', id: null });
    expect(server.seen.map(({ url }) => url)).toEqual(['/2.0/user']);
  });

  test('without one a new access token is refused as what it is: forbidden', async () => {
    const { access } = await openRefusing(say('Forbidden'), 'access-token');
    await expect(identify(access)).rejects.toThrow(ForbiddenError);
  });

  async function openRefusing(body: unknown, kind: string) {
    const server = await startServer((_request, response) => sendJson(response, body, 403));
    return { server, access: openWith(server.base, { kind, token: new Secret('canary') }) };
  }
});

describe('Bitbucket refusals', () => {
  const invalid = 'Token is invalid, expired, or not supported for this endpoint.';
  const say = (message: string) => ({ type: 'error', error: { message } });

  test.each([
    ['a wrong address', 'api', { username: 'ada' }, '--email takes the address'],
    ['a token for no product', 'api', { isUnscoped: true }, '"API token with scopes" for the app Bitbucket'],
    [
      'a dead API token',
      'api',
      { isDead: true },
      'https://id.atlassian.com|manage-profile/security/api-tokens',
    ],
    ['a dead access token', 'repository', { isDead: true }, '/acme/api/admin/access-tokens'],
  ] as const)('%s is refused with the useful hint', async (_name, kind, how, hint) => {
    const bitbucket = await startBitbucket();
    const token =
      kind === 'api'
        ? bitbucket.addToken({ kind, isUnscoped: 'isUnscoped' in how })
        : bitbucket.addToken({ kind, resource: 'acme/api' });
    token.revoked = 'isDead' in how;
    const credential = toCredential(token.secret, 'username' in how ? how.username : undefined);
    const account = { login: 'acme/api', kind: 'unknown', id: null } as const;
    const error: unknown = await identify(openWith(bitbucket.url, credential, account)).catch(
      (caught: unknown) => caught,
    );
    expect(error).toBeInstanceOf(AuthError);
    expect((error as AuthError).hint).toMatch(new RegExp(hint));
  });

  test('one that has expired is called so', async () => {
    const bitbucket = await startBitbucket({ settings: { clockOffsetMs: 7_200_000 } });
    const credential = { kind: signInKind, token: new Secret(addSignIn(bitbucket)) };
    await expect(identify(openWith(bitbucket.url, credential))).rejects.toThrow(/expired/);
  });

  test.each([
    ['its words', 401, say(invalid), {}, AuthError],
    ['its realm alone', 401, null, { 'www-authenticate': 'Basic realm="Bitbucket.org HTTP"' }, AuthError],
    ["a proxy's realm", 401, null, { 'www-authenticate': 'Basic realm="Squid"' }, UnreachableError],
    ["a proxy's 403", 403, { message: 'no' }, {}, UnreachableError],
    [
      'a rule of the workspace',
      403,
      say('To access this, you must be on the allow list.'),
      {},
      ForbiddenError,
    ],
  ] as const)('a refusal in %s', async (_name, status, body, headers, kind) => {
    const server = await startServer((_request, response) => sendJson(response, body, status, headers));
    const session = createSession(bitbucketProvider);
    const work = identify(openWith(server.base, toCredential('eyJcanary')));
    expect(await session.fail(work)).toBeInstanceOf(kind);
  });

  test('E1: what the host says comes printable and without the token', async () => {
    const server = await startServer((_request, response) =>
      sendJson(response, say('\u001b[31mtoken canary-token-echo'), 403),
    );
    const session = createSession(bitbucketProvider);
    const error = await session.fail(identify(openWith(server.base, toCredential('canary-token-echo'))));
    expect(error.message).toContain('\\x1b[31mtoken [redacted]');
  });
});

describe('fact 5: nothing is ended or replaced by API', () => {
  const account = (kind: Account['kind'], login: string) => ({ kind, login, id: null });

  test.each([
    ['api-token', account('user', 'ada'), '/manage-profile/security/api-tokens'],
    ['repository-access-token', account('repository', 'acme/api'), '/acme/api/admin/access-tokens'],
    [
      'project-access-token',
      account('project', 'acme/API'),
      '/acme/workspace/projects/API/settings/access-tokens',
    ],
    ['workspace-access-token', account('workspace', 'acme'), '/acme/workspace/settings/access-tokens'],
    ['access-token', unknownAccount, '/account/workspaces/'],
    ['oauth-token', account('user', 'ada'), '/account/settings/app-authorizations/'],
  ])('a person ends or replaces a %s on its page, unless it is dead already', async (kind, of, page) => {
    let status = 200;
    const body = { type: 'error', error: { message: 'Forbidden' } };
    const server = await startServer((_request, response) => sendJson(response, body, status));
    const access = openWith(server.base, { kind, token: new Secret('canary'), username: 'a@b' }, of);
    const impossible = { outcome: 'impossible', pageUrl: server.base + page };
    expect(await rotate(access)).toMatchObject(impossible);
    expect(server.seen).toEqual([]);
    for (status of [200, 403]) expect(await revoke(access)).toMatchObject(impossible);
    status = 401;
    expect(await revoke(access)).toEqual({ outcome: 'alreadyDead' });
  });

  test('the API tokens of the cloud are at the Atlassian account', async () => {
    const access = openWith('https://bitbucket.org', { kind: 'api-token', token: new Secret('canary') });
    const pageUrl = 'https://id.atlassian.com/manage-profile/security/api-tokens';
    expect(await rotate(access)).toMatchObject({ outcome: 'impossible', pageUrl });
  });
});
