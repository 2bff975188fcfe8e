import { Secret } from '../secret.ts';
import { runWithDeadline } from './deadline.ts';
import { findItemLengthLimit } from './keychain.ts';
import { readSecretService } from './secret-service.ts';
import { createKeychainError } from './keychain.ts';

/**
 * Reads one item of the keychain in this process, for git's helper: starting a child for it would cost 20 to 45 ms.
 * On Linux nothing can get stuck and a locked keychain is an error at once: the helper never prompts. Elsewhere the
 * library reads, and after a `timeout` only `endByForce` ends the process.
 *
 * @returns `null` if there is no such item.
 * @throws VaultError, at the latest after `deadlineMs`.
 */
export async function readKeychainItem(
  item: string,
  options: { readonly deadlineMs: number; readonly env: Readonly<Record<string, string | undefined>> },
): Promise<Secret | null> {
  const value = await runWithDeadline(options, async (signal) => {
    if (process.platform !== 'linux') return readFromLibrary(item);
    const { found, locked } = await readSecretService([item], { env: options.env, signal });
    if (locked.length > 0) throw createKeychainError('locked', 'The keychain is locked.');
    return found.get(item) ?? null;
  });
  return value === null ? null : new Secret(value);
}

/** Loaded only where it is used: on Linux the helper starts without the library, its loader and the hash functions. */
async function readFromLibrary(item: string): Promise<string | null> {
  const [{ createChunkedItems }, entries] = await Promise.all([
    import('./chunked-items.ts'),
    import('./keychain-entry.ts'),
  ]);
  const items = createChunkedItems(
    {
      read: entries.readKeychainEntry,
      write: entries.writeKeychainEntry,
      remove: entries.removeKeychainEntry,
    },
    findItemLengthLimit(process.platform),
  );
  return items.read(item);
}
