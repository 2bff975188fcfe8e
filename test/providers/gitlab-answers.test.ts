import { describe, expect, test } from 'vitest';
import { AuthError, ForbiddenError, InternalError } from '../../src/errors.ts';
import { gitlabProvider } from '../../src/providers/gitlab/index.ts';
import { Secret } from '../../src/secret.ts';
import { sendJson, startServer } from '../http/http-kit.ts';
import { admin } from './gitlab-kit.ts';
import { collect, createSession } from './provider-kit.ts';

const project = {
  id: 4711,
  path_with_namespace: 'acme/api',
  web_url: 'https://gl.test/acme/api',
  visibility: 'internal',
  permissions: { project_access: { access_level: 40 }, group_access: null },
};
const hook = { id: 88, url: 'http://127.0.0.1:9/hook', push_events: true };
const wanted = {
  url: hook.url,
  events: ['push_events'],
  secret: new Secret('ab'.repeat(32)),
  successorOf: null,
};

/** A GitLab that answers everything alike. */
async function openAnswering(body: unknown, status = 200) {
  const server = await startServer((_request, response) => sendJson(response, body, status));
  const session = createSession(gitlabProvider);
  return { server, session, access: session.open(server.base, 'canary-token') };
}

async function openPlace(body: unknown) {
  const opened = await openAnswering(body);
  const repository = await gitlabProvider.findRepository((await openAnswering(project)).access, 'acme/api');
  if (repository === null) throw new Error('There is one.');
  return { ...opened, place: { level: 'repository', repository } as const };
}

describe('what GitLab answers', () => {
  test('an empty repository has no branch, whatever it will be called', async () => {
    const { access } = await openAnswering({ ...project, empty_repo: true, default_branch: 'main' });
    expect(await gitlabProvider.findRepository(access, 'acme/api')).toEqual({
      id: '4711',
      fullName: 'acme/api',
      namespace: 'acme',
      cloneUrl: 'https://gl.test/acme/api.git',
      webUrl: 'https://gl.test/acme/api',
      defaultBranch: null,
      private: true,
      archived: false,
      canManageWebhooks: true,
    });
  });

  test('a token that it calls inactive is none', async () => {
    for (const body of [{ active: false }, { revoked: true }]) {
      const { access, session } = await openAnswering({ id: 7, username: 'ada', bot: false, ...body });
      expect(await session.fail(gitlabProvider.identify(access))).toBeInstanceOf(AuthError);
    }
  });

  test('a group that is being deleted is left out', async () => {
    const { access } = await openAnswering([
      { full_path: 'acme', marked_for_deletion_on: null },
      { full_path: 'acme/doomed', marked_for_deletion_on: '2026-12-01' },
    ]);
    expect(await collect(gitlabProvider.listNamespaces(access))).toEqual([{ path: 'acme', kind: 'group' }]);
  });

  test('E11: another shape is no answer', async () => {
    for (const body of [{ ...project, id: '4711' }, { ...project, id: 2 ** 60 }, [], null]) {
      const { access, session } = await openAnswering(body);
      expect(await session.fail(gitlabProvider.findRepository(access, 'acme/api'))).toBeInstanceOf(
        InternalError,
      );
    }
  });
});

describe('what GitLab makes of a webhook', () => {
  test('an event that newer servers have is switched off like the others', async () => {
    const { access, place, server } = await openPlace({ ...hook, orbit_events: true });
    await admin.update(access, place, await admin.create(access, place, wanted), wanted);
    const sent = JSON.parse(server.seen.find(({ method }) => method === 'PUT')?.body ?? '{}') as object;
    expect(sent).toMatchObject({ push_events: true, orbit_events: false, tag_push_events: false });
  });

  test.each([
    ['an event that it passed over', { ...hook, push_events: false }, 'push_events'],
    [
      'a secret that it did not keep',
      { ...hook, token_present: false, signing_token_present: false },
      'secret',
    ],
  ])('%s is no success', async (_name, body, words) => {
    const { access, place, session } = await openPlace(body);
    const error = await session.fail(admin.create(access, place, wanted));
    expect(error).toBeInstanceOf(ForbiddenError);
    expect(error.message).toContain(words);
  });

  test('signing that an administrator has switched off leaves the secret itself', async () => {
    const { access, place } = await openPlace({ ...hook, token_present: true, signing_token_present: false });
    expect(await admin.create(access, place, wanted)).toMatchObject({ id: '88', active: true });
  });
});
