import { describe, expect, it } from 'vitest';
import { createMemoryBudget } from '../../src/http/budget.ts';
import { route } from '../../src/http/route.ts';
import { RateLimitError } from '../../src/errors.ts';
import {
  catchError,
  createTestClient,
  createVirtualClock,
  sendJson,
  startServer,
  type TestServer,
  type VirtualClock,
} from './http-kit.ts';

const hooks = route`/repos/${'acme'}/hooks`;
const get = { method: 'GET', route: hooks } as const;

/** A host that counts requests in fixed windows, tells of it, and refuses what is too much. */
async function startCountingHost(
  clock: VirtualClock,
  limit: number,
  windowMs: number,
): Promise<TestServer & { readonly refused: () => number; readonly usedOf: number[] }> {
  let start = -Infinity;
  let used = 0;
  let refused = 0;
  const usedOf: number[] = [];
  const server = await startServer((_request, response) => {
    if (clock.now() - start >= windowMs) {
      start = clock.now();
      used = 0;
      usedOf.push(0);
    }
    used += 1;
    usedOf[usedOf.length - 1] = used;
    const isRefused = used > limit;
    if (isRefused) refused += 1;
    sendJson(response, null, isRefused ? 429 : 200, {
      'ratelimit-remaining': String(Math.max(0, limit - used)),
      'ratelimit-reset': String((start + windowMs) / 1_000),
    });
  });
  return { ...server, refused: () => refused, usedOf };
}

/** Sends many requests, several at a time, as a rotation does. */
async function sendMany(client: ReturnType<typeof createTestClient>, count: number): Promise<void> {
  let left = count;
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await client.request(get);
    }
  };
  await Promise.all(Array.from({ length: 6 }, work));
}

describe('a shared budget', () => {
  it('F3: two clients together never get more than the host takes', async () => {
    const clock = createVirtualClock();
    const host = await startCountingHost(clock, 100, 60_000);
    const budget = createMemoryBudget();
    const clients = [1, 2].map(() => createTestClient(host.base, { clock, budget }));
    await Promise.all(clients.map((client) => sendMany(client, 200)));
    expect(host.seen).toHaveLength(400);
    expect(host.refused()).toBe(0);
  });

  it('F3: goes slower as less is left, instead of all at once and then not at all', async () => {
    const clock = createVirtualClock();
    const host = await startCountingHost(clock, 100, 60_000);
    await sendMany(createTestClient(host.base, { clock }), 90);
    const pauses = clock.waits.filter((waitMs) => waitMs > 100);
    expect(pauses.length).toBeGreaterThan(15);
    expect(Math.max(...pauses)).toBeLessThan(5_000);
  });

  it('F3: many requests leave a reserve; a few may use what is left at once', async () => {
    const clock = createVirtualClock();
    const host = await startCountingHost(clock, 100, 60_000);
    const budget = createMemoryBudget();
    await sendMany(createTestClient(host.base, { clock, budget }), 95);
    const { length } = clock.waits;
    const person = createTestClient(host.base, { clock, budget });
    for (let index = 0; index < 5; index += 1) await person.request(get);
    expect(clock.waits).toHaveLength(length);
    expect(host.refused()).toBe(0);
    const alone = await startCountingHost(clock, 100, 60_000);
    await sendMany(createTestClient(alone.base, { clock }), 150);
    expect(alone.usedOf[0]).toBeLessThanOrEqual(98);
  });

  it('F3: with nothing left a few requests end with the time to come back, without asking', async () => {
    const clock = createVirtualClock();
    const host = await startCountingHost(clock, 30, 3_600_000);
    const budget = createMemoryBudget();
    const first = createTestClient(host.base, { clock, budget });
    for (let index = 0; index < 15; index += 1) await first.request(get);
    const second = createTestClient(host.base, { clock, budget });
    for (let index = 0; index < 15; index += 1) await second.request(get);
    const error = await catchError(createTestClient(host.base, { clock, budget }).request(get));
    expect(error).toBeInstanceOf(RateLimitError);
    expect(error.message).toContain('2026-11-20T01:00:00');
    expect(host.seen).toHaveLength(30);
  });

  it('F3: many requests wait out a pause that is longer than their deadline', async () => {
    const clock = createVirtualClock();
    const server = await startServer((_request, response, index) => {
      if (index === 30) sendJson(response, null, 429, { 'retry-after': '600' });
      else sendJson(response, null);
    });
    await sendMany(createTestClient(server.base, { clock }), 60);
    expect(server.seen).toHaveLength(61);
    expect(Math.max(...clock.waits)).toBe(600_000);
  });

  it('F3: zero calls of the others either, while the host wants none', async () => {
    const clock = createVirtualClock(false);
    const server = await startServer((_request, response, index) => {
      if (index === 0) sendJson(response, null, 429, { 'retry-after': '30' });
      else sendJson(response, null);
    });
    const budget = createMemoryBudget();
    const first = createTestClient(server.base, { clock, budget }).request(get);
    await expect.poll(() => clock.waits).toEqual([30_000]);
    const second = createTestClient(server.base, { clock, budget }).request(get);
    await expect.poll(() => clock.waits).toEqual([30_000, 30_000]);
    expect(server.seen).toHaveLength(1);
    clock.advance(30_000);
    await Promise.all([first, second]);
    expect(server.seen).toHaveLength(3);
  });

  it('F3: the pacing of github.com holds for two clients together: a second between writes, 500 an hour', async () => {
    const clock = createVirtualClock();
    const starts: number[] = [];
    const server = await startServer((_request, response) => sendJson(response, null));
    const fetch: typeof globalThis.fetch = (input, init) => {
      starts.push(clock.monotonic());
      return globalThis.fetch(input, init);
    };
    const pacing = { concurrency: 6, minWriteIntervalMs: 1_000, writesPerHour: 500 };
    const budget = createMemoryBudget();
    const write = { method: 'PATCH', route: hooks, json: {} } as const;
    const clients = [1, 2].map(() => createTestClient(server.base, { clock, fetch, budget, pacing }));
    await Promise.all(
      clients.map(async (client) => {
        for (let index = 0; index < 300; index += 1) await client.request(write);
      }),
    );
    expect(starts).toHaveLength(600);
    const distances = starts.slice(1).map((start, index) => start - (starts[index] ?? 0));
    expect(Math.min(...distances)).toBeGreaterThanOrEqual(1_000);
    expect((starts[500] ?? 0) - (starts[0] ?? 0)).toBeGreaterThanOrEqual(3_600_000);
  });

  it.each([
    ['tells nothing of its count', {}],
    ['counts otherwise', { 'x-ratelimit-remaining': '4000', 'x-ratelimit-reset': '1795392000' }],
  ])('slows down where a host refuses that %s, and recovers', async (_what, headers) => {
    const clock = createVirtualClock();
    const server = await startServer((_request, response, index) => {
      if (index === 10) sendJson(response, null, 429, { ...headers, 'retry-after': '1' });
      else sendJson(response, null, 200, headers);
    });
    await sendMany(createTestClient(server.base, { clock }), 300);
    const distances = clock.waits.filter((waitMs) => waitMs < 1_000);
    expect(distances.length).toBeGreaterThan(20);
    // The last hundred went as they came.
    expect(clock.monotonic()).toBeLessThan(10_000);
  });
});
