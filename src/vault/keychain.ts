import { VaultError, type VaultFault } from './vault.ts';

/** The service under which every item of gitlink is kept; the account is the item's name. */
export const keychainService = 'gitlink';

const choices =
  'Unlock or install a keychain (such as gnome-keyring), or keep the secrets in an encrypted file: --store file with a passphrase (GITLINK_PASSPHRASE_FILE).';

/** An error of the keychain, with the choices that a person has. */
export function createKeychainError(fault: VaultFault, message: string): VaultError {
  return new VaultError(fault, message, { hint: choices });
}

/**
 * The most UTF-16 characters that one item of the platform's keychain takes; `null` where 64 KiB and more fit.
 * Windows: `CRED_MAX_CREDENTIAL_BLOB_SIZE` is 2,560 bytes.
 */
export function findItemLengthLimit(platform: NodeJS.Platform): number | null {
  return platform === 'win32' ? 1280 : null;
}
