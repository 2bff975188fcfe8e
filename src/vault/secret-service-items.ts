import type { ItemStore } from './chunked-items.ts';
import { readSecretService, type SecretServiceAnswer } from './secret-service.ts';
import { VaultError } from './vault.ts';

export interface SecretServiceItems extends ItemStore {
  readonly readMany: (names: readonly string[]) => Promise<Map<string, string>>;
}

export interface SecretServiceItemsOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  /** Makes the desktop ask to unlock the default collection. */
  readonly unlock: () => Promise<void>;
}

/**
 * The keychain of Linux: read directly and all in one go, changed and unlocked by the keychain library.
 *
 * @param byLibrary - The same items through the library, which asks to unlock what it finds locked.
 */
export function createSecretServiceItems(
  byLibrary: ItemStore,
  options: SecretServiceItemsOptions,
): SecretServiceItems {
  return {
    readMany,
    read: async (item) => (await readMany([item])).get(item) ?? null,
    write: (item, value) => byLibrary.write(item, value),
    remove: async (item) => {
      await byLibrary.remove(item);
      // The library takes for absent what a locked keychain did not search for.
      if ((await readMany([item])).has(item)) await byLibrary.remove(item);
    },
  };

  async function readMany(names: readonly string[]): Promise<Map<string, string>> {
    const { found, locked } = await readUnlocked(names);
    return new Map([...found, ...(await readEach(byLibrary, locked))]);
  }

  async function readUnlocked(names: readonly string[]): Promise<SecretServiceAnswer> {
    try {
      return await readSecretService(names, options);
    } catch (error) {
      if (!(error instanceof VaultError) || error.fault !== 'locked') throw error;
    }
    await options.unlock();
    return readSecretService(names, options);
  }
}

/** Reads several items; the absent ones are not in the map. */
export async function readEach(items: ItemStore, names: readonly string[]): Promise<Map<string, string>> {
  const entries = await Promise.all(names.map(async (name) => [name, await items.read(name)] as const));
  return new Map(entries.filter((entry): entry is readonly [string, string] => entry[1] !== null));
}
