import { installationKind } from '../providers/provider.ts';
import type { Secret } from '../secret.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import { isInstallation } from './is-installation.ts';
import { secretMissing } from './link-faults.ts';
import { toMintedCredential, unpackCredential, type StoredCredential } from './stored-credential.ts';

/**
 * Reads a link's credential. That of an app's installation is nothing but tokens which its key makes anew, so that a
 * lost one is no loss.
 *
 * @throws StorageError when it is gone, or damaged.
 */
export function readStored(link: LinkRecord, item: Secret | undefined): StoredCredential {
  if (item) return unpackCredential(item);
  if (isInstallation(link)) return toMintedCredential(installationKind, []);
  throw secretMissing(link);
}
