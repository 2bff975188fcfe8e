import { spawn, type ChildProcess, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Run, Sandbox } from '../support/sandbox.ts';
import { startKeyring, startSession } from '../support/secret-service.ts';

const project = process.cwd();

export type ToolStore = 'file' | 'keychain';

/** Runs work in a fresh home with a secret store of its own. */
export async function withToolSandbox<T>(
  store: ToolStore,
  work: (sandbox: Sandbox, env: Readonly<Record<string, string>>) => Promise<T>,
): Promise<T> {
  const home = mkdtempSync(join(tmpdir(), 'gitlink-tool-'));
  const session = store === 'keychain' ? await startSession() : null;
  const stopKeyring = session && (await startKeyring(session, 'unlocked'));
  try {
    const env = createEnvironment(home, session?.env['DBUS_SESSION_BUS_ADDRESS'] ?? null);
    return await work(createToolSandbox(home, env), env);
  } finally {
    await stopKeyring?.();
    await session?.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

function createEnvironment(home: string, bus: string | null): Readonly<Record<string, string>> {
  return {
    HOME: home,
    PATH: `${join(home, 'bin')}:${process.env['PATH'] ?? ''}`,
    TZ: 'UTC',
    NO_COLOR: '1',
    ...(bus === null
      ? { GITLINK_PASSPHRASE: 'canary passphrase of a tool' }
      : { DBUS_SESSION_BUS_ADDRESS: bus, XDG_RUNTIME_DIR: home }),
  };
}

/** The tests' sandbox without its search for secrets, which belongs to a test runner. */
function createToolSandbox(home: string, env: Readonly<Record<string, string>>): Sandbox {
  const configDirectory = join(home, '.config', 'gitlink');
  mkdirSync(join(home, 'bin'));
  mkdirSync(configDirectory, { recursive: true, mode: 0o700 });
  const settings = 'GITLINK_PASSPHRASE' in env ? { store: 'file' } : {};
  writeFileSync(join(configDirectory, 'settings.json'), JSON.stringify(settings), { mode: 0o600 });

  const runProgram: Sandbox['runProgram'] = async (program, args, options = {}) => {
    const child = spawn(program, args, { cwd: home, env: { ...env, ...options.env } });
    options.onStart?.({
      pid: child.pid ?? 0,
      kill: (signal) => void child.kill(signal),
      waitForTalk: () => Promise.reject(new Error('Not here.')),
    });
    return collectRun(child, options.input ?? '');
  };
  const runScript: Sandbox['runScript'] = (script, args, options) =>
    runProgram(process.execPath, [join(project, 'bin', script), ...args], options);

  return {
    home,
    configDirectory,
    stateDirectory: join(home, '.local', 'state', 'gitlink'),
    run: (args, options) => runScript('gitlink.js', args, options),
    runScript,
    runProgram,
    guard: (secret) => secret,
  };
}

function collectRun(child: ChildProcessWithoutNullStreams, input: string): Promise<Run> {
  return new Promise((resolve, reject) => {
    const output = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString('utf8')));
    child.on('error', reject);
    child.on('close', (exitCode, signal) =>
      resolve({ exitCode, signal, ...output, json: <T>() => JSON.parse(output.stdout) as T }),
    );
    // A program that ends without reading its input is no fault of the tool.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/** A run of gitlink with what it took. */
export interface MeteredRun extends Run {
  readonly durationMs: number;
  /** From the start to the first byte on standard output; NaN for none. */
  readonly firstOutputMs: number;
  /** The most memory that the process had, in bytes; its children are not counted. */
  readonly peakMemoryBytes: number;
}

/** Runs gitlink and measures it. The kernel keeps the peak, so that asking now and then is enough. */
export async function runMetered(
  env: Readonly<Record<string, string>>,
  args: readonly string[],
  options: { readonly input?: string; readonly onStart?: (child: ChildProcess) => void } = {},
): Promise<MeteredRun> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [join(project, 'bin/gitlink.js'), ...args], { env });
  options.onStart?.(child);
  let firstOutputMs = Number.NaN;
  child.stdout.once('data', () => (firstOutputMs = performance.now() - startedAt));
  let peakMemoryBytes = 0;
  const timer = setInterval(() => {
    peakMemoryBytes = Math.max(peakMemoryBytes, readPeakMemory(child.pid ?? 0));
  }, 20);
  const run = await collectRun(child, options.input ?? '');
  clearInterval(timer);
  return { ...run, durationMs: performance.now() - startedAt, firstOutputMs, peakMemoryBytes };
}

/** @returns 0 for a process that is gone. */
function readPeakMemory(pid: number): number {
  try {
    const [, kilobytes = '0'] =
      /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kilobytes) * 1024;
  } catch {
    return 0;
  }
}
