import { createChunkedItems } from './chunked-items.ts';
import { findItemLengthLimit } from './keychain.ts';
import { readKeychainEntry, removeKeychainEntry, writeKeychainEntry } from './keychain-entry.ts';

/**
 * Reads an item through the keychain library, put together where the platform made parts of it.
 *
 * @returns `null` if there is no such item.
 */
export function readLibraryItem(item: string): Promise<string | null> {
  const entries = { read: readKeychainEntry, write: writeKeychainEntry, remove: removeKeychainEntry };
  return createChunkedItems(entries, findItemLengthLimit(process.platform)).read(item);
}
