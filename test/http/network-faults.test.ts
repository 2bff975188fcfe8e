import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { UnreachableError } from '../../src/errors.ts';
import { route } from '../../src/http/route.ts';
import { catchError, createTestClient, createVirtualClock, sendJson, startServer } from './http-kit.ts';

const hooks = route`/repos/${'acme'}/hooks`;

function fakeFault(code: string, syscall: string): TypeError {
  const cause = Object.assign(new Error(`${syscall} ${code}`), { code, syscall });
  return new TypeError('fetch failed', { cause });
}

/** A platform that fails the given number of times before it lets requests through. */
function createFailingFetch(fault: TypeError, times: number) {
  const state = { calls: 0 };
  const fetch: typeof globalThis.fetch = (...call) => {
    state.calls += 1;
    return state.calls <= times ? Promise.reject(fault) : globalThis.fetch(...call);
  };
  return { fetch, state };
}

async function findClosedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('F2: hosts that cannot be reached at all', () => {
  it.each(['GET', 'POST'] as const)('%s to a closed port is tried twice, quickly', async (method) => {
    const port = await findClosedPort();
    const clock = createVirtualClock();
    const client = createTestClient(`http://127.0.0.1:${port}`, { clock });
    const error = await catchError(client.request({ method, route: hooks }));
    expect(error).toBeInstanceOf(UnreachableError);
    expect(error.message).toBe(`127.0.0.1 refused the connection on port ${port} (ECONNREFUSED).`);
    expect(clock.waits).toEqual([1_000]);
    expect(client.lines.filter((line) => line.startsWith('>'))).toHaveLength(2);
  });

  it.each([
    ['ENOTFOUND', 'getaddrinfo'],
    ['UND_ERR_CONNECT_TIMEOUT', ''],
    ['EHOSTUNREACH', 'connect'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', ''],
  ])('%s is tried twice, and a POST succeeds when it has passed', async (code, syscall) => {
    const server = await startServer((_request, response) => sendJson(response, 'there'));
    const failing = createFailingFetch(fakeFault(code, syscall), Infinity);
    await catchError(
      createTestClient(server.base, { fetch: failing.fetch }).request({ method: 'GET', route: hooks }),
    );
    expect(failing.state.calls).toBe(2);

    const passing = createFailingFetch(fakeFault(code, syscall), 1);
    const client = createTestClient(server.base, { fetch: passing.fetch });
    expect((await client.request({ method: 'POST', route: hooks })).body).toBe('there');
    expect(server.seen).toHaveLength(1);
  });

  it('a POST whose connection broke is not sent again', async () => {
    const failing = createFailingFetch(fakeFault('ECONNRESET', 'read'), 1);
    const client = createTestClient('http://127.0.0.1:9', { fetch: failing.fetch });
    const error = await catchError(client.request({ method: 'POST', route: hooks }));
    expect(error.message).toBe('The connection to 127.0.0.1 broke off (ECONNRESET).');
    expect(failing.state.calls).toBe(1);
  });
});
