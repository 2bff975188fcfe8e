import { createServer } from 'node:net';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { UnreachableError } from '../../src/errors.ts';
import { route } from '../../src/http/route.ts';
import { canary, catchError, createTestClient, listen, startServer } from './http-kit.ts';

const hooks = route`/repos/${'acme'}/hooks`;
const mebibyte = 1_048_576;
const json = { 'content-type': 'application/json' };

describe('E10: answers that are too much', () => {
  const blanks = Buffer.alloc(200 * mebibyte, ' ');
  const bombs = {
    gzip: gzipSync(blanks, { level: 1 }),
    br: brotliCompressSync(Buffer.alloc(64 * mebibyte), { params: { 1: 1 } }),
  };

  it.each(['gzip', 'br'] as const)('a %s bomb is stopped by its decoded size', async (encoding) => {
    const server = await startServer((_request, response) =>
      response.writeHead(200, { ...json, 'content-encoding': encoding }).end(bombs[encoding]),
    );
    const before = process.memoryUsage().rss;
    const error = await catchError(createTestClient(server.base).request({ method: 'GET', route: hooks }));
    expect(error).toBeInstanceOf(UnreachableError);
    expect(error.message).toBe(
      `${server.base} answered with more than 10 MiB, which gitlink does not accept.`,
    );
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * mebibyte);
    expect(server.seen).toHaveLength(1);
  });

  it('a stream without end is cut', async () => {
    let closed = false;
    const server = await startServer((_request, response) => {
      response.writeHead(200, json).on('close', () => (closed = true));
      const chunk = Buffer.alloc(mebibyte, ' ');
      const pour = () => {
        while (!closed && response.write(chunk));
        if (!closed) response.once('drain', pour);
      };
      pour();
    });
    const error = await catchError(createTestClient(server.base).request({ method: 'GET', route: hooks }));
    expect(error.message).toContain('more than 10 MiB');
    await expect.poll(() => closed).toBe(true);
  });

  it('the limit is exact and an option', async () => {
    const server = await startServer((_request, response) =>
      response.writeHead(200, json).end(`"${'a'.repeat(98)}"`),
    );
    const ask = (bodyBytes: number) =>
      createTestClient(server.base, { limits: { bodyBytes } }).request({ method: 'GET', route: hooks });
    expect((await ask(100)).body).toHaveLength(98);
    expect(await catchError(ask(99))).toBeInstanceOf(UnreachableError);
  });

  it('a long error answer is refused too', async () => {
    const server = await startServer((_request, response) =>
      response.writeHead(404, json).end(' '.repeat(200)),
    );
    const client = createTestClient(server.base, { limits: { bodyBytes: 100 } });
    expect(await catchError(client.request({ method: 'GET', route: hooks }))).toBeInstanceOf(
      UnreachableError,
    );
  });

  it('more than 100 headers', async () => {
    let isClosed = false;
    const server = await startServer((_request, response) => {
      for (let index = 0; index < 101; index += 1) response.setHeader(`x-${index}`, canary);
      response.on('close', () => (isClosed = true)).write('never ends');
    });
    const error = await catchError(createTestClient(server.base).request({ method: 'GET', route: hooks }));
    expect(error.message).toBe(
      `${server.base} answered with more than 100 headers, which gitlink does not accept.`,
    );
    await expect.poll(() => isClosed).toBe(true);
  });

  it('a header that never ends', async () => {
    const server = createServer((socket) =>
      socket.end(`HTTP/1.1 200 OK\r\nx-a: ${canary.repeat(5_000)}\r\n\r\n`),
    );
    const port = await listen(server);
    const error = await catchError(
      createTestClient(`http://127.0.0.1:${port}`).request({ method: 'GET', route: hooks }),
    );
    expect(error).toBeInstanceOf(UnreachableError);
    expect(error.message).not.toContain(canary);
  });

  it('nesting', async () => {
    const server = await startServer((_request, response) =>
      response.writeHead(200, json).end('['.repeat(9 * mebibyte)),
    );
    const error = await catchError(createTestClient(server.base).request({ method: 'GET', route: hooks }));
    expect(error.message).toBe(`GET ${server.base}/repos/{}/hooks was answered with data nested too deeply.`);
  });
});

describe('E10: answers that are no JSON', () => {
  it.each([
    ['text/html', 'was answered with a web page instead of data'],
    ['text/html; charset=utf-8', 'was answered with a web page instead of data'],
    ['application/xhtml+xml', 'was answered with a web page instead of data'],
    ['text/plain', 'was answered with text/plain instead of JSON'],
    ['application/jsonp', 'was answered with application/jsonp instead of JSON'],
    ['text/json', 'was answered with text/json instead of JSON'],
    ['', 'was answered with data of no stated type instead of JSON'],
  ])('%j', async (type, message) => {
    const server = await startServer((_request, response) => {
      response
        .writeHead(200, type === '' ? {} : { 'content-type': type })
        .end(`<title>Sign in</title>{"a":"${canary}"}`);
    });
    const error = await catchError(createTestClient(server.base).request({ method: 'GET', route: hooks }));
    expect(error).toBeInstanceOf(UnreachableError);
    expect(error.message).toContain(`GET ${server.base}/repos/{}/hooks ${message}`);
    expect(server.seen).toHaveLength(1);
  });

  it.each([`{"secret":"${canary}"`, `{'${canary}'}`, canary, `[1,"${canary}\u0000"]`, `{"a":1}${canary}`])(
    'D2: broken JSON is never quoted: %j',
    async (body) => {
      const server = await startServer((_request, response) => response.writeHead(200, json).end(body));
      const error = await catchError(createTestClient(server.base).request({ method: 'GET', route: hooks }));
      expect(error).toBeInstanceOf(UnreachableError);
      expect(error.message).toBe(`GET ${server.base}/repos/{}/hooks was answered with broken JSON.`);
      expect(error.cause).toBeUndefined();
    },
  );

  it('E11: prototypes stay clean', async () => {
    const server = await startServer((_request, response) =>
      response
        .writeHead(200, json)
        .end('{"__proto__":{"admin":true},"list":[{"constructor":{"prototype":{"admin":1}}}]}'),
    );
    const { body } = await createTestClient(server.base).request({ method: 'GET', route: hooks });
    expect(Object.getPrototypeOf(body)).toBeNull();
    expect(JSON.stringify(body)).toBe('{"list":[{}]}');
    expect('admin' in {}).toBe(false);
  });

  it('something that is no HTTP', async () => {
    const port = await listen(createServer((socket) => socket.end(`SSH-2.0-${canary}\r\n`)));
    const error = await catchError(
      createTestClient(`http://127.0.0.1:${port}`).request({ method: 'GET', route: hooks }),
    );
    expect(error).toBeInstanceOf(UnreachableError);
    expect(error.message).toMatch(/^The connection to 127\.0\.0\.1 broke off \(HPE_\w+\)\.$/);
  });
});
