import { request as requestHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** The names that Services has, for a certificate and for a proxy. */
export function listCloudHosts(organizations: readonly { readonly name: string }[]): readonly string[] {
  return [
    'dev.azure.com',
    'vssps.dev.azure.com',
    'app.vssps.visualstudio.com',
    'login.microsoftonline.com',
    ...organizations.map(({ name }) => `${name.toLowerCase()}.visualstudio.com`),
  ];
}

/** Where what a host has lies below the one origin of the simulator; null for what no host has. */
export function toInnerPath(host: string, path: string): string | null {
  const name = host.replace(/:\d+$/, '').toLowerCase();
  const organization = /^([^.]+)\.visualstudio\.com$/.exec(name)?.[1];
  if (organization !== undefined) {
    return `/${organization}${path.replace(/^\/DefaultCollection(?=\/|\?|$)/i, '')}`;
  }
  switch (name) {
    case 'dev.azure.com':
      return /^\/(vssps|app-vssps|login)(\/|\?|$)/.test(path) ? null : path;
    case 'vssps.dev.azure.com':
      return `/vssps${path}`;
    case 'app.vssps.visualstudio.com':
      return `/app-vssps${path}`;
    case 'login.microsoftonline.com':
      return `/login${path}`;
    default:
      return null;
  }
}

export interface Front {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Stands before a simulator as all the hosts of Services, by https on 127.0.0.1.
 *
 * @param report - Gets what was asked of a host that has no such address.
 */
export async function startFront(
  tls: { readonly key: string; readonly cert: string },
  innerPort: () => number,
  report: (problem: string) => void,
  port = 0,
): Promise<Front> {
  const server = createServer(tls, (incoming, response) => {
    const { host = '' } = incoming.headers;
    const path = toInnerPath(host, incoming.url ?? '/');
    if (path !== null) return forward(incoming, response, innerPort(), path);
    report(`${incoming.method} ${incoming.url}: sent to ${host}, which has no such address`);
    response.writeHead(404).end();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Passes on everything as it is, also a connection that is cut. */
function forward(incoming: IncomingMessage, response: ServerResponse, port: number, path: string): void {
  const { method = 'GET', headers } = incoming;
  const inner = requestHttp({ host: '127.0.0.1', port, method, path, headers, agent: false });
  inner.once('error', () => incoming.socket.destroy());
  inner.once('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
    answer.once('error', () => incoming.socket.destroy());
    answer.pipe(response);
  });
  response.once('close', () => inner.destroy());
  incoming.pipe(inner);
}
