import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/secret.ts';
import type { KeychainVault } from '../../src/vault/keychain-vault.ts';
import { beginKeychainRead } from '../../src/vault/read-keychain-item.ts';
import { runVaultContract } from '../contracts/vault-contract.ts';
import { createHome, startKeyring, startSession } from '../support/secret-service.ts';
import { bundle, keychainChild, nowhere } from './bundle.ts';
import {
  bundleForTests,
  deadlineMs,
  expectEveryCall,
  isSecretServiceMissing,
  listChildren,
  openVault,
  runCommand,
  useSession,
  useVault,
  waitForChildren,
} from './keychain-support.ts';

bundleForTests();

describe.skipIf(isSecretServiceMissing())('with gnome-keyring', () => {
  for (const itemLengthLimit of [null, 1280]) {
    runVaultContract(`the keychain, items limited to ${itemLengthLimit ?? 'nothing'}`, async () => {
      const session = await startSession();
      const stopKeyring = await startKeyring(session, 'unlocked');
      const vaults: KeychainVault[] = [];
      return {
        open: () => {
          const vault = openVault(session.env, { itemLengthLimit });
          vaults.push(vault);
          return vault;
        },
        dispose: async () => {
          for (const vault of vaults) vault.close();
          await stopKeyring();
          await session.stop();
        },
      };
    });
  }

  test("git's helper reads what a command wrote, in process", async (context) => {
    const session = await useSession(context);
    const { env } = session;
    context.onTestFinished(await startKeyring(session, 'unlocked'));
    await useVault(context, env).write('credential.a.1', new Secret('kept-canary'));
    expect((await beginKeychainRead({ deadlineMs, env }).finish('credential.a.1'))?.reveal()).toBe(
      'kept-canary',
    );
    expect(await beginKeychainRead({ deadlineMs, env }).finish('credential.missing.1')).toBeNull();
  });

  test('B3: a locked keychain is not an empty one, and keeps what it has', async (context) => {
    const session = await useSession(context);
    const vault = useVault(context, session.env);
    let stopKeyring = await startKeyring(session, 'unlocked');
    await vault.write('credential.a.1', new Secret('kept-canary'));
    await stopKeyring();

    stopKeyring = await startKeyring(session, 'locked');
    await expectEveryCall(context, session.env, 'locked', 'The keychain is locked.');
    await stopKeyring();

    context.onTestFinished(await startKeyring(session, 'unlocked'));
    expect((await vault.read(['credential.a.1'])).get('credential.a.1')?.reveal()).toBe('kept-canary');
  });

  test('B3: a keychain without a default collection is unavailable', async (context) => {
    const session = await useSession(context);
    context.onTestFinished(await startKeyring(session, 'locked'));
    await expectEveryCall(context, session.env, 'unavailable', 'The keychain has no default collection.');
  });

  test('Ctrl-C reaches the child too, and does not stop it', async (context) => {
    const session = await useSession(context);
    context.onTestFinished(await startKeyring(session, 'unlocked'));
    const vault = useVault(context, session.env);
    await vault.write('credential.a.1', new Secret('first-canary'));
    const [pid = 0] = listChildren();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(pid, signal);
    await vault.write('credential.a.1', new Secret('second-canary'));
    expect(listChildren()).toEqual([pid]);
  });

  test('a child that dies costs one call, not the command', async (context) => {
    const session = await useSession(context);
    context.onTestFinished(await startKeyring(session, 'unlocked'));
    const vault = useVault(context, session.env);
    await vault.write('credential.a.1', new Secret('first-canary'));
    process.kill(listChildren()[0] ?? 0, 'SIGKILL');
    const writing = vault.write('credential.a.1', new Secret('second-canary'));
    await expect(writing).rejects.toMatchObject({ fault: 'unavailable' });
    await vault.write('credential.a.1', new Secret('third-canary'));
    vault.close();
    await waitForChildren(0);
  });

  test('an idle child keeps no command from ending, and ends with it', async (context) => {
    const session = await useSession(context);
    context.onTestFinished(await startKeyring(session, 'unlocked'));
    expect(await runCommand(session.env, 'write')).toMatchObject({ output: 'done', code: 0 });
    await waitForChildren(0);
  });
});

describe.skipIf(isSecretServiceMissing())('with a stuck child', () => {
  test('D3, B18: secrets reach it through its pipe only, and it may not dump core', async (context) => {
    const session = await useSession(context, 'promptNeverCompletes');
    const env = { ...session.env, GITLINK_PASSPHRASE: 'passphrase-canary', NODE_OPTIONS: '--no-warnings' };
    const vault = useVault(context, env, { deadlineMs: 1000 });
    const writing = vault.write('credential.a.1', new Secret('written-canary')).catch(() => undefined);
    const [pid] = await waitForChildren(1);
    for (const file of ['cmdline', 'environ']) {
      expect(readFileSync(`/proc/${pid}/${file}`, 'latin1')).not.toMatch(/canary|NODE_OPTIONS/);
    }
    expect(readFileSync(`/proc/${pid}/limits`, 'latin1')).toMatch(/Max core file size\s+0\s+0/);
    await writing;
    await waitForChildren(0);
  });
});

describe('without a keychain', () => {
  test('B4: it is unavailable at once without D-Bus, and the choices are named', async (context) => {
    await expectEveryCall(context, { PATH: process.env['PATH'] }, 'unavailable', /D-Bus/);
    await expect(beginKeychainRead({ deadlineMs, env: {} }).finish('a')).rejects.toMatchObject({
      exitCode: 8,
      hint: expect.stringMatching(/--store file.*GITLINK_PASSPHRASE_FILE/) as string,
    });
  });

  test('it is unavailable where the socket of the session is not there', async (context) => {
    const home = createHome();
    context.onTestFinished(() => {
      rmSync(home, { recursive: true });
    });
    await expectEveryCall(context, { XDG_RUNTIME_DIR: home }, 'unavailable', /ENOENT/);
  });

  test.skipIf(isSecretServiceMissing())(
    'it is unavailable where nothing answers on the bus',
    async (context) => {
      const { env } = await useSession(context);
      await expectEveryCall(context, env, 'unavailable', /No keychain service is running/);
    },
  );

  test('G3: it is unavailable where the library has no binary', async (context) => {
    const alone = await bundle(keychainChild, nowhere);
    context.onTestFinished(alone.remove);
    const options = { childPath: alone.path };
    await expectEveryCall(context, {}, 'unavailable', /no keychain support for this system/, options);
  });

  test('G3: it is unavailable where the binary is broken', async (context) => {
    const alone = await bundle(keychainChild, nowhere);
    context.onTestFinished(alone.remove);
    for (const name of ['keyring', `keyring-${process.platform}-${process.arch}-gnu`]) {
      const folder = join(alone.path, '../node_modules/@napi-rs', name);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'package.json'), '{"main":"broken.node"}');
      writeFileSync(join(folder, 'broken.node'), 'not a library');
    }
    const options = { childPath: alone.path };
    await expectEveryCall(context, {}, 'unavailable', /no keychain support for this system/, options);
  });

  test('it is unavailable where the child cannot be started', async (context) => {
    await expectEveryCall(context, {}, 'unavailable', /ended unexpectedly/, { childPath: '/nonexistent.js' });
  });

  test('what the library prints is not taken for an answer', async (context) => {
    const talkative = await bundle({
      text: `process.stdin.once('data', (line) => {
        process.stdout.write("Can't understand prompt result: x\\n");
        process.stdout.write(JSON.stringify({ id: JSON.parse(line).id, ok: true, value: 'canary' }) + '\\n');
      });`,
    });
    context.onTestFinished(talkative.remove);
    const vault = useVault(context, {}, { childPath: talkative.path });
    expect((await vault.read(['a'])).get('a')?.reveal()).toBe('canary');
  });
});
