import { createServer, request as requestHttp } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface ProxyServerOptions {
  /** Default 0: the kernel chooses. */
  readonly port?: number;
  /**
   * Who stands for which host, as `{ 'codeberg.org:443': { port: 4711 } }` on 127.0.0.1: a cloud host under its own
   * name is a local TLS simulator. Other targets than these and loopback ones are refused.
   */
  readonly hosts?: Readonly<Record<string, { readonly port: number }>>;
  /** With it every request must carry these as Basic, or gets a 407. */
  readonly credentials?: { readonly username: string; readonly password: string };
}

/** One request to the proxy. */
interface ProxiedRequest {
  /** `connect` for a tunnel, `forward` for plain http in absolute form. */
  readonly kind: 'connect' | 'forward';
  /** As `host:port`. */
  readonly target: string;
  /** What the proxy itself answered: 200 for a tunnel or a forwarded request, 407, 403 or 502. */
  readonly status: number;
}

export interface ProxyServer {
  /** For `HTTPS_PROXY` and `HTTP_PROXY`; without credentials. */
  readonly url: string;
  readonly requests: readonly ProxiedRequest[];
  /** Ends everything at once, open tunnels too. */
  close(): Promise<void>;
}

/** Headers that concern one connection only (RFC 9110 §7.6.1), and the one meant for the proxy. */
const hopHeaders = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'te',
  'upgrade',
  'proxy-authorization',
]);

/** Starts a forward proxy on 127.0.0.1: CONNECT tunnels and absolute-form requests. It never leaves the machine. */
export async function startProxyServer(options: ProxyServerOptions = {}): Promise<ProxyServer> {
  const requests: ProxiedRequest[] = [];
  const tunnels = new Set<Duplex>();
  const server = createServer(onForward);
  server.on('connect', onConnect);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    close: async () => {
      for (const tunnel of tunnels) tunnel.destroy();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };

  function onConnect(incoming: IncomingMessage, client: Duplex, head: Buffer): void {
    const target = incoming.url ?? '';
    const answer = (status: number, reason: string, headers = '') => {
      requests.push({ kind: 'connect', target, status });
      client.write(`HTTP/1.1 ${status} ${reason}\r\n${headers}\r\n`);
    };
    track(client);
    if (!isAllowed(incoming)) {
      answer(
        407,
        'Proxy Authentication Required',
        'Proxy-Authenticate: Basic realm="proxy"\r\nContent-Length: 0\r\n',
      );
      client.end();
      return;
    }
    const localPort = findLocalPort(target);
    if (localPort === undefined) {
      answer(403, 'Forbidden', 'Content-Length: 0\r\n');
      client.end();
      return;
    }
    const upstream = connect(localPort, '127.0.0.1');
    track(upstream);
    upstream.once('connect', () => {
      answer(200, 'Connection Established');
      if (head.length > 0) upstream.write(head);
      upstream.pipe(client).pipe(upstream);
    });
    upstream.once('error', () => {
      if (upstream.readyState !== 'open') answer(502, 'Bad Gateway', 'Content-Length: 0\r\n');
      client.end();
    });
    client.once('close', () => upstream.destroy());
    upstream.once('close', () => client.end());
  }

  function onForward(incoming: IncomingMessage, response: ServerResponse): void {
    const url = URL.canParse(incoming.url ?? '') ? new URL(incoming.url ?? '') : undefined;
    const target = url ? `${url.hostname}:${url.port || 80}` : '';
    const refuse = (status: number, headers: Record<string, string> = {}) => {
      requests.push({ kind: 'forward', target, status });
      response.writeHead(status, { 'content-type': 'text/plain', ...headers });
      response.end(`The proxy says ${status}.\n`);
    };
    if (!isAllowed(incoming)) return refuse(407, { 'proxy-authenticate': 'Basic realm="proxy"' });
    const localPort = findLocalPort(target);
    if (!url || localPort === undefined) return refuse(403);
    const upstream = requestHttp({
      host: '127.0.0.1',
      port: localPort,
      method: incoming.method ?? 'GET',
      path: `${url.pathname}${url.search}`,
      headers: Object.fromEntries(
        Object.entries({ ...incoming.headers, host: url.host }).filter(([name]) => !hopHeaders.has(name)),
      ),
    });
    upstream.once('error', () => (response.headersSent ? response.destroy() : refuse(502)));
    upstream.once('response', (answer) => {
      requests.push({ kind: 'forward', target, status: 200 });
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    incoming.pipe(upstream);
  }

  function isAllowed(incoming: IncomingMessage): boolean {
    if (!options.credentials) return true;
    const { username, password } = options.credentials;
    const expected = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    return incoming.headers['proxy-authorization'] === expected;
  }

  function findLocalPort(target: string): number | undefined {
    const mapped = options.hosts?.[target.toLowerCase()];
    if (mapped) return mapped.port;
    const match = /^(127\.0\.0\.1|localhost|\[::1\]):(\d+)$/.exec(target);
    return match ? Number(match[2]) : undefined;
  }

  function track(socket: Duplex | Socket): void {
    tunnels.add(socket);
    socket.once('close', () => tunnels.delete(socket));
    socket.on('error', () => socket.destroy());
  }
}
