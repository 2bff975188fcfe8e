import { describe, expect, test } from 'vitest';
import { realLimits } from './github/limits.ts';
import {
  callBy,
  callWith,
  createHook,
  hookBody,
  hooksOfApi,
  installApp,
  mint,
  start,
  startCloud,
} from './github-kit.ts';

const hourMs = 3_600_000;

describe('limits', () => {
  test('are told in headers, shared by all tokens of a user, and end', async () => {
    const limits = { ...realLimits, core: { requests: 2, windowMs: hourMs } };
    const simulator = await startCloud({ settings: { limits } });
    const [one, two] = [callWith(simulator), callWith(simulator, { kind: 'fineGrained' })];
    const first = await one('/user');
    expect(first.headers).toMatchObject({
      'x-ratelimit-limit': '2',
      'x-ratelimit-remaining': '1',
      'x-ratelimit-used': '1',
      'x-ratelimit-resource': 'core',
    });
    const reset = Number(first.headers['x-ratelimit-reset']);
    expect(Math.abs(reset - (Date.now() + hourMs) / 1000)).toBeLessThan(3);
    expect((await two('/user')).headers['x-ratelimit-remaining']).toBe('0');
    const refused = await one('/user');
    expect(refused.status).toBe(403);
    expect(refused.headers).toMatchObject({ 'x-ratelimit-remaining': '0' });
    expect(refused.headers['retry-after']).toBeUndefined();
    expect(refused.text).toContain('API rate limit exceeded');
    expect((await callWith(simulator, { user: 'bob' })('/user')).status).toBe(200);
    expect((await one('/rate_limit')).json).toMatchObject({ resources: { core: { remaining: 0 } } });
    simulator.settings.clockOffsetMs = hourMs;
    expect((await one('/rate_limit')).json).toMatchObject({ resources: { core: { remaining: 2 } } });
    expect((await one('/user')).status).toBe(200);
    simulator.assertNoFailures();
  });

  test('an installation has one of its own, and who says nothing 60', async () => {
    const simulator = await startCloud();
    const bot = callBy(simulator, await mint(simulator, installApp(simulator)));
    expect((await bot('/installation/repositories')).headers['x-ratelimit-used']).toBe('1');
    expect((await callBy(simulator, '')('/meta')).headers['x-ratelimit-limit']).toBe('60');
    simulator.assertNoFailures();
  });

  test.each([
    [403, true],
    [429, false],
  ] as const)(
    'the secondary one: %i with what it is called, and when to come back: %s',
    async (limitStatus, secondaryRetryAfter) => {
      const limits = { ...realLimits, creationPerMinute: { requests: 1, windowMs: 60_000 } };
      const simulator = await start({
        settings: { hasRateLimits: true, limits, limitStatus, secondaryRetryAfter },
      });
      const call = callWith(simulator);
      await createHook(call);
      const refused = await call(hooksOfApi, { json: { ...hookBody, events: ['release'] } });
      expect(refused.status).toBe(limitStatus);
      expect(refused.json).toMatchObject({
        message: expect.stringContaining('secondary rate limit') as unknown,
        documentation_url: expect.stringContaining('secondary-rate-limits') as unknown,
      });
      expect(refused.headers['retry-after']).toBe(secondaryRetryAfter ? '60' : undefined);
      expect(Number(refused.headers['x-ratelimit-remaining'])).toBeGreaterThan(0);
      expect((await call(hooksOfApi)).status).toBe(200);
      simulator.settings.clockOffsetMs = 60_000;
      expect((await call(hooksOfApi, { json: { ...hookBody, events: ['release'] } })).status).toBe(201);
      simulator.assertNoFailures();
    },
  );

  test('a write costs five points and a look one', async () => {
    const limits = { ...realLimits, points: { requests: 6, windowMs: 60_000 } };
    const simulator = await start({ settings: { hasRateLimits: true, limits } });
    const call = callWith(simulator);
    await createHook(call);
    expect((await call(hooksOfApi)).status).toBe(200);
    expect((await call(hooksOfApi)).text).toContain('secondary rate limit');
    simulator.assertNoFailures();
  });

  test('a server has none unless told so, and the common faults work', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    expect((await call('/user')).headers['x-ratelimit-limit']).toBeUndefined();
    simulator.faults.add({ fault: { kind: 'answer', answer: { status: 502 } }, times: 1 });
    simulator.faults.add({ fault: { kind: 'cut' }, times: 1 });
    expect((await call('/user')).status).toBe(502);
    await expect(call('/user')).rejects.toThrow();
    expect((await call('/user')).status).toBe(200);
    simulator.assertNoFailures();
  });
});
