import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { GitContext } from '../../src/git/run-git.ts';

export interface GitAnswer {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A home of its own, for git and for what is tested. */
export interface Sandbox {
  readonly home: string;
  readonly env: Readonly<Record<string, string>>;
  /** What `src/git` needs, in this home. */
  readonly context: GitContext;
  path(...names: string[]): string;
  write(name: string, content: string | Buffer, mode?: number): string;
  /** Runs git in the home, without blocking servers of this process. */
  git(
    args: readonly string[],
    options?: { readonly input?: string | Buffer; readonly cwd?: string },
  ): Promise<GitAnswer>;
}

/** Makes a sandbox that goes when the test ends. */
export function createSandbox(env: Readonly<Record<string, string>> = {}): Sandbox {
  const home = mkdtempSync(join(tmpdir(), 'gitlink-git-'));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  return openSandbox(home, env);
}

/** A sandbox in a folder that the caller removes. */
export function openSandbox(home: string, env: Readonly<Record<string, string>> = {}): Sandbox {
  const whole = {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '',
    ...env,
  };
  const path = (...names: string[]) => join(home, ...names);
  return {
    home,
    env: whole,
    context: { env: whole, platform: 'linux', workingDirectory: home, signal: new AbortController().signal },
    path,
    write(name, content, mode = 0o644) {
      const file = path(name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
      chmodSync(file, mode);
      return file;
    },
    git: (args, { input = '', cwd = home } = {}) => runGit(args, input, cwd, whole),
  };
}

function runGit(
  args: readonly string[],
  input: string | Buffer,
  cwd: string,
  env: Readonly<Record<string, string>>,
): Promise<GitAnswer> {
  return new Promise((resolve, reject) => {
    const child = spawn('git', args, { cwd, env });
    const output = { stdout: '', stderr: '' };
    child.stdout.setEncoding('latin1').on('data', (text: string) => (output.stdout += text));
    child.stderr.setEncoding('latin1').on('data', (text: string) => (output.stderr += text));
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, ...output }));
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

/** The Node binaries to test with: this one and those of `GITLINK_TEST_NODES`, by colons. */
export function listNodes(): { readonly node: string; readonly version: string }[] {
  const others = (process.env['GITLINK_TEST_NODES'] ?? '').split(':').filter((node) => node !== '');
  return [process.execPath, ...others].map((node) => {
    const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' });
    return { node, version: stdout.trim() };
  });
}
