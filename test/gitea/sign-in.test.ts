import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runWithBrowser } from '../cli/sign-in-kit.ts';
import { approveInGitea } from '../support/approve-in-gitea.ts';
import { visit } from '../support/browser.ts';
import { findGitea, startRealGitea, type GiteaAccount, type RealGitea } from '../support/real-gitea.ts';
import { createSandbox, type Sandbox } from '../support/sandbox.ts';

const place = findGitea();
/** A server that is running already keeps its own settings, so that nothing of it would end in time. */
const canBeSet = place !== null && !('url' in place);
if (!canBeSet) {
  process.stderr.write(
    'Skipped: signing in to a real Gitea, which this test must start itself (GITEA_BIN).\n',
  );
}

const accessTokenLifeS = 4;

/** `client create` with a token that is used once, then the browser. */
async function signIn(sandbox: Sandbox, gitea: RealGitea, account: GiteaAccount): Promise<string> {
  const token = sandbox.guard(await account.createToken(['write:user', 'read:user']));
  const create = ['client', 'create', 'gitea', '--host', gitea.url, '--with-token', '--json'];
  const created = await sandbox.run(create, { input: token });
  expect(created, created.stderr).toMatchObject({ exitCode: 0 });
  const link = ['link', 'gitea', '--host', gitea.url, '--setup-git', '--json'];
  const run = await runWithBrowser(sandbox, link, {
    act: async (startUrl) => visit(await approveInGitea(gitea, startUrl, account)),
  });
  expect(run, run.stderr).toMatchObject({ exitCode: 0 });
  expect(run.visit?.text).toContain('Signed in to');
  expect(run.json()).toMatchObject({
    link: {
      method: 'oauth',
      account: { login: account.login },
      scopes: ['read:organization', 'read:user', 'write:repository'],
    },
  });
  return token;
}

describe.skipIf(!canBeSet)('signing in to a real Gitea', () => {
  test.each([
    { name: 'refresh tokens good for many uses', oauth2: {} },
    { name: 'single-use refresh tokens', oauth2: { INVALIDATE_REFRESH_TOKENS: true } },
  ])('$name: clones for longer than a token lives; its client goes with the sign-in', async ({ oauth2 }) => {
    if (place === null) return;
    const gitea = await startRealGitea(place, {
      oauth2: { ...oauth2, ACCESS_TOKEN_EXPIRATION_TIME: accessTokenLifeS },
    });
    onTestFinished(() => gitea.stop());
    const account = await gitea.createAccount();
    await account.createRepository(account.login, 'site');
    const sandbox = createSandbox();
    const token = await signIn(sandbox, gitea, account);

    for (let round = 1; round <= 3; round += 1) {
      const folder = join(sandbox.home, `clone-${round}`);
      const clone = await sandbox.runProgram('git', [
        'clone',
        `${gitea.url}/${account.login}/site.git`,
        folder,
      ]);
      expect(clone, clone.stderr).toMatchObject({ exitCode: 0 });
      writeFileSync(join(folder, `round-${round}`), 'x');
      const git = (...args: string[]) => sandbox.runProgram('git', args, { cwd: folder });
      await git('add', '.');
      await git('-c', 'user.name=Ada', '-c', 'user.email=ada@example.invalid', 'commit', '-m', 'round');
      expect(await git('push', 'origin', 'HEAD')).toMatchObject({ exitCode: 0 });
      rmSync(folder, { recursive: true });
      // It must be over, on the server's clock: there is nothing to wait for but time.
      await delay(accessTokenLifeS * 1000 + 200);
    }
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });

    // Two at once, after the end of the token.
    await delay(accessTokenLifeS * 1000 + 200);
    const both = await Promise.all([sandbox.run(['repos']), sandbox.run(['list', '--check'])]);
    for (const run of both) expect(run, run.stderr).toMatchObject({ exitCode: 0 });

    const unlinked = await sandbox.run(['unlink', '--yes', '--json']);
    expect(unlinked, unlinked.stderr).toMatchObject({ exitCode: 0 });
    const { remaining } = unlinked.json<{ remaining: { what: string }[] }>();
    expect(remaining[0]?.what).toContain('gitlink client remove');
    const removed = await sandbox.run(['client', 'remove', '--at-host', '--with-token', '--yes'], {
      input: token,
    });
    expect(removed, removed.stderr).toMatchObject({ exitCode: 0 });
    expect((await sandbox.run(['client', 'list', '--json'])).json()).toMatchObject({ clients: [] });
  });

  test('deny, and the client deleted while the link stands: exit 4 each, with the way on', async () => {
    if (place === null) return;
    const gitea = await startRealGitea(place);
    onTestFinished(() => gitea.stop());
    const account = await gitea.createAccount();
    const sandbox = createSandbox();
    const token = await signIn(sandbox, gitea, account);
    const removed = await sandbox.run(['client', 'remove', '--at-host', '--with-token', '--yes'], {
      input: token,
    });
    expect(removed, removed.stderr).toMatchObject({ exitCode: 0 });
    const repos = await sandbox.run(['repos']);
    expect(repos).toMatchObject({ exitCode: 4 });
    expect(repos.stderr).toContain('gitlink relink');
    expect((await sandbox.run(['show', '--json'])).json()).toMatchObject({ link: { status: 'revoked' } });

    const create = ['client', 'create', 'gitea', '--host', gitea.url, '--with-token', '--json'];
    const created = await sandbox.run(create, { input: token });
    const { clientId } = created.json<{ client: { clientId: string } }>().client;
    const denied = await runWithBrowser(
      sandbox,
      ['link', 'gitea', '--host', gitea.url, '--client-id', clientId],
      {
        act: async (startUrl) => visit(await approveInGitea(gitea, startUrl, account, 'deny')),
      },
    );
    expect(denied).toMatchObject({ exitCode: 4 });
    expect(denied.visit?.text).toContain('Not signed in');
  });
});
