import { execFileSync } from 'node:child_process';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, expect, onTestFinished, test } from 'vitest';
import { judgeCallback, type ExpectedCallback } from '../../src/oauth/callback.ts';
import { startLoopbackServer, type LoopbackServer } from '../../src/oauth/loopback-server.ts';
import { systemRandom } from '../../src/runtime.ts';
import { catchError } from '../http/http-kit.ts';
import { sendRaw } from './raw-client.ts';

const state = 'canary-state-0123456789012345678901234567890';
const expected: ExpectedCallback = {
  state,
  issuer: null,
  sendsIssuer: false,
  authorizationEndpoint: 'https://git.example/authorize',
};
const authorizationUrl = `https://git.example/authorize?state=${state}`;

async function start(host: '127.0.0.1' | 'localhost' = '127.0.0.1') {
  const server = await startLoopbackServer({ host, path: '/callback', port: null }, systemRandom);
  onTestFinished(() => server.close());
  const startUrl = server.begin(authorizationUrl, (parameters) => judgeCallback(parameters, expected));
  return { server, startUrl, port: Number(new URL(server.redirectUri).port) };
}

/** Whether a callback has settled by now. */
function isSettled(server: LoopbackServer): Promise<boolean> {
  const later = new Promise<boolean>((resolve) => setImmediate(() => resolve(false)));
  return Promise.race([server.callback.then(() => true), later]);
}

describe('the local server of a sign-in', () => {
  test.each([
    '',
    '?',
    '?code=a',
    '?code=a&state',
    '?code=a&state=',
    '?code=a&state=%20',
    '?code=a&state=null',
    '?code=a&state=undefined',
    `?code=a&state=${state.slice(0, -1)}`,
    `?code=a&state=${state}x`,
    `?code=a&state=${state.toUpperCase()}`,
    `?code=a&state=${state}%00`,
    `?code=a&state=%20${state}`,
    `?code=a&STATE=${state}`,
    `?code=a&state[]=${state}`,
    `?code=a&state=${state}&state=${state}`,
    `?code=a&state=${state}&state=`,
    `?code=a&state=&state=${state}`,
    `?state=${state}`,
    `?code=&state=${state}`,
    `?code=a&code=b&state=${state}`,
    `?code=a&code=a&state=${state}`,
    `?code=&code=a&state=${state}`,
    `?code=a&error=access_denied&state=${state}`,
    `?error=&state=${state}`,
    `?error=a&error=b&state=${state}`,
    `?error=access_denied`,
    `?error=access_denied&state=wrong`,
    `?error=access_denied&error_description=a&error_description=b&state=${state}`,
    `?code=a&state=${state}&iss=https://git.example&iss=https://git.example`,
    `?code=a&state=${state}&response=eyJ`,
    `?code=a&state=${state}&id_token=eyJ`,
    `?access_token=a&token_type=bearer&state=${state}`,
    `#code=a&state=${state}`,
    `?code=a;state=${state}`,
    `?code%3Da%26state%3D${state}`,
  ])('A3: the callback %j is refused and the wait goes on', async (query) => {
    const { server, port } = await start();
    expect(await sendRaw(port, `/callback${query}`)).toMatch(/^HTTP\/1.1 4\d\d /);
    expect(await isSettled(server)).toBe(false);
    expect(await sendRaw(port, `/callback?code=a&state=${state}`)).toMatch(/^HTTP\/1.1 303 /);
    expect(await isSettled(server)).toBe(true);
  });

  test('A5: it listens on 127.0.0.1 alone, at the port of the redirect', async () => {
    const { server, port } = await start();
    expect(server.redirectUri).toBe(`http://127.0.0.1:${port}/callback`);
    expect(listListeners(port)).toEqual(['127.0.0.1']);
    const others = Object.values(networkInterfaces()).flatMap((addresses) =>
      (addresses ?? []).filter(({ internal, family }) => !internal && family === 'IPv4'),
    );
    for (const { address } of others) {
      const error = await catchError(sendRaw(port, '/callback', address));
      expect(error).toMatchObject({ code: 'ECONNREFUSED' });
    }
  });

  test('A5: for localhost it listens on both loopback addresses, at one port', async ({ skip }) => {
    if (!(await hasIpv6())) skip('this machine has no ::1');
    const { server, port } = await start('localhost');
    expect(server.redirectUri).toBe(`http://localhost:${port}/callback`);
    expect(listListeners(port)).toEqual(['127.0.0.1', '::1']);
    const request = `GET /callback?code=a&state=${state} HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`;
    expect(await sendRaw(port, request, '::1')).toMatch(/^HTTP\/1.1 303 /);
    await server.close();
    expect(listListeners(port)).toEqual([]);
  });

  /** Every cell differs from the genuine one in one way. */
  const cells: readonly (readonly [string, (port: number) => string])[] = [
    ...['HEAD', 'OPTIONS', 'POST', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'PROPFIND'].map(
      (method) => [`method ${method}`, (port: number) => toRequest({ port, method })] as const,
    ),
    ...[
      '/Callback',
      '/callback/',
      '//callback',
      '/./callback',
      '/x/../callback',
      '/%63allback',
      '/callback%2f',
      '/callback;a',
      '/callback.html',
      '/done',
      '/start',
      '/start/',
      '*',
    ].map((path) => [`path ${path}`, (port: number) => toRequest({ port, path })] as const),
    ['absolute form', (port) => toRequest({ port, path: `http://127.0.0.1:${port}/callback` })],
    ['absolute form of another host', (port) => toRequest({ port, path: 'http://evil.example/callback' })],
    ...['evil.example', 'localhost', '127.0.0.01', '127.0.0.2', '[::1]', '127.0.0.1.evil.example', ''].map(
      (host) => [`Host ${host}`, (port: number) => toRequest({ port, host: `${host}:${port}` })] as const,
    ),
    ['Host of another port', (port) => toRequest({ port, host: '127.0.0.1:1' })],
    ['Host without its port', (port) => toRequest({ port, host: '127.0.0.1' })],
    ['no Host', (port) => toRequest({ port }).replace(/Host: .*\r\n/, '')],
    ['two Hosts', (port) => toRequest({ port, more: [`Host: 127.0.0.1:${port}`] })],
    ['a body', (port) => `${toRequest({ port, more: ['Content-Length: 1'] })}x`],
    ['a chunked body', (port) => `${toRequest({ port, more: ['Transfer-Encoding: chunked'] })}0\r\n\r\n`],
    ['65 headers', (port) => toRequest({ port, more: Array.from({ length: 64 }, (_, i) => `X-${i}: a`) })],
    ['a head of 16 KiB', (port) => toRequest({ port, more: [`X: ${'a'.repeat(16_384)}`] })],
    ...['image', 'iframe', 'script', 'empty', 'object', 'embed', 'style'].map(
      (kind) =>
        [
          `A8: Sec-Fetch-Dest ${kind}`,
          (port: number) => toRequest({ port, more: [`Sec-Fetch-Dest: ${kind}`] }),
        ] as const,
    ),
    ...['cors', 'no-cors', 'same-origin', 'websocket'].map(
      (mode) =>
        [
          `A8: Sec-Fetch-Mode ${mode}`,
          (port: number) => toRequest({ port, more: [`Sec-Fetch-Mode: ${mode}`] }),
        ] as const,
    ),
  ];

  test.each(cells)('A7: %s is refused with a 4xx and without CORS headers', async (_, toCell) => {
    const { server, port } = await start();
    const answer = await sendRaw(port, toCell(port));
    expect(answer).toMatch(/^HTTP\/1.1 4\d\d /);
    expect(answer.toLowerCase()).not.toContain('access-control');
    expect(await isSettled(server)).toBe(false);
  });

  test.each([
    ['the genuine one', []],
    [
      'A8: what browsers send',
      ['Sec-Fetch-Dest: document', 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-Site: cross-site'],
    ],
    ['64 headers', Array.from({ length: 63 }, (_, index) => `X-${index}: a`)],
    ['a code of 8,000 characters', []],
  ])('A7: %s is accepted', async (name, more) => {
    const { server, port } = await start();
    const code = name.includes('8,000') ? 'c'.repeat(8_000) : 'canary-code';
    const answer = await sendRaw(port, toRequest({ port, more, code }));
    expect(answer).toMatch(/^HTTP\/1.1 303 .*\r\n/);
    expect(answer).toMatch(/\r\nLocation: \/done\r\n/);
    expect(await server.callback).toMatchObject({ outcome: 'code' });
  });

  test('A11: every answer has the headers of a page that nothing can use', async () => {
    const { server, startUrl, port } = await start();
    const answers = [
      await sendRaw(port, '/nothing'),
      await sendRaw(port, '/callback?code=a&state=wrong'),
      await sendRaw(port, new URL(startUrl).pathname),
      await sendRaw(port, `/callback?code=a&state=${state}`),
    ];
    const last = sendRaw(port, '/done');
    await server.callback;
    await new Promise((resolve) => setImmediate(resolve));
    await server.finish({ kind: 'done', title: 'Signed in', text: 'Well done.' });
    answers.push(await last);
    expect(answers.map((answer) => answer.slice(9, 12))).toEqual(['404', '400', '303', '303', '200']);
    for (const answer of answers) {
      const [head = '', body = ''] = answer.split('\r\n\r\n');
      expect(head).toContain('Cache-Control: no-store');
      expect(head).toContain('Referrer-Policy: no-referrer');
      expect(head).toContain(
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      );
      expect(head).toContain('X-Content-Type-Options: nosniff');
      expect(head).toContain('Connection: close');
      expect(head.toLowerCase()).not.toMatch(/access-control|set-cookie|server:|x-powered-by/);
      expect(body).not.toMatch(/<script|src=|href=|url\(|@import/);
      expect(body).not.toContain(state);
    }
  });

  test('A11: texts of others cannot leave their place in the page', async () => {
    const { server, port } = await start();
    await sendRaw(port, `/callback?code=a&state=${state}`);
    const last = sendRaw(port, '/done');
    await server.finish({
      kind: 'failed',
      title: '</title><script>',
      text: `"'><img src=x onerror=alert(1)>&amp;`,
    });
    const page = await last;
    expect(page).not.toMatch(/<script|<img/);
    expect(page).toContain('&#34;&#39;&#62;&#60;img src=x onerror=alert(1)&#62;&#38;amp;');
  });

  test('A4: silent connections are cut when there are too many, the genuine one comes through', async () => {
    const { server, port } = await start();
    const { connect } = await import('node:net');
    const sockets = Array.from({ length: 300 }, () => connect({ port, host: '127.0.0.1' }));
    onTestFinished(() => sockets.forEach((socket) => socket.destroy()));
    let cut = 0;
    const enough = new Promise<void>((resolve) => {
      for (const socket of sockets) {
        socket.on('error', () => undefined);
        socket.resume().on('close', () => {
          cut += 1;
          if (cut === 300 - 64) resolve();
        });
      }
    });
    await enough;
    expect(await sendRaw(port, `/callback?code=a&state=${state}`)).toMatch(/^HTTP\/1.1 303 /);
    expect(await isSettled(server)).toBe(true);
  });

  test('A5: a port that is free on one address only is not used for localhost', async ({ skip }) => {
    if (!(await hasIpv6())) skip('this machine has no ::1');
    const blocker = createServer();
    const port = await new Promise<number>((resolve) =>
      blocker.listen(0, '::1', () => resolve((blocker.address() as { port: number }).port)),
    );
    onTestFinished(() => void blocker.close());
    const redirect = { host: 'localhost', path: '/callback', port } as const;
    await expect(startLoopbackServer(redirect, systemRandom)).rejects.toMatchObject({ code: 'usage' });
    expect(listListeners(port)).toEqual(['::1']);
  });
});

function toRequest(parts: {
  readonly port: number;
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly code?: string;
  readonly more?: readonly string[];
}): string {
  const { port, method = 'GET', path = '/callback', code = 'a', more = [] } = parts;
  const target = path === '*' ? '*' : `${path}?code=${code}&state=${state}`;
  const head = [`${method} ${target} HTTP/1.1`, `Host: ${parts.host ?? `127.0.0.1:${port}`}`, ...more];
  return `${head.join('\r\n')}\r\n\r\n`;
}

/** The addresses of this machine that listen at a port, as the kernel tells. */
function listListeners(port: number): string[] {
  const lines = execFileSync('cat', ['/proc/net/tcp', '/proc/net/tcp6'], { encoding: 'utf8' }).split('\n');
  const names: Readonly<Record<string, string>> = {
    '0100007F': '127.0.0.1',
    '00000000000000000000000001000000': '::1',
  };
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  return lines.flatMap((line) => {
    const [, local = '', , kind] = line.trim().split(/\s+/);
    const [address = '', at] = local.split(':');
    return at === hexPort && kind === '0A' ? [names[address] ?? address] : [];
  });
}

function hasIpv6(): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', () => resolve(false));
    server.listen(0, '::1', () => server.close(() => resolve(true)));
  });
}
