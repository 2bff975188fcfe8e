import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createFaultPlan, createRateLimiter, createSeededRandom } from './faults.ts';
import type { Fault, FaultPlan, RateLimit } from './faults.ts';
import { createRouter, parseAuthorization } from './routes.ts';
import type { Answer, PlainAnswer, Route, SentAuthorization, SimulatorRequest } from './routes.ts';

/** One request as tests see it afterwards. Credentials are kept only as the kind and name of the token. */
interface RecordedRequest {
  readonly method: string;
  /** Encoded, below the base path. */
  readonly path: string;
  /** The route that answered, as its template; `null` for none. */
  readonly template: string | null;
  /** A parameter sent several times has its values joined by commas. */
  readonly query: Readonly<Record<string, string>>;
  /** Without those that carry credentials. */
  readonly headers: Readonly<Record<string, string>>;
  readonly authorization: {
    readonly scheme: SentAuthorization['scheme'];
    readonly username: string | null;
    /** The simulator's name for the token, `null` for a secret it does not know. */
    readonly tokenId: string | null;
  } | null;
  readonly body: unknown;
  /** When it arrived, in milliseconds since the simulator started. */
  readonly at: number;
  /** `null` while unanswered or when the connection was cut before the handler ran. */
  status: number | null;
  /** The fault that it met, `rate-limit`, or `null`. */
  fault: Fault['kind'] | 'rate-limit' | null;
}

export interface SimulatorServerOptions {
  readonly routes: readonly Route[];
  /** Below this path everything lives, as `/gitea`. Default none. */
  readonly basePath?: string;
  /** Default 0: the kernel chooses. */
  readonly port?: number;
  /** PEM. With it the server speaks https. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** How long each answer takes. Default 0; can be changed later. */
  readonly latencyMs?: number;
  readonly rateLimit?: RateLimit;
  /** For the faults with a probability. Default 1. */
  readonly seed?: number;
  /** Looks at every request that has a route; what it returns are failures of the test. */
  readonly check?: (request: SimulatorRequest, route: Route) => readonly string[];
  /** Names the token of a request for the log. */
  readonly identifyToken?: (authorization: SentAuthorization) => string | null;
  /** The product's own page for a path it does not have. Default: a small JSON. */
  readonly notFound?: () => PlainAnswer;
}

export interface SimulatorServer {
  /** With the base path, without a trailing slash. */
  readonly url: string;
  readonly port: number;
  readonly requests: readonly RecordedRequest[];
  readonly faults: FaultPlan;
  /** What went wrong so far; {@link SimulatorServer.assertNoFailures} throws if there is any. */
  readonly failures: readonly string[];
  /** The most requests that were under way at the same time. */
  peakConcurrency(): number;
  setLatency(latencyMs: number): void;
  setRateLimit(limit: RateLimit | undefined): void;
  /** Forgets the requests and the peak, so that a test can look at one phase. */
  clearRequests(): void;
  recordFailure(message: string): void;
  /** @throws Error listing unknown routes and whatever else a real server would not have accepted. */
  assertNoFailures(): void;
  /** Ends everything at once, open connections too. */
  close(): Promise<void>;
}

const secretHeaders = new Set([
  'authorization',
  'cookie',
  'private-token',
  'job-token',
  'x-gitea-otp',
  'x-forgejo-otp',
]);

/**
 * How gitlink asks an unknown host what it is. Every simulator gets the questions meant for the others, answers
 * "not found", and tolerates them only without a credential (E4).
 */
const recognitionProbe =
  /\/(api\/v1\/version|api\/forgejo\/v1\/version|api\/v3(\/meta)?|api\/v4\/(version|metadata)|2\.0\/hook_events|rest\/api\/(1\.0|latest)\/application-properties|_apis(\/\w+)*|\.well-known\/openid-configuration)\/?$/;

/**
 * Starts a simulator on 127.0.0.1: the part that all providers share. Routes, log, faults, limits, latency; a
 * request that no route claims is a failure of the test.
 */
export async function startSimulatorServer(options: SimulatorServerOptions): Promise<SimulatorServer> {
  const basePath = options.basePath ?? '';
  const findRoute = createRouter(options.routes);
  const faults = createFaultPlan(createSeededRandom(options.seed ?? 1));
  const timers = new Set<NodeJS.Timeout>();
  const startedAt = performance.now();
  const now = () => performance.now() - startedAt;
  let latencyMs = options.latencyMs ?? 0;
  let limiter = options.rateLimit && createRateLimiter(options.rateLimit, now);
  const requests: RecordedRequest[] = [];
  const failures: string[] = [];
  let underWay = 0;
  let peakConcurrency = 0;

  const server = options.tls ? createHttpsServer(options.tls, onRequest) : createHttpServer(onRequest);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;

  return {
    url: `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}${basePath}`,
    port,
    requests,
    faults,
    failures,
    peakConcurrency: () => peakConcurrency,
    setLatency: (value) => {
      latencyMs = value;
    },
    setRateLimit: (limit) => {
      limiter = limit && createRateLimiter(limit, now);
    },
    clearRequests: () => {
      requests.length = 0;
      peakConcurrency = 0;
    },
    recordFailure: (message) => void failures.push(message),
    assertNoFailures: () => {
      if (failures.length === 0) return;
      const found = failures.splice(0);
      throw new Error(`The simulator got what a real server would refuse:\n- ${found.join('\n- ')}`);
    },
    close: async () => {
      for (const timer of timers) clearTimeout(timer);
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };

  function onRequest(incoming: IncomingMessage, response: ServerResponse): void {
    underWay += 1;
    peakConcurrency = Math.max(peakConcurrency, underWay);
    response.once('close', () => (underWay -= 1));
    serve(incoming, response).catch((error: unknown) => {
      if (incoming.socket.destroyed) return;
      failures.push(`${incoming.method} ${incoming.url}: the simulator itself failed: ${describe(error)}`);
      if (response.headersSent) response.destroy();
      else send(response, { status: 500, text: 'The simulator itself failed.\n' });
    });
  }

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = incoming.method ?? '';
    const target = new URL(incoming.url ?? '/', 'http://simulator');
    const isInside = target.pathname === basePath || target.pathname.startsWith(`${basePath}/`);
    const path = isInside ? target.pathname.slice(basePath.length) || '/' : target.pathname;
    const found = isInside ? findRoute(method, path) : undefined;
    const match = typeof found === 'object' ? found : undefined;
    const authorization = parseAuthorization(incoming.headers.authorization);
    const at = now();
    const body = match?.route.stream ? undefined : await readBody(incoming);
    const record: RecordedRequest = {
      method,
      path,
      template: match?.route.template ?? null,
      query: joinQuery(target.searchParams),
      headers: pickHeaders(incoming),
      authorization: authorization && {
        scheme: authorization.scheme,
        username: authorization.scheme === 'basic' ? authorization.username : null,
        tokenId: options.identifyToken?.(authorization) ?? null,
      },
      body,
      at,
      status: null,
      fault: null,
    };
    requests.push(record);
    const recordFailure = (message: string) => failures.push(`${method} ${path}: ${message}`);

    if (!match) {
      const isProbe = method === 'GET' && recognitionProbe.test(target.pathname);
      if (!isProbe) recordFailure(found === 'wrong-method' ? 'no such method here' : 'unknown route');
      else if (authorization) recordFailure('a credential sent to a host before it was known');
      const unknown = { status: 404, json: { message: 'simulator: unknown route' } };
      const answer = isProbe ? (options.notFound?.() ?? unknown) : unknown;
      record.status = answer.status;
      return send(response, answer);
    }

    const request: SimulatorRequest = {
      method,
      path,
      query: target.searchParams,
      params: match.params,
      headers: incoming.headers,
      authorization,
      body,
      incoming,
      recordFailure,
    };
    options.check?.(request, match.route).forEach(recordFailure);

    const limited = limiter?.();
    const fault = limited ? undefined : faults.pick(method, path);
    record.fault = limited ? 'rate-limit' : (fault?.kind ?? null);
    const delayMs = latencyMs + (fault?.kind === 'slow' ? fault.delayMs : 0);
    if (delayMs > 0) await sleep(delayMs);
    if (fault?.kind === 'cut') return void incoming.socket.destroy();
    const instead = limited ?? answerInstead(fault);
    if (instead) {
      record.status = instead.status;
      return send(response, instead, method);
    }
    const answer = await match.route.handle(request);
    if (fault?.kind === 'lost') return void incoming.socket.destroy();
    if ('stream' in answer) {
      await answer.stream(response);
      record.status = response.statusCode;
      return;
    }
    record.status = answer.status;
    send(response, answer, method, fault);
  }

  function sleep(durationMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        timers.delete(timer);
        resolve();
      }, durationMs);
      timers.add(timer);
    });
  }
}

function answerInstead(fault: Fault | undefined): PlainAnswer | undefined {
  if (fault?.kind === 'answer') return fault.answer;
  if (fault?.kind !== 'html') return undefined;
  return {
    status: fault.status ?? 200,
    text: '<!DOCTYPE html><html><head><title>Making sure you are not a bot!</title></head><body></body></html>',
    contentType: 'text/html; charset=utf-8',
  };
}

function send(response: ServerResponse, answer: Answer, method = 'GET', fault?: Fault): void {
  if ('stream' in answer) throw new Error('A streamed answer needs a route with `stream`.');
  let body = answer.json === undefined ? (answer.text ?? '') : JSON.stringify(answer.json);
  const type =
    answer.json === undefined
      ? (answer.contentType ?? 'text/plain; charset=utf-8')
      : 'application/json;charset=utf-8';
  if (fault?.kind === 'broken-json') body = body.slice(0, Math.ceil(body.length / 2));
  const bytes = Buffer.from(body);
  const hasBody = bytes.length > 0;
  response.writeHead(answer.status, {
    ...(hasBody ? { 'content-type': type } : {}),
    ...(answer.status === 204 ? {} : { 'content-length': bytes.length }),
    ...answer.headers,
  });
  if (fault?.kind === 'stall') {
    response.flushHeaders();
    response.write(bytes.subarray(0, Math.floor(bytes.length / 2)));
    return;
  }
  response.end(method === 'HEAD' ? undefined : bytes);
}

async function readBody(incoming: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  if (chunks.length === 0) return undefined;
  const text = Buffer.concat(chunks).toString();
  const type = incoming.headers['content-type'] ?? '';
  if (/[/+]json\b/.test(type)) {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      return text;
    }
  }
  if (type.includes('x-www-form-urlencoded')) return joinQuery(new URLSearchParams(text));
  return text;
}

function joinQuery(query: URLSearchParams): Record<string, string> {
  return Object.fromEntries([...query.keys()].map((name) => [name, query.getAll(name).join(',')]));
}

function pickHeaders(incoming: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(incoming.headers)
      .filter(([name]) => !secretHeaders.has(name))
      .map(([name, value]) => [name, String(value)]),
  );
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
