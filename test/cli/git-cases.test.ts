import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { changeLinks, readLinks, runForSecret, toRequest } from '../support/ask-git.ts';
import { createLinked, type Linked } from '../support/linked.ts';
import type { Run, RunOptions } from '../support/sandbox.ts';

/**
 * git's own cases for credential helpers (t/lib-credential.sh of its source tells what a helper is tested for), as
 * far as they concern one that stores nothing for git.
 */

const newerGit = process.env['GITLINK_TEST_GIT'];
if (newerGit === undefined) {
  process.stderr.write('Skipped: the cases of a git of 2.46 or newer, as GITLINK_TEST_GIT names none.\n');
}
const gits = ['git', ...(newerGit === undefined ? [] : [newerGit])];

interface Asked extends Linked {
  /** `git credential <operation>` with a description on its standard input. */
  readonly credential: (operation: string, description: string, options?: RunOptions) => Promise<Run>;
}

/** ada's link, git set up, and an askpass that answers what a person would type. */
async function createAsked(git: string): Promise<Asked> {
  const linked = await createLinked({ link: ['--setup-git'] });
  const { sandbox } = linked;
  const askpass = join(sandbox.home, 'bin', 'askpass');
  writeFileSync(
    askpass,
    '#!/bin/sh\necho "asked: $1" >&2\ncase "$1" in Username*) echo askpass-name ;; *) echo askpass-word ;; esac\n',
    { mode: 0o755 },
  );
  const credential: Asked['credential'] = (operation, description, options) =>
    runForSecret(sandbox, git, ['credential', operation], {
      input: description,
      ...options,
      env: { GIT_ASKPASS: askpass, ...options?.env },
    });
  return { ...linked, credential };
}

function fieldsOf({ stdout }: Run): Record<string, string> {
  return Object.fromEntries(
    stdout
      .split('\n')
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const),
  );
}

const typed = { username: 'askpass-name', password: 'askpass-word' };

describe.each(gits)('cases of %s', (git) => {
  test('has no existing data for another host: git asks the person', async () => {
    const { credential } = await createAsked(git);
    const run = await credential('fill', toRequest('https://example.com/acme/api.git'));
    expect(fieldsOf(run)).toMatchObject({ host: 'example.com', ...typed });
    expect(run.stderr).toContain("asked: Username for 'https://example.com");
  });

  test('can retrieve a password, and git asks nobody', async () => {
    const { credential, gitea, token } = await createAsked(git);
    const run = await credential('fill', toRequest(`${gitea.url}/acme/api.git`));
    expect(fieldsOf(run)).toMatchObject({ username: 'ada', password: token, path: 'acme/api.git' });
    expect(run.stderr).toBe('');
  });

  test('requires a matching protocol, host, port and user name', async () => {
    const { credential, gitea, token } = await createAsked(git);
    const { host, port } = new URL(gitea.url);
    for (const url of [
      `https://${host}/acme/api.git`,
      `http://localhost:${port}/acme/api.git`,
      `http://127.0.0.1:${Number(port) + 1}/acme/api.git`,
      `http://127.0.0.1/acme/api.git`,
      `http://sub.${host}/acme/api.git`,
      `http://eve@${host}/acme/api.git`,
    ]) {
      const run = await credential('fill', toRequest(url));
      expect(fieldsOf(run)['password'], url).toBe(typed.password);
      expect(run.stdout, url).not.toContain(token);
    }
    const own = await credential('fill', toRequest(`http://ada@${host}/acme/api.git`));
    expect(fieldsOf(own)).toMatchObject({ username: 'ada', password: token });
  });

  test('requires a matching path, as git splits it with useHttpPath', async () => {
    const { credential, gitea, sandbox, token } = await createAsked(git);
    expect(await sandbox.run(['restrict', 'gitea', 'acme'])).toMatchObject({ exitCode: 0 });
    const inside = await credential('fill', toRequest(`${gitea.url}/acme/api.git/info/lfs`));
    expect(fieldsOf(inside)).toMatchObject({ password: token });
    const outside = await credential('fill', toRequest(`${gitea.url}/ada/notes.git`));
    expect(fieldsOf(outside)).toMatchObject(typed);
    expect(outside.stderr).toContain('outside the restriction of "gitea"');
  });

  test('approve stores nothing; reject forgets nothing, but has the link checked', async () => {
    const { credential, gitea, sandbox, token } = await createAsked(git);
    const url = `${gitea.url}/acme/api.git`;
    const typedAnswer = [`username=eve`, 'password=canary-typed-word'];
    await credential('approve', toRequest(url, ...typedAnswer));
    expect(fieldsOf(await credential('fill', toRequest(url)))).toMatchObject({ password: token });
    // A password that is not ours was refused: no reason to doubt the link.
    await credential('reject', toRequest(url, ...typedAnswer));
    expect(readLinks(sandbox)).toMatchObject([{ status: 'ok' }]);
    await credential('reject', toRequest(url, 'username=ada', `password=${token}`));
    expect(readLinks(sandbox)).toMatchObject([{ status: 'unchecked', statusReason: 'refused' }]);
    expect(fieldsOf(await credential('fill', toRequest(url)))).toMatchObject({ password: token });
  });

  test('tells git when a password ends, and gives none that has ended', async () => {
    const { credential, gitea, sandbox, token } = await createAsked(git);
    const url = `${gitea.url}/acme/api.git`;
    const end = (expiresAt: number) => changeLinks(sandbox, ([link]) => [{ ...link, expiresAt }]);
    const inAnHour = Math.floor(Date.now() / 1000 + 3_600);
    end(inAnHour * 1000);
    const alive = fieldsOf(await credential('fill', toRequest(url)));
    expect(alive).toMatchObject({ password: token });
    // Older than 2.40, git does not pass it on.
    expect([undefined, String(inAnHour)]).toContain(alive['password_expiry_utc']);
    end(Date.now() - 1_000);
    const dead = await credential('fill', toRequest(url));
    expect(fieldsOf(dead)).toMatchObject(typed);
    expect(dead.stderr).toContain('gitlink relink gitea');
  });

  test('another helper beside it gets no copy', async () => {
    const { credential, gitea, sandbox, token } = await createAsked(git);
    const file = join(sandbox.home, 'plain-passwords');
    // As a person has it before gitlink comes.
    await sandbox.run(['setup-git', '--undo']);
    await sandbox.runProgram(git, ['config', '--global', 'credential.helper', `store --file=${file}`]);
    await sandbox.run(['setup-git']);
    const url = `${gitea.url}/acme/api.git`;
    expect(fieldsOf(await credential('fill', toRequest(url)))).toMatchObject({ password: token });
    await credential('approve', toRequest(url, 'username=ada', `password=${token}`));
    expect(fieldsOf(await credential('fill', toRequest(url)))).toMatchObject({ password: token });
    // The sandbox looks for the token in every file at the end; this one was not even made.
    await expect(sandbox.runProgram('test', ['-e', file])).resolves.toMatchObject({ exitCode: 1 });
  });
});
