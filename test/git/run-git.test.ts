import { chmodSync, mkdirSync } from 'node:fs';
import { delimiter } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { findExecutable } from '../../src/git/find-executable.ts';
import { chooseHelperCommand } from '../../src/git/helper-command.ts';
import { listRemotes } from '../../src/git/remotes.ts';
import { runGit } from '../../src/git/run-git.ts';
import { createSandbox, type Sandbox } from './sandbox.ts';

/** Puts a program called git first on PATH. */
function withFakeGit(sandbox: Sandbox, script: string): Sandbox['context'] {
  sandbox.write('bin/git', `#!/bin/sh\n${script}\n`, 0o755);
  return withPath(sandbox, `${sandbox.path('bin')}${delimiter}${sandbox.env['PATH']}`);
}

function withPath(sandbox: Sandbox, path: string): Sandbox['context'] {
  return { ...sandbox.context, env: { ...sandbox.env, PATH: path } };
}

describe('E5: git is found', () => {
  it('on PATH, never in the current directory', async () => {
    const sandbox = createSandbox();
    sandbox.write('git', '#!/bin/sh\necho planted\n', 0o755);
    sandbox.write('bin/git', '#!/bin/sh\necho planted\n', 0o755);
    const before = process.cwd();
    onTestFinished(() => process.chdir(before));
    process.chdir(sandbox.home);
    for (const here of ['', '.', './', 'bin', './bin']) {
      const context = withPath(sandbox, `${here}${delimiter}${sandbox.env['PATH']}`);
      expect(findExecutable('git', context)).toMatch(/^\//);
      expect((await runGit(['--version'], context)).stdout).toMatch(/^git version/);
    }
  });

  it('only as an executable file', () => {
    const sandbox = createSandbox();
    mkdirSync(sandbox.path('a', 'git'), { recursive: true });
    sandbox.write('b/git', '', 0o644);
    const wanted = sandbox.write('c/git', '', 0o755);
    const path = ['a', 'b', 'c', 'missing'].map((name) => sandbox.path(name)).join(delimiter);
    expect(findExecutable('git', withPath(sandbox, path))).toBe(wanted);
    chmodSync(wanted, 0o644);
    expect(findExecutable('git', withPath(sandbox, path))).toBeNull();
    expect(findExecutable('git', { env: {}, platform: 'linux' })).toBeNull();
  });

  it('or the error says how to get it', async () => {
    const sandbox = createSandbox();
    await expect(runGit(['--version'], withPath(sandbox, sandbox.home))).rejects.toMatchObject({
      code: 'unsupported',
      hint: expect.stringContaining('git-scm.com') as string,
    });
  });
});

describe('git runs', () => {
  it('E5: with its arguments as they are, and no shell', async () => {
    const sandbox = createSandbox();
    const context = withFakeGit(sandbox, 'printf "%s|" "$@"');
    const args = [
      'config',
      'a b',
      '$(touch pwned)',
      '`x`',
      '"',
      "'",
      '; exit 3',
      '--upload-pack=evil',
      '*',
      '',
      'ü',
    ];
    expect(await runGit(args, context)).toEqual({ exitCode: 0, stdout: `${args.join('|')}|`, stderr: '' });
  });

  it('D3: without the secrets of the environment, and without prompts', async () => {
    const sandbox = createSandbox();
    const fake = withFakeGit(sandbox, 'env');
    const secrets = {
      GITLINK_TOKEN: 'canary-1',
      GITLINK_PASSPHRASE: 'canary-2',
      GITLINK_APP_PRIVATE_KEY: 'canary-3',
      GITLINK_GITHUB_CLIENT_SECRET: 'canary-4',
      GH_TOKEN: 'canary-5',
      GITHUB_TOKEN: 'canary-6',
      AWS_SECRET_ACCESS_KEY: 'canary-7',
      GIT_TOKEN: 'canary-8',
      GIT_TRACE_CURL: 'canary-9',
      GIT_ASKPASS: 'canary-10',
      NODE_OPTIONS: 'canary-11',
    };
    const context = {
      ...fake,
      env: { ...fake.env, ...secrets, GIT_CONFIG_COUNT: '0', https_proxy: 'http://proxy' },
    };
    const { stdout } = await runGit(['config'], context);
    expect(stdout).not.toContain('canary');
    expect(stdout.split('\n')).toEqual(
      expect.arrayContaining([
        'GIT_TERMINAL_PROMPT=0',
        'GIT_ASKPASS=',
        'GIT_CONFIG_COUNT=0',
        'https_proxy=http://proxy',
        `HOME=${sandbox.home}`,
      ]),
    );
  });

  it('to a deadline, also where a program it started holds on', async () => {
    const sandbox = createSandbox();
    const context = withFakeGit(sandbox, 'echo $$ > pid; sleep 20 & sleep 20');
    const countPipes = () => process.getActiveResourcesInfo().filter((name) => name === 'PipeWrap').length;
    const before = countPipes();
    const started = performance.now();
    await expect(runGit(['config'], context, { deadlineMs: 300 })).rejects.toMatchObject({
      code: 'unreachable',
    });
    expect(performance.now() - started).toBeLessThan(5_000);
    // What is left open would keep gitlink from ending.
    await vi.waitFor(() => expect(countPipes()).toBe(before));
  });

  it('until it is stopped', async () => {
    const sandbox = createSandbox();
    const stop = new AbortController();
    const context = { ...withFakeGit(sandbox, 'sleep 20'), signal: stop.signal };
    const running = runGit(['config'], context);
    const reason = new Error('stopped');
    setTimeout(() => stop.abort(reason), 50);
    await expect(running).rejects.toBe(reason);
    await expect(runGit(['config'], context)).rejects.toBe(reason);
  });

  it('to any exit code, and to 16 MiB of output', async () => {
    const sandbox = createSandbox();
    const failing = withFakeGit(sandbox, 'echo said; echo why >&2; exit 5');
    expect(await runGit(['config'], failing)).toEqual({ exitCode: 5, stdout: 'said\n', stderr: 'why\n' });
    await expect(
      runGit(['config'], withFakeGit(sandbox, 'exec head -c 17000000 /dev/zero')),
    ).rejects.toMatchObject({
      code: 'unreachable',
    });
  });
});

describe('C10: the helper', () => {
  it('is named where git finds it on PATH', () => {
    const sandbox = createSandbox();
    sandbox.write('bin/git-credential-gitlink', '', 0o755);
    const context = withPath(sandbox, sandbox.path('bin'));
    expect(chooseHelperCommand('/opt/x.js', '/usr/bin/node', context)).toBe('gitlink');
  });

  it('is a path where PATH has it for this command only, as under npx', () => {
    const sandbox = createSandbox();
    sandbox.write('node_modules/.bin/git-credential-gitlink', '', 0o755);
    const context = withPath(sandbox, sandbox.path('node_modules', '.bin'));
    expect(chooseHelperCommand('/opt/gitlink/x.js', '/usr/bin/node', context)).toBe('/opt/gitlink/x.js');
  });

  it.each([
    ['/opt/my tools/x.js', "/'opt/my tools/x.js'"],
    ['/opt/mona\'s/$(id)/`x`/"y"/ü.js', "/'opt/mona'\\''s/$(id)/`x`/\"y\"/ü.js'"],
  ])('%s is quoted behind its root, where git still sees a path', (script, expected) => {
    const context = { env: { PATH: '' }, platform: 'linux' } as const;
    expect(chooseHelperCommand(script, '/usr/bin/node', context)).toBe(expected);
  });

  it('is started by Node on Windows (not run there)', () => {
    const context = { env: { Path: '' }, platform: 'win32' } as const;
    const script = 'C:\\Users\\Mona Lisa\\gitlink\\x.js';
    expect(chooseHelperCommand(script, 'C:\\Program Files\\nodejs\\node.exe', context)).toBe(
      "C:/'Program Files\\nodejs\\node.exe' 'C:\\Users\\Mona Lisa\\gitlink\\x.js'",
    );
  });
});

describe('D7: the remotes of a repository', () => {
  it('are listed without the tokens in them, with the file that names them', async () => {
    const sandbox = createSandbox();
    await sandbox.git(['init', '--quiet']);
    await sandbox.git(['remote', 'add', 'origin', 'https://mona:canary-token@github.com/acme/api.git']);
    await sandbox.git(['remote', 'add', 'up.stream', 'git@gitlab.com:group/sub/api.git']);
    await sandbox.git(['remote', 'add', 'odd', 'https://a:canary@b@github.com/acme']);
    await sandbox.git(['config', 'remote.origin.pushurl', '/srv/api.git']);
    const remotes = await listRemotes(sandbox.context);
    expect(JSON.stringify(remotes)).not.toContain('canary');
    expect(remotes).toMatchObject([
      {
        name: 'origin',
        url: { host: 'github.com', path: 'acme/api.git' },
        hasPassword: true,
        file: '.git/config',
      },
      { name: 'origin', url: null, hasPassword: false },
      { name: 'up.stream', url: { host: 'gitlab.com', path: 'group/sub/api.git' }, hasPassword: false },
      { name: 'odd', url: null, hasPassword: true },
    ]);
  });

  it('are none outside of a repository', async () => {
    expect(await listRemotes(createSandbox().context)).toEqual([]);
  });
});
