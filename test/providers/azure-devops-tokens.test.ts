import { describe, expect, test } from 'vitest';
import { AuthError, ForbiddenError, NotFoundError, UnreachableError, UsageError } from '../../src/errors.ts';
import { signInKind } from '../../src/providers/provider.ts';
import { Secret } from '../../src/secret.ts';
import { sendJson, startServer } from '../http/http-kit.ts';
import { linkAzureDevops, linkEntra, provider, startAzureDevops } from './azure-devops-kit.ts';
import { createSession } from './provider-kit.ts';

function toJwt(claims: object): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  return `${encode({ typ: 'JWT', canary: 1 })}.${encode(claims)}.canary`;
}

describe('the shape of a token', () => {
  const body = 'canary'.padEnd(52, '7');
  const newToken = `${body}JQQJ99CAAAAAAAAAAAAAAAAAAZDOcana`;
  const entra = { iss: 'https://sts.windows.net/11111111-2222-3333-4444-555555555555/' };

  test.each([
    ['84 characters', newToken],
    ['52 characters, before July 2024 and of a server', body],
    ['of an unknown form', 'canary-of-tomorrow'],
  ])('%s is a personal access token, or a generated git password', (_name, token) => {
    expect(provider.recogniseToken?.(new Secret(token))).toEqual({
      use: 'api',
      kind: 'personal-access-token',
      gitKind: 'git-credential',
    });
  });

  test.each([
    ["Entra's for Azure DevOps", toJwt({ ...entra, aud: '499b84ac-1321-427f-aa17-267ca6975798' })],
    ['the same under its older name', toJwt({ ...entra, aud: 'https://app.vssps.visualstudio.com/' })],
    [
      "a pipeline's",
      toJwt({ iss: 'app.vstoken.visualstudio.com', aud: 'app.vstoken.visualstudio.com|vso:1' }),
    ],
    ['an encrypted one', 'eyJhbGciOiJkaXIifQ.canary_canary.canary'],
  ])('a JSON Web Token travels as a bearer: %s', (_name, token) => {
    expect(provider.recogniseToken?.(new Secret(token))).toEqual({ use: 'api', kind: 'entra-token' });
  });

  test("Entra's for something else is none", () => {
    const shape = provider.recogniseToken?.(
      new Secret(toJwt({ ...entra, aud: 'https://management.azure.com' })),
    );
    expect(shape).toMatchObject({ use: 'none' });
    expect(JSON.stringify(shape)).toContain('--resource 499b84ac');
  });

  test.each([
    ['personal-access-token', { scheme: 'Basic', username: '' }],
    ['entra-token', { scheme: 'Bearer' }],
    ['service-principal-token', { scheme: 'Bearer' }],
    [signInKind, { scheme: 'Bearer' }],
  ])('%s goes as %j', (kind, expected) => {
    expect(provider.toAuthorization({ kind, token: new Secret('canary') })).toMatchObject(expected);
  });
});

describe('who a credential is', () => {
  test('a personal access token tells neither scopes nor its end, and its account names the organization, too', async () => {
    const { access, azure } = await linkAzureDevops();
    const [acme] = azure.state.organizations;
    const ada = azure.state.users.find(({ login }) => login === 'ada');
    expect(access.identity).toEqual({
      account: { login: 'ada@acme.test', kind: 'user', id: `${acme?.id}/${ada?.id}` },
      credentialKind: 'personal-access-token',
      scopes: null,
      expiresAt: null,
      isExpiryHidden: true,
    });
  });

  test('the same person is another account in another organization', async () => {
    const { access, azure, session } = await linkAzureDevops();
    const { secret } = azure.addToken({ organization: 'acme-labs' });
    const other = await provider.identify(session.open(azure.url, secret, { organization: 'acme-labs' }));
    expect(other.account.login).toBe(access.account.login);
    expect(other.account.id).not.toBe(access.account.id);
  });

  test('a token of Entra tells both, as a hint; a sign-in lasts as long as it is renewed', async () => {
    const linked = await linkAzureDevops();
    const expiresAt = Math.floor(Date.now() / 1000) * 1000 + 3_600_000;
    const token = { scopes: ['vso.code_write', 'vso.project'], expiresAt };
    expect((await linkEntra(linked, 'entra-token', token)).identity).toMatchObject({
      credentialKind: 'entra-token',
      scopes: ['vso.code_write', 'vso.project'],
      expiresAt,
    });
    expect((await linkEntra(linked, signInKind, token)).identity).toMatchObject({
      credentialKind: signInKind,
      expiresAt: null,
    });
  });

  test('a service principal is a program, by the name that people gave it', async () => {
    const linked = await linkAzureDevops();
    const { account } = await linkEntra(linked, 'service-principal-token', { user: 'ci' });
    expect(account).toMatchObject({ login: 'Build robot', kind: 'serviceAccount' });
  });

  test('203 taken as success: a bad credential that gets the sign-in page is refused', async () => {
    for (const [status, headers] of [
      [203, { 'content-type': 'text/html' }],
      [203, { 'content-type': 'application/json' }],
      [302, { location: '/acme/_signin?realm=x' }],
    ] as const) {
      const server = await startServer((_request, response) => response.writeHead(status, headers).end('{}'));
      const session = createSession(provider, 'acme');
      const access = session.open(server.base, 'pat-canary-refused');
      expect(await session.fail(provider.identify(access))).toBeInstanceOf(AuthError);
      // In the middle of other work, too.
      expect(await session.fail(Promise.resolve(provider.findRepository(access, 'acme/a/b')))).toBeInstanceOf(
        AuthError,
      );
    }
  });

  test.each(['json', 'empty'] as const)(
    'a 401 whose body is %s is about the credential',
    async (suppressedBody) => {
      const azure = await startAzureDevops({ settings: { suppressedBody } });
      const session = createSession(provider, 'acme');
      const error = await session.fail(provider.identify(session.open(azure.url, 'pat-canary-unknown')));
      expect(error).toBeInstanceOf(AuthError);
      expect((error as AuthError).hint).toContain(`${azure.url}/acme/_usersettings/tokens`);
    },
  );

  test('a token of another organization is refused', async () => {
    const { azure, session } = await linkAzureDevops();
    const { secret } = azure.addToken({ organization: 'acme-labs' });
    const error = await session.fail(provider.identify(session.open(azure.url, secret)));
    expect(error).toBeInstanceOf(AuthError);
    expect(error.message).toContain('is of another organization');
  });

  test('global tokens end on 2026-12-01: said of Services, as a possible cause only', async () => {
    const refusal = { typeKey: 'UnauthorizedRequestException', message: 'TF400813' };
    const client = {
      base: 'https://dev.azure.com',
      request: () => Promise.resolve({ status: 401, headers: new Headers(), body: refusal }),
    };
    const session = createSession(provider, 'acme');
    const access = session.open('https://dev.azure.com', 'pat-canary-global', { http: client });
    const error = (await session.fail(provider.identify(access))) as AuthError;
    expect(error.message).toContain('is wrong, has expired, was revoked');
    expect(error.hint).toMatch(/https:\/\/dev\.azure\.com\/acme\/_usersettings\/tokens.*2026-12-01/);
  });

  test('VS30063, the home tenant instead of the organization: says where to sign in', async () => {
    const linked = await linkAzureDevops();
    const error = await linked.session.fail(linkEntra(linked, signInKind, { user: 'eve' }));
    expect(error).toBeInstanceOf(AuthError);
    expect((error as AuthError).hint).toContain("the organization's tenant");
  });

  test('"has not been materialized": says to open the organization once', async () => {
    const linked = await linkAzureDevops();
    const error = await linked.session.fail(linkEntra(linked, signInKind, { user: 'zoe' }));
    expect(error).toBeInstanceOf(ForbiddenError);
    expect((error as ForbiddenError).hint).toContain(`${linked.azure.url}/acme in a browser once`);
  });

  test('messages are in the language of the reader, so it goes by their keys', async () => {
    const { access, azure, session } = await linkAzureDevops();
    const json = {
      typeKey: 'AadUserStateException',
      message: 'TF401349: Der Benutzer ist hier noch unbekannt.',
    };
    azure.faults.add({ fault: { kind: 'answer', answer: { status: 401, json } } });
    expect(await session.fail(provider.identify(access))).toBeInstanceOf(ForbiddenError);
  });

  test('Conditional Access says nothing about the credential', async () => {
    const { access, azure, session } = await linkAzureDevops();
    const json = { typeKey: 'AccessDenied', message: 'VS403463: The conditional access policy was not met.' };
    for (const status of [401, 403]) {
      const end = azure.faults.add({ fault: { kind: 'answer', answer: { status, json } } });
      expect(await session.fail(provider.identify(access))).toBeInstanceOf(ForbiddenError);
      end();
    }
  });

  test('an organization that knows strangers calls them Anonymous: that is nobody', async () => {
    const azure = await startAzureDevops();
    const session = createSession(provider, 'homebrew');
    const { http } = session.open(azure.url, null);
    const access = { ...session.open(azure.url, 'pat-canary-ignored'), http };
    expect(await session.fail(provider.identify(access))).toBeInstanceOf(AuthError);
  });

  test('an organization that is gone is not found', async () => {
    const { access, azure, session } = await linkAzureDevops();
    const [acme] = azure.state.organizations;
    if (acme) acme.name = 'acme-renamed';
    expect(await session.fail(provider.identify(access))).toBeInstanceOf(NotFoundError);
  });

  test('a 401 in other words than its own says nothing about the credential', async () => {
    const server = await startServer((_request, response) => sendJson(response, { error: 'proxy' }, 401));
    const session = createSession(provider, 'acme');
    const error = await session.fail(provider.identify(session.open(server.base, 'pat-canary-proxy')));
    expect(error).toBeInstanceOf(UnreachableError);
  });

  test('organizations cannot be listed by a token of theirs: whoever signed in is told their own', async () => {
    const { azure, session } = await linkAzureDevops();
    const named = session.open(azure.url, azure.addEntraToken().secret, {
      organization: null,
      kind: signInKind,
    });
    const error = (await session.fail(provider.identify(named))) as UsageError;
    expect(error).toBeInstanceOf(UsageError);
    expect(error.hint).toMatch(/--organization: this account is in acme, acme-labs$/);
    azure.clearRequests();
    const pat = session.open(azure.url, azure.addToken().secret, { organization: null });
    expect(await session.fail(provider.identify(pat))).toBeInstanceOf(UsageError);
    expect(azure.requests).toEqual([]);
  });
});

describe('scopes', () => {
  test.each([
    [['vso.code_full'], ['vso.code_write', 'vso.hooks_write', 'vso.profile'], []],
    [['vso.code'], ['vso.code_write'], ['vso.code_write']],
    [['vso.work'], ['vso.hooks_write', 'vso.profile'], []],
    [['vso.project'], ['vso.profile'], ['vso.profile']],
    [['app_token'], ['vso.code_write'], []],
    [['499b84ac-1321-427f-aa17-267ca6975798/vso.code_write', 'offline_access'], ['vso.code'], []],
  ])('%j for %j lacks %j', (granted, needed, missing) => {
    expect(provider.compareScopes(granted, needed).missing).toEqual(missing);
  });

  test('tokens are managed by a sign-in alone', () => {
    expect(provider.scopes.admin).toBeUndefined();
    expect(provider.scopesOf?.(signInKind)?.admin).toEqual(['vso.pats_manage']);
    expect(provider.scopesOf?.('personal-access-token')).toBeNull();
    expect(
      provider.tokenPage({ host: 'https://dev.azure.com', organization: 'acme' }, ['admin']).instructions,
    ).not.toContain('pats');
  });
});

describe('for git', () => {
  test('a generated password goes with its own user name, everything else with any', () => {
    const account = { login: 'ada', kind: 'unknown', id: null } as const;
    const usernameOf = (kind: string) => {
      const told = provider.git.toGitCredential({ kind, token: new Secret('canary') }, account);
      return 'username' in told ? told.username : null;
    };
    expect(usernameOf('git-credential')).toBe('ada');
    expect(usernameOf('personal-access-token')).toBe('gitlink');
    expect(usernameOf(signInKind)).toBe('gitlink');
  });

  test('an address to clone has _git before the last name, and its names escaped', () => {
    expect(provider.git.toRepositoryUrl?.('https://dev.azure.com', 'acme/Straße Süd/werk zeug')).toBe(
      'https://dev.azure.com/acme/Stra%C3%9Fe%20S%C3%BCd/_git/werk%20zeug',
    );
  });
});
