import { spawn } from 'node:child_process';
import { mkdtempSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach } from 'vitest';
import { assertDocument } from './json-documents.ts';

/** A run of the real executable. */
export interface Run {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as the JSON document that it must be. */
  json<T = Record<string, unknown>>(): T;
}

export interface RunOptions {
  /** Standard input; none is an empty one, never a terminal. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Another Node than the one that runs the tests. */
  readonly node?: string;
  /** Called with the running process, for signals. */
  readonly onStart?: (child: RunningProcess) => void;
}

export interface RunningProcess {
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  /** Resolves with standard error as soon as it contains the text. */
  waitForTalk(text: string): Promise<string>;
}

/** A fresh home with everything that gitlink reads or writes inside, and nothing of the machine's own. */
export interface Sandbox {
  readonly home: string;
  readonly configDirectory: string;
  readonly stateDirectory: string;
  /** Runs `gitlink`; with `--json` its document must be what `schemas/` promises. */
  run(args: readonly string[], options?: RunOptions): Promise<Run>;
  /** Runs git's helper, or any other script of `bin/`. */
  runScript(script: string, args: readonly string[], options?: RunOptions): Promise<Run>;
  /** Runs another program with the sandbox's environment, such as git. */
  runProgram(program: string, args: readonly string[], options?: RunOptions): Promise<Run>;
  /** Names a value that must never be seen: looked for in all output, files and arguments at the end. */
  guard(secret: string): string;
}

export interface SandboxOptions {
  /** Where `gitlink link` keeps secrets. The encrypted file works on every machine. */
  readonly store?: 'file' | 'keychain';
}

const project = resolve(import.meta.dirname, '../..');
const passphrase = 'canary passphrase of the sandbox';
const runDeadlineMs = 60_000;
/** Too short to be told from chance in encoded forms. */
const leastGuardedLength = 8;

const open = new Set<{ check(): void; remove(): void }>();

afterEach(() => {
  const ended = [...open];
  open.clear();
  try {
    for (const sandbox of ended) sandbox.check();
  } finally {
    for (const sandbox of ended) sandbox.remove();
  }
});

/**
 * Makes a sandbox for one test. When the test ends, every guarded secret is searched for in all that its runs
 * printed and left behind, in clear, base64, hexadecimal and URL encoding.
 */
export function createSandbox(options: SandboxOptions = {}): Sandbox {
  const home = mkdtempSync(join(tmpdir(), 'gitlink-test-'));
  const configDirectory = join(home, '.config', 'gitlink');
  const stateDirectory = join(home, '.local', 'state', 'gitlink');
  const secrets = new Set([passphrase]);
  const seen: { readonly what: string; readonly text: string }[] = [];
  const bin = join(home, 'bin');
  mkdirSync(bin);
  if (options.store !== 'keychain') {
    mkdirSync(configDirectory, { recursive: true, mode: 0o700 });
    writeFileSync(join(configDirectory, 'settings.json'), '{"store":"file"}', { mode: 0o600 });
  }
  const baseEnv = {
    HOME: home,
    PATH: `${bin}:${process.env['PATH'] ?? ''}`,
    TZ: 'UTC',
    NO_COLOR: '1',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    ...(options.store === 'keychain' ? {} : { GITLINK_PASSPHRASE: passphrase }),
  };
  writeFileSync(
    join(bin, 'git-credential-gitlink'),
    `#!/bin/sh\nexec '${process.execPath}' '${join(project, 'bin/git-credential-gitlink.js')}' "$@"\n`,
    { mode: 0o755 },
  );

  async function runProgram(
    program: string,
    args: readonly string[],
    runOptions: RunOptions = {},
  ): Promise<Run> {
    seen.push({ what: 'the arguments', text: args.join(' ') });
    const run = await spawnProgram(program, args, runOptions, {
      cwd: runOptions.cwd ?? home,
      env: dropUndefined({ ...baseEnv, ...runOptions.env }),
    });
    seen.push({
      what: `the output of ${[program, ...args].join(' ')}`,
      text: `${run.stdout}\n${run.stderr}`,
    });
    return run;
  }

  const runScript: Sandbox['runScript'] = (script, args, runOptions = {}) =>
    runProgram(runOptions.node ?? process.execPath, [join(project, 'bin', script), ...args], runOptions);

  open.add({
    check() {
      for (const { what, text } of [...seen, ...readTree(home)]) {
        for (const secret of secrets) assertAbsent(secret, text, what);
      }
    },
    remove: () => rmSync(home, { recursive: true, force: true }),
  });

  return {
    home,
    configDirectory,
    stateDirectory,
    async run(args, runOptions) {
      const run = await runScript('gitlink.js', args, runOptions);
      assertDocument(args, run);
      return run;
    },
    runScript,
    runProgram,
    guard(secret) {
      secrets.add(secret);
      return secret;
    },
  };
}

function spawnProgram(
  program: string,
  args: readonly string[],
  { input, onStart }: RunOptions,
  place: { readonly cwd: string; readonly env: Record<string, string> },
): Promise<Run> {
  return new Promise((resolveRun, reject) => {
    const child = spawn(program, args, { ...place, stdio: ['pipe', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    const listeners = new Set<() => void>();
    child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => {
      output.stderr += chunk.toString('utf8');
      for (const listener of listeners) listener();
    });
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${program} ${args.join(' ')} did not end:\n${output.stdout}\n${output.stderr}`));
    }, runDeadlineMs);
    child.on('error', reject);
    child.on('close', (exitCode, signal) => {
      clearTimeout(timer);
      resolveRun({
        exitCode,
        signal,
        ...output,
        json: <T>() => JSON.parse(output.stdout) as T,
      });
    });
    // A program that ends without reading its input is no fault of the test.
    child.stdin.on('error', () => {});
    child.stdin.end(input ?? '');
    onStart?.({
      pid: child.pid ?? 0,
      kill: (signal) => void child.kill(signal),
      waitForTalk: (text) =>
        new Promise((done) => {
          const look = (): void => {
            if (!output.stderr.includes(text)) return;
            listeners.delete(look);
            done(output.stderr);
          };
          listeners.add(look);
          look();
        }),
    });
  });
}

function dropUndefined(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

function* readTree(directory: string): Generator<{ readonly what: string; readonly text: string }> {
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && statSync(path).size < 50_000_000) {
      yield { what: path, text: readFileSync(path).toString('latin1') };
    }
  }
}

function assertAbsent(secret: string, text: string, what: string): void {
  if (secret.length < leastGuardedLength) return;
  const bytes = Buffer.from(secret);
  const forms = [
    secret,
    encodeURIComponent(secret),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('hex'),
  ];
  if (forms.some((form) => text.includes(form))) throw new Error(`A secret was found in ${what}.`);
}
