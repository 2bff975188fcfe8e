import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createSandbox } from '../support/sandbox.ts';

const names = ['store', 'webhook-url', 'webhook-events', 'browser', 'concurrency'];

describe('config', () => {
  test('list, get, set and unset', async () => {
    const sandbox = createSandbox({ store: 'keychain' });
    expect((await sandbox.run(['config', 'list', '--json'])).json()).toEqual({
      schema: 1,
      preferences: names.map((name) => ({ name, value: null })),
    });
    const set = await sandbox.run(['config', 'set', 'concurrency', '12', '--json']);
    expect(set.json()).toEqual({ schema: 1, preferences: [{ name: 'concurrency', value: '12' }] });
    expect(await sandbox.run(['config', 'get', 'concurrency'])).toMatchObject({
      exitCode: 0,
      stdout: '12\n',
    });
    expect((await sandbox.run(['config', 'list'])).stdout).toContain('concurrency\t12\n');
    expect(await sandbox.run(['config', 'unset', 'concurrency'])).toMatchObject({ exitCode: 0 });
    const none = await sandbox.run(['config', 'get', 'concurrency', '--json']);
    expect(none).toMatchObject({ exitCode: 5 });
    expect(none.json()).toMatchObject({ error: { code: 'notFound' } });
    expect(statSync(join(sandbox.configDirectory, 'settings.json')).mode & 0o777).toBe(0o600);
  });

  test('what cannot be is exit 2 and changes nothing', async () => {
    const sandbox = createSandbox();
    const path = join(sandbox.configDirectory, 'settings.json');
    const before = readFileSync(path, 'utf8');
    for (const args of [
      ['set', 'store', 'cloud'],
      ['set', 'store'],
      ['set', 'nothing', 'x'],
      ['get', 'nothing'],
      ['get', 'constructor'],
      ['get'],
      ['unset', 'nothing'],
      ['drop', 'store'],
      [],
    ]) {
      const run = await sandbox.run(['config', ...args, '--json']);
      expect(run, args.join(' ')).toMatchObject({ exitCode: 2 });
      expect(run.json()).toMatchObject({ error: { code: 'usage' } });
    }
    expect(readFileSync(path, 'utf8')).toBe(before);
  });

  test('B13: a damaged file is exit 8, kept, and the way out is named', async () => {
    const sandbox = createSandbox();
    const path = join(sandbox.configDirectory, 'settings.json');
    for (const content of ['{"store":', '[]', '{"store":7}']) {
      writeFileSync(path, content);
      for (const args of [['list'], ['set', 'store', 'file'], ['unset', 'store']]) {
        const run = await sandbox.run(['config', ...args, '--json']);
        expect(run, content).toMatchObject({ exitCode: 8 });
        expect(run.json()).toMatchObject({
          error: { code: 'storage', hint: expect.stringContaining(path) as string },
        });
      }
      expect(readFileSync(path, 'utf8')).toBe(content);
    }
  });

  test('settings by several processes at once lose nothing', async () => {
    const sandbox = createSandbox();
    const values = {
      concurrency: '3',
      'webhook-url': 'https://ci.acme.dev/hook',
      'webhook-events': 'push,tag',
    };
    await Promise.all(
      Object.entries(values).map(([name, value]) => sandbox.run(['config', 'set', name, value])),
    );
    expect(JSON.parse(readFileSync(join(sandbox.configDirectory, 'settings.json'), 'utf8'))).toEqual({
      store: 'file',
      ...values,
    });
  });
});
