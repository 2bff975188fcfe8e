import { existsSync } from 'node:fs';
import { GitlinkError, assertTellable } from '../../errors.ts';
import type { Secret } from '../../secret.ts';
import { toVaultPath } from '../../store/file-names.ts';
import type { Records, Storage } from '../../store/link-schema.ts';
import { listClientItems, listLinkItems } from '../secret-items.ts';
import type { OperationContext } from '../context.ts';
import type { Doctor } from './check.ts';

/** What a secret store answered. */
export interface StoreReading {
  /** Whether anything lies there, or would be put there. */
  readonly isNeeded: boolean;
  /** Why it did not answer. */
  readonly fault: GitlinkError | null;
  readonly secrets: ReadonlyMap<string, Secret>;
  /** The names of all that lies there; null where that cannot be told. */
  readonly items: readonly string[] | null;
}

export type StoreReadings = Readonly<Record<Storage, StoreReading>>;

/** What people call the stores. */
export const storeWords: Readonly<Record<Storage, string>> = {
  keychain: 'keychain',
  file: 'encrypted file',
  env: 'environment',
};

/** Every item that the records name in a store. */
export function listNamedItems(records: Records, storage: Storage): readonly string[] {
  return [
    ...records.links.filter((link) => link.storage === storage).flatMap(listLinkItems),
    ...records.clients.filter((client) => client.storage === storage).flatMap(listClientItems),
  ];
}

/** Reads all that the records name, from all stores at once. */
export async function readStores({ context, records }: Doctor): Promise<StoreReadings> {
  const isFileUsual = await prefersFile(context);
  const read = async (storage: Storage): Promise<StoreReading> => {
    const named = records === null ? [] : listNamedItems(records, storage);
    const intents = (records?.intents ?? []).filter((intent) => intent.storage === storage);
    const isThere = storage === 'file' && existsSync(toVaultPath(context.directories.config));
    // What the records would name is not known where they cannot be read.
    const isUsual = storage === 'keychain' && records !== null && !isFileUsual && !isInEnvironment(records);
    const isNeeded = named.length > 0 || (records !== null && isThere) || isUsual;
    const empty = { isNeeded, secrets: new Map<string, Secret>(), items: null };
    // The passphrase is not asked for, and the desktop not bothered, for a store that nobody uses.
    if (!isNeeded) return { ...empty, fault: null };
    try {
      const vault = await context.openVault(storage);
      const secrets = await vault.read([...named, ...intents.map(({ item }) => item), 'probe.doctor']);
      return { isNeeded, fault: null, secrets, items: (await vault.list?.()) ?? null };
    } catch (error) {
      assertTellable(error);
      return { ...empty, fault: error };
    }
  };
  context.reporter.status('Asking the secret stores…');
  const [keychain, file, env] = await Promise.all([read('keychain'), read('file'), read('env')]);
  return { keychain, file, env };
}

/** Where the environment brings a link along, as in CI, a new one is not expected to be made. */
function isInEnvironment({ links }: Records): boolean {
  return links.some(({ storage }) => storage === 'env');
}

/** Preferences that cannot be read are another check's finding. */
async function prefersFile(context: OperationContext): Promise<boolean> {
  try {
    return (await context.openSettings()).get('store') === 'file';
  } catch (error) {
    if (error instanceof GitlinkError) return true;
    throw error;
  }
}
