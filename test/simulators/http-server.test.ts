import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { Fault } from './faults.ts';
import { startSimulatorServer, type SimulatorServer, type SimulatorServerOptions } from './http-server.ts';
import type { Route } from './routes.ts';
import { sendRequest } from './send-request.ts';

let server: SimulatorServer | undefined;
let changes = 0;

const routes: readonly Route[] = [
  { method: 'GET', template: '/things/latest', handle: () => ({ status: 200, json: { name: 'latest' } }) },
  {
    method: 'GET',
    template: '/things/{id}',
    handle: ({ params }) => ({ status: 200, json: { id: params['id'], padding: 'x'.repeat(200) } }),
  },
  {
    method: 'POST',
    template: '/things',
    handle: ({ body }) => {
      changes += 1;
      return { status: 201, json: { got: body } };
    },
  },
];

async function start(options: Partial<SimulatorServerOptions> = {}): Promise<SimulatorServer> {
  changes = 0;
  server = await startSimulatorServer({ routes, ...options });
  return server;
}

afterEach(async () => {
  await server?.close();
  server = undefined;
});

test('a route answers with its decoded values, a literal before a variable, and is in the log', async () => {
  const { url, requests } = await start({ basePath: '/sub', identifyToken: () => 'pat:1' });
  expect((await sendRequest(`${url}/things/latest`)).json).toEqual({ name: 'latest' });
  const answer = await sendRequest(`${url}/things/a%2Fb?x=1&x=2`, { authorization: 'Bearer canary-secret' });
  expect(answer.json).toMatchObject({ id: 'a/b' });
  expect(requests[1]).toMatchObject({
    method: 'GET',
    path: '/things/a%2Fb',
    template: '/things/{id}',
    query: { x: '1,2' },
    authorization: { scheme: 'bearer', username: null, tokenId: 'pat:1' },
    status: 200,
    fault: null,
  });
  expect(JSON.stringify(requests)).not.toContain('canary-secret');
});

test.each([
  ['an unknown path', 'GET', '/nowhere', 'GET /nowhere: unknown route'],
  ['an unknown method', 'DELETE', '/things/1', 'DELETE /things/1: no such method here'],
  ['a path outside the base', 'GET', '/../things/1', 'GET /things/1: unknown route'],
])('%s fails the test at its end', async (_, method, path, failure) => {
  const running = await start({ basePath: '/sub' });
  const answer = await sendRequest(`${running.url}${path}`, { method });
  expect(answer.status).toBe(404);
  expect(answer.json).toEqual({ message: 'simulator: unknown route' });
  expect(() => running.assertNoFailures()).toThrow(failure);
});

test('E4: asking what a host is fails nothing, sending it a credential with the question does', async () => {
  const running = await start();
  const probes = ['/api/v4/version', '/api/v3/meta', '/owner/api/v1/version'];
  for (const probe of probes) expect((await sendRequest(running.url + probe)).status).toBe(404);
  running.assertNoFailures();
  await sendRequest(`${running.url}/api/v4/version`, { authorization: 'Bearer canary' });
  expect(() => running.assertNoFailures()).toThrow('a credential sent to a host before it was known');
});

test('what the check finds and what a handler throws are failures', async () => {
  const running = await start({
    check: ({ query }) => (query.has('bad') ? ['unknown query parameter bad'] : []),
    routes: [
      ...routes,
      {
        method: 'GET',
        template: '/broken',
        handle: () => {
          throw new Error('a bug');
        },
      },
    ],
  });
  await sendRequest(`${running.url}/things/1?bad=1`);
  expect((await sendRequest(`${running.url}/broken`)).status).toBe(500);
  expect(running.failures).toHaveLength(2);
  expect(() => running.assertNoFailures()).toThrow(/unknown query parameter bad[^]*a bug/);
});

test.each<[Fault, number]>([
  [{ kind: 'cut' }, 0],
  [{ kind: 'lost' }, 1],
])('%o: the connection ends and the change was made %i times', async (fault, expected) => {
  const running = await start();
  running.faults.add({ fault });
  await expect(sendRequest(`${running.url}/things`, { json: { a: 1 } })).rejects.toThrow();
  expect(changes).toBe(expected);
  expect(running.requests[0]).toMatchObject({ fault: fault.kind, status: null });
});

test('faults that answer: a status, a page, half of the JSON, and half of it followed by silence', async () => {
  const running = await start();
  const meet = async (fault: Fault, timeoutMs = 2000) => {
    running.faults.clear();
    running.faults.add({ fault });
    return sendRequest(`${running.url}/things/1`, { timeoutMs });
  };
  const answer = { status: 503, json: { message: 'busy' } };
  expect(await meet({ kind: 'answer', answer })).toMatchObject(answer);
  const page = await meet({ kind: 'html' });
  expect(page).toMatchObject({ status: 200, json: undefined });
  expect(page.headers['content-type']).toContain('text/html');
  const broken = await meet({ kind: 'broken-json' });
  expect(broken).toMatchObject({ status: 200, json: undefined });
  expect(broken.headers['content-type']).toContain('json');
  await expect(meet({ kind: 'stall' }, 100)).rejects.toThrow(/aborted/);
});

test('a fault strikes only where, as often and as late as its rule says', async () => {
  const running = await start();
  running.faults.add({
    fault: { kind: 'html', status: 502 },
    path: /^\/things\/[12]$/,
    method: 'GET',
    skip: 1,
    times: 1,
  });
  const ask = async (id: number) => (await sendRequest(`${running.url}/things/${id}`)).status;
  expect([await ask(1), await ask(3), await ask(2), await ask(1)]).toEqual([200, 200, 502, 200]);
});

test('faults by chance are the same for the same seed', async () => {
  const run = async (seed: number) => {
    const running = await start({ seed });
    running.faults.add({ fault: { kind: 'html', status: 502 }, probability: 0.5 });
    const statuses: number[] = [];
    for (let id = 0; id < 30; id += 1)
      statuses.push((await sendRequest(`${running.url}/things/${id}`)).status);
    await running.close();
    return statuses.join();
  };
  const first = await run(7);
  expect(first).toContain('200');
  expect(first).toContain('502');
  expect(await run(7)).toBe(first);
  expect(await run(8)).not.toBe(first);
});

test('a rate limit answers 429 as proxies do until its window is over', async () => {
  const running = await start({
    rateLimit: { requests: 2, windowMs: 300, retryAfter: 'seconds', body: 'html' },
  });
  const ask = () => sendRequest(`${running.url}/things/1`);
  expect([(await ask()).status, (await ask()).status]).toEqual([200, 200]);
  const limited = await ask();
  expect(limited.status).toBe(429);
  expect(limited.headers['retry-after']).toBe('1');
  expect(limited.headers['content-type']).toBe('text/html');
  expect(running.requests[2]).toMatchObject({ status: 429, fault: 'rate-limit' });
  await expect.poll(async () => (await ask()).status).toBe(200);
  running.setRateLimit({ requests: 0, windowMs: 60_000 });
  const plain = await ask();
  expect(plain).toMatchObject({ status: 429, text: 'Too many requests\n' });
  expect(plain.headers['retry-after']).toBeUndefined();
});

test('latency holds back every answer, and requests under way are counted', async () => {
  const running = await start({ latencyMs: 50 });
  const before = performance.now();
  await Promise.all([1, 2, 3].map((id) => sendRequest(`${running.url}/things/${id}`)));
  expect(performance.now() - before).toBeGreaterThanOrEqual(49);
  expect(running.peakConcurrency()).toBe(3);
  running.clearRequests();
  expect(running.requests).toEqual([]);
});

test('close ends a request that waits, and nothing happens afterwards', async () => {
  const running = await start({ latencyMs: 50 });
  const waiting = expect(sendRequest(`${running.url}/things`, { json: {} })).rejects.toThrow();
  await expect.poll(() => running.requests.length).toBe(1);
  await running.close();
  await waiting;
  await delay(100);
  expect(changes).toBe(0);
});
