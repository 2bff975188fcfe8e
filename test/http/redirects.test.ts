import { describe, expect, it } from 'vitest';
import { UnreachableError } from '../../src/errors.ts';
import type { HttpMethod } from '../../src/http/host-client.ts';
import { route } from '../../src/http/route.ts';
import { canary, catchError, createTestClient, sendJson, startServer, type TestServer } from './http-kit.ts';

const statuses = [301, 302, 303, 307, 308];
const hooks = route`/repos/${'acme'}/hooks`;

async function startRedirecting(status: number, target: (server: TestServer) => string): Promise<TestServer> {
  const server: TestServer = await startServer((request, response) => {
    if (request.url.startsWith('/new')) sendJson(response, { moved: true });
    else response.writeHead(status, { location: target(server) }).end(`<html>${canary}</html>`);
  });
  return server;
}

describe('E7: redirects to elsewhere end with an error that names the target', () => {
  const elsewhere: readonly (readonly [string, (other: TestServer, own: TestServer) => string])[] = [
    ['another host', (other) => `http://localhost:${other.port}/steal?token=${canary}`],
    ['another port', (other) => `${other.base}/steal?token=${canary}`],
    ['another scheme', (_other, own) => `https://127.0.0.1:${own.port}/steal?token=${canary}`],
    ['a user name', (_other, own) => `http://me:${canary}@127.0.0.1:${own.port}/new`],
    ['another host without a scheme', (other) => `//localhost:${other.port}/steal`],
    ['a backslash', (other) => `\\\\localhost:${other.port}/steal`],
  ];

  const methods: readonly HttpMethod[] = ['GET', 'POST'];
  const cases = statuses.flatMap((status) =>
    elsewhere.flatMap(([name, target]) => methods.map((method) => ({ status, name, target, method }))),
  );

  it.each(cases)('$method, $status, $name', async ({ status, target, method }) => {
    const other = await startServer((_request, response) => sendJson(response, {}));
    const own = await startRedirecting(status, (server) => target(other, server));
    const client = createTestClient(own.base);
    const error = await catchError(client.request({ method, route: hooks }));
    expect(error).toBeInstanceOf(UnreachableError);
    expect(error.message).toBe(
      `${method} ${own.base}/repos/{}/hooks was answered with a redirect to ${new URL(target(other, own), own.base).origin}, which gitlink does not follow.`,
    );
    expect(error.message + client.lines.join()).not.toContain(canary);
    expect(other.seen).toEqual([]);
    expect(own.seen).toHaveLength(1);
  });

  it.each(['', 'javascript:alert(1)', 'data:application/json,{}', 'file:///etc/passwd', 'http://[', '::'])(
    'a location that leads nowhere: %j',
    async (location) => {
      const own = await startRedirecting(302, () => location);
      const error = await catchError(createTestClient(own.base).request({ method: 'POST', route: hooks }));
      expect(error).toBeInstanceOf(UnreachableError);
      expect(error.message).toContain('was answered with a redirect to');
      expect(own.seen).toHaveLength(1);
    },
  );
});

describe('E7: redirects inside the origin', () => {
  it.each(statuses)('GET follows %d, absolute and relative, with its credential', async (status) => {
    for (const absolute of [true, false]) {
      const own = await startRedirecting(status, (server) => `${absolute ? server.base : ''}/new?a=b`);
      const client = createTestClient(own.base);
      expect((await client.request({ method: 'GET', route: hooks, query: { page: 1 } })).body).toEqual({
        moved: true,
      });
      expect(own.seen.map(({ url }) => url)).toEqual(['/repos/acme/hooks?page=1', '/new?a=b']);
      expect(own.seen[1]?.headers.authorization).toBe(`Bearer ${canary}`);
    }
  });

  it.each(
    statuses.flatMap((status) =>
      (['POST', 'PUT', 'PATCH', 'DELETE'] as const).map((method) => [method, status] as const),
    ),
  )('%s does not follow %d', async (method, status) => {
    const own = await startRedirecting(status, () => '/new');
    const error = await catchError(createTestClient(own.base).request({ method, route: hooks }));
    expect(error.message).toContain(`a redirect to ${own.base}`);
    expect(own.seen).toHaveLength(1);
  });

  it('three are followed, not four', async () => {
    let left = 3;
    const own = await startServer((_request, response) => {
      if (left-- > 0) response.writeHead(302, { location: '/again' }).end();
      else sendJson(response, 'there');
    });
    const client = createTestClient(own.base);
    expect((await client.request({ method: 'GET', route: hooks })).body).toBe('there');
    left = 4;
    const error = await catchError(client.request({ method: 'GET', route: hooks }));
    expect(error.message).toContain('too many redirects');
    expect(own.seen).toHaveLength(4 + 4);
  });

  it.each(statuses)('an accepted %d is the answer, wherever it leads', async (status) => {
    const own = await startRedirecting(status, () => 'https://elsewhere.example/new');
    const answer = await createTestClient(own.base).request({
      method: 'PATCH',
      route: hooks,
      accept: [status],
    });
    expect(answer).toMatchObject({ status, body: null });
    expect(answer.headers.get('location')).toBe('https://elsewhere.example/new');
  });

  it('nobody waits for the body of one', async () => {
    let isClosed = false;
    const own = await startServer((_request, response) => {
      response.writeHead(302, { location: '/new' }).on('close', () => (isClosed = true));
      response.write('endless');
    });
    await createTestClient(own.base).request({ method: 'GET', route: hooks, accept: [302] });
    await expect.poll(() => isClosed).toBe(true);
  });

  it('304 is a plain answer', async () => {
    const own = await startServer((_request, response) => response.writeHead(304).end());
    expect(
      await createTestClient(own.base).request({ method: 'GET', route: hooks, accept: [304] }),
    ).toMatchObject({
      body: null,
    });
  });
});
