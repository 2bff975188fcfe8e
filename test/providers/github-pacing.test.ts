import { describe, expect, test } from 'vitest';
import { githubProvider } from '../../src/providers/github/index.ts';
import { route } from '../../src/http/route.ts';
import type { Pacing } from '../../src/http/pacing.ts';
import { createTestClient, createVirtualClock } from '../http/http-kit.ts';

const hooks = route`/repos/${'acme'}/${'api'}/hooks`;
const hourMs = 3_600_000;

/** When requests that are wanted all at once are sent to a host with this pacing, by a clock that moves only by waiting. */
async function runAll(pacing: Pacing, methods: readonly ('GET' | 'POST' | 'PATCH' | 'DELETE')[]) {
  const clock = createVirtualClock();
  const sent: { readonly isRead: boolean; readonly at: number }[] = [];
  const fetch: typeof globalThis.fetch = (_input, options) => {
    sent.push({ isRead: options?.method === 'GET', at: clock.monotonic() });
    return Promise.resolve(new Response('{}', { headers: { 'content-type': 'application/json' } }));
  };
  const client = createTestClient('https://api.github.example', { clock, pacing, fetch });
  await Promise.all(methods.map((method) => client.request({ method, route: hooks })));
  const timesOf = (isRead: boolean) => sent.filter((one) => one.isRead === isRead).map(({ at }) => at);
  return { reads: timesOf(true), writes: timesOf(false) };
}

function findPacing(host: string): Pacing {
  return githubProvider.pacingOf?.(host) ?? githubProvider.pacing;
}

describe.each(['https://github.com', 'https://acme.ghe.com'])('%s', (host) => {
  test('1,100 changes start a second apart at least, and never more than 500 within an hour', async () => {
    const kinds = ['POST', 'PATCH', 'DELETE'] as const;
    const methods = Array.from({ length: 1_100 }, (_, index) => kinds[index % 3] ?? 'POST');
    const { writes } = await runAll(findPacing(host), methods);
    expect(writes).toHaveLength(1_100);
    const gaps = writes.slice(1).map((at, index) => at - (writes[index] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1_000);
    const within = writes.map((from) => writes.filter((at) => at >= from && at < from + hourMs).length);
    expect(Math.max(...within)).toBe(500);
    // No slower than that either: two full hours and a hundred more.
    expect(writes.at(-1)).toBe(2 * hourMs + 99_000);
  });

  test('reading waits for nothing', async () => {
    const { reads, writes } = await runAll(findPacing(host), [
      'POST',
      ...Array.from({ length: 300 }, () => 'GET' as const),
    ]);
    expect([new Set(reads), writes]).toEqual([new Set([0]), [0]]);
  });
});

test('an Enterprise Server is written to as fast as it answers', async () => {
  const pacing = findPacing('https://github.acme.dev');
  const { writes } = await runAll(
    pacing,
    Array.from({ length: 600 }, () => 'POST' as const),
  );
  expect(new Set(writes)).toEqual(new Set([0]));
});
