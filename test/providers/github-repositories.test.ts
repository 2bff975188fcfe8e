import type { ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { UnreachableError } from '../../src/errors.ts';
import { githubProvider } from '../../src/providers/github/index.ts';
import { sendJson, startServer } from '../http/http-kit.ts';
import { smallWorld } from '../simulators/github/world.ts';
import { linkGithub } from './github-kit.ts';
import { collect, createSession } from './provider-kit.ts';

function toRepository(id: number) {
  return {
    id,
    full_name: `acme/api-${id}`,
    owner: { login: 'acme', id: 1, type: 'Organization' },
    private: true,
    html_url: `https://h.dev/acme/api-${id}`,
  };
}

function toPage(page: number) {
  return Array.from({ length: 100 }, (_, index) => toRepository(page * 100 + index));
}

test('§4.3: pages are asked for side by side, once the first has told how many there are', async () => {
  let second: ServerResponse | null = null;
  const server = await startServer((request, response) => {
    const page = Number(new URL(request.url, 'http://h.dev').searchParams.get('page'));
    // The second is answered when the third has been asked for.
    if (page === 2) return void (second = response);
    if (page === 3 && second) sendJson(second, toPage(2));
    const link = `<${server.base}/api/v3/user/repos?page=3&per_page=100>; rel="last"`;
    sendJson(response, toPage(page), 200, page === 1 ? { link } : {});
  });
  const access = createSession(githubProvider).open(server.base, 'canary-token');
  const found = await collect(githubProvider.listRepositories(access, null));
  expect(found.map(({ id }) => Number(id))).toEqual(
    [...toPage(1), ...toPage(2), ...toPage(3)].map(({ id }) => id),
  );
});

test('a list without a word of its length is read to its end', async () => {
  const server = await startServer((request, response) => {
    const page = Number(new URL(request.url, 'http://h.dev').searchParams.get('page'));
    sendJson(response, page < 3 ? toPage(page) : toPage(page).slice(0, 7));
  });
  const access = createSession(githubProvider).open(server.base, 'canary-token');
  expect(await collect(githubProvider.listRepositories(access, null))).toHaveLength(207);
});

test.each(['https://evil.dev/api/v3/user/orgs?page=2', 'http://127.0.0.1:9/elsewhere?page=2'])(
  'E9: a next page at %s is not followed',
  async (next) => {
    const server = await startServer((_request, response) =>
      sendJson(response, [{ login: 'acme' }], 200, { link: `<${next}>; rel="next"` }),
    );
    const session = createSession(githubProvider);
    const access = session.open(server.base, 'canary-token');
    const error = await session.fail(collect(githubProvider.listNamespaces(access)));
    expect(error).toBeInstanceOf(UnreachableError);
    expect(server.seen).toHaveLength(1);
  },
);

test('§5.5: webhooks are managed with the role admin alone, by whomever', async () => {
  const { access } = await linkGithub();
  const found = await collect(githubProvider.listRepositories(access, null));
  const manageable = found
    .filter(({ canManageWebhooks }) => canManageWebhooks)
    .map(({ fullName }) => fullName);
  expect(manageable).toEqual(expect.arrayContaining(['ada/notes', 'acme/api', 'bob/shared']));
  expect(manageable).not.toContain('others/tool');
});

test('names of organizations that hold many are read from every page', async () => {
  const organizations = Array.from({ length: 130 }, (_, index) => ({
    login: `team-${index}`,
    members: { ada: 'member' } as const,
  }));
  for (const kind of ['classic', 'fineGrained'] as const) {
    const { access } = await linkGithub(
      { world: { ...smallWorld, organizations, repositories: [] } },
      { kind, ...(kind === 'fineGrained' ? { resourceOwner: 'team-7' } : {}) },
    );
    const found = await collect(githubProvider.listNamespaces(access));
    expect(found).toHaveLength(kind === 'classic' ? 131 : 2);
  }
});

test.each(['acme', 'acme/api/more', '', '/api', 'acme/'])('"%s" is no repository', async (name) => {
  const { access, github } = await linkGithub();
  const before = github.requests.length;
  expect(await githubProvider.findRepository(access, name)).toBeNull();
  expect(github.requests).toHaveLength(before);
});
