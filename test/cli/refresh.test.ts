import { describe, expect, test } from 'vitest';
import { createKeychainSandbox, isSecretServiceMissing } from '../keychain/keychain-kit.ts';
import type { Fault } from '../simulators/faults.ts';
import { createSandbox, type Sandbox } from '../support/sandbox.ts';
import {
  askAtOnce,
  askForPassword,
  assertDone,
  hostNames,
  longLifeS,
  makeDue,
  toRepositoryUrl,
} from './refresh-hosts.ts';
import { listFileItems, readRecords, shiftClock, signIn, takePassword, waitUntil } from './refresh-kit.ts';

const hasKeychain = !isSecretServiceMissing();

function createRefreshSandbox(): Promise<Sandbox> {
  return hasKeychain ? createKeychainSandbox() : Promise.resolve(createSandbox());
}

/** The token is due, and lives on. */
const dueMs = 0.9 * longLifeS * 1000;
const endedMs = 1.1 * longLifeS * 1000;

describe.each(hostNames)('renewing at %s', (name) => {
  test('C17, F4: 64 processes at expiry: one refresh, 64 answers', { timeout: 120_000 }, async () => {
    const sandbox = await createRefreshSandbox();
    const host = await signIn(sandbox, name);
    for (let round = 0; round < (name === 'gitlab' ? 2 : 1); round += 1) {
      if (round > 0) await makeDue(sandbox, host);
      const before = host.countAttempts();
      const { passwords, wrong } = await askAtOnce(sandbox, host, 64);
      expect(wrong).toEqual([]);
      expect(passwords.size).toBe(1);
      expect(host.countAttempts() - before).toBe(1);
    }
  });

  test('F5: a sign-in that is over: exit 4 with the way back, and nothing is deleted', async () => {
    const sandbox = createSandbox();
    const host = await signIn(sandbox, name);
    const items = listFileItems(sandbox);
    await host.revokeGrants();
    const before = host.countAttempts();
    const run = await sandbox.run(['repos']);
    expect(run).toMatchObject({ exitCode: 4 });
    expect(run.stderr).toContain(`gitlink relink ${host.linkName}`);
    expect(run.stderr).not.toContain('interrupted');
    // GitLab's replicas lag behind, so it is asked twice.
    expect(host.countAttempts() - before).toBe(name === 'gitlab' ? 2 : 1);
    expect(readRecords(sandbox).links).toMatchObject([{ status: 'revoked', statusReason: null }]);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 3 });
    const helper = await askForPassword(sandbox, host);
    expect(helper).toMatchObject({ exitCode: 0, stdout: '' });
    expect(helper.stderr).toContain(`gitlink relink ${host.linkName}`);
    expect((await sandbox.run(['repos'])).stderr).not.toContain('interrupted');
    expect(listFileItems(sandbox)).toEqual(items);
    expect(readRecords(sandbox)).toMatchObject({ links: [{ status: 'revoked' }], intents: [] });
  });

  test('C11: after git erased a refused password the next get renews; the link stays', async () => {
    const sandbox = createSandbox();
    const host = await signIn(sandbox, name);
    const old = takePassword(sandbox, await askForPassword(sandbox, host));
    const erase = (password: string) =>
      askForPassword(sandbox, host, { operation: 'erase', lines: [`password=${password}`] });
    const before = host.countAttempts();
    await erase('canary-of-another-helper');
    expect(takePassword(sandbox, await askForPassword(sandbox, host))).toBe(old);
    await erase(old);
    expect(readRecords(sandbox).links).toMatchObject([{ statusReason: 'refused' }]);
    const renewed = takePassword(sandbox, await askForPassword(sandbox, host));
    expect(renewed).not.toBe(old);
    expect(takePassword(sandbox, await askForPassword(sandbox, host))).toBe(renewed);
    // A late word about the old one says nothing about the new one.
    await erase(old);
    expect(takePassword(sandbox, await askForPassword(sandbox, host))).toBe(renewed);
    expect(host.countAttempts() - before).toBe(1);
    expect(readRecords(sandbox).links).toMatchObject([{ status: 'ok' }]);
  });
});

describe('renewing at gitlab', () => {
  const name = 'gitlab';

  test('F5: a passing refusal of a replica that lags behind is not seen', async () => {
    const sandbox = createSandbox();
    const host = await signIn(sandbox, name);
    host.loseRefreshes?.(1);
    expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 0, stderr: '' });
    expect(readRecords(sandbox).links).toMatchObject([{ status: 'ok', statusReason: null }]);
    expect([host.countAttempts(), host.countRefreshes()]).toEqual([2, 1]);
  });

  const faults: [string, Fault][] = [
    ['500', { kind: 'answer', answer: { status: 500, json: { error: 'invalid_grant' } } }],
    ['HTML', { kind: 'html' }],
    ['a gateway', { kind: 'html', status: 502 }],
    ['a cut connection', { kind: 'cut' }],
  ];

  test('C12: a fault of the network changes nothing, and stops only what has no token left', async () => {
    const sandbox = createSandbox();
    const host = await signIn(sandbox, name);
    assertDone(await sandbox.run(['repos']));
    const due = shiftClock(sandbox, dueMs);
    const ended = shiftClock(sandbox, endedMs);
    const old = takePassword(sandbox, await askForPassword(sandbox, host));
    for (const [what, fault] of faults) {
      const repair = host.breakTokenEndpoint(fault);
      expect([what, await sandbox.run(['repos'], { env: due })]).toMatchObject([what, { exitCode: 0 }]);
      const late = await sandbox.run(['repos'], { env: ended });
      expect([what, late]).toMatchObject([what, { exitCode: 7 }]);
      expect(readRecords(sandbox).links).toMatchObject([{ status: 'ok', statusReason: null }]);
      repair();
    }
    const repair = host.breakTokenEndpoint({ kind: 'cut' });
    expect(takePassword(sandbox, await askForPassword(sandbox, host, { env: due }))).toBe(old);
    const helper = await askForPassword(sandbox, host, { env: ended });
    expect(helper).toMatchObject({ exitCode: 0, stdout: '' });
    expect(helper.stderr).toMatch(/^gitlink: [^\n]+\n$/);
    repair();
    const before = host.countRefreshes();
    expect(await sandbox.run(['repos'], { env: ended })).toMatchObject({ exitCode: 0 });
    expect(host.countRefreshes() - before).toBe(1);
  });

  test('F7: a token that the server refuses before its time is renewed once, and the command goes on', async () => {
    const sandbox = createSandbox();
    const host = await signIn(sandbox, name);
    assertDone(await sandbox.run(['repos']));
    for (const env of [{}, shiftClock(sandbox, -86_400_000)]) {
      const before = host.countAttempts();
      await host.endAccessTokens();
      expect(await sandbox.run(['repos'], { env })).toMatchObject({ exitCode: 0 });
      expect(host.countAttempts() - before).toBe(1);
    }
  });

  test('F5: requests side by side share one renewal when the token ends in the middle', async () => {
    const sandbox = createSandbox();
    const host = await signIn(sandbox, name);
    assertDone(await sandbox.run(['repos']));
    const before = host.countAttempts();
    const isHook = ({ method, path }: { method: string; path: string }) =>
      method !== 'GET' && path.includes('/hooks');
    const ending = waitUntil(() => host.requests.some(isHook)).then(() => host.endAccessTokens());
    const args = ['regenerate-webhooks', '--url', 'https://ci.acme.example/hook', '--json'];
    const run = await sandbox.run(args);
    await ending;
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(host.countAttempts() - before).toBe(1);
    expect(host.requests.filter(({ status }) => status === 401).length).toBeGreaterThan(0);
  });

  test('git clones for longer than a token lives', { timeout: 60_000 }, async () => {
    const sandbox = createSandbox();
    const host = await signIn(sandbox, name);
    host.setAccessTokenLife(4);
    const git = [
      '-c',
      'credential.helper=',
      '-c',
      'credential.helper=gitlink',
      '-c',
      'credential.useHttpPath=true',
    ];
    const before = host.countRefreshes();
    const startedAt = Date.now();
    let clones = 0;
    while (host.countRefreshes() - before < 2) {
      clones += 1;
      const run = await sandbox.runProgram('git', [
        ...git,
        'clone',
        toRepositoryUrl(host),
        `clone-${clones}`,
      ]);
      expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    }
    expect(Date.now() - startedAt).toBeGreaterThan(4_000);
    expect(clones).toBeGreaterThan(2);
    expect(host.countAttempts()).toBe(host.countRefreshes());
  });
});
