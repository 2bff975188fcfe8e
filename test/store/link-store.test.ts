import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { StorageError } from '../../src/errors.ts';
import { emptyRecords, type LinkRecord, type Records } from '../../src/store/link-schema.ts';
import { createLinkStore, type LinkStore } from '../../src/store/link-store.ts';
import { currentFormat, type Migration, type RecordsFormat } from '../../src/store/migrations.ts';
import { createSeededRandom } from '../simulators/faults.ts';
import { bundle, type Bundle } from '../vault/bundle.ts';

let directory = '';
let path = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'gitlink-store-'));
  path = join(directory, 'links.json');
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const someLink: LinkRecord = {
  id: '3f0c',
  name: 'gitea',
  provider: 'gitea',
  flavour: 'gitea',
  host: 'https://git.acme.dev',
  hostVersion: '1.27.0',
  organization: null,
  tenant: null,
  method: 'token',
  account: { login: 'ada', kind: 'user', id: '101' },
  credentialKind: 'personal-access-token',
  credentialOrigin: 'pasted',
  credentialItem: 'credential.3f0c.1',
  restriction: {
    mode: 'restricted',
    namespaces: ['acmé'],
    repositories: [{ id: '1', fullName: 'ada/site' }],
  },
  status: 'ok',
  statusReason: null,
  checkedAt: 1_700_000_000_000,
  scopes: ['read:user'],
  expiresAt: null,
  createdAt: 1_700_000_000_000,
  storage: 'file',
  client: null,
  rotationBegunAt: null,
  webhook: null,
  caFile: null,
  allowHttp: false,
};

const someRecords: Records = { ...emptyRecords, links: [someLink] };

function createStore(options: { now?: number; format?: RecordsFormat } = {}): LinkStore {
  return createLinkStore({
    configDirectory: directory,
    withLock: (_name, work) => work(),
    now: () => options.now ?? 0,
    ...(options.format ? { format: options.format } : {}),
  });
}

function rename(records: Records): Records {
  return { ...records, links: records.links.map((link) => ({ ...link, name: 'renamed' })) };
}

function hashFiles(): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(directory).sort())
    hash.update(name).update(readFileSync(join(directory, name)));
  return hash.digest('hex');
}

/** Neither reading nor changing may touch a thing. */
async function expectRefusal(store: LinkStore, reason: string): Promise<void> {
  const before = hashFiles();
  expect(() => store.read()).toThrow(StorageError);
  expect(() => store.read()).toThrow(reason);
  await expect(store.change(rename)).rejects.toThrow(StorageError);
  expect(hashFiles()).toBe(before);
}

describe('records', () => {
  test('are kept with the state before the last change beside them', async () => {
    const store = createStore();
    expect(store.read()).toEqual(emptyRecords);
    await store.change(() => someRecords);
    await store.change(rename);
    expect(store.read()).toEqual(rename(someRecords));
    expect(JSON.parse(readFileSync(`${path}.previous`, 'utf8'))).toEqual(someRecords);
  });

  test('the same object is no change, and an error changes nothing', async () => {
    const store = createStore();
    await store.change(() => someRecords);
    const before = hashFiles();
    await store.change((records) => records);
    await expect(
      store.change(() => {
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(hashFiles()).toBe(before);
  });
});

describe('B13: damaged records are left alone', () => {
  const cases = 300;

  test('the way back is the state before, where there is one', async () => {
    const store = createStore();
    const readHint = (): string => {
      try {
        store.read();
      } catch (error) {
        return (error as StorageError).hint ?? '';
      }
      throw new Error('The records were read.');
    };
    await store.change(() => someRecords);
    writeFileSync(path, '{');
    expect(readHint()).toContain(`mv ${path} ${path}.damaged`);
    writeFileSync(`${path}.previous`, JSON.stringify(someRecords), { mode: 0o600 });
    expect(readHint()).toContain(`cp ${path}.previous ${path}`);
  });

  test(`${cases} truncations`, async () => {
    await createStore().change(() => someRecords);
    const whole = readFileSync(path);
    const store = createStore();
    for (let index = 0; index < cases; index += 1) {
      // The last two characters are the closing brace and the line end.
      writeFileSync(path, whole.subarray(0, Math.floor((index / cases) * (whole.length - 2))));
      await expectRefusal(store, 'is damaged');
    }
  });

  test(`${cases} corruptions: refused, or read as they stand; never touched by reading`, async () => {
    await createStore().change(() => someRecords);
    const whole = readFileSync(path);
    const random = createSeededRandom(13);
    const store = createStore();
    let refused = 0;
    for (let index = 0; index < cases; index += 1) {
      const bytes = corrupt(whole, random);
      writeFileSync(path, bytes);
      const before = hashFiles();
      try {
        const records = store.read();
        // A changed letter inside a word cannot be told from what was meant; names that are not known are dropped.
        expect(JSON.parse(bytes.toString('utf8'))).toMatchObject(records);
      } catch (error) {
        if (!(error instanceof StorageError)) throw error;
        refused += 1;
        await expectRefusal(store, 'leaves it alone');
      }
      expect(hashFiles()).toBe(before);
    }
    expect(refused).toBeGreaterThan(cases / 2);
  });

  test.each([
    ['nothing', ''],
    ['null', 'null'],
    ['a list', '[]'],
    ['no version', '{"links":[]}'],
    ['a version that is no number', '{"version":"1"}'],
    [
      'a broken character',
      Buffer.from(JSON.stringify(someRecords).replace('ada', 'a\u0000a')).map((b) => b || 0xff),
    ],
    [
      'a date beyond all calendars',
      JSON.stringify({ ...someRecords, links: [{ ...someLink, createdAt: 9e15 }] }),
    ],
    [
      'a status that does not exist',
      JSON.stringify({ ...someRecords, links: [{ ...someLink, status: 'fine' }] }),
    ],
  ])('%s', async (_what, content) => {
    writeFileSync(path, content, { mode: 0o600 });
    await expectRefusal(createStore(), 'is damaged');
  });

  test('a newer file is refused, and the way out is named', async () => {
    writeFileSync(path, JSON.stringify({ ...someRecords, version: currentFormat.version + 1 }), {
      mode: 0o600,
    });
    await expectRefusal(createStore(), 'written by a newer gitlink');
  });
});

/** Flips, drops, repeats or zeroes some bytes. */
function corrupt(whole: Buffer, random: () => number): Buffer {
  const at = Math.floor(random() * whole.length);
  const length = 1 + Math.floor(random() * 20);
  const [head, middle, tail] = [
    whole.subarray(0, at),
    whole.subarray(at, at + length),
    whole.subarray(at + length),
  ];
  switch (Math.floor(random() * 4)) {
    case 0:
      return Buffer.concat([head, middle.map((byte) => byte ^ (1 << Math.floor(random() * 8))), tail]);
    case 1:
      return Buffer.concat([head, tail]);
    case 2:
      return Buffer.concat([head, middle, middle, tail]);
    default:
      return Buffer.concat([head, Buffer.alloc(middle.length), tail]);
  }
}

/** Formats as later versions may have them: 1 had no passphrase file, 2 called links connections. */
const thirdFormat: RecordsFormat = {
  version: 3,
  migrations: new Map<number, Migration>([
    [1, (records) => ({ ...records, passphraseFile: null })],
    [2, ({ connections, ...records }) => ({ ...records, links: connections })],
  ]),
};

function writeOlder(version: 1 | 2): Buffer {
  const { passphraseFile, links, ...rest } = someRecords;
  const older = { ...rest, connections: links, version, ...(version === 2 ? { passphraseFile } : {}) };
  writeFileSync(path, JSON.stringify(older), { mode: 0o600 });
  return readFileSync(path);
}

describe('B14: migrations', () => {
  test.each([1, 2] as const)(
    'format %i: read at once, backed up and written with the first change',
    async (version) => {
      const older = writeOlder(version);
      const store = createStore({ format: thirdFormat, now: Date.UTC(2026, 10, 20, 5, 4, 3) });
      expect(store.read()).toEqual({ ...someRecords, version: 3 });
      expect(readFileSync(path)).toEqual(older);
      await store.change(rename);
      expect(readFileSync(join(directory, `links.json.v${version}.20261120T050403`))).toEqual(older);
      expect(store.read()).toEqual({ ...rename(someRecords), version: 3 });
      expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({
        version: 3,
        links: [{ name: 'renamed' }],
      });
    },
  );

  test('the last three backups are kept', async () => {
    for (let day = 1; day <= 5; day += 1) {
      writeOlder(day % 2 === 0 ? 1 : 2);
      await createStore({ format: thirdFormat, now: Date.UTC(2026, 0, day) }).change(rename);
    }
    const backups = readdirSync(directory).filter((name) => name.startsWith('links.json.v'));
    expect(backups.sort()).toEqual([
      'links.json.v1.20260104T000000',
      'links.json.v2.20260103T000000',
      'links.json.v2.20260105T000000',
    ]);
  });

  test('a downgrade is refused, and the newer file is kept', async () => {
    const format = { version: currentFormat.version + 1, migrations: new Map<number, Migration>() };
    await createStore({ format }).change(() => someRecords);
    await expectRefusal(createStore(), 'written by a newer gitlink');
  });

  test('an older file that a migration cannot read is damaged, and kept', async () => {
    const format: RecordsFormat = {
      version: 2,
      migrations: new Map([
        [1, (records) => ({ links: (records['links'] as { deep: unknown[] }).deep.map(String) })],
      ]),
    };
    writeOlder(1);
    await expectRefusal(createStore({ format }), 'is damaged');
  });
});

/** A process that migrates and changes the records, and dies by SIGKILL at a chosen moment. */
const migrating = `
import { createLinkStore } from './src/store/link-store.ts';
const [directory, moment] = process.argv.slice(2);
const die = (at) => { if (moment === at) process.kill(process.pid, 'SIGKILL'); };
const store = createLinkStore({
  configDirectory: directory,
  withLock: (name, work) => work(),
  now: () => { die('before the backup'); return 0; },
  format: { version: 3, migrations: new Map([
    [1, (records) => { die('in the migration'); return { ...records, passphraseFile: null }; }],
    [2, ({ connections, ...records }) => ({ ...records, links: connections })],
  ]) },
});
await store.change((records) => {
  die('in the change');
  const passphraseFile = { toJSON() { die('before the write'); return '/run/passphrase'; } };
  return { ...records, passphraseFile };
});
`;

/** A process that adds marks to the records under the real lock. */
const adding = `
import { createLinkStore } from './src/store/link-store.ts';
import { createProcessLocks } from './src/store/process-lock.ts';
import { systemClock, systemRandom } from './src/runtime.ts';
const [directory, number, count] = process.argv.slice(2);
const withLock = createProcessLocks({
  stateDirectory: directory + '/state', clock: systemClock, random: systemRandom, platform: process.platform,
  command: 'test', waitLimitMs: 60_000,
});
const store = createLinkStore({ configDirectory: directory, withLock, now: Date.now });
for (let index = 0; index < Number(count); index += 1) {
  const intent = { item: number + '.' + index, storage: 'file', createdAt: 0 };
  await store.change((records) => ({ ...records, intents: [...records.intents, intent] }));
}
`;

describe('many processes', () => {
  const programs = new Map<string, Bundle>();
  beforeAll(async () => {
    for (const text of [migrating, adding]) programs.set(text, await bundle({ text }));
  });
  afterAll(() => {
    for (const each of programs.values()) each.remove();
  });

  function run(text: string, args: readonly string[]): Promise<string | number | null> {
    return new Promise((resolve) => {
      const child = spawn(process.execPath, [programs.get(text)?.path ?? '', ...args], { stdio: 'inherit' });
      child.once('close', (code, signal) => resolve(signal ?? code));
    });
  }

  test('changes by 32 processes at once lose nothing', async () => {
    const each = 3;
    const numbers = Array.from({ length: 32 }, (_, number) => String(number));
    const codes = await Promise.all(numbers.map((number) => run(adding, [directory, number, String(each)])));
    expect(new Set(codes)).toEqual(new Set([0]));
    const items = createStore()
      .read()
      .intents.map(({ item }) => item);
    expect(items.sort()).toEqual(
      numbers.flatMap((number) => Array.from({ length: each }, (_, index) => `${number}.${index}`)).sort(),
    );
  });

  test.each(['in the migration', 'in the change', 'before the backup', 'before the write'])(
    'B14: killed %s, the old file is whole and the next run migrates it',
    async (moment) => {
      const older = writeOlder(1);
      expect(await run(migrating, [directory, moment])).toBe('SIGKILL');
      expect(readFileSync(path)).toEqual(older);
      expect(await run(migrating, [directory, 'never'])).toBe(0);
      const store = createStore({ format: thirdFormat });
      expect(store.read()).toEqual({ ...someRecords, version: 3, passphraseFile: '/run/passphrase' });
      expect(readFileSync(join(directory, 'links.json.v1.19700101T000000'))).toEqual(older);
    },
  );
});
