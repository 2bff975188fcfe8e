import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/secret.ts';
import { createChunkedItems, type ItemStore } from '../../src/vault/chunked-items.ts';
import type { Vault } from '../../src/vault/vault.ts';
import { runVaultContract } from '../contracts/vault-contract.ts';
import { createMemoryItems } from '../support/item-store.ts';

const windowsLimit = 1280;
const lengths = [1, 1280, 1281, 2560, 5000, 65_536];

runVaultContract('a platform with the limit of Windows, in memory', () => {
  const items = createMemoryItems(windowsLimit);
  return Promise.resolve({
    open: () => toVault(createChunkedItems(items, windowsLimit)),
    dispose: async () => {},
  });
});

describe('B1: killed between any two steps', () => {
  const pairs = lengths.flatMap((before) => lengths.map((after) => [before, after] as const));

  test.each(pairs)(
    'a write of %i over %i characters leaves the old value or the new',
    async (after, before) => {
      const [oldValue, newValue] = ['o'.repeat(before), 'n'.repeat(after)];
      const steps = await countChanges(oldValue, (chunked) => chunked.write('item', newValue));
      let switches = 0;
      let last = oldValue;
      for (let step = 0; step <= steps; step++) {
        const { items, chunked } = await prepare(oldValue);
        items.dieAt = step;
        await chunked.write('item', newValue).catch(() => undefined);
        items.dieAt = Infinity;
        const value = await createChunkedItems(items, windowsLimit).read('item');
        expect([oldValue, newValue]).toContain(value);
        if (value !== last) switches++;
        last = value ?? '';

        // The next write finds what the killed one left behind.
        await chunked.write('item', 'short');
        expect([...items.values]).toEqual([['item', 'short']]);
      }
      expect(last).toBe(newValue);
      expect(switches).toBe(1);
    },
  );

  test.each(lengths)('a removal of %i characters can be repeated until nothing is left', async (length) => {
    const value = 'o'.repeat(length);
    const steps = await countChanges(value, (chunked) => chunked.remove('item'));
    for (let step = 0; step <= steps; step++) {
      const { items, chunked } = await prepare(value);
      items.dieAt = step;
      await chunked.remove('item').catch(() => undefined);
      items.dieAt = Infinity;
      expect([value, null]).toContain(await chunked.read('item'));
      await chunked.remove('item');
      expect(items.values.size).toBe(0);
    }
  });

  test('a killed write over the remains of a longer killed write leaves nothing in the end', async () => {
    const { items, chunked } = await prepare('o'.repeat(3000));
    for (const [length, step] of [
      [9000, 6],
      [4000, 3],
      [2000, 2],
    ] as const) {
      items.changes = 0;
      items.dieAt = step;
      await chunked.write('item', 'n'.repeat(length)).catch(() => undefined);
    }
    items.dieAt = Infinity;
    expect(await chunked.read('item')).toBe('o'.repeat(3000));
    await chunked.remove('item');
    expect(items.values.size).toBe(0);
  });
});

test('a write leaves nothing of what was there, nor of a longer write that was killed', async () => {
  const { items, chunked } = await prepare('o'.repeat(5000));
  items.dieAt = 6;
  await chunked.write('item', 'k'.repeat(9000)).catch(() => undefined);
  items.dieAt = Infinity;
  await chunked.write('item', 'n'.repeat(2000));
  expect([...items.values.keys()].sort()).toEqual(['item', 'item#b0', 'item#b1']);
  await chunked.write('item', 'm'.repeat(2000));
  expect([...items.values.keys()].sort()).toEqual(['item', 'item#a0', 'item#a1']);
});

describe('B1: a reader without a lock', () => {
  test('reads again when the generation it was reading is replaced, twice over', async () => {
    const { items, chunked } = await prepare('o'.repeat(3000));
    const slowReader = createChunkedItems(
      {
        ...items,
        read: async (item) => {
          const value = await items.read(item);
          if (item !== 'item' || value?.startsWith('gitlink-chunks/1 a') !== true || isReplaced) return value;
          isReplaced = true;
          await chunked.write('item', 'm'.repeat(3000));
          await chunked.write('item', 'n'.repeat(3000));
          return value;
        },
      },
      windowsLimit,
    );
    let isReplaced = false;
    expect(await slowReader.read('item')).toBe('n'.repeat(3000));
  });

  test.each([
    ['a chunk is missing', (items: ItemStore) => items.remove('item#a1')],
    ['a chunk is exchanged', (items: ItemStore) => items.write('item#a1', 'x'.repeat(1280))],
    ['the head is of a newer form', (items: ItemStore) => items.write('item', 'gitlink-chunks/2 a 3 canary')],
  ])('says that the item is damaged when %s', async (_, damage) => {
    const { items, chunked } = await prepare('o'.repeat(3000));
    await damage(items);
    await expect(chunked.read('item')).rejects.toMatchObject({ fault: 'damaged' });
  });
});

test('a character outside the basic plane is never cut in two', async () => {
  const items = createMemoryItems(windowsLimit);
  const chunked = createChunkedItems(items, windowsLimit);
  const value = `x${'😀'.repeat(2000)}`;
  await chunked.write('item', value);
  for (const part of items.values.values()) expect(Buffer.from(part).toString()).toBe(part);
  expect(await chunked.read('item')).toBe(value);
});

test('without a limit the platform gets the items as they are', () => {
  const items = createMemoryItems(Infinity);
  expect(createChunkedItems(items, null)).toBe(items);
});

async function prepare(value: string) {
  const items = createMemoryItems(windowsLimit);
  const chunked = createChunkedItems(items, windowsLimit);
  await chunked.write('item', value);
  items.changes = 0;
  return { items, chunked };
}

async function countChanges(value: string, work: (chunked: ItemStore) => Promise<void>): Promise<number> {
  const { items, chunked } = await prepare(value);
  await work(chunked);
  return items.changes;
}

function toVault(items: ItemStore): Vault {
  return {
    storage: 'keychain',
    check: async () => {},
    read: async (names) => {
      const values = await Promise.all(names.map(async (name) => [name, await items.read(name)] as const));
      return new Map(values.flatMap(([name, value]) => (value === null ? [] : [[name, new Secret(value)]])));
    },
    write: (name, secret) => items.write(name, secret.reveal()),
    remove: (name) => items.remove(name),
  };
}
