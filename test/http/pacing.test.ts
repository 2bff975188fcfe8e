import { describe, expect, it, onTestFinished } from 'vitest';
import { createPacer, type Pacing } from '../../src/http/pacing.ts';
import { route } from '../../src/http/route.ts';
import { catchError, createTestClient, createVirtualClock, sendJson, startServer } from './http-kit.ts';

const hooks = route`/repos/${'acme'}/hooks`;
const never = new AbortController().signal;

function tick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

it('bounds the requests under way, without a warning about their number', async () => {
  const warnings: Error[] = [];
  const note = (warning: Error) => void warnings.push(warning);
  process.on('warning', note);
  onTestFinished(() => void process.off('warning', note));
  let underWay = 0;
  let most = 0;
  const server = await startServer((_request, response) => {
    most = Math.max(most, ++underWay);
    setTimeout(() => {
      underWay -= 1;
      sendJson(response, null);
    }, 5);
  });
  const pacing: Pacing = { concurrency: 3, minWriteIntervalMs: 0, writesPerHour: null };
  const client = createTestClient(server.base, { pacing });
  await Promise.all(Array.from({ length: 12 }, () => client.request({ method: 'GET', route: hooks })));
  expect(most).toBe(3);
  expect(server.seen).toHaveLength(12);
  expect(warnings).toEqual([]);
});

it('gives a place back after a failure', async () => {
  const server = await startServer((_request, response) => sendJson(response, null, 404));
  const pacing: Pacing = { concurrency: 1, minWriteIntervalMs: 0, writesPerHour: null };
  const client = createTestClient(server.base, { pacing });
  for (let round = 0; round < 3; round += 1)
    await catchError(client.request({ method: 'GET', route: hooks }));
  expect(server.seen).toHaveLength(3);
});

describe('writes', () => {
  it('keep their distance, reads need none', async () => {
    const starts: [string, number][] = [];
    const clock = createVirtualClock();
    const server = await startServer((request, response) => {
      starts.push([request.method, clock.monotonic()]);
      sendJson(response, null);
    });
    const pacing: Pacing = { concurrency: 4, minWriteIntervalMs: 1_000, writesPerHour: null };
    const client = createTestClient(server.base, { clock, pacing });
    await client.request({ method: 'GET', route: hooks });
    for (const method of ['POST', 'PATCH', 'DELETE'] as const) await client.request({ method, route: hooks });
    expect(starts).toEqual([
      ['GET', 0],
      ['POST', 0],
      ['PATCH', 1_000],
      ['DELETE', 2_000],
    ]);
  });

  it('do not lose their deadline in the queue', async () => {
    const server = await startServer((_request, response) => sendJson(response, null));
    const pacing: Pacing = { concurrency: 4, minWriteIntervalMs: 1_000, writesPerHour: null };
    const clock = createVirtualClock();
    const client = createTestClient(server.base, { clock, pacing });
    const writes = Array.from({ length: 20 }, () =>
      client.request({ method: 'POST', route: hooks, deadlineMs: 2_000 }),
    );
    await Promise.all(writes);
    expect(clock.monotonic()).toBe(19_000);
  });

  it('start at most so often within any hour', async () => {
    const clock = createVirtualClock();
    const pacer = createPacer({ concurrency: 1, minWriteIntervalMs: 60_000, writesPerHour: 3 }, clock);
    const starts: number[] = [];
    for (let write = 0; write < 7; write += 1) {
      const leave = await pacer.enter('write', '/hooks', never);
      starts.push(clock.monotonic() / 60_000);
      leave();
    }
    expect(starts).toEqual([0, 1, 2, 60, 61, 62, 120]);
  });

  it('that wait for their time take no place from reads', async () => {
    const clock = createVirtualClock(false);
    const pacer = createPacer({ concurrency: 1, minWriteIntervalMs: 1_000, writesPerHour: null }, clock);
    (await pacer.enter('write', '/hooks', never))();
    const waits: number[] = [];
    let isWriting = false;
    const write = pacer
      .enter('write', '/hooks', never, (waitMs) => waits.push(waitMs))
      .then((leave) => {
        isWriting = true;
        leave();
      });
    await tick();
    (await pacer.enter('read', '/hooks', never))();
    expect([isWriting, waits]).toEqual([false, [1_000]]);
    clock.advance(1_000);
    await write;
  });
});

it('requests of one kind share an hourly budget, reads and writes alike; others do not wait', async () => {
  const clock = createVirtualClock();
  const covers = (template: string): boolean => template.includes('/hooks');
  const pacing = { concurrency: 4, minWriteIntervalMs: 0, writesPerHour: null };
  const pacer = createPacer({ ...pacing, hourlyBudgets: [{ requests: 2, covers }] }, clock);
  const starts: number[] = [];
  for (const [kind, template] of [
    ['read', '/hooks'],
    ['write', '/hooks/{}'],
    ['read', '/repositories'],
    ['read', '/hooks'],
    ['read', '/repositories'],
    ['write', '/hooks'],
    ['write', '/hooks'],
  ] as const) {
    const leave = await pacer.enter(kind, template, never);
    starts.push(clock.monotonic() / 60_000);
    leave();
  }
  expect(starts).toEqual([0, 0, 0, 60, 60, 60, 120]);
});

it('an ended command leaves the queue, and the next one gets its turn', async () => {
  const clock = createVirtualClock(false);
  const pacer = createPacer({ concurrency: 1, minWriteIntervalMs: 1_000, writesPerHour: null }, clock);
  const leave = await pacer.enter('write', '/hooks', never);
  const stop = new AbortController();
  const waiting = (['read', 'write', 'write'] as const).map((kind) =>
    catchError(pacer.enter(kind, '/hooks', stop.signal)),
  );
  const next = pacer.enter('read', '/hooks', never);
  await tick();
  const reason = new Error('stopped');
  stop.abort(reason);
  expect(await Promise.all(waiting)).toEqual([reason, reason, reason]);
  leave();
  (await next)();
  clock.advance(1_000);
  (await pacer.enter('write', '/hooks', never))();
});
