import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Random } from '../runtime.ts';
import type { Callback } from './callback.ts';
import { pageHeaders, renderPage, type FinalPage } from './final-page.ts';
import { formHeaders, renderForm, type StartForm } from './start-form.ts';
import { listenOnLoopback, type Redirect } from './loopback-listener.ts';
import { findRefusal, headLimitBytes, headerCountLimit } from './loopback-request.ts';

/** A callback that belongs to the flow. */
export type SettlingCallback = Exclude<Callback, { readonly outcome: 'wrong' }>;

/** The local end of one sign-in. */
export interface LoopbackServer {
  readonly redirectUri: string;
  /** The first callback that belongs to the flow; later ones change nothing. */
  readonly callback: Promise<SettlingCallback>;
  /**
   * Begins the flow.
   *
   * @param target - Where the browser goes, or the form that it sends there.
   * @param judge - Tells this flow's callback from everything else.
   * @returns the address to open, good for one use, so that the state is in no process's arguments.
   */
  begin(target: string | StartForm, judge: (parameters: URLSearchParams) => Callback): string;
  /** Shows the last page to the browser that waits for it, or sends it on, if one came, and closes. */
  finish(end: FinalPage | Onward): Promise<void>;
  /** Closes every socket. Nothing listens when it returns. */
  close(): Promise<void>;
}

/** Where the browser goes on once everything here is done. */
export interface Onward {
  readonly location: string;
}

const donePath = '/done';
/** Junk must not use up this machine: beyond this the connection that has been silent for longest is cut. */
const socketLimit = 64;
/** How long a connection may take to send its request. */
const requestLimitMs = 10_000;
/** How long the browser may take to fetch the last page after the end. */
const lastPageLimitMs = 750;

const strangerPage: FinalPage = {
  kind: 'refused',
  title: 'This is not the answer that gitlink waits for',
  text: 'Nothing was changed. Go back to the terminal; if gitlink has ended there, run the command again.',
};

/**
 * Starts the server to which the browser comes back (RFC 8252 §7.3). It answers every other request with an
 * error and goes on waiting; one callback settles it.
 *
 * @throws UsageError when the fixed port is taken.
 */
export async function startLoopbackServer(redirect: Redirect, random: Random): Promise<LoopbackServer> {
  const sockets = new Set<Socket>();
  /** Browsers that came back and wait for the last page. */
  const waiting = new Set<ServerResponse>();
  const callback = createDeferred<SettlingCallback>();
  const lastPage = createDeferred<FinalPage | Onward>();
  /** Everybody who waited for the last page has it. */
  const shown = createDeferred<void>();
  let flow: { readonly start: string; readonly target: string | StartForm; readonly judge: Judge } | null =
    null;
  let isStarted = false;
  let isSettled = false;
  let isShown = false;

  const { servers, port } = await listenOnLoopback(createHttpServer, redirect);
  const authority = `${redirect.host}:${port}`;

  function createHttpServer(): Server {
    const server = createServer(
      {
        maxHeaderSize: headLimitBytes,
        headersTimeout: requestLimitMs,
        requestTimeout: requestLimitMs,
        connectionsCheckingInterval: 1_000,
      },
      answer,
    );
    // One more than allowed, so that too many can be seen: the parser drops the rest.
    server.maxHeadersCount = headerCountLimit + 1;
    server.on('connection', admit);
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      const status =
        error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
      if (socket.writable) socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      else socket.destroy();
    });
    return server;
  }

  /** Sets are in order of insertion, so the first is the oldest. */
  function admit(socket: Socket): void {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.setTimeout(requestLimitMs, () => socket.destroy());
    if (sockets.size <= socketLimit) return;
    const expecting = new Set([...waiting].map((response) => response.socket));
    const oldest = [...sockets].find((candidate) => candidate !== socket && !expecting.has(candidate));
    oldest?.destroy();
  }

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const refusal = findRefusal(request, { authority });
    if (refusal !== null) return send(response, refusal, strangerPage);
    const [, path = '', query = ''] = /^([^?]*)\??(.*)$/.exec(request.url ?? '') ?? [];
    if (flow !== null && path === flow.start && query === '' && !isStarted) {
      isStarted = true;
      return typeof flow.target === 'string'
        ? redirectTo(response, flow.target)
        : sendForm(response, flow.target);
    }
    if (flow !== null && path === redirect.path) return takeCallback(response, flow.judge, query);
    if (path === donePath && isSettled && waiting.size < socketLimit / 2)
      return void showLastPage(request.socket, response);
    send(response, 404, strangerPage);
  }

  function takeCallback(response: ServerResponse, judge: Judge, query: string): void {
    const judged = judge(new URLSearchParams(query));
    if (judged.outcome === 'wrong') return send(response, 400, strangerPage);
    isSettled = true;
    callback.resolve(judged);
    // Away from the address with the code, so that neither address bar nor history keep it (RFC 9700 §4.3).
    redirectTo(response, donePath);
  }

  /** Held until the end is known: the page never claims what is not yet true. */
  async function showLastPage(socket: Socket, response: ServerResponse): Promise<void> {
    socket.setTimeout(0);
    waiting.add(response);
    socket.on('close', () => {
      waiting.delete(response);
      isShown ||= response.writableFinished;
      if (isShown && waiting.size === 0) shown.resolve();
    });
    const end = await lastPage.promise;
    if ('location' in end) redirectTo(response, end.location);
    else send(response, 200, end);
  }

  async function close(): Promise<void> {
    const closed = servers.map((server) => new Promise((resolve) => server.close(resolve)));
    for (const socket of sockets) socket.destroy();
    await Promise.all(closed);
  }

  return {
    redirectUri: `http://${authority}${redirect.path}`,
    callback: callback.promise,
    begin(target, judge) {
      const start = `/start/${random.bytes(32).toString('base64url')}`;
      flow = { start, target, judge };
      return `http://${authority}${start}`;
    },
    async finish(end) {
      lastPage.resolve(end);
      if (isSettled) await within(lastPageLimitMs, shown.promise);
      await close();
    },
    close,
  };
}

type Judge = (parameters: URLSearchParams) => Callback;

function send(response: ServerResponse, status: number, page: FinalPage): void {
  const body = renderPage(page);
  response.writeHead(status, {
    ...pageHeaders,
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    ...(status === 405 ? { Allow: 'GET' } : {}),
  });
  response.end(body);
}

function sendForm(response: ServerResponse, form: StartForm): void {
  const body = renderForm(form);
  response.writeHead(200, {
    ...formHeaders(form),
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
  });
  response.end(body);
}

/** 303 makes every client go on with a GET; a 307 would send a form along (RFC 9700 §4.12). */
function redirectTo(response: ServerResponse, location: string): void {
  response.writeHead(303, { ...pageHeaders, Location: location, 'Content-Length': 0 }).end();
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

function createDeferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
}

/** Real time on purpose: sockets live in it even where a test owns the clock. */
async function within(limitMs: number, promise: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, limitMs)));
  await Promise.race([promise, limit]);
  clearTimeout(timer);
}
