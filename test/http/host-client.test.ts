import { describe, expect, it } from 'vitest';
import { RateLimitError, UnreachableError } from '../../src/errors.ts';
import { HostAnswerError } from '../../src/http/host-answer-error.ts';
import type { Authorization, HostRequest, HttpMethod } from '../../src/http/host-client.ts';
import { route } from '../../src/http/route.ts';
import { Secret } from '../../src/secret.ts';
import {
  canary,
  catchError,
  createTestClient,
  createVirtualClock,
  sendJson,
  startServer,
} from './http-kit.ts';

const hooks = route`/repos/${'acme'}/${'site'}/hooks`;

describe('what is sent', () => {
  it('E8: the address, the usual headers and the credential in Authorization only', async () => {
    const server = await startServer((_request, response) => sendJson(response, { id: 1 }));
    const client = createTestClient(`${server.base}/api/v1`);
    const query = { page: 2, q: 'a b&c', skip: undefined, all: true };
    const answer = await client.request({ method: 'GET', route: route`/repos/${'acme/../x'}`, query });

    expect(answer).toMatchObject({ status: 200, body: { id: 1 } });
    const [seen] = server.seen;
    expect(seen?.url).toBe('/api/v1/repos/acme%2F..%2Fx?page=2&q=a%20b%26c&all=true');
    expect(seen?.headers).toMatchObject({
      accept: 'application/json',
      'user-agent': 'gitlink-test',
      authorization: `Bearer ${canary}`,
    });
    expect(seen?.headers['content-type']).toBeUndefined();
  });

  it('D1: reveals secrets in bodies only while it writes them', async () => {
    const server = await startServer((_request, response) => sendJson(response, null));
    const client = createTestClient(server.base);
    const secret = new Secret('canary "quoted" & more');
    const json = { config: { secret, list: [secret], when: new Date(0), none: undefined } };
    await client.request({ method: 'POST', route: hooks, json });
    await client.request({ method: 'POST', route: hooks, form: { client_secret: secret, grant: 'a b' } });

    const [first, second] = server.seen;
    expect(JSON.parse(first?.body ?? '')).toEqual({
      config: { secret: secret.reveal(), list: [secret.reveal()], when: '1970-01-01T00:00:00.000Z' },
    });
    expect(first?.headers['content-type']).toBe('application/json');
    expect(Object.fromEntries(new URLSearchParams(second?.body))).toEqual({
      client_secret: secret.reveal(),
      grant: 'a b',
    });
    expect(second?.headers['content-type']).toBe('application/x-www-form-urlencoded');
    expect(JSON.stringify(json)).not.toContain('canary');
  });

  it.each<readonly [string, Authorization | null, string | undefined]>([
    ['token', { scheme: 'token', secret: new Secret('canary-1') }, 'token canary-1'],
    [
      'Basic',
      { scheme: 'Basic', username: 'mé', secret: new Secret('canary-2') },
      `Basic ${Buffer.from('mé:canary-2').toString('base64')}`,
    ],
    ['none', null, undefined],
  ])('authorization of one request: %s', async (_name, authorization, header) => {
    const server = await startServer((_request, response) => sendJson(response, null));
    await createTestClient(server.base).request({ method: 'GET', route: hooks, authorization });
    expect(server.seen[0]?.headers.authorization).toBe(header);
  });

  it.each(['Authorization', 'private-token', 'JOB-TOKEN', 'Cookie', 'Proxy-Authorization', 'Host'])(
    'E8: a caller cannot set the header %s',
    async (name) => {
      const server = await startServer((_request, response) => sendJson(response, null));
      const client = createTestClient(server.base);
      const error = await catchError(
        client.request({ method: 'GET', route: hooks, headers: { [name]: canary } }),
      );
      expect(error.message).toBe(`The header ${name} may not be set here.`);
      expect(server.seen).toEqual([]);
    },
  );

  it.each([
    '/../../admin',
    '//evil.example/x',
    'evil',
    '/..%2f..\\..\\..\\x',
    '@evil.example/',
    ':1@evil.example',
  ])('E8: a path cannot leave the base: %s', async (path) => {
    const server = await startServer((_request, response) => sendJson(response, null));
    const client = createTestClient(`${server.base}/api/v1`);
    await client.request({ method: 'GET', route: { path, template: '/t' } }).catch(() => undefined);
    for (const { url } of server.seen) expect(url).toMatch(/^\/api\/v1\//);
    const bare = createTestClient(server.base).request({ method: 'GET', route: { path, template: '/t' } });
    if (path.startsWith('/')) await bare;
    else expect(await catchError(bare)).not.toBeInstanceOf(UnreachableError);
  });
});

it.each([
  ['GET with a body', { method: 'GET', route: hooks, json: {} }, 'internal'],
  ['HEAD with a form', { method: 'HEAD', route: hooks, form: {} }, 'internal'],
  [
    'a token that holds a line break',
    { method: 'GET', route: hooks, authorization: bearer('canary\nx: y') },
    'auth',
  ],
  ['a token that holds a letter', { method: 'GET', route: hooks, authorization: bearer('canäry') }, 'auth'],
  ['an empty token', { method: 'GET', route: hooks, authorization: bearer('') }, 'auth'],
] satisfies [string, HostRequest, string][])(
  '%s is not sent and not taken for a network fault',
  async (_name, request, code) => {
    const server = await startServer((_request, response) => sendJson(response, null));
    const error = await catchError(createTestClient(server.base).request(request));
    expect(error).toMatchObject({ code });
    expect(error.message).not.toMatch(/can.?ry/);
    expect(server.seen).toEqual([]);
  },
);

function bearer(secret: string): Authorization {
  return { scheme: 'Bearer', secret: new Secret(secret) };
}

describe('answers', () => {
  it.each([
    ['204', 204, '', undefined],
    ['an empty 200', 200, '', 'text/html'],
    ['blanks', 200, ' \n', undefined],
  ])('%s has a null body', async (_name, status, body, type) => {
    const server = await startServer((_request, response) =>
      response.writeHead(status, type ? { 'content-type': type } : {}).end(body),
    );
    const answer = await createTestClient(server.base).request({ method: 'DELETE', route: hooks });
    expect(answer).toMatchObject({ status, body: null });
  });

  it.each([
    'application/json',
    'application/json; charset=utf-8',
    'Application/JSON',
    'application/hal+json',
    'application/vnd.github.v3+json;x=y',
  ])('E10: %s is JSON', async (type) => {
    const server = await startServer((_request, response) =>
      response.writeHead(200, { 'content-type': type }).end('\ufeff{"a":"ä"}'),
    );
    expect((await createTestClient(server.base).request({ method: 'GET', route: hooks })).body).toEqual({
      a: 'ä',
    });
  });

  it('HEAD has headers and no body', async () => {
    const server = await startServer((_request, response) =>
      sendJson(response, { id: 1 }, 200, { 'x-total': '3' }),
    );
    const answer = await createTestClient(server.base).request({ method: 'HEAD', route: hooks });
    expect(answer.body).toBeNull();
    expect(answer.headers.get('x-total')).toBe('3');
  });

  it('hands back the statuses that the caller accepts, whatever their body', async () => {
    const server = await startServer((request, response) => {
      if (request.url === '/json') sendJson(response, { message: 'gone' }, 404);
      else response.writeHead(203, { 'content-type': 'text/html' }).end('<html>sign in</html>');
    });
    const client = createTestClient(server.base);
    expect(await client.request({ method: 'GET', route: route`/json`, accept: [404] })).toMatchObject({
      status: 404,
      body: { message: 'gone' },
    });
    expect(await client.request({ method: 'GET', route: route`/html`, accept: [203] })).toMatchObject({
      status: 203,
      body: null,
    });
  });
});

describe('F2: another try', () => {
  const repeatable: readonly HttpMethod[] = ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'];

  it.each(
    repeatable.flatMap((method) =>
      [408, 425, 429, 500, 502, 503, 504].map((status) => [method, status] as const),
    ),
  )('%s after %d', async (method, status) => {
    const server = await startServer((_request, response, index) =>
      sendJson(response, null, index === 0 ? status : 200),
    );
    const clock = createVirtualClock();
    await createTestClient(server.base, { clock }).request({ method, route: hooks });
    expect(server.seen).toHaveLength(2);
    expect(clock.waits).toEqual([1_000]);
  });

  it('five tries with exponential waits, then what the host said', async () => {
    const server = await startServer((_request, response) =>
      sendJson(response, { message: 'out of order' }, 500),
    );
    const clock = createVirtualClock();
    const error = await catchError(
      createTestClient(server.base, { clock }).request({ method: 'GET', route: hooks }),
    );
    expect(error).toBeInstanceOf(HostAnswerError);
    expect(error).toMatchObject({ code: 'unreachable', status: 500, hostMessage: 'out of order' });
    expect(server.seen).toHaveLength(5);
    expect(clock.waits).toEqual([1_000, 2_000, 4_000, 8_000]);
  });

  it("a proxy's 503 page is worth another try", async () => {
    const server = await startServer((_request, response, index) => {
      if (index > 0) return sendJson(response, []);
      response.writeHead(503, { 'content-type': 'text/html' }).end('<html>busy</html>');
    });
    expect((await createTestClient(server.base).request({ method: 'GET', route: hooks })).body).toEqual([]);
  });

  it('full jitter: the wait is a fraction of the step', async () => {
    const server = await startServer((_request, response, index) =>
      sendJson(response, null, index === 0 ? 500 : 200),
    );
    const clock = createVirtualClock();
    const random = { bytes: () => Buffer.alloc(0), uuid: () => '', fraction: () => 0.25 };
    await createTestClient(server.base, { clock, random }).request({ method: 'GET', route: hooks });
    expect(clock.waits).toEqual([250]);
  });

  it.each<readonly [HttpMethod, 'safe' | 'never' | undefined, number]>([
    ['POST', undefined, 1],
    ['POST', 'safe', 5],
    ['PATCH', 'never', 1],
    ['DELETE', 'never', 1],
  ])('%s with repeat %s is sent %d times', async (method, repeat, times) => {
    const server = await startServer((_request, response) => sendJson(response, null, 502));
    const client = createTestClient(server.base);
    await catchError(client.request({ method, route: hooks, ...(repeat ? { repeat } : {}) }));
    expect(server.seen).toHaveLength(times);
  });

  it.each<readonly [HttpMethod, number]>([
    ['POST', 1],
    ['GET', 5],
    ['PUT', 5],
  ])('the host applies %s and cuts the connection: sent %d times', async (method, times) => {
    const server = await startServer((_request, response) => response.destroy());
    const error = await catchError(createTestClient(server.base).request({ method, route: hooks }));
    expect(error).toBeInstanceOf(UnreachableError);
    expect(error.message).toMatch(/^The connection to 127\.0\.0\.1 broke off \(\w+\)\.$/);
    expect(server.seen).toHaveLength(times);
  });

  it('an answer that is cut short is no answer', async () => {
    const server = await startServer((_request, response, index) => {
      if (index > 0) return sendJson(response, [1]);
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' }).write('[1');
      setImmediate(() => response.destroy());
    });
    expect((await createTestClient(server.base).request({ method: 'GET', route: hooks })).body).toEqual([1]);
  });

  it.each([400, 401, 403, 404, 405, 409, 410, 422, 451])('nothing after %d', async (status) => {
    const server = await startServer((_request, response) => sendJson(response, null, status));
    const error = await catchError(createTestClient(server.base).request({ method: 'GET', route: hooks }));
    expect(error).toMatchObject({ status });
    expect(server.seen).toHaveLength(1);
  });

  it('nothing that the deadline leaves no time for', async () => {
    const server = await startServer((_request, response) => sendJson(response, null, 500));
    const clock = createVirtualClock();
    const client = createTestClient(server.base, { clock });
    await catchError(client.request({ method: 'GET', route: hooks, deadlineMs: 5_000 }));
    expect(clock.waits).toEqual([1_000, 2_000]);
  });
});

describe('F3: limits of the host', () => {
  it('no request at all goes out during a wait', async () => {
    const server = await startServer((_request, response, index) => {
      if (index === 0) sendJson(response, { message: 'slow down' }, 429, { 'retry-after': '30' });
      else sendJson(response, index);
    });
    const clock = createVirtualClock(false);
    const client = createTestClient(server.base, { clock });
    const first = client.request({ method: 'POST', route: hooks, json: {} });
    await expect.poll(() => clock.waits).toEqual([30_000]);
    const others = [1, 2, 3].map(() => client.request({ method: 'GET', route: hooks }));
    await expect.poll(() => clock.waits.length).toBe(4);
    clock.advance(29_999);
    await new Promise((resolve) => setImmediate(resolve));
    expect(server.seen).toHaveLength(1);
    clock.advance(1);
    // Then not all at once: that is what the host refused.
    await expect.poll(() => clock.waits.slice(4)).toEqual([50, 100, 150]);
    clock.advance(150);
    await Promise.all([first, ...others]);
    expect(server.seen).toHaveLength(5);
  });

  it('nor one that was queueing when the host said so', async () => {
    const server = await startServer((_request, response, index) =>
      setTimeout(
        () => sendJson(response, null, index === 0 ? 429 : 200, index === 0 ? { 'retry-after': '30' } : {}),
        20,
      ),
    );
    const clock = createVirtualClock(false);
    const pacing = { concurrency: 1, minWriteIntervalMs: 0, writesPerHour: null };
    const client = createTestClient(server.base, { clock, pacing });
    const requests = [1, 2, 3].map(() => client.request({ method: 'GET', route: hooks }));
    await expect.poll(() => clock.waits).toEqual([30_000, 30_000, 30_000]);
    expect(server.seen).toHaveLength(1);
    clock.advance(30_000);
    await expect.poll(() => clock.waits.slice(3)).toEqual([50, 100]);
    clock.advance(100);
    await Promise.all(requests);
    expect(server.seen).toHaveLength(4);
  });

  it('a date in Retry-After is obeyed', async () => {
    const clock = createVirtualClock();
    const date = new Date(clock.now() + 42_000).toUTCString();
    const server = await startServer((_request, response, index) =>
      sendJson(response, null, index === 0 ? 503 : 200, { 'retry-after': index === 0 ? date : '' }),
    );
    await createTestClient(server.base, { clock }).request({ method: 'GET', route: hooks });
    expect(clock.waits).toEqual([42_000]);
  });

  it('a wait beyond the deadline ends at once and says until when', async () => {
    const clock = createVirtualClock();
    const reset = clock.now() / 1_000 + 1_800;
    let isOver = false;
    const server = await startServer((_request, response) =>
      sendJson(response, null, isOver ? 200 : 403, {
        'x-ratelimit-remaining': isOver ? '60' : '0',
        'x-ratelimit-reset': `${reset}`,
      }),
    );
    const client = createTestClient(server.base, { clock });
    const error = await catchError(client.request({ method: 'GET', route: hooks }));
    expect(error).toBeInstanceOf(RateLimitError);
    expect(error.message).toBe(
      `${server.base} asks gitlink to wait until 2026-11-20T00:30:00.000Z: its rate limit is used up.`,
    );
    await catchError(client.request({ method: 'GET', route: hooks }));
    expect(server.seen).toHaveLength(1);
    expect(clock.waits).toEqual([]);

    clock.advance(1_800_000);
    isOver = true;
    await client.request({ method: 'GET', route: hooks });
    expect(server.seen).toHaveLength(2);
  });

  it("GitHub's secondary limit without a header: 60 s, then longer", async () => {
    const clock = createVirtualClock();
    const server = await startServer((_request, response, index) =>
      sendJson(response, { message: 'You have exceeded a secondary rate limit.' }, index < 2 ? 403 : 200),
    );
    const waits: unknown[] = [];
    const client = createTestClient(server.base, { clock, onWait: (...wait) => waits.push(wait) });
    await client.request({ method: 'POST', route: hooks, json: {}, accept: [403], deadlineMs: 600_000 });
    expect(waits).toEqual([
      [60_000, 'rateLimit'],
      [120_000, 'rateLimit'],
    ]);
    expect(client.lines).toContain('! waiting 60 s (rateLimit)');
  });

  it('a host that never stops refusing ends as a rate limit, not as a missing permission', async () => {
    const server = await startServer((_request, response) =>
      sendJson(response, null, 403, { 'retry-after': '1' }),
    );
    const error = await catchError(createTestClient(server.base).request({ method: 'GET', route: hooks }));
    expect(error).toBeInstanceOf(RateLimitError);
    expect(server.seen).toHaveLength(5);
  });

  it('a 429 that names no time is paced by the adapter', async () => {
    const clock = createVirtualClock();
    const server = await startServer((_request, response, index) => {
      if (index > 1) return sendJson(response, null);
      response
        .writeHead(429, { 'content-type': 'text/plain' })
        .end('Rate limit for this resource has been exceeded');
    });
    const pacing = { concurrency: 1, minWriteIntervalMs: 0, writesPerHour: null, unstatedLimitMs: 30_000 };
    await createTestClient(server.base, { clock, pacing }).request({ method: 'GET', route: hooks });
    expect(clock.waits).toEqual([30_000, 60_000]);
  });

  it('Retry-After: 0 does not become a storm', async () => {
    const clock = createVirtualClock();
    const server = await startServer((_request, response) =>
      sendJson(response, null, 429, { 'retry-after': '0' }),
    );
    await catchError(createTestClient(server.base, { clock }).request({ method: 'GET', route: hooks }));
    expect(clock.waits).toEqual([1_000, 2_000, 4_000, 8_000]);
  });

  it('an answer that uses up the limit delays the next request', async () => {
    const clock = createVirtualClock();
    const server = await startServer((_request, response) =>
      sendJson(response, null, 200, { 'retry-after': '5' }),
    );
    const client = createTestClient(server.base, { clock });
    await client.request({ method: 'GET', route: hooks });
    expect(clock.waits).toEqual([]);
    await client.request({ method: 'GET', route: hooks });
    expect(clock.waits).toEqual([5_000]);
  });
});

describe('a credential that was refused', () => {
  function createAuthorize(secrets: readonly (string | null)[]) {
    const reasons: string[] = [];
    const authorize = (refused: Authorization | null): Promise<Authorization | null> => {
      const secret = secrets[reasons.push(refused === null ? 'request' : 'rejected') - 1];
      return Promise.resolve(secret ? { scheme: 'Bearer', secret: new Secret(secret) } : null);
    };
    return { reasons, authorize };
  }

  it.each<readonly [string, readonly (string | null)[], number]>([
    ['is renewed once', ['canary-old', 'canary-new', 'canary-3'], 2],
    ['is not sent again unchanged', ['canary-old', 'canary-old'], 1],
    ['is not sent again without another', ['canary-old', null], 1],
  ])('%s', async (_name, secrets, times) => {
    const server = await startServer((_request, response) =>
      sendJson(response, { message: 'Bad credentials' }, 401),
    );
    const { authorize, reasons } = createAuthorize(secrets);
    const client = createTestClient(server.base, { authorize });
    const error = await catchError(client.request({ method: 'POST', route: hooks, json: {} }));
    expect(error).toMatchObject({ code: 'auth', status: 401 });
    expect(reasons).toEqual(['request', 'rejected']);
    expect(server.seen).toHaveLength(times);
  });

  it('the request succeeds with the new one', async () => {
    const server = await startServer((request, response) =>
      sendJson(response, null, request.headers.authorization === 'Bearer canary-new' ? 200 : 401),
    );
    const { authorize } = createAuthorize(['canary-old', 'canary-new']);
    expect(
      await createTestClient(server.base, { authorize }).request({ method: 'GET', route: hooks }),
    ).toMatchObject({ status: 200 });
  });

  it("a request's own authorization is never renewed", async () => {
    const server = await startServer((_request, response) => sendJson(response, null, 401));
    const { authorize, reasons } = createAuthorize(['canary-new']);
    const client = createTestClient(server.base, { authorize });
    const own: Authorization = { scheme: 'token', secret: new Secret('canary-own') };
    await catchError(client.request({ method: 'GET', route: hooks, authorization: own }));
    await catchError(client.request({ method: 'GET', route: hooks, authorization: null }));
    expect(reasons).toEqual([]);
    expect(server.seen).toHaveLength(2);
  });
});

describe('Ctrl-C', () => {
  it.each(['a wait', 'an answer'])('ends %s with its own reason', async (during) => {
    const stop = new AbortController();
    const server = await startServer((_request, response) => {
      if (during === 'a wait') sendJson(response, null, 503);
    });
    const clock = createVirtualClock(false);
    const client = createTestClient(server.base, { clock, signal: stop.signal });
    // A POST in flight is not repeated, so that nothing later can give the reason in place of the request itself.
    const method = during === 'a wait' ? 'GET' : 'POST';
    const promise = catchError(client.request({ method, route: hooks }));
    await expect.poll(() => (during === 'a wait' ? clock.waits.length : server.seen.length)).toBe(1);
    const reason = new Error('stopped by the test');
    stop.abort(reason);
    expect(await promise).toBe(reason);
    expect(await catchError(client.request({ method: 'GET', route: hooks }))).toBe(reason);
  });
});

it('D4: the trace shows method, address, status and time, but no secret, header or body', async () => {
  const server = await startServer((_request, response) => sendJson(response, { secret: canary }, 200));
  const client = createTestClient(`${server.base}/api`);
  const query = { page: 2, q: 'private words', all: true };
  await client.request({ method: 'GET', route: route`/tokens/${canary}`, query });
  await client.request({ method: 'POST', route: hooks, json: { secret: new Secret('canary-body-secret') } });
  expect(client.lines.map((line) => line.replace(/\d+ ms$/, 'N ms'))).toEqual([
    `> GET ${server.base}/api/tokens/[redacted]?page=2&q=…&all=true`,
    '< 200 in N ms',
    `> POST ${server.base}/api/repos/acme/site/hooks`,
    '< 200 in N ms',
  ]);
});
