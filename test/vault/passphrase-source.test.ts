import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Secret } from '../../src/secret.ts';
import { createPassphraseSource, type PassphraseSourceOptions } from '../../src/vault/passphrase-source.ts';

const folder = mkdtempSync(join(tmpdir(), 'gitlink-passphrase-'));
const fromFlag = join(folder, 'flag');
const fromEnvironment = join(folder, 'environment');
writeFileSync(fromFlag, 'flag-canary\n');
writeFileSync(fromEnvironment, 'file-canary\n');

afterAll(() => {
  rmSync(folder, { recursive: true });
});

const prompt = () => Promise.resolve(new Secret('prompt-canary'));
const both = { GITLINK_PASSPHRASE: 'variable-canary', GITLINK_PASSPHRASE_FILE: fromEnvironment };

test.each<[string, PassphraseSourceOptions]>([
  ['flag-canary', { passphraseFile: fromFlag, env: both, prompt }],
  ['variable-canary', { env: both, prompt }],
  ['file-canary', { env: { GITLINK_PASSPHRASE_FILE: fromEnvironment }, prompt }],
  ['prompt-canary', { env: {}, prompt }],
])('B5: the passphrase is %s', async (expected, options) => {
  expect((await createPassphraseSource(options)()).reveal()).toBe(expected);
});

test.each([
  ['plain', 'plain'],
  ['one line end\n', 'one line end'],
  ['windows line end\r\n', 'windows line end'],
  ['two line ends\n\n', 'two line ends\n'],
  [' spaces stay ', ' spaces stay '],
])('only one line end is taken off: %j', async (content, expected) => {
  writeFileSync(join(folder, 'content'), content);
  expect(await readFrom('content')).toBe(expected);
});

test('a symlink to a file is followed, as container platforms mount secrets that way', async () => {
  symlinkSync(fromFlag, join(folder, 'link'));
  expect(await readFrom('link')).toBe('flag-canary');
});

test('B4: without any the store is locked, and the choices are named', async () => {
  await expect(createPassphraseSource({ env: {} })()).rejects.toMatchObject({
    fault: 'locked',
    exitCode: 8,
    hint: expect.stringMatching(/GITLINK_PASSPHRASE.*GITLINK_PASSPHRASE_FILE.*--passphrase-file/) as string,
  });
});

test.each<[string, (path: string) => void]>([
  ['missing', () => {}],
  ['a directory', (path) => mkdirSync(path)],
  ['a named pipe that nobody writes to', (path) => execFileSync('mkfifo', [path])],
  ['empty', (path) => writeFileSync(path, '\n')],
  ['larger than a line', (path) => writeFileSync(path, 'x'.repeat(5000))],
])('a passphrase file that is %s is refused without waiting', async (kind, create) => {
  const name = kind.replaceAll(' ', '-');
  create(join(folder, name));
  await expect(readFrom(name)).rejects.toMatchObject({ fault: 'locked' });
});

test('a passphrase file that is a named pipe with something in it is refused', async () => {
  const path = join(folder, 'filled-pipe');
  execFileSync('mkfifo', [path]);
  const writer = openSync(path, 'r+');
  writeSync(writer, 'pipe-canary\n');
  await expect(readFrom('filled-pipe')).rejects.toMatchObject({ fault: 'locked' });
  closeSync(writer);
});

async function readFrom(name: string): Promise<string> {
  return (await createPassphraseSource({ passphraseFile: join(folder, name), env: {} })()).reveal();
}
