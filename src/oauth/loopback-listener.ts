import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InternalError, UsageError } from '../errors.ts';

/** Where the browser is sent back to. */
export interface Redirect {
  readonly host: '127.0.0.1' | 'localhost';
  /** As it is registered for the client. */
  readonly path: string;
  /** The registered port where the host insists on one, else null: the kernel chooses. */
  readonly port: number | null;
}

/** How often another port is tried where a free one on 127.0.0.1 is taken on `::1`. */
const triesForPair = 10;
const absentFamily = ['EADDRNOTAVAIL', 'EAFNOSUPPORT'];

/**
 * Binds servers to the loopback addresses that a redirect can mean: 127.0.0.1, and with `localhost` also `::1` on
 * the same port (RFC 8252 §7.3, §8.3). A port is never probed and bound later, and never shared.
 *
 * @param createServer - Makes one server per address, all with the same handler.
 * @returns the servers that listen, one or two, and their port.
 * @throws UsageError when a fixed port is taken.
 */
export async function listenOnLoopback(
  createServer: () => Server,
  redirect: Redirect,
): Promise<{ readonly servers: readonly Server[]; readonly port: number }> {
  for (let tries = 1; ; tries += 1) {
    const first = await listen(createServer(), '127.0.0.1', redirect.port ?? 0);
    if ('problem' in first && !(redirect.host === 'localhost' && absentFamily.includes(first.problem))) {
      throw toListenError(first.problem, redirect.port);
    }
    if (redirect.host === '127.0.0.1' && 'server' in first)
      return { servers: [first.server], port: first.port };
    const wanted = 'server' in first ? first.port : (redirect.port ?? 0);
    const second = await listen(createServer(), '::1', wanted);
    if ('server' in second) {
      return {
        servers: 'server' in first ? [first.server, second.server] : [second.server],
        port: second.port,
      };
    }
    if ('server' in first && absentFamily.includes(second.problem))
      return { servers: [first.server], port: first.port };
    if ('server' in first) first.server.close();
    const mayRetry = second.problem === 'EADDRINUSE' && redirect.port === null && tries < triesForPair;
    if (!mayRetry) throw toListenError(second.problem, redirect.port);
  }
}

type Listening = { readonly server: Server; readonly port: number } | { readonly problem: string };

function listen(server: Server, host: string, port: number): Promise<Listening> {
  return new Promise((resolve) => {
    // Stays for as long as the server does: later faults of single connections are no reason to end.
    server.on('error', (error: NodeJS.ErrnoException) => resolve({ problem: error.code ?? 'unknown' }));
    server.listen({ host, port, exclusive: true, ipv6Only: true }, () =>
      resolve({ server, port: (server.address() as AddressInfo).port }),
    );
  });
}

function toListenError(problem: string, port: number | null): Error {
  if (port === null)
    return new InternalError(`gitlink cannot listen on this machine's own address (${problem}).`);
  const reason = problem === 'EADDRINUSE' ? 'another program uses it' : problem;
  return new UsageError(`The browser is to come back to port ${port} of this machine, but ${reason}.`, {
    hint: 'End that program, or register another port at the host and name it with --callback-port; or link with --method token, or device where the host has it.',
  });
}
