import { describe, expect, test } from 'vitest';
import { AuthError, UnreachableError, type GitlinkError } from '../../src/errors.ts';
import { gitlabProvider } from '../../src/providers/gitlab/index.ts';
import type { HostAccess, Rotation } from '../../src/providers/provider.ts';
import { sendJson, startServer } from '../http/http-kit.ts';
import type { NewToken } from '../simulators/gitlab/token-state.ts';
import { linkGitlab } from './gitlab-kit.ts';
import { createSession } from './provider-kit.ts';

const dayMs = 86_400_000;
const today = Math.floor(Date.now() / dayMs) * dayMs;

function rotate(access: HostAccess, expiresAt: number | null = null): Promise<Rotation> {
  if (!gitlabProvider.rotate) throw new Error('GitLab replaces tokens.');
  return gitlabProvider.rotate(access, { expiresAt });
}

describe('replacing a GitLab token', () => {
  test.each<[string, NewToken]>([
    ["a person's, by api", {}],
    ["a person's, by self_rotate alone", { scopes: ['read_repository', 'self_rotate'] }],
    ["a project's", { kind: 'project', resource: 'acme/api', scopes: ['api'] }],
    ["a group's", { kind: 'group', resource: 'acme', scopes: ['api'] }],
    ["a service account's", { kind: 'serviceAccount', user: 'service_account_group_31_canary' }],
  ])('%s: the new one lives, the old one is dead', async (_name, token) => {
    const { access, gitlab, session } = await linkGitlab({}, token);
    const done = await rotate(access);
    if (done.outcome !== 'rotated') throw new Error(done.reason);
    expect(done.endsOld).toBe(true);
    const [fresh] = [...gitlab.state.tokens.values()].filter(({ revoked }) => !revoked);
    expect(done.token.reveal()).toBe(fresh?.secret);
    const identity = await gitlabProvider.identify(session.open(access.host, done.token.reveal()));
    expect(identity.expiresAt).toBe(done.expiresAt);
    expect(await session.fail(gitlabProvider.identify(access))).toBeInstanceOf(AuthError);
    expect(gitlab.requests.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });

  test('lives as long as the old one was given, or as wished, and never a week by mistake', async () => {
    for (const days of [1, 30, 365]) {
      const expiresAt = new Date(today + days * dayMs).toISOString().slice(0, 10);
      const { access } = await linkGitlab({}, { expiresAt });
      expect(await rotate(access)).toMatchObject({ outcome: 'rotated', expiresAt: today + days * dayMs });
    }
    const { access } = await linkGitlab();
    expect(await rotate(access, today + 90 * dayMs + 1)).toMatchObject({ expiresAt: today + 90 * dayMs });
    const forEver = await linkGitlab({}, { expiresAt: null });
    expect(await rotate(forEver.access)).toMatchObject({ expiresAt: today + 365 * dayMs });
  });

  test('a dead token is never sent to be replaced: that would end its successors', async () => {
    const { access, gitlab, session } = await linkGitlab();
    const done = await rotate(access);
    if (done.outcome !== 'rotated') throw new Error(done.reason);
    gitlab.clearRequests();
    expect(await session.fail(rotate(access))).toBeInstanceOf(AuthError);
    expect(gitlab.requests.map(({ method }) => method)).toEqual(['GET']);
    await gitlabProvider.identify(session.open(access.host, done.token.reveal()));
  });

  test('one that the host calls inactive is not sent either', async () => {
    const server = await startServer((_request, response) =>
      sendJson(response, { scopes: ['api'], active: false }),
    );
    const session = createSession(gitlabProvider);
    expect(await session.fail(rotate(session.open(server.base, 'canary')))).toBeInstanceOf(AuthError);
    expect(server.seen.map(({ method }) => method)).toEqual(['GET']);
  });

  test.each(['lost', 'cut'] as const)('F2: an answer that is %s is not asked for again', async (kind) => {
    const { access, gitlab, session } = await linkGitlab();
    gitlab.faults.add({ fault: { kind }, method: 'POST' });
    expect(await session.fail(rotate(access))).toBeInstanceOf(UnreachableError);
    expect(gitlab.requests.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });

  test('a server error is not answered by a second try', async () => {
    const { access, gitlab, session } = await linkGitlab();
    gitlab.faults.add({ fault: { kind: 'answer', answer: { status: 502, text: '' } }, method: 'POST' });
    expect((await session.fail(rotate(access))) as GitlinkError).toMatchObject({ code: 'unreachable' });
    expect(gitlab.requests.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });

  test.each<[string, Parameters<typeof linkGitlab>, RegExp]>([
    ['without the scope', [{}, { scopes: ['read_api'] }], /403.*higher privileges/],
    [
      'where people must use fine-grained tokens',
      [{ settings: { enforcesFineGrainedTokens: true } }],
      /400.*legacy/,
    ],
    ['on a server without the address', [{ version: '16.9.0-ee' }], /404/],
    ['longer than the host allows', [{ settings: { maxTokenLifeDays: 30 } }], /400.*Expiration date/],
    [
      "a project's whose account is unknown",
      [{}, { kind: 'project', resource: 'acme/api', scopes: ['read_repository', 'self_rotate'] }],
      /405/,
    ],
  ])('%s a person does it, and is told where', async (_name, start, reason) => {
    const { access, gitlab } = await linkGitlab(...start);
    expect(await rotate(access)).toEqual({
      outcome: 'impossible',
      reason: expect.stringMatching(reason) as string,
      pageUrl: `${gitlab.url}/-/user_settings/personal_access_tokens`,
    });
    await gitlabProvider.identify(access);
  });
});
