import { connect, createServer, type Socket } from 'node:net';

/**
 * Sends one request as it stands and reads all that comes back.
 *
 * @param target - The request target, or a whole request where it holds a line break.
 */
export function sendRaw(port: number, target: string, host = '127.0.0.1'): Promise<string> {
  const request = target.includes('\n')
    ? target
    : `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect({ port, host }, () => socket.write(request));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (chunks.length > 0 || error.code !== 'ECONNREFUSED') resolve(Buffer.concat(chunks).toString());
      else reject(error);
    });
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()));
  });
}

/** Whether nothing listens on a port of the loopback address. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/**
 * Does what hostile pages and programs may do to a listener.
 *
 * @returns the connections that stay open without a whole request.
 */
export async function sendJunk(
  port: number,
  state: string,
  amount: { readonly requests: number; readonly sockets: number },
): Promise<{ close(): void }> {
  const junk = [
    '/callback',
    '/callback?code=stolen&state=',
    '/callback?code=stolen&state=wrong',
    `/callback?code=one&code=two&state=${state}`,
    `/callback?code=stolen&state=${state}&state=${state}`,
    '/done',
    '/favicon.ico',
    `OPTIONS /callback?code=a&state=${state} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`,
    `GET /callback?code=a&state=${state} HTTP/1.1\r\nHost: evil.example\r\n\r\n`,
    `POST /callback HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: 5\r\n\r\nhello`,
    'not http at all\r\n\r\n',
    `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`,
  ];
  const sockets = Array.from({ length: amount.sockets }, (_, index) => openHalf(port, index));
  for (let sent = 0; sent < amount.requests; sent += junk.length) {
    await Promise.all(junk.map((target) => sendRaw(port, target).catch(() => '')));
  }
  return { close: () => sockets.forEach((socket) => socket.destroy()) };
}

function openHalf(port: number, index: number): Socket {
  const socket = connect({ port, host: '127.0.0.1' }, () => {
    if (index % 2 === 0) socket.write('GET /callback?code=');
  });
  return socket.on('error', () => undefined);
}
