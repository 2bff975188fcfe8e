import { describe, expect, test } from 'vitest';
import { AuthError, NotFoundError, UnreachableError } from '../../src/errors.ts';
import { bitbucketDcProvider as provider } from '../../src/providers/bitbucket-dc/index.ts';
import { readTokenId } from '../../src/providers/bitbucket-dc/token-records.ts';
import { Secret } from '../../src/secret.ts';
import { sendRequest } from '../simulators/send-request.ts';
import type { NewToken } from '../simulators/bitbucket-dc/token-state.ts';
import { smallWorld } from '../simulators/bitbucket-dc/world.ts';
import { linkDc, signIn, startDc } from './bitbucket-dc-kit.ts';
import { collect, createSession } from './provider-kit.ts';

const strangersReason = {
  errors: [{ context: null, message: 'Authentication failed.', exceptionName: null }],
};

/** A place's token, asked about with the place that a person named. */
async function identifyIn(token: NewToken, named: string | null) {
  const dc = await startDc();
  const session = createSession(provider);
  const made = dc.addToken(token);
  const account = { login: named, kind: 'unknown', id: null } as const;
  const access = session.open(dc.url, made.secret, { account });
  return { dc, session, access, made, identity: provider.identify(access) };
}

describe('who a token of Data Center acts as', () => {
  test('fact 2: the name comes from a header, and the person whose it is from a list of those alike', async () => {
    const world = {
      ...smallWorld,
      users: [{ name: 'Grace@acme.test.old' }, ...(smallWorld.users ?? [])],
    };
    const { access, dc } = await linkDc({ world }, { user: 'Grace@acme.test' });
    const grace = dc.state.findUser('Grace@acme.test');
    expect(access.identity).toMatchObject({
      account: { login: 'Grace@acme.test', kind: 'user', id: String(grace?.id) },
      credentialKind: 'user-access-token',
    });
  });

  test('fact 2: the own namespace goes by the slug, which is not the name', async () => {
    const world = { ...smallWorld, projects: [...(smallWorld.projects ?? []), { key: '~grace_acme.test' }] };
    const { access } = await linkDc({ world }, { user: 'Grace@acme.test' });
    const [own, ...others] = await collect(provider.listNamespaces(access));
    expect(own).toEqual({ path: '~grace_acme.test', kind: 'user' });
    expect(others).toEqual([{ path: 'ACME', kind: 'project' }]);
  });

  test('fact 3: a dead token is refused where strangers may read', async () => {
    const world = {
      ...smallWorld,
      projects: (smallWorld.projects ?? []).map((p) => ({ ...p, public: true })),
    };
    const { dc, session, secret } = await linkDc({ world });
    dc.state.tokens.delete(secret);
    const error = await session.fail(provider.identify(session.open(dc.url, secret)));
    expect(error).toBeInstanceOf(AuthError);
    expect((error as AuthError).hint).toContain(`${dc.url}/plugins/servlet/access-tokens/manage`);
  });

  test('fact 4: a token is shown below /rest alone', async () => {
    const { access, dc } = await linkDc();
    await collect(provider.listNamespaces(access));
    await collect(provider.listRepositories(access, 'ACME'));
    await provider.revoke?.(access);
    expect(dc.requests.filter(({ path }) => !path.startsWith('/rest/'))).toEqual([]);
  });

  test.each([
    ['a proxy', null],
    ['a sign-in page', { kind: 'html', status: 401 }],
  ] as const)('fact 5: a 401 of %s says nothing about the token', async (_name, fault) => {
    const { access, dc, session } = await linkDc();
    dc.faults.add({ fault: fault ?? { kind: 'answer', answer: { status: 401, json: { message: 'no' } } } });
    expect(await session.fail(provider.identify(access))).toBeInstanceOf(UnreachableError);
  });

  test('fact 5: a token that may not see a profile lives all the same', async () => {
    const { dc, session, access } = await linkDc({}, { kind: 'repository', resource: 'ACME/api' });
    const answer = { status: 401, json: strangersReason };
    dc.faults.add({ path: /profile/, fault: { kind: 'answer', answer } });
    expect(await provider.identify(access)).toMatchObject({ account: { login: 'ACME/api' } });
    dc.state.tokens.clear();
    expect(await session.fail(provider.identify(access))).toBeInstanceOf(AuthError);
  });

  test.each([
    [{ kind: 'project', resource: 'ACME' }, null, 'ACME', 'project'],
    [{ kind: 'project', resource: 'ACME' }, 'acme', 'ACME', 'project'],
    [{ kind: 'project', resource: 'ACME' }, 'ACME/api', 'ACME', 'project'],
    [{ kind: 'project', resource: 'ACME', permissions: ['REPO_READ'] }, 'acme', 'ACME', 'project'],
    [{ kind: 'repository', resource: 'ACME/api' }, null, 'ACME/api', 'repository'],
    [{ kind: 'repository', resource: 'ACME/api' }, 'acme/API', 'ACME/api', 'repository'],
  ] as const)(
    'fact 7: a token without a person, %o named %s, is that of %s',
    async (token, named, login, kind) => {
      const { identity, made } = await identifyIn(token, named);
      expect(await identity).toMatchObject({
        account: { login, kind, id: made.id },
        credentialKind: `${kind}-access-token`,
        isExpiryHidden: true,
      });
    },
  );

  test("a place that is public, but not the token's, is refused", async () => {
    const { identity, session } = await identifyIn(
      { kind: 'repository', resource: 'ACME/api' },
      'VAULT/handbook',
    );
    const error = await session.fail(identity);
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error.message).toContain('VAULT/handbook');
  });

  test('a project token for several repositories and no project has to be told its place', async () => {
    const token = { kind: 'project', resource: 'ACME', permissions: ['REPO_READ'] } as const;
    const { identity } = await identifyIn(token, null);
    expect(await identity).toMatchObject({ account: { login: null, kind: 'project' } });
  });

  test('a sign-in is its person, and its scopes are what the server said when it was made', async () => {
    const linked = await linkDc();
    const access = await signIn(linked, 'bob', ['REPO_READ']);
    expect(await provider.identify(access)).toMatchObject({
      account: { login: 'bob', kind: 'user' },
      credentialKind: 'oauth-access-token',
      scopes: null,
    });
  });
});

describe('what a token of Data Center may do', () => {
  test.each([
    [['PROJECT_ADMIN', 'REPO_ADMIN']],
    [['PROJECT_WRITE', 'REPO_WRITE']],
    [['PROJECT_READ', 'REPO_ADMIN']],
    [['REPO_WRITE']],
  ])('shows in where it has a permission: %o', async (permissions) => {
    const { access } = await linkDc({}, { permissions });
    expect(access.identity.scopes).toEqual(permissions);
  });

  test('is not known of one that has none anywhere', async () => {
    const world = { users: [{ name: 'ada' }], projects: [{ key: 'ACME', public: true }] };
    const { access } = await linkDc({ world });
    expect(access.identity).toMatchObject({ scopes: null, account: { login: 'ada' } });
  });

  test("a project's power includes that over its repositories, and reading a project is none of its own", () => {
    const needed = ['REPO_ADMIN'];
    expect(provider.compareScopes(['PROJECT_ADMIN'], needed)).toEqual({
      missing: [],
      excess: ['PROJECT_ADMIN'],
    });
    expect(provider.compareScopes(['PROJECT_READ', 'REPO_WRITE'], needed)).toEqual({
      missing: ['REPO_ADMIN'],
      excess: [],
    });
  });
});

describe('the shape of a token of Data Center', () => {
  test('fact 7: its id is found in either form, and in nothing else', async () => {
    const dc = await startDc();
    for (const shape of ['prefixed', 'legacy'] as const) {
      const { id, secret } = dc.addToken({ shape });
      expect(readTokenId(new Secret(secret))).toBe(id);
    }
    for (const text of ['', 'BBDC-', 'canary', Buffer.from('12x:rest').toString('base64'), '9'.repeat(60)]) {
      expect(readTokenId(new Secret(text)), text).toBeNull();
    }
  });

  test('is a hint: a token of any form is worth asking the host', () => {
    for (const text of ['M'.repeat(44), 'canary-of-a-sign-in', 'short']) {
      expect(provider.recogniseToken?.(new Secret(text))).toMatchObject({ use: 'api' });
    }
  });
});

describe('git at Data Center', () => {
  test.each([
    [{ kind: 'user' }, 'username'],
    [{ kind: 'project', resource: 'ACME' }, 'bearer'],
    [{ kind: 'repository', resource: 'ACME/api' }, 'bearer'],
  ] as const)('fact 6: %o goes as the server takes it', async (token, way) => {
    const { access, dc, secret } = await linkDc({}, token);
    const credential = { ...access.credential, kind: access.identity.credentialKind };
    const told = provider.git.toGitCredential(credential, access.identity.account);
    expect(way in told).toBe(true);
    const authorization =
      'bearer' in told
        ? `Bearer ${secret}`
        : `Basic ${Buffer.from(`${told.username}:${secret}`).toString('base64')}`;
    const refs = `${dc.url}/scm/acme/api.git/info/refs?service=git-upload-pack`;
    const answer = await sendRequest(refs, { authorization });
    expect(answer.status).toBe(200);
  });

  test('fact 6: a token without a known account goes in the header, a sign-in beside any name', () => {
    const token = new Secret('git-canary');
    const nobody = { login: null, kind: 'project', id: null } as const;
    const { git } = provider;
    expect(git.toGitCredential({ kind: 'project-access-token', token }, nobody)).toEqual({ bearer: token });
    expect(git.toGitCredential({ kind: 'oauth-access-token', token }, nobody)).toMatchObject({
      username: 'x-token-auth',
    });
  });
});
