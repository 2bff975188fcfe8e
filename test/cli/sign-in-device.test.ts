import { describe, expect, test } from 'vitest';
import { readLinks } from '../support/ask-git.ts';
import {
  createGitlabWithClient,
  listAliveSignIns,
  startGitlab,
  createGitlabSandbox,
  type GitlabWithClient,
} from '../support/linked-gitlab.ts';
import { runWithCode } from './sign-in-kit.ts';

/** A host that lets devices ask every second, which is the least that gitlink does. */
async function createQuick(): Promise<GitlabWithClient> {
  const made = await createGitlabWithClient();
  made.gitlab.oauth.polls.intervalS = 1;
  return made;
}

function linkArgs({ gitlab }: Pick<GitlabWithClient, 'gitlab'>, ...more: readonly string[]): string[] {
  return ['link', 'gitlab', '--host', gitlab.url, '--method', 'device', '--json', ...more];
}

function countPolls({ gitlab }: GitlabWithClient): number {
  return gitlab.oauth.tokenRequests.filter(({ grantType }) => grantType.endsWith('device_code')).length;
}

describe('signing in by a code', () => {
  test('approve: code and address are shown, without a terminal too; one document on stdout', async () => {
    const made = await createQuick();
    const { gitlab, sandbox } = made;
    const run = await runWithCode(made.sandbox, linkArgs(made), (code) =>
      gitlab.oauth.decideDevice(code, 'approve'),
    );
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.shown).toEqual({
      address: `${gitlab.url}/oauth/device`,
      code: expect.stringMatching(/^[A-Z]{4}-?[A-Z]{4}$/) as string,
    });
    // A person who did not start this may be the victim of one who did (RFC 8628 §5.4).
    expect(run.stderr).toContain('Enter it only if you started this yourself');
    expect(run.json()).toMatchObject({
      link: {
        method: 'device',
        account: { login: 'ada', kind: 'user' },
        scopes: ['api', 'read_repository'],
        status: 'ok',
        expiresAt: null,
      },
    });
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
    await gitlab.oauth.endAccessTokens();
    expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 0 });
    expect(gitlab.oauth.countExchanges('refresh_token')).toBe(1);
  });

  test('A10: deny: exit 4, and nothing is kept', async () => {
    const made = await createQuick();
    const run = await runWithCode(made.sandbox, linkArgs(made), (code) =>
      made.gitlab.oauth.decideDevice(code, 'deny'),
    );
    expect(run).toMatchObject({ exitCode: 4 });
    expect(run.json()).toMatchObject({
      error: { code: 'auth', message: expect.stringContaining('declined') as string },
    });
    expect(readLinks(made.sandbox)).toEqual([]);
  });

  test('A17: a code that nobody enters: exit 4 when it ends, with what to do', async () => {
    const made = await createQuick();
    made.gitlab.oauth.lives.deviceCodeS = 3;
    const startedAt = performance.now();
    const run = await runWithCode(made.sandbox, linkArgs(made), () => undefined);
    expect(run).toMatchObject({ exitCode: 4 });
    expect(run.stderr).toContain('was not entered in time');
    expect(run.stderr).toContain('Run the command again');
    expect(performance.now() - startedAt).toBeGreaterThan(2_500);
    expect(countPolls(made)).toBeGreaterThan(0);
    expect(readLinks(made.sandbox)).toEqual([]);
  });

  test('A17: slow_down makes the pauses 5 seconds longer', async () => {
    const made = await createQuick();
    const { gitlab } = made;
    gitlab.oauth.polls.slowDowns = 1;
    gitlab.clearRequests();
    const run = await runWithCode(made.sandbox, linkArgs(made), (code) =>
      gitlab.oauth.decideDevice(code, 'approve'),
    );
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(gitlab.oauth.tokenRequests.map(({ error }) => error)).toEqual(['slow_down', null]);
    const polls = gitlab.requests.filter(({ path }) => path === '/oauth/token');
    expect((polls[1]?.at ?? 0) - (polls[0]?.at ?? 0)).toBeGreaterThan(5_900);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('A14: %s during the wait leaves nothing', async (signal) => {
    const made = await createQuick();
    let kill = (): void => {};
    const run = await runWithCode(made.sandbox, linkArgs(made), () => kill(), {
      onStart: (running) => {
        kill = () => running.kill(signal);
      },
    });
    expect(run).toMatchObject({ exitCode: signal === 'SIGINT' ? 130 : 143 });
    expect(readLinks(made.sandbox)).toEqual([]);
    expect(await listAliveSignIns(made.gitlab)).toEqual([]);
  });

  test('relink by a code: the old sign-in is dead, the new one works', async () => {
    const made = await createQuick();
    const { gitlab, sandbox } = made;
    const approve = (code: string): Promise<void> => gitlab.oauth.decideDevice(code, 'approve');
    expect((await runWithCode(made.sandbox, linkArgs(made), approve)).exitCode).toBe(0);
    const before = await listAliveSignIns(gitlab);
    // The link was made by a code, so it is relinked by one.
    const run = await runWithCode(made.sandbox, ['relink', '--json'], approve);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ link: { name: 'gitlab', method: 'device' } });
    const after = await listAliveSignIns(gitlab);
    expect(after).toHaveLength(2);
    expect(after.filter((token) => before.includes(token))).toEqual([]);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('without a client: exit 2 with the line that adds one; in CI: exit 2 at once', async () => {
    const gitlab = await startGitlab();
    const sandbox = createGitlabSandbox(gitlab);
    const run = await sandbox.run(linkArgs({ gitlab }));
    expect(run, run.stderr).toMatchObject({ exitCode: 2 });
    const { error } = run.json<{ error: { hint: string } }>();
    expect(error.hint).toContain(`gitlink client add gitlab --host ${gitlab.url}`);
    const made = await createQuick();
    const inCi = await made.sandbox.run(linkArgs(made), { env: { CI: 'true' } });
    expect(inCi).toMatchObject({ exitCode: 2 });
    expect(inCi.stderr).toContain('--token-env');
    expect(countPolls(made)).toBe(0);
  });

  test('a server without the flow: exit 6 with the other ways', async () => {
    const made = await createGitlabWithClient({ gitlab: { version: '17.2.0-ee' } });
    const run = await runWithCode(made.sandbox, linkArgs(made), () => undefined);
    expect(run, run.stderr).toMatchObject({ exitCode: 6, shown: null });
    expect(run.json()).toMatchObject({ error: { code: 'unsupported' } });
    expect(run.stderr).toContain('--method token');
  });
});
