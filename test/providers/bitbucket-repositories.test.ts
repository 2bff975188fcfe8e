import { describe, expect, test } from 'vitest';
import { InternalError, UnreachableError } from '../../src/errors.ts';
import { bitbucketProvider } from '../../src/providers/bitbucket/index.ts';
import {
  findRepository,
  listNamespaces,
  listRepositories,
} from '../../src/providers/bitbucket/repositories.ts';
import { sendJson, startServer } from '../http/http-kit.ts';
import { smallWorld, renameRepository } from '../simulators/bitbucket/world.ts';
import {
  addSignIn,
  linkBitbucket,
  linkPlace,
  openWith,
  startBitbucket,
  toCredential,
  usualApiScopes,
} from './bitbucket-kit.ts';
import { collect, createSession, pick } from './provider-kit.ts';

const allScopes = ['account', 'project', 'repository', 'webhook'];

describe('Bitbucket hosts', () => {
  test('the cloud is known by its name, and costs none of the anonymous calls', async () => {
    const server = await startServer((_request, response) => sendJson(response, {}, 500));
    const { http } = createSession(bitbucketProvider).open(server.base, null);
    const cloud = { host: 'https://bitbucket.org', flavour: 'bitbucket', version: null };
    expect(await bitbucketProvider.recognise('https://bitbucket.org', http)).toEqual(cloud);
    expect(await bitbucketProvider.recognise('https://bitbucket.org/acme/api', http)).toEqual(cloud);
    expect(server.seen).toEqual([]);
    expect(bitbucketProvider.toApiBase('https://bitbucket.org')).toBe('https://api.bitbucket.org/2.0');
  });

  test.each([
    ['Data Center', 404, { errors: [{ context: null, message: 'null for uri', exceptionName: null }] }],
    ['what only looks like it', 200, { repository: {}, workspace: {} }],
    ['what wants a sign-in', 401, { type: 'error', error: { message: 'no' } }],
  ])('%s is another product', async (_name, status, body) => {
    const server = await startServer((_request, response) => sendJson(response, body, status));
    const { http } = createSession(bitbucketProvider).open(server.base, null);
    expect(await bitbucketProvider.recognise(server.base, http)).toBeNull();
  });
});

describe('fact 8: lists by workspace', () => {
  test('namespaces are workspaces, each with its projects', async () => {
    const { access } = await linkBitbucket();
    expect(await collect(listNamespaces(access))).toEqual([
      { path: 'acme', kind: 'workspace' },
      { path: 'acme/API', kind: 'project' },
      { path: 'acme/WEB', kind: 'project' },
      { path: 'ada', kind: 'workspace' },
      { path: 'ada/HOME', kind: 'project' },
      { path: 'others', kind: 'workspace' },
      { path: 'others/MISC', kind: 'project' },
    ]);
  });

  test('without the scope for projects the workspaces are there all the same', async () => {
    const { access } = await linkBitbucket({}, ['account', 'repository']);
    const kinds = (await collect(listNamespaces(access))).map(({ kind }) => kind);
    expect(kinds).toEqual(['workspace', 'workspace', 'workspace']);
  });

  test('repositories are those with a role, and tell their project and who may manage their hooks', async () => {
    const { access } = await linkBitbucket();
    const found = await collect(listRepositories(access, null));
    expect(found.map(({ fullName }) => fullName)).not.toContain('others/public');
    expect(pick(found, 'acme/api')).toEqual({
      id: expect.stringMatching(/^\{[0-9a-f-]{36}\}$/) as string,
      fullName: 'acme/api',
      namespace: 'acme',
      project: 'acme/API',
      cloneUrl: `${access.host}/acme/api.git`,
      webUrl: `${access.host}/acme/api`,
      defaultBranch: 'main',
      private: true,
      archived: false,
      canManageWebhooks: true,
    });
    expect(pick(found, 'acme/empty').defaultBranch).toBeNull();
    expect(pick(found, 'others/pen').canManageWebhooks).toBe(false);
    expect(pick(found, 'others/tool').canManageWebhooks).toBe(false);
  });

  test('an API token lists the same', async () => {
    const bitbucket = await startBitbucket();
    const { secret } = bitbucket.addToken({ kind: 'api', scopes: usualApiScopes });
    const byApiToken = await collect(listRepositories(openWith(bitbucket.url, toCredential(secret)), null));
    const bySignIn = openWith(bitbucket.url, toCredential(addSignIn(bitbucket)));
    expect(byApiToken).toEqual(await collect(listRepositories(bySignIn, null)));
  });

  test('a project is a namespace, however it is spelled', async () => {
    const { access } = await linkBitbucket();
    for (const name of ['acme/API', 'acme/api', 'ACME/Api']) {
      const found = await collect(listRepositories(access, name));
      expect(
        found.map(({ fullName }) => fullName),
        name,
      ).toEqual(['acme/api', 'acme/gateway']);
    }
    expect(await collect(listRepositories(access, 'acme/NONE'))).toEqual([]);
    expect(await collect(listRepositories(access, 'acme/A"B'))).toEqual([]);
    expect(await collect(listRepositories(access, 'acme/API/x'))).toEqual([]);
  });

  test('who administers what is one list for a workspace, of which no more is read than is needed', async () => {
    const world = {
      ...smallWorld,
      repositories: [{ path: 'acme/many', count: 230 }],
    };
    const { access, bitbucket } = await linkBitbucket({ world });
    const before = bitbucket.requests.length;
    const found = await collect(listRepositories(access, 'acme'));
    expect(found.filter(({ canManageWebhooks }) => canManageWebhooks)).toHaveLength(230);
    const asked = bitbucket.requests.slice(before).map(({ path }) => path);
    expect(asked.filter((path) => path.endsWith('/permissions/repositories')).length).toBe(3);
    expect(asked.filter((path) => path === '/2.0/repositories/acme').length).toBe(3);
  });

  test('a list is never cut short: the fields that are asked for have `next` among them', async () => {
    const { access, bitbucket } = await linkBitbucket();
    await collect(listNamespaces(access));
    await collect(listRepositories(access, null));
    const cut = bitbucket.requests
      .map(({ query }) => new URLSearchParams(query).get('fields')?.split(',') ?? ['next'])
      .filter((fields) => !fields.includes('next'));
    expect(cut).toEqual([]);
  });

  test('E7: a next page elsewhere is not followed', async () => {
    const server = await startServer(({ url }, response) =>
      sendJson(response, {
        values: url.includes('/user/workspaces') ? [{ workspace: { slug: 'acme' } }] : [],
        next: 'https://api.bitbucket.example/2.0/user/workspaces?page=2',
      }),
    );
    const session = createSession(bitbucketProvider);
    const work = collect(listNamespaces(session.open(server.base, 'canary-token')));
    expect(await session.fail(work)).toBeInstanceOf(UnreachableError);
  });

  test('E11: another shape is no answer', async () => {
    for (const body of [[], null, { values: [{ slug: 'acme' }] }, { values: [], next: 7 }]) {
      const server = await startServer((_request, response) => sendJson(response, body));
      const session = createSession(bitbucketProvider);
      const work = collect(listRepositories(session.open(server.base, 'canary-token'), null));
      expect(await session.fail(work)).toBeInstanceOf(InternalError);
    }
  });
});

describe('Bitbucket repositories by name', () => {
  test.each(['others/pen', 'others/public', 'acme/gateway', 'ada/site'])(
    '%s says truly who may manage its hooks',
    async (name) => {
      const { access } = await linkBitbucket();
      const found = await findRepository(access, name);
      expect(found?.canManageWebhooks).toBe(!name.startsWith('others/'));
    },
  );

  test('an old name leads on, unless Bitbucket has forgotten it', async () => {
    const { access, bitbucket } = await linkBitbucket();
    renameRepository(bitbucket.state, 'acme/api', 'acme/interface');
    expect(await findRepository(access, 'acme/api')).toMatchObject({ fullName: 'acme/interface' });
    bitbucket.settings.redirectsRenamed = false;
    expect(await findRepository(access, 'acme/api')).toBeNull();
  });

  test('a missing scope is not a missing repository', async () => {
    const { access, session } = await linkBitbucket({}, ['account']);
    const error = await session.fail(findRepository(access, 'acme/api'));
    expect(error.message).toContain('privilege scopes');
  });
});

describe('fact 7: what access tokens reach', () => {
  test.each([
    ['workspace', 'acme', ['acme', 'acme/API', 'acme/WEB'], 5],
    ['project', 'acme/API', ['acme/API'], 2],
    ['repository', 'acme/api', [], 1],
  ] as const)('one of the %s %s', async (kind, resource, namespaces, count) => {
    const bitbucket = await startBitbucket();
    const scopes = allScopes
      .filter((scope) => kind === 'workspace' || scope !== 'account')
      .filter((scope) => kind !== 'repository' || scope !== 'project');
    const { access } = await linkPlace(bitbucket, { kind, resource, scopes });
    const asked = bitbucket.requests.length;
    expect((await collect(listNamespaces(access))).map(({ path }) => path)).toEqual(namespaces);
    const found = await collect(listRepositories(access, null));
    expect(found).toHaveLength(count);
    expect(found.every(({ canManageWebhooks }) => canManageWebhooks)).toBe(true);
    expect(await findRepository(access, 'acme/api')).toEqual(pick(found, 'acme/api'));
    expect(bitbucket.requests.slice(asked).filter(({ path }) => path.includes('/user'))).toEqual([]);
    for (const namespace of ['acme', 'acme/API', 'acme/WEB', 'others', 'others/API']) {
      const inside = found.filter((one) => one.namespace === namespace || one.project === namespace);
      expect(await collect(listRepositories(access, namespace)), namespace).toEqual(inside);
    }
  });

  test('without the scope for webhooks none can be managed', async () => {
    const bitbucket = await startBitbucket();
    const token = { kind: 'repository', resource: 'acme/api', scopes: ['repository'] } as const;
    const { access } = await linkPlace(bitbucket, token);
    const [repository] = await collect(listRepositories(access, null));
    expect(repository?.canManageWebhooks).toBe(false);
  });
});
