import { describe, expect, test } from 'vitest';
import type { GitlabSimulator } from '../simulators/gitlab/server.ts';
import { readLinks } from '../support/ask-git.ts';
import {
  askAlive,
  createExpiredSignIn,
  createLinkedGitlab,
  createSignedInGitlab,
  listAliveSignIns,
  type GitlabWithClient,
} from '../support/linked-gitlab.ts';
import type { Run } from '../support/sandbox.ts';

interface UnlinkDocument {
  readonly steps: readonly { what: string; subject: string; state: string; reason: string | null }[];
  readonly remaining: readonly { what: string; url: string | null }[];
}

function unlink({ sandbox }: Pick<GitlabWithClient, 'sandbox'>, ...flags: readonly string[]): Promise<Run> {
  return sandbox.run(['unlink', '--yes', '--json', ...flags]);
}

function summarise(run: Run): string[] {
  return run.json<UnlinkDocument>().steps.map(({ what, state }) => `${what} ${state}`);
}

function listTokenCalls({ requests }: GitlabSimulator): string[] {
  return requests.filter(({ path }) => path.startsWith('/oauth/')).map(({ path }) => path);
}

const applicationsPage = '/-/user_settings/applications';

describe('unlink of a sign-in at GitLab', () => {
  test('B12: hooks, then the sign-in by its refresh token, then the proof by a 401', async () => {
    const made = await createSignedInGitlab();
    const { gitlab, sandbox } = made;
    const target = ['--url', 'https://ci.acme.example/hook', '--repo', 'acme/api'];
    const hooks = await sandbox.run(['regenerate-webhooks', ...target]);
    expect(hooks, hooks.stderr).toMatchObject({ exitCode: 0 });
    expect(gitlab.hooksOf('acme/api')).toHaveLength(1);
    gitlab.clearRequests();
    const run = await unlink(made);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json<UnlinkDocument>()).toMatchObject({
      steps: [
        { what: 'webhook', subject: 'acme/api', state: 'done' },
        { what: 'revoke', subject: gitlab.url, state: 'done', reason: null },
        { what: 'proof', state: 'done', reason: 'the host refuses it now' },
        { what: 'secret', state: 'done' },
        { what: 'record', state: 'done' },
      ],
      remaining: [],
    });
    expect(await listAliveSignIns(gitlab)).toEqual([]);
    expect(gitlab.hooksOf('acme/api')).toEqual([]);
    const revocation = gitlab.requests.find(({ path }) => path === '/oauth/revoke');
    expect(revocation?.body).toMatchObject({
      token: gitlab.oauth.listIssued('RefreshToken').at(-1),
      token_type_hint: 'refresh_token',
    });
    const proof = gitlab.requests.slice(
      gitlab.requests.findIndex(({ path }) => path === '/oauth/revoke') + 1,
    );
    expect(proof.map(({ status }) => status)).toContain(401);
    expect(readLinks(sandbox)).toEqual([]);
  });

  test('an access token that has ended is renewed first: else the sign-in would live on', async () => {
    const made = await createExpiredSignIn();
    const { gitlab } = made;
    gitlab.clearRequests();
    const run = await unlink(made);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(summarise(run)).toEqual(['revoke done', 'proof done', 'secret done', 'record done']);
    expect(listTokenCalls(gitlab).slice(0, 2)).toEqual(['/oauth/token', '/oauth/revoke']);
    expect(await listAliveSignIns(gitlab)).toEqual([]);
  });

  test('a host that is away: exit 3, the link stays, and the next time finishes', async () => {
    const made = await createSignedInGitlab();
    const { gitlab, sandbox } = made;
    gitlab.faults.add({ fault: { kind: 'cut' } });
    const run = await unlink(made);
    expect(run, run.stderr).toMatchObject({ exitCode: 3 });
    expect(summarise(run)).toEqual(['revoke failed']);
    expect(run.stderr).toContain('gitlink unlink gitlab --forget');
    expect(readLinks(sandbox)).toMatchObject([{ status: 'unlinking' }]);
    expect(await listAliveSignIns(gitlab)).toHaveLength(2);
    gitlab.faults.clear();
    const again = await unlink(made);
    expect(again, again.stderr).toMatchObject({ exitCode: 0 });
    expect(await listAliveSignIns(gitlab)).toEqual([]);
    expect(readLinks(sandbox)).toEqual([]);
  });

  test('a revocation that does nothing is not believed: exit 3, and the link stays', async () => {
    const made = await createSignedInGitlab();
    const { gitlab, sandbox } = made;
    const answer = { status: 200, json: {} };
    gitlab.faults.add({ fault: { kind: 'answer', answer }, path: /^\/oauth\/revoke$/ });
    const run = await unlink(made);
    expect(run, run.stderr).toMatchObject({ exitCode: 3 });
    expect(run.json<UnlinkDocument>().steps).toMatchObject([
      { what: 'revoke', state: 'done' },
      { what: 'proof', state: 'failed', reason: 'the host still accepts it' },
    ]);
    expect(readLinks(sandbox)).toHaveLength(1);
  });

  test('--forget asks nothing and names the page of the sign-ins', async () => {
    const made = await createSignedInGitlab();
    const { gitlab, sandbox } = made;
    gitlab.clearRequests();
    const run = await unlink(made, '--forget');
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(gitlab.requests).toEqual([]);
    expect(run.json<UnlinkDocument>().remaining).toEqual([
      { what: 'the sign-in, which may still work', url: gitlab.url + applicationsPage },
    ]);
    expect(await listAliveSignIns(gitlab)).toHaveLength(2);
    expect(readLinks(sandbox)).toEqual([]);
  });

  test('--no-revoke leaves the sign-in and says where it is', async () => {
    const made = await createSignedInGitlab();
    const run = await unlink(made, '--no-revoke');
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json<UnlinkDocument>().remaining).toMatchObject([{ url: made.gitlab.url + applicationsPage }]);
    expect(await listAliveSignIns(made.gitlab)).toHaveLength(2);
  });

  test('a grant that a person revoked meanwhile: done, proved', async () => {
    const made = await createSignedInGitlab();
    await made.gitlab.oauth.revokeGrants('ada');
    const run = await unlink(made);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(summarise(run)).toEqual(['revoke done', 'proof done', 'secret done', 'record done']);
    expect(readLinks(made.sandbox)).toEqual([]);
  });

  test('the same with an access token that has ended: nobody can prove it, so the page is named', async () => {
    const made = await createExpiredSignIn();
    await made.gitlab.oauth.revokeGrants('ada');
    const run = await unlink(made);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(summarise(run)).toEqual(['revoke skipped', 'secret done', 'record done']);
    expect(run.json<UnlinkDocument>().remaining).toMatchObject([{ url: made.gitlab.url + applicationsPage }]);
    expect(readLinks(made.sandbox)).toEqual([]);
  });
});

describe('unlink of a token at GitLab', () => {
  test.each([
    ["a person's", {}],
    ["a project's", { kind: 'project', resource: 'acme/api', scopes: ['api'] }],
    ['one that may only read repositories', { scopes: ['read_repository'] }],
  ] as const)('%s: --revoke ends it, and proves it', async (_name, token) => {
    const linked = await createLinkedGitlab({ token });
    const run = await unlink(linked, '--revoke');
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(summarise(run)).toEqual(['revoke done', 'proof done', 'secret done', 'record done']);
    expect(await askAlive(linked.gitlab, linked.token.secret)).toBe(401);
  });

  test('without --revoke it is left, and its page is named', async () => {
    const linked = await createLinkedGitlab();
    const run = await unlink(linked);
    expect(run.json<UnlinkDocument>().remaining).toEqual([
      {
        what: 'the token, which is not revoked',
        url: `${linked.gitlab.url}/-/user_settings/personal_access_tokens`,
      },
    ]);
    expect(await askAlive(linked.gitlab, linked.token.secret)).toBe(200);
  });
});
