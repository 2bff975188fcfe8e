import { createRequire } from 'node:module';
import type { AsyncEntry } from '@napi-rs/keyring';
import { toPrintable } from '../printable.ts';
import { createKeychainError, keychainService } from './keychain.ts';
import { connectSessionBus, findSessionBusSocket } from './session-bus.ts';
import type { VaultError } from './vault.ts';
import { type VaultFault } from './vault.ts';

interface KeyringLibrary {
  readonly AsyncEntry: typeof AsyncEntry;
}

/**
 * Left alone the library falls back to the kernel's keyring, which forgets everything at the next boot
 * (Brooooooklyn/keyring-node#142).
 */
const entryOptions = { linux: { store: 'secret-service' } } as const;

const libcSuffixes: Readonly<Record<string, string>> = { linux: '-gnu', win32: '-msvc' };

let library: KeyringLibrary | undefined;

/**
 * Reads one item of the operating system's keychain, in this process. May never return, and may then keep Node
 * from exiting: see `endByForce`.
 *
 * @returns `null` if there is no such item.
 * @throws VaultError
 */
export async function readKeychainEntry(item: string): Promise<string | null> {
  return useEntry(item, (entry) => entry.getPassword());
}

/** Writes one item, replacing its value. Otherwise like {@link readKeychainEntry}. */
export async function writeKeychainEntry(item: string, value: string): Promise<void> {
  await useEntry(item, (entry) => entry.setPassword(value));
}

/** Removes one item; an absent one is success. Otherwise like {@link readKeychainEntry}. */
export async function removeKeychainEntry(item: string): Promise<void> {
  await useEntry(item, (entry) => entry.deleteCredential());
}

async function useEntry<T>(item: string, work: (entry: AsyncEntry) => Promise<T>): Promise<T> {
  library ??= loadLibrary();
  if (process.platform === 'linux') await greetSessionBus();
  try {
    return await work(new library.AsyncEntry(keychainService, item, entryOptions));
  } catch (error) {
    throw toVaultError(error);
  }
}

/**
 * Loads the library's binary without its loader where the name of the package is plain: that saves about 1.5 ms.
 *
 * @throws VaultError where the platform has no binary or it cannot be loaded (a missing library, a broken file).
 */
function loadLibrary(): KeyringLibrary {
  const require = createRequire(import.meta.url);
  const platform = `${process.platform}-${process.arch}${libcSuffixes[process.platform] ?? ''}`;
  try {
    return require(`@napi-rs/keyring-${platform}`) as KeyringLibrary;
  } catch {
    // Another libc, or a package manager that hides the dependencies of dependencies: the loader finds out.
  }
  try {
    return require('@napi-rs/keyring') as KeyringLibrary;
  } catch {
    throw createKeychainError('unavailable', `There is no keychain support for this system (${platform}).`);
  }
}

/**
 * Waits until the bus answers. The library's constructor blocks the event loop while it connects, and with a mute
 * bus for ever: this waits in its place, where a closed standard input or a timer still ends the process.
 */
async function greetSessionBus(): Promise<void> {
  const socketPath = findSessionBusSocket(process.env);
  if (!socketPath) return;
  const bus = connectSessionBus(socketPath, new AbortController().signal);
  try {
    await bus.call({
      destination: 'org.freedesktop.DBus',
      path: '/org/freedesktop/DBus',
      interface: 'org.freedesktop.DBus.Peer',
      member: 'Ping',
    });
  } finally {
    bus.close();
  }
}

/**
 * What the library's messages mean; the first that matches counts. Linux: seen with gnome-keyring 42 and doubles.
 * macOS and Windows: from the sources of apple-native-keyring-store and windows-native-keyring-store, not run there.
 */
const faultsByMessage: readonly (readonly [RegExp, VaultFault, string])[] = [
  [/prompt was dismissed|object locked/i, 'locked', 'The keychain is locked.'],
  [/interaction is not allowed/i, 'locked', 'The keychain is locked and cannot ask here.'],
  [
    /user canceled|passphrase you entered is not correct|AccessDenied/i,
    'denied',
    'The keychain refused access.',
  ],
  [/no result found/i, 'unavailable', 'The keychain has no default collection.'],
  [
    /autolaunch|not provided by any/i,
    'unavailable',
    'No keychain service is running (D-Bus, Secret Service).',
  ],
  [/did not receive a reply|timed? ?out/i, 'timeout', 'The keychain did not answer in time.'],
  [
    /NO_SUCH_LOGON_SESSION/,
    'unavailable',
    'Windows keeps no credentials in this kind of session (SSH, network).',
  ],
  [
    /UTF-8|crypto error|decryption|matched by|ambiguous/i,
    'damaged',
    'The keychain holds something else under this name.',
  ],
];

function toVaultError(error: unknown): VaultError {
  const words = error instanceof Error ? error.message : String(error);
  const [, fault, message] = faultsByMessage.find(([pattern]) => pattern.test(words)) ?? [];
  if (fault && message) return createKeychainError(fault, message);
  const detail = toPrintable(
    words.replace(/^(?:Platform failure|Couldn't access platform storage): /, ''),
    200,
  );
  return createKeychainError('unavailable', `The keychain cannot be used: ${detail}`);
}
