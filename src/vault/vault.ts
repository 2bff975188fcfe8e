import { StorageError, type ErrorDetails } from '../errors.ts';
import type { Secret } from '../secret.ts';

/**
 * Why a secret store did not answer. Never the same as "there is no such item": only that may lead to
 * "not linked", and nothing is deleted or overwritten for any of these.
 */
export type VaultFault = 'locked' | 'denied' | 'unavailable' | 'timeout' | 'damaged';

export class VaultError extends StorageError {
  readonly fault: VaultFault;

  constructor(fault: VaultFault, message: string, details: ErrorDetails = {}) {
    super(message, details);
    this.fault = fault;
  }
}

/**
 * A place that keeps secrets. Items are named by gitlink (`credential.<link id>.<generation>`), never by users.
 *
 * Every method ends within the store's deadline and throws {@link VaultError} when the store does not answer.
 */
export interface Vault {
  readonly storage: 'keychain' | 'file' | 'env';

  /**
   * Makes sure that the store can be written now, without changing what it holds. Called before anything is
   * opened or asked for, so that no credential is obtained that cannot be kept.
   */
  check(): Promise<void>;

  /** Reads items in one go. An item that is not there is absent from the map. */
  read(items: readonly string[]): Promise<ReadonlyMap<string, Secret>>;

  /** Writes one item; when it returns, the item is durable and has been read back. A reader sees the old value or the new. */
  write(item: string, secret: Secret): Promise<void>;

  /** Removes one item with all its parts. An absent item is success. */
  remove(item: string): Promise<void>;

  /**
   * The names of all items of gitlink, without reading or unlocking any. Absent where the platform does not list
   * names without handing out the secrets.
   */
  list?(): Promise<readonly string[]>;
}
