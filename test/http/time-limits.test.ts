import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { UnreachableError } from '../../src/errors.ts';
import type { HttpMethod } from '../../src/http/host-client.ts';
import { route } from '../../src/http/route.ts';
import { systemClock, systemRandom } from '../../src/runtime.ts';
import { catchError, createTestClient, listen, startServer } from './http-kit.ts';

const hooks = route`/repos/${'acme'}/hooks`;
const limits = { firstByteMs: 150, totalMs: 300, deadlineMs: 120_000 };

async function ask(base: string, method: HttpMethod = 'POST') {
  const startedAt = performance.now();
  const error = await catchError(createTestClient(base, { limits }).request({ method, route: hooks }));
  expect(error).toBeInstanceOf(UnreachableError);
  return { message: error.message, durationMs: performance.now() - startedAt };
}

/** A listening socket whose owner sleeps and whose queue is full: the kernel drops what else comes. */
async function openBlackHole(): Promise<number> {
  const script =
    "const s = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(s.address().port))";
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(chunk.toString());
  child.kill('SIGSTOP');
  const fillers = [1, 2, 3].map(() => connect(port, '127.0.0.1').on('error', () => undefined));
  onTestFinished(() => fillers.forEach((socket) => socket.destroy()));
  await once(fillers[0] as NonNullable<(typeof fillers)[0]>, 'connect');
  return port;
}

describe('F1: time limits', () => {
  it('a black hole', async () => {
    const port = await openBlackHole();
    const { message, durationMs } = await ask(`http://127.0.0.1:${port}`);
    expect(message).toBe('127.0.0.1 did not answer within 0.2 s.');
    expect(durationMs).toBeLessThan(5_000);
  });

  it('accepting and silence, down to the socket', async () => {
    let isClosed = false;
    const port = await listen(createServer((socket) => socket.on('close', () => (isClosed = true)).resume()));
    const { message } = await ask(`http://127.0.0.1:${port}`);
    expect(message).toBe('127.0.0.1 did not answer within 0.2 s.');
    await expect.poll(() => isClosed).toBe(true);
  });

  it('a body that stalls', async () => {
    const server = await startServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write('[');
    });
    expect((await ask(server.base)).message).toBe('127.0.0.1 did not finish its answer within 0.3 s.');
  });

  it('a slow drip', async () => {
    const server = await startServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const drip = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(drip));
    });
    const { message, durationMs } = await ask(server.base);
    expect(message).toBe('127.0.0.1 did not finish its answer within 0.3 s.');
    expect(durationMs).toBeLessThan(5_000);
  });

  it('a dripping head', async () => {
    const port = await listen(
      createServer((socket) => {
        socket.write('HTTP/1.1 200 OK\r\n');
        const drip = setInterval(() => socket.write('x: y\r\n'), 20);
        socket.on('close', () => clearInterval(drip));
      }),
    );
    expect((await ask(`http://127.0.0.1:${port}`)).message).toBe('127.0.0.1 did not answer within 0.2 s.');
  });

  it('the deadline covers all tries', async () => {
    const server = await startServer(() => undefined);
    const random = { ...systemRandom, fraction: () => 0 };
    const client = createTestClient(server.base, {
      clock: systemClock,
      limits: { firstByteMs: 200 },
      random,
    });
    const error = await catchError(client.request({ method: 'GET', route: hooks, deadlineMs: 500 }));
    expect(error).toBeInstanceOf(UnreachableError);
    expect(server.seen.length).toBeLessThanOrEqual(3);
  });

  it('the deadline cuts a try short', async () => {
    const server = await startServer(() => undefined);
    const client = createTestClient(server.base, { clock: systemClock });
    const error = await catchError(client.request({ method: 'GET', route: hooks, deadlineMs: 300 }));
    expect(error.message).toBe('127.0.0.1 did not answer within 0.3 s.');
  });

  it('the deadline cuts an answer short', async () => {
    const server = await startServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write('[');
    });
    const client = createTestClient(server.base, { clock: systemClock });
    const error = await catchError(client.request({ method: 'GET', route: hooks, deadlineMs: 300 }));
    expect(error.message).toBe('127.0.0.1 did not finish its answer within 0.3 s.');
  });

  it('a silent host is asked five times where that is safe', async () => {
    const server = await startServer(() => undefined);
    await ask(server.base, 'GET');
    expect(server.seen).toHaveLength(5);
  });
});
