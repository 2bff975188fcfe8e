import { randomUUID } from 'node:crypto';
import { Secret } from '../secret.ts';
import { createChunkedItems, type ItemStore } from './chunked-items.ts';
import { type DeadlineOptions, runWithDeadline } from './deadline.ts';
import { createKeychainError } from './keychain.ts';
import { createKeychainProcess, type KeychainProcessOptions } from './keychain-process.ts';
import { listSecretService } from './list-secret-service.ts';
import { createSecretServiceItems, readEach } from './secret-service-items.ts';
import { findSessionBusSocket } from './session-bus.ts';
import type { Vault } from './vault.ts';

export interface KeychainVaultOptions extends KeychainProcessOptions, DeadlineOptions {
  readonly platform: NodeJS.Platform;
  /** From `findItemLengthLimit`. */
  readonly itemLengthLimit: number | null;
}

export interface KeychainVault extends Vault {
  /** Kills the process behind the vault. Optional: it dies with this process, and does not keep it alive. */
  close: () => void;
}

/**
 * The operating system's keychain, for commands. Every method ends within `deadlineMs`: what may get stuck runs in
 * a child process, which is then killed. Linux is read without it, by `readSecretService`.
 */
export function createKeychainVault(options: KeychainVaultOptions): KeychainVault {
  const child = createKeychainProcess(options);
  const { env, itemLengthLimit } = options;
  const hasSessionBus = options.platform === 'linux' && findSessionBusSocket(env) !== undefined;

  return {
    storage: 'keychain',
    close: () => {
      child.close();
    },
    check: () => use((items) => writeAndRemoveProbe(items)),
    read: (names) =>
      use(async (items, readMany) => {
        const values = await (itemLengthLimit === null ? readMany(names) : readEach(items, names));
        return new Map([...values].map(([name, value]) => [name, new Secret(value)]));
      }),
    write: (name, secret) => use((items) => writeAndCompare(items, name, secret.reveal())),
    remove: (name) => use((items) => items.remove(name)),
    ...(hasSessionBus && {
      list: () => runWithDeadline(options, (signal) => listSecretService({ env, signal })),
    }),
  };

  function use<T>(
    work: (
      items: ItemStore,
      readMany: (names: readonly string[]) => Promise<Map<string, string>>,
    ) => Promise<T>,
  ): Promise<T> {
    return runWithDeadline(options, (signal) => {
      const byChild = child.items(signal);
      const items = hasSessionBus
        ? createSecretServiceItems(byChild, { env, signal, unlock: () => unlock(byChild) })
        : { ...byChild, readMany: (names: readonly string[]) => readEach(byChild, names) };
      return work(createChunkedItems(items, itemLengthLimit), items.readMany);
    });
  }
}

async function writeAndCompare(items: ItemStore, name: string, value: string): Promise<void> {
  await items.write(name, value);
  if ((await items.read(name)) === value) return;
  throw createKeychainError('damaged', `The keychain did not keep what was written to ${name}.`);
}

/** A write makes the desktop ask for it. */
async function unlock(items: ItemStore): Promise<void> {
  const probe = createProbe();
  await items.write(probe, probe);
  await items.remove(probe);
}

/** Proves that the keychain can be written, with a value that is no secret. */
async function writeAndRemoveProbe(items: ItemStore): Promise<void> {
  const probe = createProbe();
  await items.write(probe, probe);
  const kept = await items.read(probe);
  await items.remove(probe);
  if (kept === probe) return;
  throw createKeychainError('damaged', 'The keychain does not keep what is written to it.');
}

function createProbe(): string {
  return `probe.${randomUUID()}`;
}
