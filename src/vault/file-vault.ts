import { UsageError } from '../errors.ts';
import type { Random } from '../runtime.ts';
import { Secret } from '../secret.ts';
import { defaultCost, derivePassphraseKey, type ScryptCost } from './passphrase-key.ts';
import {
  type Container,
  type ContainerKeys,
  createDamageError,
  keyMaterialLength,
  openRecord,
  parseContainer,
  proveContainer,
  sealRecord,
  serializeContainer,
  splitKeyMaterial,
} from './vault-container.ts';
import type { Vault } from './vault.ts';

export interface FileVaultOptions {
  /** The file, written atomically and durably. `read` returns `null` only if it does not exist. */
  readonly file: { read(): Promise<Buffer | null>; write(bytes: Buffer): Promise<void> };
  /** Does work while no other process or task of this one writes the file. */
  readonly withLock: <T>(work: () => Promise<T>) => Promise<T>;
  /** Asked when a key is needed that is not in memory; again after a wrong one. */
  readonly passphrase: () => Promise<Secret>;
  readonly random: Pick<Random, 'bytes'>;
}

interface OpenContainer {
  readonly container: Container;
  readonly keys: ContainerKeys;
}

interface KnownKeys {
  readonly kdf: Container['kdf'];
  readonly keys: ContainerKeys;
}

const passphraseLengthMin = 12;
const saltLength = 16;
const nonceLength = 12;

/**
 * The encrypted file. The first write, or `check`, makes it, with a passphrase of at least 12 characters (UsageError).
 * Its key stays in this process's memory. A file that is damaged, or of another passphrase, is never written.
 */
export function createFileVault(options: FileVaultOptions): Vault {
  const { file, withLock, passphrase, random } = options;
  let known: KnownKeys | undefined;

  return {
    storage: 'file',

    check: () =>
      change(async (opened, isNew) => {
        if (isNew) await save(opened);
      }),

    read: async (items) => {
      const bytes = await file.read();
      if (!bytes) return new Map();
      const { container, keys } = await open(bytes);
      const wanted = container.records.filter(({ item }) => items.includes(item));
      return new Map(wanted.map((record) => [record.item, new Secret(openRecord(record, keys))]));
    },

    list: async () => {
      const bytes = await file.read();
      return bytes ? (await open(bytes)).container.records.map(({ item }) => item) : [];
    },

    write: (item, secret) =>
      change(async ({ container, keys }) => {
        const generation = container.generation + 1;
        const record = sealRecord({ item, generation }, secret.reveal(), keys, random.bytes(nonceLength));
        const others = container.records.filter((other) => other.item !== item);
        await save({ container: { ...container, generation, records: [...others, record] }, keys });
      }),

    remove: async (item) => {
      if (!(await file.read())) return;
      await change(async ({ container, keys }) => {
        const records = container.records.filter((other) => other.item !== item);
        if (records.length === container.records.length) return;
        await save({ container: { ...container, generation: container.generation + 1, records }, keys });
      });
    },
  };

  /** Changes what the file holds now. The key is made, and the passphrase asked for, before the lock is taken. */
  async function change(work: (opened: OpenContainer, isNew: boolean) => Promise<void>): Promise<void> {
    await load();
    await withLock(async () => {
      const { isNew, ...opened } = await load();
      await work(opened, isNew);
    });
  }

  async function load(): Promise<OpenContainer & { readonly isNew: boolean }> {
    const bytes = await file.read();
    if (bytes) return { ...(await open(bytes)), isNew: false };
    known ??= await createKeys();
    const { kdf, keys } = known;
    const container = { kdf, check: keys.check.toString('hex'), generation: 0, records: [] };
    return { container, keys, isNew: true };
  }

  async function createKeys(): Promise<KnownKeys> {
    const phrase = await passphrase();
    if (phrase.reveal().length < passphraseLengthMin) {
      throw new UsageError(`The passphrase must have at least ${passphraseLengthMin} characters.`);
    }
    const kdf = { ...defaultCost, salt: random.bytes(saltLength).toString('hex') };
    return { kdf, keys: await deriveKeys(phrase, kdf, kdf.salt) };
  }

  /** @throws VaultError; the same time passes for a wrong passphrase and for damage. */
  async function open(bytes: Buffer): Promise<OpenContainer> {
    const unproved = parseContainer(bytes);
    if (!unproved) {
      await deriveKeys(await passphrase(), defaultCost, '');
      throw createDamageError('The encrypted file is damaged.');
    }
    const { kdf } = unproved.container;
    const isKnown = known && JSON.stringify(known.kdf) === JSON.stringify(kdf);
    const keys = known && isKnown ? known.keys : await deriveKeys(await passphrase(), kdf, kdf.salt);
    const container = proveContainer(unproved, keys);
    known = { kdf, keys };
    return { container, keys };
  }

  async function save({ container, keys }: OpenContainer): Promise<void> {
    const bytes = serializeContainer(container, keys);
    await file.write(bytes);
    const written = await file.read();
    if (!written?.equals(bytes)) throw createDamageError('The encrypted file did not keep what was written.');
  }
}

async function deriveKeys(phrase: Secret, cost: ScryptCost, salt: string): Promise<ContainerKeys> {
  const saltBytes = Buffer.from(salt, 'hex');
  return splitKeyMaterial(await derivePassphraseKey(phrase.reveal(), saltBytes, cost, keyMaterialLength));
}
