import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  createKeychainSandbox,
  isSecretServiceMissing,
  type KeychainSandbox,
} from '../keychain/keychain-kit.ts';
import { addToken, startGitea, usualScopes } from '../support/linked.ts';
import { changeRecords, examine, findFaults, readRecords, runLine } from './doctor-kit.ts';

const project = resolve(import.meta.dirname, '../..');

async function createLinkedKeychain(): Promise<KeychainSandbox> {
  const gitea = await startGitea();
  const sandbox = await createKeychainSandbox();
  const token = sandbox.guard(addToken(gitea, usualScopes));
  const run = await sandbox.run(['link', 'gitea', '--host', gitea.url, '--with-token'], { input: token });
  expect(run, run.stderr).toMatchObject({ exitCode: 0 });
  return sandbox;
}

/** Puts an item into the keychain as another gitlink would. */
async function writeItem(sandbox: KeychainSandbox, name: string): Promise<void> {
  const script = `const { Entry } = require('@napi-rs/keyring'); new Entry('gitlink', process.argv[1]).setPassword('left');`;
  const run = await sandbox.runProgram(process.execPath, ['-e', script, name], { cwd: project });
  expect(run, run.stderr).toMatchObject({ exitCode: 0 });
}

describe.skipIf(isSecretServiceMissing())('doctor and the keychain', () => {
  test('that answers, with what it holds', async () => {
    const sandbox = await createLinkedKeychain();
    const checks = await examine(sandbox);
    expect(checks.filter(({ state }) => state !== 'ok')).toEqual([]);
    expect(checks.find(({ name }) => name === 'keychain')?.detail).toBe(
      'answers; it holds 1 secret of gitlink',
    );
    expect(checks.find(({ name }) => name === 'dbus')?.detail).toBe('answers');
  });

  test.each([
    ['absent', /No keychain service is running/, 'gnome-keyring-daemon --start --components=secrets'],
    ['locked', /locked/, 'gnome-keyring-daemon --replace --unlock'],
    ['silent', /did not answer within 3 s/, 'gnome-keyring-daemon --replace --unlock'],
    ['garbage', /makes no sense/, 'gnome-keyring-daemon --start --components=secrets'],
  ] as const)('that is %s; the links that lie there are not called broken', async (fault, detail, fix) => {
    const sandbox = await createLinkedKeychain();
    await sandbox.breakKeychain(fault);
    expect(await findFaults(sandbox, ['--fix'])).toEqual([
      { name: 'keychain', state: 'error', detail: expect.stringMatching(detail) as string, fix },
    ]);
  });

  test('without a session bus, with and without links that need it', async () => {
    const sandbox = await createLinkedKeychain();
    const none = { env: { DBUS_SESSION_BUS_ADDRESS: undefined, XDG_RUNTIME_DIR: undefined } };
    const missing = {
      name: 'dbus',
      state: 'error',
      detail: expect.stringContaining('no D-Bus session') as string,
    };
    expect(await findFaults(sandbox, [], none)).toMatchObject([missing]);
    changeRecords(sandbox, (records) => ({ ...records, links: [] }));
    const [fault] = await findFaults(sandbox, [], none);
    expect(fault).toMatchObject({ ...missing, fix: 'gitlink config set store file' });
    expect(await runLine(sandbox, fault?.fix ?? 'false')).toMatchObject({ exitCode: 0 });
    expect(await findFaults(sandbox, [], none)).toEqual([]);
  });

  test('a bus that is named and not there', async () => {
    const sandbox = await createLinkedKeychain();
    const gone = { env: { DBUS_SESSION_BUS_ADDRESS: `unix:path=${sandbox.home}/no-bus` } };
    expect(await findFaults(sandbox, [], gone)).toMatchObject([
      { name: 'dbus', state: 'error', detail: expect.stringContaining('/no-bus does not work') as string },
    ]);
  });

  test('B15: what a crash left there goes by --fix; what may be of another folder stays', async () => {
    const sandbox = await createLinkedKeychain();
    const [link] = readRecords(sandbox).links;
    const own = `webhook.${link?.id ?? ''}.0000dead`;
    const foreign = 'credential.00000000-0000-4000-8000-000000000000.0000beef';
    for (const item of [own, foreign, 'of another program']) await writeItem(sandbox, item);
    expect(await findFaults(sandbox)).toEqual([
      {
        name: 'leftover-secrets',
        state: 'warning',
        detail: `the keychain holds 1 secret that no link names (${own})`,
        fix: 'gitlink doctor --fix',
      },
      {
        name: 'leftover-secrets',
        state: 'warning',
        detail: expect.stringContaining(foreign) as string,
        fix: `secret-tool clear service gitlink username ${foreign}`,
      },
    ]);
    expect(await findFaults(sandbox, ['--fix'])).toHaveLength(1);
    expect(await sandbox.listItems()).toEqual(
      [foreign, link?.credentialItem ?? '', 'of another program'].sort(),
    );
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
    expect(readFileSync(resolve(sandbox.configDirectory, 'links.json'), 'utf8')).toContain('"gitea"');
  });

  test('a secret that somebody took out of it', async () => {
    const sandbox = await createLinkedKeychain();
    const script = `const { Entry } = require('@napi-rs/keyring'); new Entry('gitlink', process.argv[1]).deletePassword();`;
    const item = readRecords(sandbox).links[0]?.credentialItem ?? '';
    await sandbox.runProgram(process.execPath, ['-e', script, item], { cwd: project });
    expect(await findFaults(sandbox)).toMatchObject([
      { name: 'links', state: 'error', fix: 'gitlink relink gitea' },
    ]);
  });
});
