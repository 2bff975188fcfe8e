import { spawn } from 'node:child_process';
import { InternalError, UnreachableError, UnsupportedError } from '../errors.ts';
import type { Runtime } from '../runtime.ts';
import { findExecutable } from './find-executable.ts';

/** What git needs of the machine. */
export type GitContext = Pick<Runtime, 'env' | 'platform' | 'workingDirectory' | 'signal'>;

export interface GitResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const defaultDeadlineMs = 10_000;
const outputLimitBytes = 16 * 1024 * 1024;

/** Variables that git, curl and ssh need; everything else, tokens of other programs above all, stays here. */
const passedVariables: ReadonlySet<string> = new Set([
  ...[
    'HOME',
    'PATH',
    'USER',
    'LOGNAME',
    'LANG',
    'LANGUAGE',
    'TZ',
    'TMPDIR',
    'XDG_CONFIG_HOME',
    'XDG_RUNTIME_DIR',
  ],
  ...['USERPROFILE', 'HOMEDRIVE', 'HOMEPATH', 'USERNAME', 'SYSTEMROOT', 'SYSTEMDRIVE', 'WINDIR', 'COMSPEC'],
  ...['TEMP', 'TMP', 'APPDATA', 'LOCALAPPDATA', 'PROGRAMDATA', 'PROGRAMFILES', 'PATHEXT', 'MSYSTEM'],
  ...[
    'HTTP_PROXY',
    'HTTPS_PROXY',
    'ALL_PROXY',
    'NO_PROXY',
    'SSL_CERT_FILE',
    'SSL_CERT_DIR',
    'CURL_CA_BUNDLE',
  ],
  ...['SSH_AUTH_SOCK', 'SSH_AGENT_PID', 'GNUPGHOME'],
]);

/** git's own settings, but no traces (they would mix with its output and may hold headers) and no secrets. */
const passedGitVariable = /^GIT_(?!TRACE|ASKPASS$|TERMINAL_PROMPT$|.*(?:TOKEN|PASSWORD|SECRET))/;

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
    readonly secretEnv?: Readonly<Record<string, string>>;
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

function toGitEnvironment({ env, platform }: GitContext): Record<string, string | undefined> {
  const passed = Object.entries(env).filter(([name]) => {
    const upper = name.toUpperCase();
    return passedVariables.has(upper) || upper.startsWith('LC_') || passedGitVariable.test(upper);
  });
  return {
    ...Object.fromEntries(passed),
    GIT_TERMINAL_PROMPT: '0',
    // Set but empty, it also switches off core.askPass and SSH_ASKPASS.
    GIT_ASKPASS: '',
    ...(platform === 'win32' && { NoDefaultCurrentDirectoryInExePath: '1' }),
  };
}
