import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { changeLinks, readLinks, runForSecret, toRequest } from '../support/ask-git.ts';
import { createLinked, usualScopes, addToken, type Linked, type LinkedOptions } from '../support/linked.ts';
import { createSandbox, type Run, type Sandbox } from '../support/sandbox.ts';

const project = resolve(import.meta.dirname, '../..');

const person = {
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@acme.example',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@acme.example',
};

function git(sandbox: Sandbox, args: readonly string[], cwd?: string): Promise<Run> {
  return sandbox.runProgram('git', args, {
    env: person,
    ...(cwd === undefined ? {} : { cwd: join(sandbox.home, cwd) }),
  });
}

/** Runs git and expects it to do what it was asked to. */
async function gitDoes(sandbox: Sandbox, args: readonly string[], cwd?: string): Promise<Run> {
  const run = await git(sandbox, args, cwd);
  if (run.exitCode !== 0) throw new Error(`git ${args.join(' ')}:\n${run.stderr}`);
  return run;
}

function readConfig({ home }: Sandbox): string {
  const path = join(home, '.gitconfig');
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/** The user's own helper for every host: it notes what it is told, and has an answer that no host takes. */
function addRecordingHelper(sandbox: Sandbox): { readonly told: () => string; readonly config: string } {
  const record = join(sandbox.home, 'told');
  const script = join(sandbox.home, 'recording-helper');
  const answer = 'test "$1" = get && printf "username=x\\npassword=canary-of-the-other-helper\\n"';
  writeFileSync(script, `#!/bin/sh\n{ echo "$1"; cat; } >>'${record}'\n${answer}\ntrue\n`);
  chmodSync(script, 0o755);
  const config = `# mine\n[user]\n\tname = Ada\n[credential]\n\thelper = ${script}\n`;
  writeFileSync(join(sandbox.home, '.gitconfig'), config);
  return { told: () => (existsSync(record) ? readFileSync(record, 'utf8') : ''), config };
}

async function createSetUp(options: LinkedOptions = {}): Promise<Linked> {
  const linked = await createLinked(options);
  const run = await linked.sandbox.run(['setup-git']);
  if (run.exitCode !== 0) throw new Error(run.stderr);
  return linked;
}

describe('git, after setup-git', () => {
  test('clones, fetches and pushes with the account, and other helpers are neither asked nor told', async () => {
    const { sandbox, gitea } = await createLinked();
    const other = addRecordingHelper(sandbox);
    expect((await sandbox.run(['setup-git'])).exitCode).toBe(0);
    await gitDoes(sandbox, ['clone', '--quiet', `${gitea.url}/ada/notes.git`, 'notes']);
    expect(readFileSync(join(sandbox.home, 'notes/README.md'), 'utf8')).toBe('# notes\n');
    writeFileSync(join(sandbox.home, 'notes/new.txt'), 'new\n');
    await gitDoes(sandbox, ['add', 'new.txt'], 'notes');
    await gitDoes(sandbox, ['commit', '--quiet', '--message', 'New'], 'notes');
    await gitDoes(sandbox, ['push', '--quiet'], 'notes');
    await gitDoes(sandbox, ['clone', '--quiet', `${gitea.url}/ada/notes.git`, 'again']);
    expect(readFileSync(join(sandbox.home, 'again/new.txt'), 'utf8')).toBe('new\n');
    await gitDoes(sandbox, ['fetch', '--quiet'], 'again');
    const services = gitea.requests.filter(({ path }) => path.endsWith('/git-receive-pack'));
    expect(services.map(({ authorization }) => authorization?.username)).toContain('ada');
    expect(other.told()).toBe('');
    // D7: the sandbox looks for the token in every file, but these are what the rule is about.
    expect(readFileSync(join(sandbox.home, 'notes/.git/config'), 'utf8')).toContain(
      `url = ${gitea.url}/ada/notes.git`,
    );
    // Other hosts are still the other helper's.
    await runForSecret(sandbox, 'git', ['credential', 'fill'], {
      input: 'url=https://other.example/x.git\n\n',
    });
    expect(other.told()).toContain('host=other.example');
  });

  test('fetches submodules of the host', async () => {
    const { sandbox, gitea } = await createSetUp();
    await gitDoes(sandbox, ['clone', '--quiet', `${gitea.url}/ada/site.git`, 'site']);
    await gitDoes(sandbox, ['submodule', '--quiet', 'add', '../notes.git', 'notes'], 'site');
    await gitDoes(sandbox, ['submodule', '--quiet', 'add', '../../acme/api.git', 'api'], 'site');
    await gitDoes(sandbox, ['commit', '--quiet', '--message', 'Submodules'], 'site');
    await gitDoes(sandbox, ['push', '--quiet'], 'site');
    await gitDoes(sandbox, [
      'clone',
      '--quiet',
      '--recurse-submodules',
      '--jobs',
      '4',
      `${gitea.url}/ada/site.git`,
      'all',
    ]);
    expect(readFileSync(join(sandbox.home, 'all/notes/README.md'), 'utf8')).toBe('# notes\n');
    expect(readFileSync(join(sandbox.home, 'all/api/README.md'), 'utf8')).toBe('# api\n');
  });

  test('a restriction holds: outside of it git gets no credential and says why', async () => {
    const { sandbox, gitea } = await createSetUp({ link: ['--namespace', 'acme'] });
    await gitDoes(sandbox, ['clone', '--quiet', `${gitea.url}/acme/api.git`, 'api']);
    const run = await git(sandbox, ['clone', '--quiet', `${gitea.url}/ada/notes.git`, 'notes']);
    expect(run.exitCode).toBe(128);
    expect(run.stderr).toContain(
      'gitlink: ada/notes.git is outside the restriction of "gitea"; to allow it: gitlink restrict gitea --add NAMESPACE',
    );
  });

  test('git credential fill, approve and reject', async () => {
    const { sandbox, gitea, token } = await createSetUp();
    const url = `${gitea.url}/ada/notes.git`;
    const credential = (operation: string, input: string) =>
      runForSecret(sandbox, 'git', ['credential', operation], { input });
    const filled = await credential('fill', `url=${url}\n\n`);
    expect(filled.stdout.split('\n')).toEqual(
      expect.arrayContaining(['path=ada/notes.git', 'username=ada', `password=${token}`]),
    );
    const before = readFileSync(join(sandbox.configDirectory, 'links.json'), 'utf8');
    expect(await credential('approve', filled.stdout)).toMatchObject({ exitCode: 0, stdout: '', stderr: '' });
    expect(readFileSync(join(sandbox.configDirectory, 'links.json'), 'utf8')).toBe(before);
    await credential('reject', filled.stdout.replace(token, 'canary-of-another-password'));
    expect(readLinks(sandbox)[0]).toMatchObject({ status: 'ok' });
    expect(await credential('reject', filled.stdout)).toMatchObject({ exitCode: 0, stdout: '', stderr: '' });
    expect(readLinks(sandbox)[0]).toMatchObject({ status: 'unchecked' });
  });

  test('a token that the host no longer takes marks the link, and the usage names what git did', async () => {
    const { sandbox, gitea, token } = await createSetUp();
    await gitDoes(sandbox, ['ls-remote', `${gitea.url}/ada/notes.git`]);
    const { link } = (await sandbox.run(['show', '--json'])).json<{ link: { lastUsedAt: string | null } }>();
    expect(link.lastUsedAt).not.toBeNull();
    gitea.state.tokens.delete(token);
    expect((await git(sandbox, ['ls-remote', `${gitea.url}/ada/notes.git`])).exitCode).toBe(128);
    expect(readLinks(sandbox)[0]).toMatchObject({ status: 'unchecked' });
  });
});

describe('setup-git', () => {
  test('C9: shows the change, does nothing the second time, and undo restores every byte', async () => {
    const { sandbox, gitea } = await createLinked();
    const { config } = addRecordingHelper(sandbox);
    const first = await sandbox.run(['setup-git']);
    const lines = [
      `[credential "${gitea.url}"]`,
      '\thelper = ',
      '\thelper = gitlink',
      '\tuseHttpPath = true',
    ];
    expect(first.stderr).toBe(
      [
        join(sandbox.home, '.gitconfig'),
        ...lines.map((line) => `+ ${line}`),
        `git now asks gitlink for ${gitea.url}.`,
        '',
      ].join('\n'),
    );
    expect(readConfig(sandbox)).toBe(`${config}${lines.join('\n')}\n`);
    const second = await sandbox.run(['setup-git', '--json']);
    expect(second.stderr).toBe(`git already asks gitlink for ${gitea.url}.\n`);
    expect(second.json()).toEqual({ schema: 1, hosts: [gitea.url], link: null });
    expect(readConfig(sandbox)).toBe(`${config}${lines.join('\n')}\n`);
    const undone = await sandbox.run(['setup-git', '--undo']);
    expect(undone.stderr).toContain(`- [credential "${gitea.url}"]`);
    expect(undone.stderr).toContain('git no longer asks gitlink.');
    expect(readConfig(sandbox)).toBe(config);
    expect((await sandbox.run(['setup-git', '--undo'])).stderr).toBe('There was nothing to undo.\n');
  });

  test('C9: brings back what stood there for the host', async () => {
    const { sandbox, gitea } = await createLinked();
    const config = `[credential "${gitea.url}"]\n\thelper = \n\thelper = cache --timeout 60\n`;
    writeFileSync(join(sandbox.home, '.gitconfig'), config);
    expect((await sandbox.run(['setup-git'])).stderr).toContain('- \thelper = cache --timeout 60');
    expect((await sandbox.run(['setup-git', '--undo'])).exitCode).toBe(0);
    expect(readConfig(sandbox)).toBe(config);
  });

  test('without links there is nothing to set up: exit 5, and git is as it was', async () => {
    const sandbox = createSandbox();
    const run = await sandbox.run(['setup-git', '--json']);
    expect(run).toMatchObject({ exitCode: 5 });
    expect(run.json()).toMatchObject({ error: { code: 'notFound' } });
    expect(readConfig(sandbox)).toBe('');
  });

  test('a configuration that git cannot read is exit 8 and stays', async () => {
    const { sandbox } = await createLinked();
    const config = '[credential\n\thelper = x\n';
    writeFileSync(join(sandbox.home, '.gitconfig'), config);
    const run = await sandbox.run(['setup-git']);
    expect(run).toMatchObject({ exitCode: 8 });
    expect(run.stderr).toContain('.gitconfig');
    expect(readConfig(sandbox)).toBe(config);
  });

  test('link --setup-git does it at once; without a terminal git is configured only on request', async () => {
    const asked = await createLinked({ link: ['--setup-git'] });
    expect(readConfig(asked.sandbox)).toContain('helper = gitlink');
    const unasked = await createLinked();
    expect(readConfig(unasked.sandbox)).toBe('');
  });

  test('the last link of a host takes the setup with it, one before the last does not', async () => {
    const { sandbox, gitea } = await createLinked();
    const { config } = addRecordingHelper(sandbox);
    const input = sandbox.guard(addToken(gitea, usualScopes, 'bob'));
    const args = ['link', 'gitea', '--host', gitea.url, '--name', 'bob', '--with-token', '--setup-git'];
    expect((await sandbox.run(args, { input })).exitCode).toBe(0);
    const first = await sandbox.run(['unlink', 'bob', '--yes', '--json']);
    expect(first.json<{ steps: { what: string }[] }>().steps.map(({ what }) => what)).not.toContain('git');
    expect(readConfig(sandbox)).toContain('helper = gitlink');
    const last = await sandbox.run(['unlink', 'gitea', '--yes', '--json']);
    expect(last.json()).toMatchObject({
      steps: [{ what: 'revoke' }, { what: 'secret' }, { what: 'git', state: 'done' }, { what: 'record' }],
    });
    expect(readConfig(sandbox)).toBe(config);
  });

  test('a setup that cannot be undone does not keep the link, and a person is told', async () => {
    const { sandbox, gitea } = await createSetUp();
    const lock = join(sandbox.home, '.gitconfig.lock');
    writeFileSync(lock, '');
    const run = await sandbox.run(['unlink', '--yes', '--json']);
    expect(run).toMatchObject({ exitCode: 3 });
    expect(run.json<{ remaining: unknown[] }>().remaining).toContainEqual({
      what: `git's setup for ${gitea.url}: gitlink setup-git --undo`,
      url: null,
    });
    expect(readLinks(sandbox)).toEqual([]);
    rmSync(lock);
    expect((await sandbox.run(['setup-git', '--undo'])).exitCode).toBe(0);
    expect(readConfig(sandbox)).toBe('');
  });
});

describe('C10: wherever gitlink is installed, git finds its helper', () => {
  test.each([`my tools's "x" $(touch planted) ünï/git`, 'plain'])('in %s', async (folder) => {
    const { sandbox, gitea } = await createLinked();
    rmSync(join(sandbox.home, 'bin/git-credential-gitlink'));
    const installed = join(sandbox.home, folder);
    mkdirSync(installed, { recursive: true });
    for (const name of ['bin', 'dist', 'package.json'])
      cpSync(join(project, name), join(installed, name), { recursive: true });
    chmodSync(join(installed, 'bin/git-credential-gitlink.js'), 0o755);
    const run = await sandbox.runProgram(process.execPath, [join(installed, 'bin/gitlink.js'), 'setup-git']);
    expect(run).toMatchObject({ exitCode: 0 });
    await gitDoes(sandbox, ['clone', '--quiet', `${gitea.url}/ada/notes.git`, 'notes']);
    expect(existsSync(join(sandbox.home, 'planted'))).toBe(false);
  });

  test('through a symlink on PATH, as npm makes it', async () => {
    const { sandbox, gitea } = await createLinked();
    const command = join(sandbox.home, 'bin/git-credential-gitlink');
    rmSync(command);
    symlinkSync(join(project, 'bin/git-credential-gitlink.js'), command);
    await sandbox.run(['setup-git']);
    expect(readConfig(sandbox)).toContain('helper = gitlink\n');
    await gitDoes(sandbox, ['clone', '--quiet', `${gitea.url}/ada/notes.git`, 'notes']);
  });
});

test('B12: git gets nothing from a link whose unlinking has begun', async () => {
  const { sandbox, gitea } = await createSetUp();
  changeLinks(sandbox, ([link]) => [{ ...link, status: 'unlinking' }]);
  const run = await runForSecret(sandbox, 'git', ['credential', 'fill'], {
    input: toRequest(`${gitea.url}/ada/notes.git`),
  });
  expect(run).toMatchObject({ exitCode: 128, stdout: '' });
});
