import { describe, expect, test } from 'vitest';
import { createMemoryBudget, emptyBudget, takeStart } from '../../src/http/budget.ts';
import { route } from '../../src/http/route.ts';
import { createTestClient, createVirtualClock, sendJson, startServer } from './http-kit.ts';

const hourMs = 3_600_000;
const hooks = { method: 'GET', route: route`/repos/${'acme'}/hooks` } as const;

/** A host that takes 400 requests an hour, by a clock that is ahead of ours. */
async function startHost(clock: ReturnType<typeof createVirtualClock>, aheadMs: number) {
  let windowAt = clock.now();
  let used = 0;
  return startServer((_request, response) => {
    if (clock.now() - windowAt >= hourMs) {
      windowAt = clock.now();
      used = 0;
    }
    used += 1;
    sendJson(response, null, used > 400 ? 429 : 200, {
      'x-ratelimit-remaining': String(Math.max(0, 400 - used)),
      'x-ratelimit-reset': String(Math.round((windowAt + aheadMs + hourMs) / 1000)),
    });
  });
}

describe('F3: a clock of this machine that is wrong', () => {
  test.each([0, 12, 24 * 365])('the host is %d h ahead: many requests take little longer', async (aheadH) => {
    const clock = createVirtualClock();
    const server = await startHost(clock, aheadH * hourMs);
    const client = createTestClient(server.base, { clock, budget: createMemoryBudget() });
    const startedAt = clock.now();
    let left = 1_000;
    const work = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        await client.request(hooks);
      }
    };
    await Promise.all(Array.from({ length: 6 }, work));
    expect((clock.now() - startedAt) / hourMs).toBeLessThan(3.5);
    expect(Math.max(...clock.waits)).toBeLessThan(1.2 * hourMs);
  });

  test('set back, it does not count starts that are to come', () => {
    const now = Date.UTC(2026, 10, 20);
    const limit = { name: 'writes', perHour: 500, leastIntervalMs: 1_000 };
    const [state] = takeStart(emptyBudget, limit, now);
    const [, askAgainAt] = takeStart(state, limit, now - 24 * hourMs);
    expect(askAgainAt).toBeNull();
  });
});
