import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { UsageError } from '../../src/errors.ts';
import { Secret } from '../../src/secret.ts';
import { createFileVault, type FileVaultOptions } from '../../src/vault/file-vault.ts';
import { defaultCost, derivePassphraseKey, isAcceptableCost } from '../../src/vault/passphrase-key.ts';
import {
  keyMaterialLength,
  openRecord,
  parseContainer,
  proveContainer,
  sealRecord,
  serializeContainer,
  splitKeyMaterial,
} from '../../src/vault/vault-container.ts';
import { runVaultContract } from '../contracts/vault-contract.ts';

const passphrase = 'correct horse canary';

runVaultContract('the encrypted file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gitlink-vault-'));
  const path = join(folder, 'vault');
  const withLock = createLock();
  const file = {
    read: () => readFile(path).catch(() => null),
    write: async (bytes: Buffer) => {
      await writeFile(`${path}.new`, bytes);
      await rename(`${path}.new`, path);
    },
  };
  return {
    open: () =>
      createFileVault({ file, withLock, passphrase: () => Promise.resolve(new Secret(passphrase)), random }),
    dispose: () => rm(folder, { recursive: true }),
  };
});

describe('B5: the passphrase', () => {
  // RFC 7914, section 12; the fourth vector needs 1 GiB.
  test.each([
    ['', '', { n: 16, r: 1, p: 1 }, '77d6576238657b203b19ca42c18a0497'],
    ['password', 'NaCl', { n: 1024, r: 8, p: 16 }, 'fdbabe1c9d3472007856e7190d01e9fe'],
    ['pleaseletmein', 'SodiumChloride', { n: 16_384, r: 8, p: 1 }, '7023bdcb3afd7348461c06cd81fd38eb'],
  ])('becomes a key as RFC 7914 says: %s', async (phrase, salt, cost, expected) => {
    const key = await derivePassphraseKey(phrase, Buffer.from(salt), cost, 64);
    expect(key.toString('hex').slice(0, 32)).toBe(expected);
  });

  test.each([
    [{ n: 2 ** 15, r: 8, p: 3 }, true],
    [{ n: 2 ** 17, r: 8, p: 1 }, true],
    [{ n: 2 ** 14, r: 8, p: 3 }, false],
    [{ n: 2 ** 18, r: 8, p: 3 }, false],
    [{ n: 2 ** 15 + 2, r: 8, p: 3 }, false],
    [{ n: 2 ** 15, r: 16, p: 3 }, false],
    [{ n: 2 ** 15, r: 8, p: 9 }, false],
    [{ n: 2 ** 15, r: 8, p: 1.5 }, false],
    [{ n: NaN, r: 8, p: 3 }, false],
  ])('may cost %o: %s', (cost, isAcceptable) => {
    expect(isAcceptableCost(cost)).toBe(isAcceptable);
  });

  test.each(['with', 'without'])(
    'a header with N = 2^30 is refused at once, %s a right checksum',
    async (which) => {
      const { vault, held } = await createFilled();
      const text = held().toString('utf8').replace('"n":32768', '"n":1073741824');
      held(which === 'with' ? withChecksum(text) : Buffer.from(text));
      const startedAt = performance.now();
      await expect(vault().read(['credential.a.1'])).rejects.toMatchObject({ fault: 'damaged' });
      expect(performance.now() - startedAt).toBeLessThan(50);
    },
  );

  test('must have 12 characters when the file is made; a shorter one makes no file', async () => {
    const { vault, held } = createEmpty();
    const short = vault('eleven-char');
    await expect(short.check()).rejects.toBeInstanceOf(UsageError);
    await expect(short.write('credential.a.1', new Secret('canary'))).rejects.toBeInstanceOf(UsageError);
    expect(held()).toHaveLength(0);
    await vault('twelve-chars').check();
    expect(held()).not.toHaveLength(0);
  });

  test('is asked for once in a process, and again after a wrong one', async () => {
    const { options } = await createFilled();
    const answers = ['wrong passphrase', passphrase, 'never asked for'];
    const vault = createFileVault({
      ...options,
      passphrase: () => Promise.resolve(new Secret(answers.shift() ?? '')),
    });
    await expect(vault.read(['credential.a.1'])).rejects.toMatchObject({ fault: 'denied' });
    expect((await vault.read(['credential.a.1'])).size).toBe(1);
    await vault.write('credential.c.1', new Secret('canary'));
    await vault.remove('credential.c.1');
    expect(answers).toEqual(['never asked for']);
  });

  test('a wrong one and a damaged file differ in words, not in time, and neither is written over', async () => {
    const { vault, held } = await createFilled();
    const intact = held();
    const wrong = await measureFailure(() => vault('wrong passphrase').read(['credential.a.1']));
    await expect(vault('wrong passphrase').write('credential.b.1', new Secret('canary'))).rejects.toThrow();
    expect(held().equals(intact)).toBe(true);

    const broken = Buffer.from(intact);
    broken[60] = 0;
    held(broken);
    const damaged = await measureFailure(() => vault().read(['credential.a.1']));
    await expect(vault().write('credential.b.1', new Secret('canary'))).rejects.toThrow();
    await expect(vault().remove('credential.a.1')).rejects.toThrow();
    await expect(vault().check()).rejects.toThrow();
    expect(held().equals(broken)).toBe(true);

    expect([wrong.fault, damaged.fault]).toEqual(['denied', 'damaged']);
    expect(wrong.message).not.toBe(damaged.message);
    // Both have paid for the key, which takes 0.1 s and more; nothing else takes long.
    expect(Math.min(wrong.durationMs, damaged.durationMs)).toBeGreaterThan(50);
    expect(Math.abs(Math.log2(wrong.durationMs / damaged.durationMs))).toBeLessThan(1.5);
  });
});

describe('B1: the container', () => {
  test('of version 1 still opens', async () => {
    const golden = Buffer.from(goldenContainer);
    const held = createHeld(golden);
    const vault = createFileVault({
      ...held.options,
      passphrase: () => Promise.resolve(new Secret(passphrase)),
    });
    expect((await vault.read(['credential.golden.1'])).get('credential.golden.1')?.reveal()).toBe(
      'golden-canary',
    );
  });

  test('holds no secret in clear, and the same secret never looks the same', async () => {
    const { held, options } = await createFilled();
    const value =
      (await createFileVault(options).read(['credential.a.1'])).get('credential.a.1')?.reveal() ?? '';
    for (const form of [value, Buffer.from(value).toString('base64').slice(0, -4), passphrase]) {
      expect(held().includes(form)).toBe(false);
    }
    const { records } = parseContainer(held())?.container ?? { records: [] };
    expect(new Set(records.map(({ sealed }) => sealed)).size).toBe(3);
    expect(new Set(records.map(({ nonce }) => nonce)).size).toBe(3);
  });

  test('is refused after any byte was changed, and after any truncation', async () => {
    const keys = await createKeys();
    const bytes = createContainer(keys);
    expect(readAll(bytes, keys)).toEqual(['first-canary', 'second-canary']);
    for (let index = 0; index < bytes.length; index++) {
      expect(() => readAll(bytes.subarray(0, index), keys)).toThrow();
      for (let bit = 1; bit < 256; bit *= 2) {
        const changed = Buffer.from(bytes);
        changed[index] = (changed[index] ?? 0) ^ bit;
        expect(() => readAll(changed, keys)).toThrow();
      }
    }
    expect(() => readAll(Buffer.concat([bytes, Buffer.from('\n')]), keys)).toThrow();
  });

  test.each([
    ['exchanged', (records: unknown[]) => records.reverse()],
    ['removed', (records: unknown[]) => records.slice(1)],
    ['added', (records: unknown[]) => [...records, records[0]]],
    ['moved to another link', (records: object[]) => [{ ...records[0], item: 'credential.other.1' }]],
    ['rolled back', (records: object[]) => [{ ...records[0], generation: 1 }, records[1]]],
  ])('is refused with a record %s, even with a right checksum', async (_, change) => {
    const keys = await createKeys();
    const [body = ''] = createContainer(keys).toString('utf8').split('\n');
    const container = JSON.parse(body) as { records: object[] };
    const text = JSON.stringify({ ...container, records: change(container.records) });
    const sums = createContainer(keys).toString('utf8').split('\n')[1];
    expect(() => readAll(withChecksum(`${text}\n${sums}\n`), keys)).toThrow('changed by something');
  });

  test.each([
    ['item', { item: 'credential.b.1' }],
    ['kind', { item: 'webhook.a.1' }],
    ['generation', { generation: 6 }],
    ['nonce', { nonce: '00'.repeat(12) }],
    ['seal', { sealed: Buffer.alloc(4).toString('base64') }],
  ])("does not open a record under another record's %s, even with the key", async (_, change) => {
    const keys = await createKeys();
    const record = sealRecord({ item: 'credential.a.1', generation: 7 }, 'canary', keys, randomBytes(12));
    expect(openRecord(record, keys)).toBe('canary');
    expect(() => openRecord({ ...record, ...change }, keys)).toThrow('does not open');
  });

  test('of a newer gitlink is refused and says so', async () => {
    const { vault, held } = await createFilled();
    held(withChecksum(held().toString('utf8').replace('"minReader":1', '"minReader":2')));
    await expect(vault().read(['credential.a.1'])).rejects.toThrow('newer gitlink');
  });
});

test('a store that loses a write is found out', async () => {
  const { options } = await createFilled();
  const lossy = { ...options, file: { ...options.file, write: async () => {} } };
  const vault = createFileVault(lossy);
  await expect(vault.write('credential.z.1', new Secret('canary'))).rejects.toMatchObject({
    fault: 'damaged',
  });
});

/** A file of version 1 under the passphrase above. It never changes: files like it exist. */
const goldenContainer = [
  '{"format":"gitlink-vault","version":1,"minReader":1,"kdf":{"n":32768,"r":8,"p":3,"salt":"01010101010101010101010101010101"},',
  '"check":"16317704e05bea1a0c10980b89ae7b64a12f0a7a8ba114400ecda48e4b74f070",',
  '"generation":1,"records":[{"item":"credential.golden.1","generation":1,"nonce":"020202020202020202020202","sealed":"Z6fKkUHGvCFICKoFFJ9fk+FgFbKYtGwyDAuNEP0="}]}\n',
  'c0a655ac5066b526d1cd7358ee8813af408c9553091e3ab5f6f26505432f1118 ',
  '748e3dd025bb054b6defb31a4a879407fc48e29ae9f946e7e6d17646d6cfb85c\n',
].join('');

const random = { bytes: (length: number) => randomBytes(length) };

function createHeld(initial?: Buffer) {
  let bytes = initial;
  function held(replacement?: Buffer): Buffer {
    if (replacement) bytes = replacement;
    return bytes ?? Buffer.alloc(0);
  }
  const options: FileVaultOptions = {
    file: {
      read: () => Promise.resolve(bytes ?? null),
      write: (written) => {
        bytes = written;
        return Promise.resolve();
      },
    },
    withLock: createLock(),
    passphrase: () => Promise.resolve(new Secret(passphrase)),
    random,
  };
  return { held, options };
}

function createEmpty() {
  const { held, options } = createHeld();
  function vault(phrase = passphrase) {
    return createFileVault({ ...options, passphrase: () => Promise.resolve(new Secret(phrase)) });
  }
  return { held, options, vault };
}

async function createFilled() {
  const filled = createEmpty();
  const vault = filled.vault();
  for (const name of ['a', 'b', 'd'])
    await vault.write(`credential.${name}.1`, new Secret('the-same-secret-canary'));
  return filled;
}

function createLock(): FileVaultOptions['withLock'] {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  };
}

async function createKeys() {
  return splitKeyMaterial(
    await derivePassphraseKey(passphrase, Buffer.alloc(16), { n: 16, r: 1, p: 1 }, keyMaterialLength),
  );
}

function createContainer(keys: ReturnType<typeof splitKeyMaterial>): Buffer {
  const records = [
    sealRecord({ item: 'credential.a.1', generation: 2 }, 'first-canary', keys, Buffer.alloc(12, 1)),
    sealRecord({ item: 'credential.b.1', generation: 3 }, 'second-canary', keys, Buffer.alloc(12, 2)),
  ];
  const kdf = { ...defaultCost, salt: '00'.repeat(16) };
  return serializeContainer({ kdf, check: keys.check.toString('hex'), generation: 3, records }, keys);
}

function readAll(bytes: Buffer, keys: ReturnType<typeof splitKeyMaterial>): string[] {
  const unproved = parseContainer(bytes);
  if (!unproved) throw new Error('damaged');
  return proveContainer(unproved, keys).records.map((record) => openRecord(record, keys));
}

/** What someone without the passphrase can do: put the right checksum under a changed container. */
function withChecksum(text: string): Buffer {
  const [body = '', sums = ''] = text.split('\n');
  const checksum = createHash('sha256').update(`${body}\n`).digest('hex');
  return Buffer.from(`${body}\n${sums.slice(0, 64)} ${checksum}\n`);
}

async function measureFailure(work: () => Promise<unknown>) {
  const startedAt = performance.now();
  const error = await work().then(
    () => expect.unreachable(),
    (reason: unknown) => reason as { fault: string; message: string },
  );
  return { fault: error.fault, message: error.message, durationMs: performance.now() - startedAt };
}
