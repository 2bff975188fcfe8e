import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { readLinks } from '../support/ask-git.ts';
import { visit } from '../support/browser.ts';
import {
  askAlive,
  createExpiredSignIn,
  createSignedInGitlab,
  listAliveSignIns,
  usualScopes,
} from '../support/linked-gitlab.ts';
import { runWithBrowser } from './sign-in-kit.ts';

describe('relink at GitLab', () => {
  test('from a sign-in to a sign-in: the old one is dead, the new one lives', async () => {
    const made = await createSignedInGitlab({ link: ['--namespace', 'acme'] });
    const { gitlab, sandbox } = made;
    const before = await listAliveSignIns(gitlab);
    const run = await runWithBrowser(sandbox, ['relink', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.stderr).toContain('The old one was revoked.');
    expect(run.json()).toMatchObject({
      link: { method: 'oauth', restriction: { namespaces: ['acme'] }, status: 'ok' },
    });
    const after = await listAliveSignIns(gitlab);
    expect(after).toHaveLength(2);
    expect(after.filter((token) => before.includes(token))).toEqual([]);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('Ctrl-C while the old one is being ended: the new one is kept and stays alive', async () => {
    const { gitlab, sandbox } = await createSignedInGitlab();
    gitlab.faults.add({ path: /oauth\/revoke/, fault: { kind: 'slow', delayMs: 60_000 }, times: 1 });
    const isRevoking = () => gitlab.requests.some(({ path }) => path === '/oauth/revoke');
    const run = await runWithBrowser(sandbox, ['relink', '--json'], {
      act: async (startUrl, running) => {
        const visited = visit(startUrl);
        while (!isRevoking()) await delay(5);
        running.kill('SIGINT');
        return visited;
      },
    });
    expect(run, run.stderr).toMatchObject({ exitCode: 130, visit: { status: 200 } });
    expect(run.visit?.text).toContain('gitlink has stored the connection');
    expect(run.stderr).toContain('"gitlab" has its new credential; the old one may still work.');
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
    expect(readLinks(sandbox)).toMatchObject([{ status: 'ok' }]);
  });

  test('the same after the old access token has ended', async () => {
    const made = await createExpiredSignIn();
    const { gitlab, sandbox } = made;
    const run = await runWithBrowser(sandbox, ['relink', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(await listAliveSignIns(gitlab)).toHaveLength(2);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('after a person revoked the grant: the link works again', async () => {
    const made = await createSignedInGitlab();
    const { gitlab, sandbox } = made;
    await gitlab.oauth.revokeGrants('ada');
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 3 });
    expect(readLinks(sandbox)).toMatchObject([{ status: 'revoked' }]);
    const run = await runWithBrowser(sandbox, ['relink', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
    expect(await listAliveSignIns(gitlab)).toHaveLength(2);
  });

  test('from a sign-in to a token and back: nothing of the other kind stays alive', async () => {
    const made = await createSignedInGitlab();
    const { gitlab, sandbox } = made;
    const token = gitlab.addToken({ scopes: usualScopes });
    const pasted = await sandbox.run(['relink', '--with-token', '--json'], { input: token.secret });
    expect(pasted, pasted.stderr).toMatchObject({ exitCode: 0 });
    expect(await listAliveSignIns(gitlab)).toEqual([]);
    const back = await runWithBrowser(sandbox, ['relink', '--method', 'oauth', '--revoke-old', '--json']);
    expect(back, back.stderr).toMatchObject({ exitCode: 0 });
    expect(await askAlive(gitlab, token.secret)).toBe(401);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });
});
