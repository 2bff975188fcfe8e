import { installationKind } from '../providers/provider.ts';
import type { Secret } from '../secret.ts';
import type { LinkRecord, Storage } from '../store/link-schema.ts';
import type { OperationContext } from './context.ts';
import { isInstallation } from './is-installation.ts';
import { secretMissing } from './link-faults.ts';
import { toMintedCredential, unpackCredential, type StoredCredential } from './stored-credential.ts';

/**
 * Reads one item of a secret store.
 *
 * @returns null where it is not there.
 * @throws StorageError when the store does not answer.
 */
export async function readItem(
  context: Pick<OperationContext, 'openVault'>,
  storage: Storage,
  item: string,
): Promise<Secret | null> {
  const vault = await context.openVault(storage);
  return (await vault.read([item])).get(item) ?? null;
}

/** Reads the item of a link's credential, as {@link readItem} does. */
export function readLinkSecret(
  context: Pick<OperationContext, 'openVault'>,
  { storage, credentialItem }: LinkRecord,
): Promise<Secret | null> {
  return readItem(context, storage, credentialItem);
}

/**
 * Unpacks a link's credential. That of an app's installation is nothing but tokens which its key makes anew, so that a
 * lost one is no loss.
 *
 * @param item - What {@link readLinkSecret} found.
 * @throws StorageError when it is gone, or damaged.
 */
export function readStored(link: LinkRecord, item: Secret | null): StoredCredential {
  if (item) return unpackCredential(item);
  if (isInstallation(link)) return toMintedCredential(installationKind, []);
  throw secretMissing(link);
}
