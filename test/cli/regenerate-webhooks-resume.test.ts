import { existsSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createLinked, type Linked } from '../support/linked.ts';
import { addHook, createHooks, expectOneHookEach, receiverUrl, regenerate, until } from './webhooks-kit.ts';

const count = 40;
const names = Array.from({ length: count }, (_, index) => `ada/site-${String(index + 1).padStart(4, '0')}`);

function linkMany(gitea: object = {}): Promise<Linked> {
  const world = { users: [{ login: 'ada' }], repositories: [{ owner: 'ada', name: 'site', count }] };
  return createLinked({ gitea: { world, ...gitea } });
}

/** Lets a rotation run until the host has got so many requests for webhooks of a method, and kills it. */
async function killAfter({ sandbox, gitea }: Linked, method: string, requests: number): Promise<void> {
  gitea.clearRequests();
  gitea.setLatency(20);
  const run = await sandbox.run(['regenerate-webhooks'], {
    onStart: (child) =>
      void until(() => countHookCalls({ gitea }, method) >= requests).then(() => child.kill('SIGKILL')),
  });
  gitea.setLatency(0);
  expect(run.signal).toBe('SIGKILL');
}

function countHookCalls({ gitea }: Pick<Linked, 'gitea'>, method: string): number {
  return gitea.requests.filter((request) => request.method === method && request.path.includes('/hooks'))
    .length;
}

function listReadings({ sandbox: { stateDirectory } }: Linked): readonly string[] {
  if (!existsSync(stateDirectory)) return [];
  return readdirSync(stateDirectory).filter((name) => name.startsWith('webhook-readings-'));
}

test.each([
  ['reading', 'GET', 30],
  ['changing', 'POST', 20],
])(
  'F8: a rotation that is killed while %s does not ask again for what it knows',
  async (_what, method, sent) => {
    const linked = await linkMany();
    await createHooks(linked);
    await killAfter(linked, method, sent);
    expect(listReadings(linked)).toHaveLength(1);
    linked.gitea.clearRequests();
    expect(await regenerate(linked)).toMatchObject({ exitCode: 0 });
    // Six were under way.
    expect(countHookCalls(linked, 'GET')).toBeLessThanOrEqual(method === 'GET' ? count - sent + 6 : 6);
    expect(countHookCalls(linked, 'POST')).toBeLessThanOrEqual(method === 'GET' ? count : count - sent + 6);
    expectOneHookEach(linked.gitea, names);
    expect(listReadings(linked)).toEqual([]);
  },
);

test('F8: what a killed rotation has read is good for that rotation alone', async () => {
  const linked = await linkMany();
  await createHooks(linked);
  await killAfter(linked, 'GET', 30);
  linked.gitea.clearRequests();
  expect(await regenerate(linked, ['--repair'])).toMatchObject({ exitCode: 0 });
  expect(countHookCalls(linked, 'GET')).toBe(count);
  expect(listReadings(linked)).toEqual([]);

  await killAfter(linked, 'GET', 30);
  linked.gitea.clearRequests();
  const moved = await regenerate(linked, ['--url', 'https://other.acme.example/hook']);
  expect(moved).toMatchObject({ exitCode: 0 });
  expect(countHookCalls(linked, 'GET')).toBe(count);
});

test('a hook whose settings hold a secret is read again instead of being written down', async () => {
  // The last version that shows it.
  const linked = await linkMany({ version: '1.26.2' });
  const authorizationHeader = linked.sandbox.guard('Bearer canary-of-the-receiver');
  for (const name of names) addHook(linked.gitea, name, { url: receiverUrl, name: 'gitlink' });
  for (const hook of linked.gitea.hooksOf('ada/site-0001')) hook.authorizationHeader = authorizationHeader;
  expect(await regenerate(linked, ['--url', receiverUrl])).toMatchObject({ exitCode: 0 });
  await killAfter(linked, 'POST', 20);
  // The search of the sandbox finds it in no file.
  expect(listReadings(linked)).toHaveLength(1);
});
