import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/secret.ts';
import type { Vault } from '../../src/vault/vault.ts';

/** One store, empty at first, as several processes see it. */
export interface VaultFixture {
  /** A vault that shares nothing with the others but the store. */
  open(): Vault;
  dispose(): Promise<void>;
}

/** What every secret store must do, whatever is behind it. */
export function runVaultContract(name: string, createFixture: () => Promise<VaultFixture>): void {
  describe(`vault contract: ${name}`, () => {
    let fixture: VaultFixture;
    let vault: Vault;

    beforeAll(async () => {
      fixture = await createFixture();
      vault = fixture.open();
    });

    afterAll(async () => {
      await fixture.dispose();
    });

    test('check succeeds and changes nothing', async () => {
      await vault.check();
      await vault.write('credential.kept.1', new Secret('kept-canary'));
      await vault.check();
      expect(await readOne('credential.kept.1')).toBe('kept-canary');
    });

    test('an item that is not there is absent from the answer, beside those that are', async () => {
      await vault.write('credential.here.1', new Secret('here-canary'));
      const found = await vault.read(['credential.missing.1', 'credential.here.1']);
      expect([...found.keys()]).toEqual(['credential.here.1']);
    });

    test('no items are asked for, none are found', async () => {
      expect((await vault.read([])).size).toBe(0);
    });

    test.each([1, 100, 1279, 1280, 1281, 2560, 2561, 8000, 65_536])(
      'B1: keeps %i characters for another process',
      async (length) => {
        const value = toCanary(length);
        await vault.write('credential.long.1', new Secret(value));
        expect(await readOne('credential.long.1', fixture.open())).toBe(value);
      },
    );

    test('B1: keeps any text', async () => {
      const texts = [
        '"\\\n\r\n\t',
        'ü€𝒳'.repeat(900),
        '\u2028\u2029',
        'gitlink-chunks/1 a 1 x',
        '{"a":[1]}',
        ' x ',
      ];
      for (const text of texts) {
        await vault.write('credential.text.1', new Secret(text));
        expect(await readOne('credential.text.1')).toBe(text);
      }
    });

    test('a write replaces what was there, longer or shorter', async () => {
      for (const length of [10, 5000, 2000, 4000, 20]) {
        const value = toCanary(length);
        await vault.write('credential.replaced.1', new Secret(value));
        expect(await readOne('credential.replaced.1')).toBe(value);
      }
    });

    test('items whose names begin alike are different', async () => {
      await vault.write('webhook.a.1', new Secret('first-canary'));
      await vault.write('webhook.a.11', new Secret('second-canary'));
      await vault.remove('webhook.a.11');
      expect(await readOne('webhook.a.1')).toBe('first-canary');
      expect(await readOne('webhook.a.11')).toBeUndefined();
    });

    test('remove takes an item away, and succeeds where there is none', async () => {
      await vault.write('credential.gone.1', new Secret(toCanary(4000)));
      await vault.remove('credential.gone.1');
      await vault.remove('credential.gone.1');
      expect(await readOne('credential.gone.1', fixture.open())).toBeUndefined();
    });

    test('what several processes write at once is all there', async () => {
      const names = Array.from({ length: 6 }, (_, index) => `credential.parallel${index}.1`);
      await Promise.all(names.map((item) => fixture.open().write(item, new Secret(`${item}-canary`))));
      const found = await vault.read(names);
      for (const item of names) expect(found.get(item)?.reveal()).toBe(`${item}-canary`);
    });

    test('B1: a reader sees the old value or the new one while it is replaced', async () => {
      const values = [toCanary(3000), toCanary(3000).replaceAll('c', 'd')];
      const reader = fixture.open();
      await vault.write('credential.race.1', new Secret(values[0] ?? ''));
      for (let round = 0; round < 3; round++) {
        const writing = vault.write('credential.race.1', new Secret(values[(round + 1) % 2] ?? ''));
        const seen = await Promise.all([
          readOne('credential.race.1', reader),
          readOne('credential.race.1', reader),
        ]);
        await writing;
        for (const value of seen) expect(values.includes(value ?? '')).toBe(true);
      }
    });

    async function readOne(item: string, from = vault): Promise<string | undefined> {
      return (await from.read([item])).get(item)?.reveal();
    }
  });
}

/** A value in which a lost, doubled or exchanged part shows. */
function toCanary(length: number): string {
  return Array.from({ length: Math.ceil(length / 8) }, (_, index) => `c${String(index).padStart(7, '0')}`)
    .join('')
    .slice(0, length);
}
