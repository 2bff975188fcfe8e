import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { createHostClient, type HostClientOptions } from '../../src/http/create-host-client.ts';
import type { HostClient } from '../../src/http/host-client.ts';
import { systemRandom, type Clock } from '../../src/runtime.ts';
import { Secret } from '../../src/secret.ts';

export const canary = 'canary-token-0123456789';

interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface TestServer {
  readonly base: string;
  readonly port: number;
  readonly seen: SeenRequest[];
}

type Handler = (request: SeenRequest, response: ServerResponse, index: number) => void;

/** Starts a server on a free port of the given loopback address; it ends with the test. */
export async function startServer(handler: Handler, address = '127.0.0.1'): Promise<TestServer> {
  const seen: SeenRequest[] = [];
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const { method = '', url = '', headers } = incoming;
      const request = { method, url, headers, body: Buffer.concat(chunks).toString() };
      seen.push(request);
      handler(request, response, seen.length - 1);
    });
  });
  const port = await listen(server, address);
  return { base: `http://${address}:${port}`, port, seen };
}

/** Listens until the test ends; connections that are still open then are cut. */
export async function listen(server: Server, address = '127.0.0.1'): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

export function sendJson(
  response: ServerResponse,
  body: unknown,
  status = 200,
  headers: Record<string, string> = {},
) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

export interface VirtualClock extends Clock {
  /** The waits that were asked for, in milliseconds. */
  readonly waits: number[];
  /** Lets time pass. */
  advance(durationMs: number): void;
}

/**
 * A clock that moves only by its waits (`flows`), or only when told to.
 */
export function createVirtualClock(flows = true, startedAt = Date.UTC(2026, 10, 20)): VirtualClock {
  let elapsedMs = 0;
  const waits: number[] = [];
  const sleepers = new Set<() => void>();
  const advance = (durationMs: number) => {
    elapsedMs += durationMs;
    for (const wake of sleepers) wake();
  };
  return {
    waits,
    advance,
    now: () => startedAt + elapsedMs,
    monotonic: () => elapsedMs,
    async sleep(durationMs, signal) {
      signal?.throwIfAborted();
      waits.push(durationMs);
      const dueMs = elapsedMs + durationMs;
      await new Promise<void>((resolve, reject) => {
        const wake = () => {
          if (elapsedMs < dueMs) return;
          sleepers.delete(wake);
          resolve();
        };
        sleepers.add(wake);
        signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        if (flows) setImmediate(() => advance(Math.max(0, dueMs - elapsedMs)));
      });
    },
  };
}

/** Jitter at its most. */
const fullJitter = { ...systemRandom, fraction: () => 1 };

export function createTestClient(
  base: string,
  options: Partial<HostClientOptions> = {},
): HostClient & { readonly lines: string[] } {
  const lines: string[] = [];
  const client = createHostClient({
    base,
    fetch: globalThis.fetch,
    clock: createVirtualClock(),
    random: fullJitter,
    signal: new AbortController().signal,
    userAgent: 'gitlink-test',
    authorize: () => Promise.resolve({ scheme: 'Bearer', secret: new Secret(canary) }),
    trace: (line) => lines.push(line),
    ...options,
  });
  return { ...client, lines };
}

/** The error that a promise ends with. */
export async function catchError(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('It was expected to fail with an error.');
}
