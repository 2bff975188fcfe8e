import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { onTestFinished } from 'vitest';
import { runForSecret } from '../support/ask-git.ts';
import { createSandbox, type Run, type RunOptions, type Sandbox } from '../support/sandbox.ts';
import {
  findMissingPrograms,
  startDouble,
  startKeyring,
  startSession,
  type DoubleFault,
  type Session,
} from '../support/secret-service.ts';

/** A sandbox whose programs find the keychain of a private session. */
export interface KeychainSandbox extends Sandbox {
  readonly session: Session;
  readonly keychainEnv: Readonly<Record<string, string>>;
  /** Takes gnome-keyring off the bus and puts one that goes wrong, or a locked one, in its place. */
  breakKeychain(fault: DoubleFault | 'locked' | 'absent'): Promise<void>;
  /** The names of gitlink's items in the keychain, sorted. */
  listItems(): Promise<string[]>;
  /** Whether any item of gitlink holds the text. */
  holds(text: string): Promise<boolean>;
}

const project = resolve(import.meta.dirname, '../..');

/** Whether a Secret Service cannot be had here; says so. */
export function isSecretServiceMissing(): boolean {
  const missing = findMissingPrograms();
  if (missing.length > 0) process.stderr.write(`Skipped for want of ${missing.join(', ')}: the keychain\n`);
  return missing.length > 0;
}

/** Makes a sandbox with a session bus and gnome-keyring, unlocked, on it. */
export async function createKeychainSandbox(): Promise<KeychainSandbox> {
  const session = await startSession();
  onTestFinished(session.stop);
  let stopKeychain = await startKeyring(session, 'unlocked');
  onTestFinished(() => stopKeychain());
  const sandbox = createSandbox({ store: 'keychain' });
  const keychainEnv = {
    DBUS_SESSION_BUS_ADDRESS: session.env['DBUS_SESSION_BUS_ADDRESS'] ?? '',
    XDG_RUNTIME_DIR: session.home,
  };
  const withKeychain = (options: RunOptions = {}): RunOptions => ({
    ...options,
    env: { ...keychainEnv, ...options.env },
  });

  async function findItems(): Promise<readonly { account: string; password: string }[]> {
    const script = `const { findCredentials } = require('@napi-rs/keyring');
      process.stdout.write(JSON.stringify(findCredentials('gitlink')));`;
    const run = await runForSecret(sandbox, process.execPath, ['-e', script], {
      ...withKeychain(),
      cwd: project,
    });
    return run.json();
  }

  return {
    ...sandbox,
    session,
    keychainEnv,
    run: (args, options) => sandbox.run(args, withKeychain(options)),
    runScript: (script, args, options) => sandbox.runScript(script, args, withKeychain(options)),
    runProgram: (program, args, options) => sandbox.runProgram(program, args, withKeychain(options)),
    async breakKeychain(fault) {
      await stopKeychain();
      stopKeychain = () => Promise.resolve();
      if (fault === 'absent') return;
      if (fault === 'locked') {
        stopKeychain = await startKeyring(session, 'locked');
        return;
      }
      const stop = await startDouble(session, fault, fault === 'late' ? 10_000 : 0);
      stopKeychain = () => Promise.resolve(stop());
    },
    listItems: async () => (await findItems()).map(({ account }) => account).sort(),
    holds: async (text) => (await findItems()).some(({ password }) => password.includes(text)),
  };
}

/** Every file of the home with its content, without caches of compiled code. */
export function snapshot({ home }: Sandbox): Record<string, string> {
  const files = readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map(({ parentPath, name }) => join(parentPath, name));
  return Object.fromEntries(
    paths.filter((path) => !path.includes('/.cache/')).map((path) => [path, readFileSync(path, 'latin1')]),
  );
}

/** The processes of a session that belong to gitlink. */
export function listProcesses({ home }: Session): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const [words = '', environment = ''] = ['cmdline', 'environ'].map((file) =>
          readFileSync(`/proc/${pid}/${file}`, 'latin1'),
        );
        const isOurs = environment.includes(home) && words.includes(project);
        return isOurs ? [`${pid} ${words.replaceAll('\0', ' ')}`] : [];
      } catch {
        return []; // It ended meanwhile.
      }
    });
}

/** How long a run took, with its result. */
export async function timed(work: Promise<Run>): Promise<Run & { readonly durationMs: number }> {
  const startedAt = performance.now();
  const run = await work;
  return { ...run, durationMs: performance.now() - startedAt };
}
