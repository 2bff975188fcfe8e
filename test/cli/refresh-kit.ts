import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, onTestFinished } from 'vitest';
import type { Run, Sandbox } from '../support/sandbox.ts';
import { linkDue, readPassword, startRefreshHost, type HostName, type RefreshHost } from './refresh-hosts.ts';

const open = new Set<{ readonly host: RefreshHost; readonly sandbox: Sandbox }>();

// Before the sandbox searches: the hooks run in the reverse order of their registration.
afterEach(() => {
  for (const { host, sandbox } of open) for (const secret of host.listSecrets()) sandbox.guard(secret);
  open.clear();
});

/** Signs ada in; her token is due at once, the next one lives long. All that the server issues is guarded. */
export async function signIn(sandbox: Sandbox, name: HostName): Promise<RefreshHost> {
  const host = await startRefreshHost(name);
  open.add({ host, sandbox });
  onTestFinished(async () => {
    await host.close();
    host.assertNoFailures();
  });
  await linkDue(sandbox, host);
  return host;
}

/** The password of an answer, guarded from then on. */
export function takePassword(sandbox: Sandbox, run: Run): string {
  const password = readPassword(run);
  if (password === null) throw new Error(`No password: ${run.stderr}`);
  return sandbox.guard(password);
}

/** The environment in which a process believes that it is so much later. */
export function shiftClock(sandbox: Sandbox, byMs: number): Readonly<Record<string, string>> {
  const file = join(sandbox.home, 'shift-clock.cjs');
  writeFileSync(
    file,
    `const now = Date.now; Date.now = () => now() + Number(process.env.CLOCK_SHIFT_MS ?? 0);`,
  );
  return { NODE_OPTIONS: `--require=${file}`, CLOCK_SHIFT_MS: String(byMs) };
}

/** The environment in which a process takes a pause for over at once, and the clocks go on by it. */
export function hurry(sandbox: Sandbox): Readonly<Record<string, string>> {
  const file = join(sandbox.home, 'hurry.cjs');
  writeFileSync(
    file,
    `const promises = require('node:timers/promises');
    let skippedMs = 0;
    for (const clock of [Date, performance]) {
      const now = clock.now.bind(clock);
      clock.now = () => now() + skippedMs;
    }
    const { setTimeout } = promises;
    promises.setTimeout = async (ms, ...rest) => {
      if (ms < 1000) return setTimeout(ms, ...rest);
      await setTimeout(1, ...rest);
      skippedMs += Math.ceil(ms);
    };`,
  );
  return { NODE_OPTIONS: `--require=${file}` };
}

export async function waitUntil(isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error('It did not happen.');
    await delay(5);
  }
}

interface StoredRecords {
  readonly links: readonly Readonly<Record<string, unknown>>[];
  readonly intents: readonly unknown[];
}

export function readRecords({ configDirectory }: Sandbox): StoredRecords {
  return JSON.parse(readFileSync(join(configDirectory, 'links.json'), 'utf8')) as StoredRecords;
}

/** The names of the items in the encrypted file, which are no secret. */
export function listFileItems({ configDirectory }: Sandbox): readonly string[] {
  const [body = ''] = readFileSync(join(configDirectory, 'secrets.vault'), 'utf8').split('\n');
  return (JSON.parse(body) as { records: readonly { item: string }[] }).records.map(({ item }) => item);
}
