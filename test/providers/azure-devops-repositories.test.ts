import { describe, expect, test } from 'vitest';
import { UnreachableError } from '../../src/errors.ts';
import { sendJson, startServer } from '../http/http-kit.ts';
import { requireProject, requireRepository } from '../simulators/azure-devops/state.ts';
import { linkAzureDevops, linkEntra, listRequests, provider, strangeName } from './azure-devops-kit.ts';
import { collect, createSession, pick } from './provider-kit.ts';

const manyProjects = {
  world: {
    users: [{ login: 'ada', tenant: 'acme' }],
    organizations: [
      {
        name: 'acme',
        tenant: 'acme',
        members: { ada: 'administrator' },
        projects: [{ name: 'Big', count: 250, repositories: [{ name: 'api', count: 2 }] }],
      },
    ],
  },
} as const;

describe('projects', () => {
  test('the next page stands in a header (x-ms-continuationtoken), and none is lost', async () => {
    const { access, azure } = await linkAzureDevops(manyProjects);
    azure.clearRequests();
    const found = await collect(provider.listNamespaces(access));
    expect(found).toHaveLength(250);
    expect(new Set(found.map(({ path }) => path)).size).toBe(250);
    expect(azure.requests.map(({ query }) => query['continuationToken'] ?? null)).toEqual([
      null,
      '100',
      '200',
    ]);
  });

  test('are namespaces with their names as they are, those that are being deleted left out', async () => {
    const { access } = await linkAzureDevops();
    const paths = (await collect(provider.listNamespaces(access))).map(({ path }) => path);
    expect(paths).toContain('acme/Straße Süd');
    expect(paths).not.toContain('acme/Going');
  });

  test('a host that sends the same page for ever is broken', async () => {
    const server = await startServer((_request, response) => {
      response.setHeader('x-ms-continuationtoken', '100');
      sendJson(response, { count: 0, value: [] });
    });
    const session = createSession(provider, 'acme');
    const access = session.open(server.base, 'pat-canary-paging');
    expect(await session.fail(collect(provider.listNamespaces(access)))).toBeInstanceOf(UnreachableError);
    expect(server.seen.length).toBeLessThan(5);
  });
});

describe('repositories', () => {
  test('come in one call for all projects, with one more for the right to their webhooks per 40 projects', async () => {
    const { access, azure } = await linkAzureDevops(manyProjects);
    azure.clearRequests();
    expect(await collect(provider.listRepositories(access, null))).toHaveLength(500);
    expect(listRequests(azure, 'GET', '/git/repositories')).toHaveLength(1);
    expect(listRequests(azure, 'GET', '/permissions/')).toHaveLength(7);
    expect(azure.requests).toHaveLength(8);
  });

  test('a name with a space and letters outside ASCII is listed, found and escaped in addresses', async () => {
    const { access } = await linkAzureDevops();
    const listed = pick(await collect(provider.listRepositories(access, null)), 'acme/Straße Süd/werk zeug');
    expect(listed).toMatchObject({
      namespace: 'acme/Straße Süd',
      cloneUrl: `${access.host}/acme/Stra%C3%9Fe%20S%C3%BCd/_git/werk%20zeug`,
    });
    expect(await provider.findRepository(access, 'acme/Straße Süd/werk zeug')).toEqual(listed);
    expect(await provider.findRepository(access, 'ACME/straße süd/WERK ZEUG')).toEqual(listed);
    const inside = await collect(provider.listRepositories(access, 'acme/Straße Süd'));
    expect(inside.map(({ fullName }) => fullName)).toEqual([strangeName, 'acme/Straße Süd/werk zeug']);
  });

  test('the organization that stands as user name in the address (remoteUrl) does not get into cloneUrl', async () => {
    const { access, azure } = await linkAzureDevops();
    for (const { cloneUrl } of await collect(provider.listRepositories(access, null))) {
      expect(cloneUrl.startsWith(`${azure.url}/acme/`)).toBe(true);
      expect(cloneUrl).not.toContain('@');
    }
  });

  test('says what is empty, disabled and hidden', async () => {
    const { access } = await linkAzureDevops();
    const found = await collect(provider.listRepositories(access, 'acme/Platform'));
    expect(pick(found, 'acme/Platform/empty').defaultBranch).toBeNull();
    expect(pick(found, 'acme/Platform/api').defaultBranch).toBe('main');
    expect(pick(found, 'acme/Platform/old').archived).toBe(true);
    expect(found.map(({ fullName }) => fullName)).not.toContain('acme/Platform/Platform.wiki');
  });

  test('of the organization are all; of another organization, and below a repository, none', async () => {
    const { access } = await linkAzureDevops();
    const all = await collect(provider.listRepositories(access, null));
    expect(await collect(provider.listRepositories(access, 'Acme'))).toEqual(all);
    for (const namespace of ['acme-labs', 'acme-labs/Lab', 'acme/Platform/api']) {
      expect(await collect(provider.listRepositories(access, namespace)), namespace).toEqual([]);
    }
    for (const name of ['acme-labs/Lab/probe', 'acme/Platform', 'acme/Platform/api/x', 'acme']) {
      expect(await provider.findRepository(access, name), name).toBeNull();
    }
  });

  test('renames break stored names, not ids: the old name leads nowhere', async () => {
    const { access, azure } = await linkAzureDevops();
    const before = await provider.findRepository(access, strangeName);
    requireProject(azure.state, 'acme/Straße Süd').name = 'Nord';
    requireRepository(azure.state, 'acme/Nord/api').name = 'interface';
    expect(await provider.findRepository(access, strangeName)).toBeNull();
    expect(await provider.findRepository(access, 'acme/Nord/interface')).toMatchObject({ id: before?.id });
  });

  test('a 404 that is not the host’s own is no missing repository', async () => {
    const { access, azure, session } = await linkAzureDevops();
    azure.faults.add({ fault: { kind: 'html', status: 404 } });
    const error = await session.fail(Promise.resolve(provider.findRepository(access, strangeName)));
    expect(error).toBeInstanceOf(UnreachableError);
  });
});

describe('the right to webhooks', () => {
  test('without the View permission lists are silently shorter, so Edit alone is not enough', async () => {
    const { azure, session } = await linkAzureDevops();
    const bob = azure.state.users.find(({ login }) => login === 'bob');
    const access = await session.link(azure.url, azure.addToken({ user: 'bob' }).secret);
    const project = requireProject(azure.state, 'acme/Platform');
    const judged = async () =>
      (await provider.findRepository(access, 'acme/Platform/api'))?.canManageWebhooks;
    expect(await judged()).toBe(false);
    project.hookRights.set(bob?.id ?? '', 2);
    expect(await judged()).toBe(false);
    project.hookRights.set(bob?.id ?? '', 3);
    expect(await judged()).toBe(true);
  });

  test('is left to the host where nobody may ask for it', async () => {
    const { access, azure } = await linkAzureDevops();
    for (const status of [401, 403, 404]) {
      const answer = { status, json: { typeKey: 'X', message: 'no' } };
      const end = azure.faults.add({ path: /\/permissions\//, fault: { kind: 'answer', answer } });
      expect(await provider.findRepository(access, strangeName)).toMatchObject({ canManageWebhooks: true });
      end();
    }
  });

  test('a sign-in has the same', async () => {
    const linked = await linkAzureDevops();
    const access = await linkEntra(linked, 'entra-token');
    const found = await collect(provider.listRepositories(access, 'acme/Platform'));
    expect(found.every(({ canManageWebhooks }) => canManageWebhooks)).toBe(true);
  });
});
