import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StorageError, UsageError } from '../../src/errors.ts';
import { openSettings, openSettingsForChange } from '../../src/store/settings.ts';

let directory = '';
let path = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'gitlink-settings-'));
  path = join(directory, 'settings.json');
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('settings', () => {
  test('reading makes no file; what is set is read again and private', async () => {
    expect((await openSettings(directory)).get('store')).toBeNull();
    expect(existsSync(path)).toBe(false);
    (await openSettingsForChange(directory)).set('store', 'file');
    expect((await openSettings(directory)).get('store')).toBe('file');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    (await openSettingsForChange(directory)).unset('store');
    expect((await openSettings(directory)).get('store')).toBeNull();
  });

  test('what a newer gitlink wrote stays', async () => {
    writeFileSync(path, '{"later":{"deep":[1]}}', { mode: 0o600 });
    (await openSettingsForChange(directory)).set('concurrency', '4');
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ later: { deep: [1] }, concurrency: '4' });
  });

  test.each([
    ['store', 'cloud'],
    ['concurrency', '0'],
    ['concurrency', '65'],
    ['concurrency', '1e1'],
    ['webhook-url', 'ci.acme.dev'],
    ['webhook-url', 'javascript:alert(1)'],
    ['webhook-events', 'push pull'],
    ['webhook-url', 'https://user:canary@ci.acme.dev/hook'],
    ['webhook-events', 'pushes'],
  ] as const)('%s cannot be "%s"', async (name, value) => {
    const settings = await openSettingsForChange(directory);
    expect(() => settings.set(name, value)).toThrow(UsageError);
    expect(settings.get(name)).toBeNull();
  });

  test.each([
    '',
    '{',
    '[]',
    '[1]',
    'null',
    '"file"',
    '5',
    '{"store":5}',
    '{"store":"cloud"}',
    '{"concurrency":{}}',
  ])('B13: the damaged file %j is left alone', async (content) => {
    writeFileSync(path, content, { mode: 0o600 });
    await expect(openSettings(directory)).rejects.toThrow(StorageError);
    await expect(openSettingsForChange(directory)).rejects.toThrow('is damaged');
    expect(readFileSync(path, 'utf8')).toBe(content);
  });

  test('B7: a symlink and a FIFO are refused, a loose mode is repaired', async () => {
    const victim = join(directory, 'victim');
    writeFileSync(victim, '{}');
    symlinkSync(victim, path);
    await expect(openSettingsForChange(directory)).rejects.toThrow('symbolic link');
    expect(readFileSync(victim, 'utf8')).toBe('{}');
    rmSync(path);
    execFileSync('mkfifo', [path]);
    await expect(openSettings(directory)).rejects.toThrow('not an ordinary file');
    rmSync(path);
    writeFileSync(path, '{}');
    chmodSync(path, 0o644);
    await openSettings(directory);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });
});
