import { spawn } from 'node:child_process';
import { InternalError, UnreachableError, UnsupportedError } from '../errors.ts';
import type { Runtime } from '../runtime.ts';
import { findExecutable } from './find-executable.ts';
import { toGitEnvironment } from './git-environment.ts';

/** What git needs of the machine. */
export type GitContext = Pick<Runtime, 'env' | 'platform' | 'workingDirectory' | 'signal'>;

export interface GitResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const defaultDeadlineMs = 10_000;
const outputLimitBytes = 16 * 1024 * 1024;

/**
 * Runs git to its end, without a shell, a terminal or a prompt. Any exit code is an answer.
 *
 * @param args - Data in them goes behind `--` or in a place where git takes no option.
 * @param options - `cwd`: default the working directory; `deadlineMs`: default 10 s; `secretEnv`: more variables,
 * which the programs that git starts see, too.
 * @throws UnsupportedError where git is not installed, UnreachableError at the deadline, the signal's reason.
 */
export async function runGit(
  args: readonly string[],
  context: GitContext,
  options: {
    readonly cwd?: string;
    readonly deadlineMs?: number;
    readonly secretEnv?: Readonly<Record<string, string | undefined>>;
  } = {},
): Promise<GitResult> {
  const { deadlineMs = defaultDeadlineMs, cwd = context.workingDirectory } = options;
  context.signal.throwIfAborted();
  const git = findExecutable('git', context);
  if (git === null) {
    throw new UnsupportedError('git was not found on PATH.', {
      hint: 'Install git (https://git-scm.com/downloads), then run this again.',
    });
  }
  const deadline = AbortSignal.timeout(deadlineMs);
  const overflow = new AbortController();
  const child = spawn(git, args, {
    cwd,
    env: { ...toGitEnvironment(context), ...options.secretEnv },
    stdio: ['ignore', 'pipe', 'pipe'],
    windowsHide: true,
    signal: AbortSignal.any([context.signal, deadline, overflow.signal]),
    killSignal: 'SIGKILL',
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  let received = 0;
  const keepIn = (chunks: Buffer[]) => (chunk: Buffer) => {
    received += chunk.length;
    if (received > outputLimitBytes) overflow.abort();
    else chunks.push(chunk);
  };
  child.stdout.on('data', keepIn(stdout));
  child.stderr.on('data', keepIn(stderr));
  try {
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve(code ?? 128));
    });
    return { exitCode, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() };
  } catch (cause) {
    // A program that git started may hold the pipes open for longer.
    child.stdout.destroy();
    child.stderr.destroy();
    context.signal.throwIfAborted();
    const what = `git ${args[0] ?? ''}`;
    if (deadline.aborted) throw new UnreachableError(`${what} did not end within ${deadlineMs / 1000} s.`);
    if (overflow.signal.aborted) throw new UnreachableError(`${what} wrote more than 16 MiB.`);
    throw new InternalError('git could not be started.', { cause });
  }
}
