import { describe, expect, test } from 'vitest';
import { UnreachableError, type GitlinkError } from '../../src/errors.ts';
import { gitlabProvider } from '../../src/providers/gitlab/index.ts';
import { startServer } from '../http/http-kit.ts';
import { smallWorld, type GitlabWorld } from '../simulators/gitlab/world.ts';
import { linkGitlab } from './gitlab-kit.ts';
import { collect, findRepository } from './provider-kit.ts';

const listAll = (
  access: Parameters<typeof gitlabProvider.listRepositories>[0],
  namespace: string | null = null,
) => collect(gitlabProvider.listRepositories(access, namespace));

/** Projects that ada has by a share and by her own role in turn. */
const sharedWorld = (count: number): GitlabWorld => ({
  users: [{ username: 'ada' }, { username: 'bob' }],
  groups: [
    { path: 'acme', members: { ada: 50 } },
    { path: 'acme/team' },
    { path: 'others', members: { bob: 50 } },
    { path: 'readers', members: { ada: 30, bob: 50 } },
  ],
  projects: [
    { path: 'acme/team/one', count },
    { path: 'others/two', count, sharedWith: { acme: 40 } },
    { path: 'readers/three', count },
  ],
});

describe('listing GitLab projects', () => {
  test('goes by keyset, because offsets end at 50,000', async () => {
    const { access, gitlab } = await linkGitlab({ settings: { maxOffset: 0 }, world: sharedWorld(90) });
    expect(await listAll(access)).toHaveLength(270);
    const pages = gitlab.requests.filter(
      ({ path, query }) => path === '/api/v4/projects' && !('simple' in query),
    );
    expect(pages.map(({ query }) => query['pagination'])).toEqual(['keyset', 'keyset', 'keyset', 'keyset']);
  });

  test('reads a long list in several places at once, each project once and by ascending id', async () => {
    const world: GitlabWorld = {
      users: [{ username: 'ada' }, { username: 'bob' }],
      // Ids with gaps of every size between ada's.
      projects: [
        ...[3, 250, 1, 99].flatMap((count, index) => [
          { path: `ada/part-${index}`, count },
          { path: `bob/part-${index}`, count: 400 * index },
        ]),
        { path: 'ada/last', count: 700 },
      ],
    };
    const { access, gitlab } = await linkGitlab({ world, latencyMs: 5 });
    gitlab.clearRequests();
    const found = await listAll(access);
    const ids = found.map(({ id }) => Number(id));
    expect(ids).toHaveLength(1_053);
    expect(ids).toEqual([...new Set(ids)].sort((left, right) => left - right));
    expect(gitlab.peakConcurrency()).toBeGreaterThan(3);
    expect(gitlab.requests.length).toBeLessThan(50);
  });

  test('tells where webhooks may be managed by the role in effect, however it was given', async () => {
    const { access } = await linkGitlab({ world: sharedWorld(60) });
    for (const found of [
      await listAll(access),
      await listAll(access, 'acme'),
      await listAll(access, 'readers'),
    ]) {
      for (const { fullName, canManageWebhooks } of found) {
        expect([fullName, canManageWebhooks]).toEqual([fullName, !fullName.startsWith('readers/')]);
      }
    }
    expect(await findRepository(gitlabProvider, access, 'others/two-0001')).toMatchObject({
      canManageWebhooks: true,
    });
    expect(await findRepository(gitlabProvider, access, 'readers/three-0001')).toMatchObject({
      canManageWebhooks: false,
    });
  });

  test('asks once more for a page at most, and only where a role does not show', async () => {
    const world: GitlabWorld = {
      users: [{ username: 'ada' }],
      groups: [{ path: 'acme', members: { ada: 50 } }],
      projects: [{ path: 'acme/all', count: 150 }],
    };
    const own = await linkGitlab({ world });
    own.gitlab.clearRequests();
    await listAll(own.access);
    expect(own.gitlab.requests).toHaveLength(3);
    const mixed = await linkGitlab({ world: sharedWorld(60) });
    mixed.gitlab.clearRequests();
    await listAll(mixed.access);
    const isRole = ({ query }: { query: Readonly<Record<string, string>> }) => 'min_access_level' in query;
    expect(mixed.gitlab.requests.filter(isRole).length).toBeLessThanOrEqual(2);
  });

  test('gives the first project before the others are read', async () => {
    const { access, gitlab } = await linkGitlab({ world: sharedWorld(200) });
    gitlab.clearRequests();
    for await (const { fullName } of gitlabProvider.listRepositories(access, null)) {
      expect(fullName).toContain('/');
      break;
    }
    expect(gitlab.requests.length).toBeLessThanOrEqual(3);
  });

  test('leaves out what is being deleted', async () => {
    const { access } = await linkGitlab();
    const names = (await listAll(access)).map(({ fullName }) => fullName);
    expect(names).toContain('acme/api');
    expect(names).not.toContain('acme/doomed');
    expect((await listAll(access, 'acme')).map(({ fullName }) => fullName)).not.toContain('acme/doomed');
    expect(await gitlabProvider.findRepository(access, 'acme/doomed')).toBeNull();
  });

  test("that are merely public are not the account's", async () => {
    const groups = [...(smallWorld.groups ?? []), { path: 'open', visibility: 'public' as const }];
    const projects = ['bob/open', 'open/source'].map((path) => ({ path, visibility: 'public' as const }));
    const { access } = await linkGitlab({ world: { ...smallWorld, groups, projects } });
    for (const namespace of [null, 'open', 'bob']) expect(await listAll(access, namespace)).toEqual([]);
    expect(await gitlabProvider.findRepository(access, 'open/source')).toMatchObject({ private: false });
  });

  test('of a group are those below it, without those only shared with it', async () => {
    const { access } = await linkGitlab();
    const names = (await listAll(access, 'acme')).map(({ fullName }) => fullName);
    expect(names).toEqual(expect.arrayContaining(['acme/api', 'acme/platform/tools/cli']));
    expect(names).not.toContain('others/shared');
    const below = (await listAll(access, 'Acme/Platform')).map(({ fullName }) => fullName);
    expect(below.sort()).toEqual(['acme/platform/empty', 'acme/platform/tools/cli']);
    expect(await findRepository(gitlabProvider, access, 'acme/platform/empty')).toMatchObject({
      defaultBranch: null,
    });
  });

  test('counts that are left out for long lists do not end them', async () => {
    const { access } = await linkGitlab({ settings: { maxCountedRows: 10 }, world: sharedWorld(210) });
    expect(await listAll(access, 'acme')).toHaveLength(210);
  });

  test('E9: a next page at another origin is refused, and gets no token', async () => {
    const thief = await startServer((_request, response) => response.end('{}'));
    const { access, session } = await linkGitlab({ settings: { linkBaseUrl: thief.base } });
    expect(await session.fail(listAll(access))).toBeInstanceOf(UnreachableError);
    expect(thief.seen).toEqual([]);
  });

  test('a limit that names no time is waited out for a minute', async () => {
    const { access, gitlab, session } = await linkGitlab();
    const json = { message: { error: 'This endpoint has been requested too many times. Try again later.' } };
    gitlab.faults.add({ fault: { kind: 'answer', answer: { status: 429, json } }, times: 1 });
    expect(await listAll(access)).not.toHaveLength(0);
    expect(session.said).toContain('! waiting 60 s (rateLimit)');
  });
});

describe('GitLab namespaces', () => {
  test('are those in which the account has a role, at every depth', async () => {
    const { access } = await linkGitlab({
      world: {
        ...sharedWorld(1),
        groups: [...(sharedWorld(1).groups ?? []), { path: 'open', visibility: 'public' }],
      },
    });
    const found = await collect(gitlabProvider.listNamespaces(access));
    expect(found.map(({ path }) => path).sort()).toEqual(['acme', 'acme/team', 'ada', 'readers']);
  });

  test("of a bot are no person's", async () => {
    const { access } = await linkGitlab({}, { kind: 'group', resource: 'acme', scopes: ['read_api'] });
    const found = await collect(gitlabProvider.listNamespaces(access));
    expect(found.every(({ kind }) => kind === 'group')).toBe(true);
    expect(found.map(({ path }) => path)).toContain('acme');
  });

  test('take a scope, and the refusal names it', async () => {
    const { access, session } = await linkGitlab({}, { scopes: ['read_user'] });
    const error = await session.fail(collect(gitlabProvider.listNamespaces(access)));
    expect((error as GitlinkError).code).toBe('forbidden');
    expect(error.message).toContain('higher privileges');
  });
});

describe('finding a GitLab project', () => {
  test.each([
    ["GitLab's own", { status: 404, json: { error: '404 Not Found' } }],
    ['a page', { status: 404, text: '<html>', contentType: 'text/html' }],
  ])('a 404 for the address (%s) does not mean that there is none', async (_name, answer) => {
    const { access, gitlab, session } = await linkGitlab();
    gitlab.faults.add({ fault: { kind: 'answer', answer }, path: /%2F/ });
    const error = await session.fail(gitlabProvider.findRepository(access, 'acme/api'));
    expect(error).toBeInstanceOf(UnreachableError);
    expect((error as GitlinkError).hint).toContain('%2F');
  });

  test('a redirect of a renamed project elsewhere gets no token', async () => {
    const thief = await startServer((_request, response) => response.end('{}'));
    const { access, gitlab, session } = await linkGitlab();
    const answer = { status: 301, headers: { location: `${thief.base}/api/v4/projects/1` } };
    gitlab.faults.add({ fault: { kind: 'answer', answer }, path: /%2F/ });
    expect(await session.fail(gitlabProvider.findRepository(access, 'acme/api'))).toBeInstanceOf(
      UnreachableError,
    );
    expect(thief.seen).toEqual([]);
  });
});
