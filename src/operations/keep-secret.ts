import { StorageError } from '../errors.ts';
import type { Secret } from '../secret.ts';
import type { Records, Storage } from '../store/link-schema.ts';
import type { OperationContext } from './context.ts';
import { addIntents, endIntent } from './intents.ts';

/**
 * Stores a secret that a record will name: the intention first, then the secret, then the record, in which the
 * intention ends. Whatever moment a crash picks, either nothing is stored, or `intents` names the orphan.
 *
 * @param settle - Puts the item's name into the records; runs under the lock.
 */
export async function keepSecret(
  context: OperationContext,
  storage: Storage,
  item: string,
  secret: Secret,
  settle: (records: Records) => Records,
): Promise<Records> {
  const vault = await context.openVault(storage);
  const createdAt = context.clock.now();
  await context.links.change((records) => addIntents(records, [item], storage, createdAt));
  await vault.write(item, secret);
  const stored = (await vault.read([item])).get(item);
  if (!stored?.equals(secret)) {
    throw new StorageError(`The ${storage} did not keep what was written to it.`);
  }
  return context.links.change((records) => settle(endIntent(records, item)));
}

/**
 * Removes secrets that no record names any more: the intention first, so that a crash leaves a trace of what
 * is still in the store.
 *
 * @param release - Takes the items' names out of the records; runs under the lock, before the secrets go.
 */
export async function dropSecrets(
  context: OperationContext,
  storage: Storage,
  items: readonly string[],
  release: (records: Records) => Records,
): Promise<void> {
  const createdAt = context.clock.now();
  await context.links.change((records) => addIntents(release(records), items, storage, createdAt));
  const vault = await context.openVault(storage);
  for (const item of items) await vault.remove(item);
  await context.links.change((records) => items.reduce(endIntent, records));
}
