import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { describe, expect, it, onTestFinished } from 'vitest';
import { UnreachableError, UsageError } from '../../src/errors.ts';
import type { Environment } from '../../src/http/proxy-choice.ts';
import { route } from '../../src/http/route.ts';
import { assertTlsIsVerified, createTransport } from '../../src/http/transport.ts';
import {
  createCertificateAuthority,
  createSelfSignedCertificate,
  type IssuedCertificate,
} from '../support/certificate-authority.ts';
import { canary, catchError, createTestClient, listen, sendJson, startServer } from './http-kit.ts';

const authority = createCertificateAuthority('gitlink test authority');
const hooks = route`/repos/${'acme'}/hooks`;
const files: Readonly<Record<string, string>> = {
  '/ca.pem': authority.certificate,
  '/other.pem': createCertificateAuthority('another authority').certificate,
  '/both.pem': `# ours\n${createCertificateAuthority('third').certificate}\n${authority.certificate}`,
  '/empty.pem': 'canary, not a certificate',
  '/broken.pem': '-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n-----END CERTIFICATE-----\n',
};

function readTestFile(path: string): Promise<string> {
  const text = files[path];
  return text === undefined ? Promise.reject(new Error('ENOENT')) : Promise.resolve(text);
}

async function createClient(base: string, env: Environment, caFile?: string) {
  const fetch = await createTransport({ env, fetch: globalThis.fetch, caFile, readFile: readTestFile });
  return createTestClient(base, { fetch });
}

async function startTls(certificate: IssuedCertificate, options: object = {}) {
  const seen: IncomingMessage[] = [];
  const server = createTlsServer({ ...certificate, ...options }, (request, response) => {
    seen.push(request);
    sendJson(response, { host: request.headers.host });
  });
  server.on('tlsClientError', () => undefined);
  return { port: await listen(server), seen };
}

/** A proxy that knows one user and sends every tunnel to one port, so that no name is ever looked up. */
async function startProxy(targetPort: number, refusal = 407) {
  const expected = `Basic ${Buffer.from('me:canary@pass').toString('base64')}`;
  const seen: IncomingMessage[] = [];
  const server = createHttpServer((request, response) => {
    seen.push(request);
    if (request.headers['proxy-authorization'] !== expected)
      return response.writeHead(407).end('<html>sign in</html>');
    return sendJson(response, { through: request.url });
  });
  server.on('connect', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    seen.push(request);
    if (request.headers['proxy-authorization'] !== expected) {
      return socket.end(`HTTP/1.1 ${refusal} No\r\nProxy-Authenticate: Basic\r\n\r\n`);
    }
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    const target = connect(targetPort, '127.0.0.1', () => target.write(head));
    socket.on('error', () => target.destroy()).on('close', () => target.destroy());
    target.on('error', () => socket.destroy()).on('close', () => socket.destroy());
    return target.pipe(socket).pipe(target);
  });
  const port = await listen(server);
  return { seen, name: `127.0.0.1:${port}`, url: `http://me:canary%40pass@127.0.0.1:${port}` };
}

async function findClosedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('F14: proxies', () => {
  it("without proxy and CA file the platform's fetch is used as it is", async () => {
    const options = { env: { NO_PROXY: 'x' }, fetch: globalThis.fetch, readFile: readTestFile };
    expect(await createTransport(options)).toBe(globalThis.fetch);
  });

  it('https goes through a tunnel; the proxy sees the name only, the host no proxy credentials', async () => {
    const host = await startTls(authority.issue({ names: ['git.acme.dev'] }));
    const proxy = await startProxy(host.port);
    const client = await createClient('https://git.acme.dev/api', { https_proxy: proxy.url }, '/ca.pem');
    const answers = await Promise.all([1, 2].map(() => client.request({ method: 'GET', route: hooks })));
    expect(answers[0]?.body).toEqual({ host: 'git.acme.dev' });
    expect(proxy.seen[0]).toMatchObject({ method: 'CONNECT', url: 'git.acme.dev:443' });
    expect(JSON.stringify(proxy.seen.map(({ headers }) => headers))).not.toContain(canary);
    expect(host.seen[0]?.url).toBe('/api/repos/acme/hooks');
    expect(host.seen[0]?.headers.authorization).toBe(`Bearer ${canary}`);
    expect(host.seen[0]?.headers['proxy-authorization']).toBeUndefined();
    expect(client.lines.join()).not.toContain('canary');
  });

  it('plain http goes to the proxy in absolute form', async () => {
    const proxy = await startProxy(0);
    const client = await createClient('http://git.acme.dev:3000', { HTTP_PROXY: proxy.url });
    const answer = await client.request({ method: 'POST', route: hooks, json: { a: 1 } });
    expect(answer.body).toEqual({ through: 'http://git.acme.dev:3000/repos/acme/hooks' });
    expect(proxy.seen[0]?.headers.host).toBe('git.acme.dev:3000');
  });

  it.each(['https://git.acme.dev', 'http://git.acme.dev'])(
    'a proxy that wants other credentials: %s',
    async (base) => {
      const proxy = await startProxy(0);
      const env = { ALL_PROXY: `http://me:canary-wrong@${proxy.name}` };
      const error = await catchError(
        (await createClient(base, env)).request({ method: 'GET', route: hooks }),
      );
      expect(error).toBeInstanceOf(UnreachableError);
      expect(error.message).toBe(
        `The proxy ${proxy.name} asks for a user name and password, or refused the given ones (407).`,
      );
    },
  );

  it('a proxy that will not connect', async () => {
    const proxy = await startProxy(0, 403);
    const client = await createClient('https://git.acme.dev', { HTTPS_PROXY: `http://${proxy.name}` });
    const error = await catchError(client.request({ method: 'GET', route: hooks }));
    expect(error.message).toBe(`The proxy ${proxy.name} did not connect to git.acme.dev: it answered 403.`);
  });

  it('a proxy that is not there', async () => {
    const port = await findClosedPort();
    const client = await createClient('https://git.acme.dev', {
      HTTPS_PROXY: `http://me:canary@127.0.0.1:${port}`,
    });
    const error = await catchError(client.request({ method: 'POST', route: hooks }));
    expect(error.message).toBe(
      `The proxy 127.0.0.1:${port} did not connect to git.acme.dev: it cannot be reached (ECONNREFUSED).`,
    );
    expect(error).toMatchObject({ code: 'unreachable', hint: expect.stringContaining('NO_PROXY') as string });
  });

  it("the host's certificate is checked through the tunnel", async () => {
    const host = await startTls(authority.issue({ names: ['evil.example'] }));
    const proxy = await startProxy(host.port);
    const client = await createClient('https://git.acme.dev', { https_proxy: proxy.url }, '/ca.pem');
    const error = await catchError(client.request({ method: 'GET', route: hooks }));
    expect(error.message).toContain(
      'The certificate of git.acme.dev is not trusted: it was made for another name',
    );
    expect(host.seen).toEqual([]);
  });

  it.each([{ NO_PROXY: 'acme.dev' }, { no_proxy: '*' }])('%j leads around it', async (exemption) => {
    const calls: unknown[] = [];
    const direct: typeof globalThis.fetch = (input) => {
      calls.push(input);
      return Promise.resolve(Response.json('direct'));
    };
    const env = { HTTPS_PROXY: 'http://127.0.0.1:1', ...exemption };
    const fetch = await createTransport({ env, fetch: direct, readFile: readTestFile });
    const client = createTestClient('https://git.acme.dev', { fetch });
    expect((await client.request({ method: 'GET', route: hooks })).body).toBe('direct');
    expect(calls).toHaveLength(1);
  });

  it('this machine is reached directly', async () => {
    const server = await startServer((_request, response) => sendJson(response, 'direct'));
    const client = await createClient(server.base, {
      ALL_PROXY: `http://127.0.0.1:${await findClosedPort()}`,
    });
    expect((await client.request({ method: 'GET', route: hooks })).body).toBe('direct');
  });
});

describe('F15: authorities', () => {
  it.each(['/ca.pem', '/both.pem'])('%s makes a private authority trusted', async (caFile) => {
    const host = await startTls(authority.issue({ names: ['127.0.0.1'] }));
    const client = await createClient(`https://127.0.0.1:${host.port}`, {}, caFile);
    expect((await client.request({ method: 'GET', route: hooks })).status).toBe(200);
  });

  it('NODE_EXTRA_CA_CERTS counts beside a CA file', async () => {
    const host = await startTls(authority.issue({ names: ['127.0.0.1'] }));
    const client = await createClient(
      `https://127.0.0.1:${host.port}`,
      { NODE_EXTRA_CA_CERTS: '/ca.pem' },
      '/other.pem',
    );
    expect((await client.request({ method: 'GET', route: hooks })).status).toBe(200);
  });

  it.each(['/missing.pem', '/empty.pem', '/broken.pem'])(
    '%s is refused before anything is sent',
    async (caFile) => {
      const error = await catchError(createClient('https://127.0.0.1', {}, caFile));
      expect(error).toBeInstanceOf(UsageError);
      expect(error.message).toBe(`The CA file ${caFile} cannot be read or holds no PEM certificate.`);
    },
  );

  it('an intermediate must be sent by the server', async () => {
    const intermediate = authority.issueIntermediate('gitlink test intermediate');
    const issued = intermediate.issue({ names: ['127.0.0.1'] });
    const bare = await startTls(issued);
    const chained = await startTls({ ...issued, cert: issued.cert + intermediate.certificate });
    const ask = async (port: number) =>
      (await createClient(`https://127.0.0.1:${port}`, {}, '/ca.pem')).request({
        method: 'GET',
        route: hooks,
      });
    expect((await ask(chained.port)).status).toBe(200);
    expect((await catchError(ask(bare.port))).message).toContain('leaves out an intermediate');
  });
});

describe('E14: TLS fails closed', () => {
  const dayMs = 86_400_000;
  const valid = authority.issue({ names: ['127.0.0.1'] });
  const past = { notBefore: new Date(Date.now() - 9 * dayMs), notAfter: new Date(Date.now() - dayMs) };
  const future = { notBefore: new Date(Date.now() + dayMs), notAfter: new Date(Date.now() + 9 * dayMs) };
  const old = { minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' };

  it.each<readonly [string, IssuedCertificate, object, string]>([
    ['expired', authority.issue({ names: ['127.0.0.1'], ...past }), {}, 'it has expired (CERT_HAS_EXPIRED)'],
    [
      'not valid yet',
      authority.issue({ names: ['127.0.0.1'], ...future }),
      {},
      'it is not valid yet (CERT_NOT_YET_VALID)',
    ],
    ['another name', authority.issue({ names: ['git.acme.dev'] }), {}, 'it was made for another name'],
    [
      'self-signed',
      createSelfSignedCertificate(['127.0.0.1']),
      {},
      'it is signed by itself (DEPTH_ZERO_SELF_SIGNED_CERT)',
    ],
    [
      'unknown authority',
      createCertificateAuthority('evil').issue({ names: ['127.0.0.1'] }),
      {},
      'it comes from an authority that this machine does not know',
    ],
    ['TLS 1.0', valid, { ...old, maxVersion: 'TLSv1' }, 'No secure connection to 127.0.0.1'],
    ['TLS 1.1', valid, { ...old, maxVersion: 'TLSv1.1' }, 'No secure connection to 127.0.0.1'],
  ])('%s', async (_name, certificate, options, message) => {
    const host = await startTls(certificate, options);
    const client = await createClient(`https://127.0.0.1:${host.port}`, {}, '/ca.pem');
    const error = await catchError(client.request({ method: 'GET', route: hooks }));
    expect(error).toBeInstanceOf(UnreachableError);
    expect(error.message).toContain(message);
    expect(host.seen).toEqual([]);
  });

  it("the platform's own fetch fails closed in the same words", async () => {
    const host = await startTls(valid);
    const client = createTestClient(`https://127.0.0.1:${host.port}`);
    const error = await catchError(client.request({ method: 'GET', route: hooks }));
    expect(error.message).toContain('The certificate of 127.0.0.1 is not trusted');
    expect(error).toMatchObject({ hint: expect.stringContaining('--ca-file') as string });
  });

  it('a port that speaks plain http', async () => {
    const server = await startServer((_request, response) => sendJson(response, {}));
    const client = createTestClient(`https://127.0.0.1:${server.port}`);
    const error = await catchError(client.request({ method: 'GET', route: hooks }));
    expect(error.message).toContain(`No secure connection to 127.0.0.1 on port ${server.port} could be made`);
    expect(error).toMatchObject({
      hint: `Check that the port speaks https, with TLS 1.2 or newer. If it speaks http only: --host http://127.0.0.1:${server.port}`,
    });
  });

  it('NODE_TLS_REJECT_UNAUTHORIZED=0 is refused', async () => {
    const env = { NODE_TLS_REJECT_UNAUTHORIZED: '0' };
    expect(() => assertTlsIsVerified(env)).toThrow(UsageError);
    expect(await catchError(createClient('https://127.0.0.1', env))).toBeInstanceOf(UsageError);
    expect(() => assertTlsIsVerified({ NODE_TLS_REJECT_UNAUTHORIZED: '1' })).not.toThrow();
    expect(() => assertTlsIsVerified({})).not.toThrow();
  });
});

it('F1, F14: NODE_EXTRA_CA_CERTS works through a proxy, and pooled sockets do not delay the exit', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gitlink-transport-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const entry = `
    import { createTransport } from './src/http/transport.ts';
    const fetch = await createTransport({ env: process.env, fetch: globalThis.fetch, readFile: () => Promise.reject() });
    console.log(await (await fetch('https://git.acme.dev/')).text());
    process.once('beforeExit', () => console.log(performance.now() - done < 1000 ? 'prompt' : 'late'));
    const done = performance.now();`;
  await build({
    stdin: { contents: entry, resolveDir: process.cwd(), loader: 'ts' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    outfile: join(folder, 'ask.mjs'),
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    logLevel: 'error',
  });
  await writeFile(join(folder, 'ca.pem'), authority.certificate);
  const host = await startTls(authority.issue({ names: ['git.acme.dev'] }), { keepAliveTimeout: 60_000 });
  const proxy = await startProxy(host.port);
  const child = spawn(process.execPath, [join(folder, 'ask.mjs')], {
    env: { HTTPS_PROXY: proxy.url, NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [code] = (await once(child, 'close')) as [number];
  expect(Buffer.concat(chunks).toString()).toBe('{"host":"git.acme.dev"}\nprompt\n');
  expect(code).toBe(0);
  expect(await readFile(join(folder, 'ca.pem'), 'utf8')).toContain('BEGIN CERTIFICATE');
});
