import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { CancelledError } from '../../src/errors.ts';
import { Secret } from '../../src/secret.ts';
import { beginKeychainRead } from '../../src/vault/read-keychain-item.ts';
import { type DoubleFault, startMuteBus } from '../support/secret-service.ts';
import { bundle } from './bundle.ts';
import {
  bundleForTests,
  deadlineMs,
  isSecretServiceMissing,
  runCommand,
  startCommand,
  useSession,
  useVault,
  waitForChildren,
} from './keychain-support.ts';

bundleForTests();

describe.skipIf(isSecretServiceMissing())('B2: with a Secret Service that goes wrong', () => {
  test.concurrent.for<[DoubleFault, 'read' | 'write', RegExp]>([
    ['silent', 'read', /^timeout: The keychain did not answer within 3 s/],
    ['silent', 'write', /^timeout: The keychain did not answer in time/],
    ['late', 'read', /^timeout: The keychain did not answer within 3 s/],
    ['late', 'write', /^timeout: The keychain did not answer in time/],
    ['promptNeverCompletes', 'read', /^timeout: The keychain did not answer within 3 s/],
    ['promptNeverCompletes', 'write', /^timeout: The keychain did not answer within 3 s/],
    ['crashes', 'read', /^unavailable: /],
    ['crashes', 'write', /^unavailable: /],
    ['garbage', 'read', /^unavailable: The keychain gave an answer that makes no sense/],
    [
      'garbage',
      'write',
      /^unavailable: The keychain cannot be used: DBus error: D-Bus argument type mismatch/,
    ],
    ['hidesLocked', 'read', /^locked: /],
    ['hidesLocked', 'write', /^locked: /],
  ])(
    '%s: a command that wants to %s ends in time, and leaves nothing',
    async ([double, op, output], context) => {
      const session = await useSession(context, double);
      const result = await runCommand(session.env, op);
      context.expect(result.output).toMatch(output);
      context.expect(result.code).toBe(8);
      context.expect(result.durationMs).toBeLessThan(deadlineMs + 1000);
      await waitForChildren(0, session.home);
    },
  );

  test.concurrent.for<[DoubleFault, string]>([
    ['silent', 'timeout'],
    ['late', 'timeout'],
    ['promptNeverCompletes', 'locked'],
    ['crashes', 'unavailable'],
    ['garbage', 'unavailable'],
    ['hidesLocked', 'locked'],
  ])("%s: git's helper is told %s in time", async ([double, fault], context) => {
    const { env } = await useSession(context, double);
    const startedAt = performance.now();
    const reading = beginKeychainRead({ deadlineMs: 1000, env }).finish('credential.a.1');
    await context.expect(reading).rejects.toMatchObject({ fault, exitCode: 8 });
    context.expect(performance.now() - startedAt).toBeLessThan(1500);
  });

  test('B3: what a locked keychain did not search for is neither absent nor removed', async (context) => {
    const { env } = await useSession(context, 'hidesLocked');
    const vault = useVault(context, env);
    await expect(vault.read(['credential.a.1'])).rejects.toMatchObject({ fault: 'locked' });
    await expect(vault.remove('credential.a.1')).rejects.toMatchObject({ fault: 'locked' });
  });

  test('a command has such a keychain unlocked, and reads on', async (context) => {
    const { env } = await useSession(context, 'unlocksWhenAsked');
    const found = await useVault(context, env).read(['credential.a.1']);
    expect(found.get('credential.a.1')?.reveal()).toBe('double-canary');
  });

  test('a read does not begin with a call of which gnome-keyring can die', async (context) => {
    const { env } = await useSession(context, 'diesOfHaste');
    const secret = await beginKeychainRead({ deadlineMs, env }).finish('credential.a.1');
    expect(secret?.reveal()).toBe('double-canary');
  });

  test('a command that is killed takes its stuck child with it', async (context) => {
    const session = await useSession(context, 'promptNeverCompletes');
    const running = startCommand(session.env, 'write');
    await waitForChildren(1, session.home);
    running.kill('SIGKILL');
    await waitForChildren(0, session.home);
  });

  test('a person is told about the wait, and can end it then', async (context) => {
    const session = await useSession(context, 'promptNeverCompletes');
    const cancellation = new AbortController();
    const stopped = new CancelledError();
    const vault = useVault(context, session.env, {
      deadlineMs: 60_000,
      signal: cancellation.signal,
      onWaiting: () => {
        cancellation.abort(stopped);
      },
    });
    await expect(vault.write('credential.a.1', new Secret('canary'))).rejects.toBe(stopped);
    await waitForChildren(0, session.home);
  });

  test('Annex 1: a stuck call keeps Node from exiting, and an end by force does not wait for it', async (context) => {
    const session = await useSession(context, 'promptNeverCompletes');
    const stuck = await bundle({
      text: `
        import { writeSync } from 'node:fs';
        import { endByForce } from './src/vault/forced-end.ts';
        import { readKeychainEntry } from './src/vault/keychain-entry.ts';
        void readKeychainEntry('a');
        setTimeout(() => {
          writeSync(1, 'ending');
          process.argv[2] === 'force' ? endByForce() : process.exit(0);
        }, 500);
      `,
    });
    context.onTestFinished(stuck.remove);
    const [byExit, byForce] = [start('exit'), start('force')];
    const [ended] = await Promise.all([once(byForce, 'exit'), once(byExit.stdout, 'data')]);
    const [code, signal] = ended as [number | null, string | null];
    expect(code === 0 || signal === 'SIGINT').toBe(true);
    await delay(500);
    expect(byExit.exitCode).toBeNull();

    function start(how: string) {
      const options = {
        env: session.env,
        stdio: ['ignore', 'pipe', 'inherit'] as ['ignore', 'pipe', 'inherit'],
      };
      const started = spawn(process.execPath, [stuck.path, how], options);
      context.onTestFinished(() => {
        started.kill('SIGKILL');
      });
      return started;
    }
  });
});

describe('B2: with a bus that goes wrong', () => {
  test.concurrent.for<[string, string | undefined, string]>([
    ['is mute', undefined, 'timeout'],
    ['refuses', 'REJECTED EXTERNAL\r\n', 'unavailable'],
    ['speaks garbage', `OK 0123\r\n${'\u0007garbage'.repeat(100)}`, 'unavailable'],
    ['never ends its line', 'x'.repeat(5000), 'unavailable'],
  ])('%s', async ([, words, fault], context) => {
    const session = await startMuteBus((socket) => {
      if (words) socket.write(words, 'latin1');
    });
    context.onTestFinished(session.stop);
    const vault = useVault(context, session.env, { deadlineMs: 500 });
    for (const call of [() => vault.read(['a']), () => vault.check(), () => vault.remove('a')]) {
      await context.expect(call()).rejects.toMatchObject({ fault });
    }
    const reading = beginKeychainRead({ deadlineMs: 500, env: session.env }).finish('a');
    await context.expect(reading).rejects.toMatchObject({ fault });
    vault.close();
    await waitForChildren(0, session.home);
  });

  test('a command that is killed takes the child with it that waits for a mute bus', async (context) => {
    const session = await startMuteBus();
    context.onTestFinished(session.stop);
    const running = startCommand(session.env, 'write');
    await waitForChildren(1, session.home);
    running.kill('SIGKILL');
    await waitForChildren(0, session.home);
  });
});
