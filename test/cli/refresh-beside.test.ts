import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createSandbox, type RunningProcess } from '../support/sandbox.ts';
import { askForPassword, makeDue } from './refresh-hosts.ts';
import { listFileItems, readRecords, signIn, takePassword, waitUntil } from './refresh-kit.ts';

describe('while a sign-in at gitlab is renewed', () => {
  const name = 'gitlab';

  test(
    'Ctrl-C during a slow exchange loses nothing; no other process sees a secret',
    { timeout: 60_000 },
    async () => {
      const sandbox = createSandbox();
      const host = await signIn(sandbox, name);
      const repair = host.breakTokenEndpoint({ kind: 'slow', delayMs: 12_000 }, 1);
      let helper: RunningProcess | undefined;
      const asking = askForPassword(sandbox, host, { onStart: (started) => (helper = started) });
      await waitUntil(() => host.countTokenRequests() === 2);
      for (const secret of host.listSecrets()) expect(listProcessTexts()).not.toContain(secret);
      helper?.kill('SIGINT');
      const password = takePassword(sandbox, await asking);
      repair();
      expect(takePassword(sandbox, await askForPassword(sandbox, host))).toBe(password);
      expect(host.countAttempts()).toBe(1);

      await makeDue(sandbox, host);
      const before = host.countRefreshes();
      host.breakTokenEndpoint({ kind: 'slow', delayMs: 1_000 }, 1);
      const requests = host.countTokenRequests();
      const run = await sandbox.run(['repos'], {
        onStart: (started) =>
          void waitUntil(() => host.countTokenRequests() > requests).then(() => started.kill('SIGINT')),
      });
      expect(run).toMatchObject({ exitCode: 130 });
      // The host was asked, whoever waits for its answer.
      await waitUntil(() => host.countRefreshes() > before);
      takePassword(sandbox, await askForPassword(sandbox, host));
      expect(host.countRefreshes() - before).toBe(1);
    },
  );

  test.each([
    [['relink', '--with-token', '--no-revoke-old'], [{ method: 'token', status: 'ok' }]],
    [['relink', '--with-token'], [{ method: 'token', status: 'ok' }]],
    [['unlink', '--yes'], []],
    [['unlink', '--yes', '--forget'], []],
    [['rotate'], [{ method: 'oauth', status: 'ok' }]],
    [['rename', name, 'other'], [{ name: 'other' }]],
    [['restrict', name, 'ada'], [{ restriction: { namespaces: ['ada'] } }]],
  ])('B11: %j: nothing is lost, and no secret is left over', async (args, expected) => {
    const sandbox = createSandbox();
    const host = await signIn(sandbox, name);
    host.breakTokenEndpoint({ kind: 'slow', delayMs: 1_500 }, 1);
    const asking = askForPassword(sandbox, host);
    await waitUntil(() => host.countTokenRequests() === 2);
    const run = await sandbox.run(args, { input: sandbox.guard(host.addToken()) });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(await asking).toMatchObject({ exitCode: 0 });
    const { links, intents } = readRecords(sandbox);
    expect(intents).toEqual([]);
    expect(listFileItems(sandbox)).toEqual(links.map(({ credentialItem }) => credentialItem));
    expect(links).toMatchObject(expected);
    if (links.length === 0) return;
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
    expect([host.countAttempts(), host.countRefreshes()]).toEqual([1, 1]);
  });
});

/** What other users of the machine can read of every process. */
function listProcessTexts(): string {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .map((pid) => {
      try {
        return readFileSync(join('/proc', pid, 'cmdline'), 'latin1');
      } catch {
        return ''; // It ended meanwhile.
      }
    })
    .join('\n');
}
