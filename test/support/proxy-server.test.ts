import { request as requestHttp } from 'node:http';
import { connect as connectTls } from 'node:tls';
import type { Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { startGiteaSimulator, type GiteaSimulatorOptions } from '../simulators/gitea/server.ts';
import { createCertificateAuthority } from './certificate-authority.ts';
import { startProxyServer, type ProxyServer, type ProxyServerOptions } from './proxy-server.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function startProxy(options: ProxyServerOptions): Promise<ProxyServer> {
  const proxy = await startProxyServer(options);
  closing.unshift(() => proxy.close());
  return proxy;
}

async function startSimulator(options: GiteaSimulatorOptions = {}) {
  const simulator = await startGiteaSimulator(options);
  closing.push(() => simulator.close());
  return simulator;
}

/** Opens a tunnel; gives its socket, or the status that the proxy refused with. */
function openTunnel(proxy: ProxyServer, target: string, authorization?: string): Promise<Socket | number> {
  return new Promise((resolve, reject) => {
    const headers = authorization === undefined ? {} : { 'proxy-authorization': authorization };
    const request = requestHttp(proxy.url, { method: 'CONNECT', path: target, headers });
    request.once('error', reject);
    request.once('connect', (response, socket) => {
      if (response.statusCode === 200) return resolve(socket);
      socket.destroy();
      resolve(response.statusCode ?? 0);
    });
    request.end();
  });
}

function readAll(socket: NodeJS.ReadWriteStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.once('error', reject);
    socket.once('end', () => resolve(text));
  });
}

test('a cloud host under its own name, with its own certificate, is a local simulator', async () => {
  const authority = createCertificateAuthority('simulated authority');
  const tls = authority.issue({ names: ['codeberg.org'] });
  const simulator = await startSimulator({ flavour: 'forgejo', tls, rootUrl: 'https://codeberg.org' });
  const proxy = await startProxy({ hosts: { 'codeberg.org:443': { port: simulator.port } } });
  const tunnel = await openTunnel(proxy, 'codeberg.org:443');
  if (typeof tunnel === 'number') throw new Error(`refused with ${tunnel}`);
  const secure = connectTls({ socket: tunnel, servername: 'codeberg.org', ca: authority.certificate });
  secure.write(
    'GET /api/v1/repos/ada/site HTTP/1.1\r\nHost: codeberg.org\r\nUser-Agent: gitlink/0\r\nConnection: close\r\n\r\n',
  );
  expect(await readAll(secure)).toContain('"clone_url":"https://codeberg.org/ada/site.git"');
  expect(proxy.requests).toEqual([{ kind: 'connect', target: 'codeberg.org:443', status: 200 }]);
  simulator.assertNoFailures();
});

test('a proxy that asks who one is answers 407 until it is told', async () => {
  const simulator = await startSimulator();
  const proxy = await startProxy({ credentials: { username: 'ada', password: 'canary' } });
  const target = `127.0.0.1:${simulator.port}`;
  expect(await openTunnel(proxy, target)).toBe(407);
  expect(await openTunnel(proxy, target, `Basic ${btoa('ada:wrong')}`)).toBe(407);
  expect(await openTunnel(proxy, target, `Basic ${btoa('ada:canary')}`)).toBeTypeOf('object');
  expect(proxy.requests.map((request) => request.status)).toEqual([407, 407, 200]);
});

test('targets that are neither mapped nor on this machine are refused, dead ones are 502', async () => {
  const proxy = await startProxy({ hosts: { 'dead.test:443': { port: 9 } } });
  expect(await openTunnel(proxy, 'github.com:443')).toBe(403);
  expect(await openTunnel(proxy, 'dead.test:443')).toBe(502);
});

test('plain http goes through in absolute form, without the headers that are the proxy’s', async () => {
  const simulator = await startSimulator();
  const proxy = await startProxy({ hosts: { 'git.acme.test:80': { port: simulator.port } } });
  const response = await new Promise<string>((resolve, reject) => {
    const request = requestHttp(proxy.url, {
      path: 'http://git.acme.test/api/v1/version',
      headers: { 'user-agent': 'gitlink/0', host: 'git.acme.test', 'proxy-authorization': 'Basic canary' },
    });
    request.once('error', reject);
    request.once('response', (answer) => resolve(readAll(answer as never)));
    request.end();
  });
  expect(JSON.parse(response)).toEqual({ version: '1.27.0' });
  expect(proxy.requests).toEqual([{ kind: 'forward', target: 'git.acme.test:80', status: 200 }]);
  expect(simulator.requests[0]?.headers).not.toHaveProperty('proxy-authorization');
});
