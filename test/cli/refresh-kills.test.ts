import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  createKeychainSandbox,
  isSecretServiceMissing,
  type KeychainSandbox,
} from '../keychain/keychain-kit.ts';
import { dyingPreload } from '../support/dying-preload.ts';
import { runForSecret } from '../support/ask-git.ts';
import {
  createSandbox,
  type Run,
  type RunningProcess,
  type RunOptions,
  type Sandbox,
} from '../support/sandbox.ts';
import { askForPassword, hostNames, type RefreshHost } from './refresh-hosts.ts';
import { readRecords, signIn, waitUntil } from './refresh-kit.ts';
import { runWithBrowser } from './sign-in-kit.ts';

/** What a kill is tried on: both lead to the same renewal. */
const askers: [string, (sandbox: Sandbox, host: RefreshHost, options: RunOptions) => Promise<Run>][] = [
  ['the helper', askForPassword],
  ['a command', (sandbox, _, options) => sandbox.run(['repos'], options)],
];

interface Tally {
  /** How often the process was killed. */
  steps: number;
  usable: number;
  relink: number;
}

/** Ends the process at each of its steps in turn, always from the same state. */
async function killAtEachStep(
  sandbox: Sandbox,
  host: RefreshHost,
  ask: (options: RunOptions) => Promise<Run>,
  restore: () => Promise<void> | void,
): Promise<Tally> {
  const tally: Tally = { steps: 0, usable: 0, relink: 0 };
  const preload = join(sandbox.home, 'die.cjs');
  const note = join(sandbox.home, 'died-at');
  writeFileSync(preload, dyingPreload);
  const makeGoodAgain = host.remember?.();
  for (;;) {
    makeGoodAgain?.();
    await restore();
    rmSync(note, { force: true });
    const before = host.countRefreshes();
    const env = { NODE_OPTIONS: `--require=${preload}`, DIE_AT: String(tally.steps + 1), DIE_NOTE: note };
    await ask({ env });
    if (!existsSync(note)) return tally;
    tally.steps += 1;
    const where = `step ${tally.steps}, before ${readFileSync(note, 'utf8')}`;
    const outcome = await judge(sandbox, host, host.countRefreshes() > before, where);
    tally[outcome] += 1;
  }
}

/** The link is usable, or says that it is not and why; in no case is anything deleted. */
async function judge(
  sandbox: Sandbox,
  host: RefreshHost,
  isExchanged: boolean,
  where: string,
): Promise<'usable' | 'relink'> {
  const before = host.countAttempts();
  const run = await sandbox.run(['repos']);
  const [link] = readRecords(sandbox).links;
  expect([where, link]).toMatchObject([where, { name: host.linkName }]);
  if (run.exitCode === 0) {
    // What was stored is used; what was not sent is sent.
    expect([where, host.countAttempts() - before]).toEqual([where, isExchanged ? 0 : 1]);
    return 'usable';
  }
  expect([where, isExchanged, run.exitCode, run.stderr]).toEqual([where, true, 4, expect.any(String)]);
  expect(run.stderr).toContain('interrupted');
  expect(run.stderr).toContain(`gitlink relink ${host.linkName}`);
  expect(link).toMatchObject({ status: 'revoked', statusReason: 'renewalInterrupted' });
  return 'relink';
}

/** Kills have struck before the exchange, when its answer was lost, and after it. */
function expectBoth({ usable, relink }: Tally): void {
  expect(usable).toBeGreaterThanOrEqual(4);
  expect(relink).toBeGreaterThanOrEqual(2);
}

describe.each(askers)('Promise 4: %s killed while it renews', (_, ask) => {
  test('at each step, with the encrypted file', { timeout: 120_000 }, async () => {
    const sandbox = createSandbox();
    const host = await signIn(sandbox, 'forgejo');
    const copy = join(sandbox.home, 'copy');
    cpSync(sandbox.configDirectory, copy, { recursive: true });
    const tally = await killAtEachStep(
      sandbox,
      host,
      (options) => ask(sandbox, host, options),
      () => cpSync(copy, sandbox.configDirectory, { recursive: true }),
    );
    expectBoth(tally);
  });

  test.skipIf(isSecretServiceMissing())('at each step, with the keychain', { timeout: 120_000 }, async () => {
    const sandbox = await createKeychainSandbox();
    const host = await signIn(sandbox, 'forgejo');
    const restore = await copyKeychain(sandbox);
    const tally = await killAtEachStep(sandbox, host, (options) => ask(sandbox, host, options), restore);
    expectBoth(tally);
  });
});

describe.each(hostNames)('F6: killed while %s has the refresh token', (name) => {
  async function killWhileHeld(delayMs: number): Promise<{ sandbox: Sandbox; host: RefreshHost }> {
    const sandbox = createSandbox();
    const host = await signIn(sandbox, name);
    host.breakTokenEndpoint({ kind: 'slow', delayMs }, 1);
    const { length } = host.requests;
    let helper: RunningProcess | undefined;
    const asking = askForPassword(sandbox, host, { onStart: (started) => (helper = started) });
    await waitUntil(() => host.requests.length > length);
    helper?.kill('SIGKILL');
    expect(await asking).toMatchObject({ signal: 'SIGKILL' });
    return { sandbox, host };
  }

  test('the answer is lost: exit 4, the reason, nothing deleted; relink mends it', async () => {
    const { sandbox, host } = await killWhileHeld(300);
    await waitUntil(() => host.countRefreshes() === 1);
    expect(await judge(sandbox, host, true, 'the answer is lost')).toBe('relink');
    const { links } = (await sandbox.run(['list', '--check', '--json'])).json<{ links: unknown[] }>();
    expect(links).toMatchObject([{ status: 'revoked', statusReason: 'renewalInterrupted' }]);
    const relink = await runWithBrowser(sandbox, ['relink', '--method', 'oauth']);
    expect(relink, relink.stderr).toMatchObject({ exitCode: 0 });
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('the server has not used it yet: the next renewal works', async () => {
    const { sandbox, host } = await killWhileHeld(20_000);
    expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 0 });
    expect(host.countRefreshes()).toBe(1);
  });
});

/** Remembers what the keychain holds, and can bring it back. */
async function copyKeychain(sandbox: KeychainSandbox): Promise<() => Promise<void>> {
  const run = (script: string, input = ''): Promise<Run> =>
    runForSecret(sandbox, process.execPath, ['-e', script], {
      input,
      env: { ...sandbox.keychainEnv },
      cwd: join(import.meta.dirname, '../..'),
    });
  const read = `process.stdout.write(JSON.stringify(require('@napi-rs/keyring').findCredentials('gitlink')));`;
  const write = `const { Entry } = require('@napi-rs/keyring');
    for (const { account, password } of JSON.parse(require('node:fs').readFileSync(0, 'utf8')))
      new Entry('gitlink', account, { linux: { store: 'secret-service' } }).setPassword(password);`;
  const { stdout: items } = await run(read);
  return async () => {
    expect(await run(write, items)).toMatchObject({ exitCode: 0 });
  };
}
