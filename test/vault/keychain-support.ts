import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, type TestContext } from 'vitest';
import { Secret } from '../../src/secret.ts';
import {
  createKeychainVault,
  type KeychainVault,
  type KeychainVaultOptions,
} from '../../src/vault/keychain-vault.ts';
import { beginKeychainRead } from '../../src/vault/read-keychain-item.ts';
import { VaultError } from '../../src/vault/vault.ts';
import {
  type DoubleFault,
  findMissingPrograms,
  type Session,
  startDouble,
  startSession,
} from '../support/secret-service.ts';
import { type Bundle, bundle, keychainChild } from './bundle.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export const deadlineMs = 3000;

/** Reads, or writes, one item and says on standard output how that ended. Leaves the rest to Node. */
const command = `
  import { createKeychainVault } from './src/vault/keychain-vault.ts';
  import { Secret } from './src/secret.ts';
  const [, , childPath, op] = process.argv;
  const vault = createKeychainVault({
    childPath, execPath: process.execPath, env: process.env, platform: 'linux', itemLengthLimit: null, deadlineMs: ${deadlineMs},
  });
  const work = { read: () => vault.read(['a']), write: () => vault.write('a', new Secret('written-canary')) }[op];
  await work().then(
    () => process.stdout.write('done'),
    (error) => { process.stdout.write(error.fault + ': ' + error.message); process.exitCode = error.exitCode; });
`;

let child: Bundle;
let program: Bundle;

/** Bundles the child and a command that uses it, for the tests of one file. */
export function bundleForTests(): void {
  beforeAll(async () => {
    [child, program] = await Promise.all([bundle(keychainChild), bundle({ text: command })]);
  });
  afterAll(() => {
    child.remove();
    program.remove();
  });
}

/** Whether a Secret Service cannot be had here; says so on standard error. */
export function isSecretServiceMissing(): boolean {
  const missing = findMissingPrograms();
  if (missing.length > 0)
    process.stderr.write(`Skipped for want of ${missing.join(', ')}: tests of the keychain\n`);
  return missing.length > 0;
}

/** A session for one test, with a double if one is named. */
export async function useSession({ onTestFinished }: TestContext, double?: DoubleFault): Promise<Session> {
  const session = await startSession();
  onTestFinished(session.stop);
  if (double) onTestFinished(await startDouble(session, double, double === 'late' ? 10_000 : 0));
  return session;
}

/** A vault for one test. */
export function useVault(
  { onTestFinished }: TestContext,
  env: Environment,
  options?: Partial<KeychainVaultOptions>,
): KeychainVault {
  const vault = openVault(env, options);
  onTestFinished(vault.close);
  return vault;
}

export function openVault(env: Environment, options: Partial<KeychainVaultOptions> = {}): KeychainVault {
  const defaults = {
    childPath: child.path,
    execPath: process.execPath,
    platform: 'linux',
    itemLengthLimit: null,
  } as const;
  return createKeychainVault({ ...defaults, env, deadlineMs, ...options });
}

/** Expects that no call of the vault, nor the helper's, takes the fault for an absent item. */
export async function expectEveryCall(
  context: TestContext,
  env: Environment,
  fault: string,
  message: string | RegExp,
  options: Partial<KeychainVaultOptions> = {},
): Promise<void> {
  const vault = useVault(context, env, options);
  const calls = {
    check: () => vault.check(),
    read: () => vault.read(['credential.a.1']),
    readAbsent: () => vault.read(['credential.missing.1']),
    write: () => vault.write('credential.a.1', new Secret('refused-canary')),
    remove: () => vault.remove('credential.a.1'),
    ...(options.childPath === undefined && {
      help: () => beginKeychainRead({ deadlineMs, env }).finish('credential.a.1'),
    }),
  };
  for (const [name, call] of Object.entries(calls)) {
    const error: unknown = await call().then(
      () => expect.unreachable(`${name} succeeded`),
      (reason: unknown) => reason,
    );
    if (!(error instanceof VaultError)) throw error;
    expect([name, error.fault]).toEqual([name, fault]);
    expect(error.message).toMatch(message);
  }
}

export function startCommand(env: Environment, op: 'read' | 'write'): ChildProcess {
  return spawn(process.execPath, [program.path, child.path, op], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

export async function runCommand(env: Environment, op: 'read' | 'write') {
  const startedAt = performance.now();
  const running = startCommand(env, op);
  let output = '';
  running.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = (await once(running, 'close')) as [number | null];
  return { output, code, durationMs: performance.now() - startedAt };
}

/** The keychain children that live now, of any parent; of one session if its home is given. */
export function listChildren(home = ''): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const [commandLine, environment] = ['cmdline', 'environ'].map((file) =>
          readFileSync(`/proc/${pid}/${file}`, 'latin1'),
        );
        return commandLine?.split('\0')[1] === child.path && environment?.includes(home);
      } catch {
        return false; // It ended meanwhile.
      }
    })
    .map(Number);
}

/** Waits until so many keychain children live, for at most the second that they have to end. */
export async function waitForChildren(count: number, home = ''): Promise<number[]> {
  const startedAt = performance.now();
  let children = listChildren(home);
  while (children.length !== count) {
    if (performance.now() - startedAt > 1000)
      throw new Error(`${children.length} keychain children live, not ${count}`);
    await delay(10);
    children = listChildren(home);
  }
  return children;
}
