import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { GiteaSimulator } from '../simulators/gitea/server.ts';
import { createLinked, type Linked } from '../support/linked.ts';
import type { Run, RunningProcess } from '../support/sandbox.ts';
import {
  addHook,
  createHooks,
  expectOneHookEach,
  fourNames,
  fourRepositories,
  listHooks,
  listWrites,
  outcomesOf,
  readSecret,
  receiverUrl,
  regenerate,
  until,
  type WebhookDocument,
} from './webhooks-kit.ts';

const linkFour = (gitea: object = {}): Promise<Linked> =>
  createLinked({ gitea: { world: fourRepositories, ...gitea } });
const answer = (status: number, headers: Record<string, string> = {}) =>
  ({ kind: 'answer', answer: { status, headers, json: { message: 'canary: no' } } }) as const;

/** One repository for each way to fail, and one that works. */
const refusals = [
  { method: 'POST', fault: answer(403), state: 'failed', reason: 'forbidden: canary: no' },
  { method: 'POST', fault: answer(404), state: 'failed', reason: 'gone' },
  { method: 'POST', fault: answer(500), state: 'unknown', reason: 'answer 500: canary: no' },
  { method: 'GET', fault: answer(403), state: 'failed', reason: 'forbidden: canary: no' },
  { method: 'GET', fault: answer(404), state: 'failed', reason: 'gone' },
  { method: 'DELETE', fault: answer(403), state: 'failed', reason: 'forbidden: canary: no' },
] as const;

/** What the network does to a run, one repository each. */
const losses = [
  { method: 'POST', fault: { kind: 'lost' } },
  { method: 'POST', fault: { kind: 'cut' } },
  { method: 'POST', fault: { kind: 'broken-json' } },
  { method: 'POST', fault: { kind: 'html' } },
  { method: 'POST', fault: { kind: 'html', status: 504 } },
  { method: 'DELETE', fault: { kind: 'lost' } },
] as const;

const isJournal = (name: string): boolean => name.startsWith('webhooks-') && name.endsWith('.jsonl');
const nameOf = (index: number): string => `ada/site-${String(index + 1).padStart(4, '0')}`;
const hooksPathOf = (index: number): RegExp => new RegExp(`${nameOf(index)}/hooks`);

function linkMany(count: number, gitea: object = {}): Promise<Linked> {
  const world = { ...fourRepositories, repositories: [{ owner: 'ada', name: 'site', count }] };
  return createLinked({ gitea: { world, ...gitea } });
}

describe('regenerate-webhooks in part', () => {
  test('F12: refusals are exit 3; the others are done, and the next run finishes with the same secret', async () => {
    const linked = await linkMany(refusals.length + 1);
    const { gitea, sandbox } = linked;
    const before = await createHooks(linked);
    refusals.forEach(({ method, fault }, index) =>
      gitea.faults.add({ method, fault, path: hooksPathOf(index) }),
    );
    const run = await regenerate(linked);
    expect(run).toMatchObject({ exitCode: 3 });
    const { results, summary } = run.json<WebhookDocument>();
    expect(results.map(({ state, reason }) => ({ state, reason }))).toEqual([
      ...refusals.map(({ state, reason }) => ({ state, reason })),
      { state: 'confirmed', reason: null },
    ]);
    expect(summary).toMatchObject({ rotated: 1, failed: 5, unknown: 1 });
    expect(run.stderr).toContain('To continue with the same secret: gitlink regenerate-webhooks gitea');
    const done = nameOf(refusals.length);
    const next = gitea.hooksOf(done)[0]?.secret ?? '';
    expect(await readSecret(sandbox)).toBe(next);
    expect(await readSecret(sandbox, '--previous')).toBe(before);

    gitea.faults.clear();
    gitea.clearRequests();
    const rest = await regenerate(linked);
    expect(rest).toMatchObject({ exitCode: 0 });
    expect(
      expectOneHookEach(
        gitea,
        results.map(({ repository }) => repository),
      ),
    ).toBe(next);
    expect(listWrites(gitea).filter((line) => line.includes(done))).toEqual([]);
    expect(await readSecret(sandbox, '--previous')).toBeNull();
  });

  test('show and doctor count the hooks that the host refused to make', async () => {
    const linked = await linkFour();
    const { gitea, sandbox } = linked;
    gitea.faults.add({ method: 'POST', path: /\/hooks/, fault: answer(403) });
    expect(await regenerate(linked, ['--url', receiverUrl])).toMatchObject({ exitCode: 3 });
    const words = '0 of 4 hooks have the new secret';
    const shown = await sandbox.run(['show', 'gitea']);
    expect(shown.stdout).toContain(`${words}; continue with: gitlink regenerate-webhooks gitea\n`);
    const checks = await sandbox.run(['doctor']);
    expect(checks.stdout).toContain(`a run for "gitea" is unfinished: ${words}\t`);

    rmSync(join(sandbox.stateDirectory, readdirSync(sandbox.stateDirectory).find(isJournal) ?? ''));
    expect((await sandbox.run(['show', 'gitea'])).stdout).toContain('no hook has the new secret yet; ');
  });

  test('a hook that the host refused to make is not mistaken for one that somebody makes later', async () => {
    const linked = await linkFour({ flavour: 'forgejo' });
    const { gitea } = linked;
    gitea.faults.add({ method: 'POST', path: /site-0002\/hooks/, fault: answer(403) });
    await regenerate(linked, ['--url', receiverUrl]);
    gitea.faults.clear();
    const [model] = gitea.hooksOf('ada/site-0001');
    const placeId = gitea.state.findRepository('ada', 'site-0002')?.id ?? 0;
    if (model)
      gitea.state.hooks.add({
        ...model,
        id: gitea.state.nextId('hook'),
        placeId,
        secret: 'canary-of-another',
      });
    expect(await regenerate(linked)).toMatchObject({ exitCode: 0 });
    expect(expectOneHookEach(gitea, fourNames)).not.toBe('canary-of-another');
  });

  test('F12: a credential that dies on the way ends the run: exit 4, not one failure per repository', async () => {
    const linked = await linkFour();
    await createHooks(linked);
    linked.gitea.faults.add({ method: 'POST', fault: answer(401), skip: 1 });
    const run = await regenerate(linked, ['--concurrency', '1']);
    expect(run).toMatchObject({ exitCode: 4 });
    expect(listWrites(linked.gitea).filter((line) => line.startsWith('POST'))).toHaveLength(2);
  });

  test('a credential that is refused while repositories are still being read is exit 4, too', async () => {
    const linked = await linkFour();
    const { faults } = linked.gitea;
    faults.add({ method: 'GET', path: /site-0001\/hooks/, fault: answer(401) });
    faults.add({ method: 'GET', path: /site-0002$/, fault: { kind: 'slow', delayMs: 200 } });
    const names = ['--repo', 'ada/site-0001', '--repo', 'ada/site-0002'];
    const run = await regenerate(linked, ['--url', receiverUrl, ...names]);
    expect(run).toMatchObject({ exitCode: 4 });
    expect(run.json()).toMatchObject({ error: { code: 'auth' } });
  });
});

describe('regenerate-webhooks with a bad network', () => {
  test.each([
    ['Gitea', {}],
    ['Forgejo', { flavour: 'forgejo' }],
  ])(
    'F11: %s: lost and cut answers leave no duplicate and are settled in the same run',
    async (_, options) => {
      const linked = await linkMany(losses.length, options);
      const before = await createHooks(linked);
      losses.forEach((loss, index) =>
        linked.gitea.faults.add({ ...loss, path: hooksPathOf(index), times: 1 }),
      );
      const run = await regenerate(linked);
      expect(run).toMatchObject({ exitCode: 0 });
      expect(run.json()).toMatchObject({ summary: { rotated: losses.length } });
      const { results } = run.json<WebhookDocument>();
      expect(
        expectOneHookEach(
          linked.gitea,
          results.map(({ repository }) => repository),
        ),
      ).not.toBe(before);
      // Confirmed means that the hook is known: nothing is left to mend.
      linked.gitea.clearRequests();
      expect(await regenerate(linked, ['--repair'])).toMatchObject({ exitCode: 0 });
      expect(listWrites(linked.gitea)).toEqual([]);
    },
  );

  test('F11: answers that are lost again and again leave what the next run pairs', async () => {
    const linked = await linkFour({ flavour: 'forgejo' });
    await createHooks(linked);
    const { gitea } = linked;
    // The hook is made, its answer is lost, and so are all answers to looking for it.
    gitea.faults.add({ method: 'POST', path: /site-0001/, fault: { kind: 'lost' } });
    gitea.faults.add({ method: 'GET', path: /site-0001\/hooks/, skip: 1, fault: answer(404) });
    const run = await regenerate(linked);
    expect(run).toMatchObject({ exitCode: 3 });
    expect(gitea.hooksOf('ada/site-0001')).toHaveLength(2);
    gitea.faults.clear();
    const next = await readSecret(linked.sandbox);
    expect(await regenerate(linked)).toMatchObject({ exitCode: 0 });
    expect(expectOneHookEach(gitea, fourNames)).toBe(next);
  });

  test.each([
    ['503 with Retry-After', answer(503, { 'retry-after': '1' })],
    [
      '429 of a proxy, a page with Retry-After',
      {
        kind: 'answer',
        answer: {
          status: 429,
          headers: { 'retry-after': '1' },
          text: '<html><title>429</title></html>',
          contentType: 'text/html',
        },
      },
    ],
  ] as const)('F3: %s to the new hook is waited for', async (_, fault) => {
    const linked = await linkFour();
    await createHooks(linked);
    const { gitea } = linked;
    gitea.faults.add({ method: 'POST', fault, times: 1 });
    expect(await regenerate(linked, ['--concurrency', '1'])).toMatchObject({ exitCode: 0 });
    expectOneHookEach(gitea, fourNames);
    const [refused, next] = gitea.requests.slice(gitea.requests.findIndex((each) => each.fault === 'answer'));
    expect((next?.at ?? 0) - (refused?.at ?? 0)).toBeGreaterThanOrEqual(990);
  });
});

describe('regenerate-webhooks that is stopped', () => {
  /** Runs until the host has got so many writes, then sends the signal. With none: once all hooks are read. */
  async function stopAfter(
    linked: Linked,
    writes: number,
    signal: NodeJS.Signals,
    args: readonly string[] = [],
  ) {
    const { gitea } = linked;
    gitea.clearRequests();
    const listed = () => gitea.requests.filter(({ path }) => path.endsWith('/hooks')).length;
    const isTime = () => (writes === 0 ? listed() >= fourNames.length : listWrites(gitea).length >= writes);
    let stopping: Promise<void> | undefined;
    const onStart = (child: RunningProcess): void => {
      stopping = until(isTime).then(() => child.kill(signal));
    };
    const run = await regenerate(linked, args, { onStart });
    await stopping;
    return run;
  }

  /** What a dead client has sent may still be carried out. */
  async function settle(gitea: GiteaSimulator): Promise<void> {
    await until(() => gitea.requests.every(({ status }) => status !== null));
  }

  test.each([
    ['Gitea', {}, [0, 1, 3, 5, 7]],
    ['Forgejo', { flavour: 'forgejo' }, [2, 4, 6, 8]],
  ])('F8, F9: %s: kill -9 loses no secret and leaves no second hook', async (_, options, moments) => {
    const linked = await linkFour(options);
    const { gitea, sandbox } = linked;
    let before = await createHooks(linked);
    gitea.setLatency(15);
    for (const writes of moments) {
      const run = await stopAfter(linked, writes, 'SIGKILL', ['--concurrency', '2']);
      expect(run.signal).toBe('SIGKILL');
      await settle(gitea);
      const next = (await readSecret(sandbox)) ?? '';
      const isBegun = next !== before;
      if (writes > 0) expect(isBegun).toBe(true);
      if (isBegun) expect(await readSecret(sandbox, '--previous')).toBe(before);
      for (const name of fourNames) {
        const secrets = gitea.hooksOf(name).map((hook) => hook.secret);
        expect([name, writes, secrets.length > 0]).toEqual([name, writes, true]);
        for (const secret of secrets) expect([before, next]).toContain(secret);
      }
      expect(await regenerate(linked)).toMatchObject({ exitCode: 0 });
      // What the killed run made was found again, not made again.
      expect(listWrites(gitea).filter((line) => line.startsWith('POST'))).toHaveLength(4);
      const secret = expectOneHookEach(gitea, fourNames);
      if (isBegun) expect(secret).toBe(next);
      expect(secret).not.toBe(before);
      before = secret;
    }
  });

  test('F8: kill -9 on the way of adopting hooks that somebody else made', async () => {
    const linked = await linkFour();
    for (const name of fourNames) addHook(linked.gitea, name);
    linked.gitea.setLatency(15);
    const run = await stopAfter(linked, 2, 'SIGKILL', ['--url', receiverUrl, '--concurrency', '2']);
    expect(run.signal).toBe('SIGKILL');
    await settle(linked.gitea);
    const secret = await readSecret(linked.sandbox);
    expect(await regenerate(linked)).toMatchObject({ exitCode: 0 });
    expect(expectOneHookEach(linked.gitea, fourNames)).toBe(secret);
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    'F13: %s lets what is under way end, says how to go on, and is exit %i',
    async (signal, exitCode) => {
      const linked = await linkFour();
      const before = await createHooks(linked);
      linked.gitea.setLatency(150);
      const run = await stopAfter(linked, 1, signal, ['--concurrency', '1']);
      expect(run).toMatchObject({ exitCode });
      expect(run.json()).toMatchObject({ error: { code: 'cancelled' } });
      expect(run.stderr).toContain('To continue with the same secret: gitlink regenerate-webhooks gitea');
      linked.gitea.setLatency(0);
      expect(listWrites(linked.gitea).map((line) => line.slice(0, 30))).toEqual([
        'POST /api/v1/repos/ada/site-00',
        'DELETE /api/v1/repos/ada/site-',
      ]);
      const next = await readSecret(linked.sandbox);
      const secrets = fourNames.map((name) => linked.gitea.hooksOf(name).map((hook) => hook.secret));
      expect(secrets).toEqual([[next], [before], [before], [before]]);
      const rest = await regenerate(linked);
      expect(outcomesOf(rest)['ada/site-0001']).toBe('unchanged confirmed');
      expect(expectOneHookEach(linked.gitea, fourNames)).toBe(next);
    },
  );

  test('F13: more than one Ctrl-C waits for nothing', async () => {
    const linked = await linkFour();
    const before = await createHooks(linked);
    linked.gitea.setLatency(8_000);
    const startedAt = performance.now();
    let storm: NodeJS.Timeout | undefined;
    const onStart = (child: RunningProcess): void =>
      void until(() => linked.gitea.requests.length > 0).then(() => {
        storm = setInterval(() => child.kill('SIGINT'), 20);
      });
    const run = await regenerate(linked, [], { onStart });
    clearInterval(storm);
    expect(run).toMatchObject({ exitCode: 130 });
    expect(performance.now() - startedAt).toBeLessThan(7_000);
    expect(expectOneHookEach(linked.gitea, fourNames)).toBe(before);
  });

  test('unlink takes the hook away, too, whose making was never confirmed', async () => {
    const linked = await linkFour();
    await createHooks(linked);
    linked.gitea.setLatency(15);
    await stopAfter(linked, 4, 'SIGKILL');
    await settle(linked.gitea);
    linked.gitea.setLatency(0);
    const run = await linked.sandbox.run(['unlink', 'gitea', '--yes', '--no-revoke', '--json']);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(listHooks(linked.gitea)).toEqual({});
  });
});

describe('two runs of regenerate-webhooks at once', () => {
  test('F8: one waits for the other, and every hook has the secret that is known', async () => {
    const linked = await linkFour();
    await createHooks(linked);
    linked.gitea.setLatency(10);
    const runs: readonly Run[] = await Promise.all([
      regenerate(linked),
      regenerate(linked),
      regenerate(linked),
    ]);
    expect(runs.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0]);
    expect(await readSecret(linked.sandbox)).toBe(expectOneHookEach(linked.gitea, fourNames));
    // New before old for every repository and run: nothing of one run came between the steps of another.
    const writes = listWrites(linked.gitea).filter((line) => line.includes('site-0001'));
    expect(writes.map((line) => line.split(' ')[0])).toEqual([
      'POST',
      'DELETE',
      'POST',
      'DELETE',
      'POST',
      'DELETE',
    ]);
  });
});
