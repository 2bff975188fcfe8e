import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { createServer as createSilentServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createCertificateAuthority, createSelfSignedCertificate } from '../support/certificate-authority.ts';
import { addToken, createLinked, startGitea, usualScopes } from '../support/linked.ts';
import { startProxyServer, type ProxyServer, type ProxyServerOptions } from '../support/proxy-server.ts';
import { createSandbox, type Run, type RunOptions, type Sandbox } from '../support/sandbox.ts';

interface Failure {
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null };
}

/** Nobody waits longer for a host that cannot be reached. */
const patienceMs = 10_000;

async function findDeadPort(): Promise<number> {
  const server = createSilentServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function linkTo(sandbox: Sandbox, host: string, token: string, options: RunOptions = {}): Promise<Run> {
  return sandbox.run(['link', 'gitea', '--host', host, '--with-token', '--json'], {
    input: token,
    ...options,
  });
}

function expectUnreachable(run: Run): Failure['error'] {
  expect(run, run.stderr).toMatchObject({ exitCode: 7 });
  const { error } = run.json<Failure>();
  expect(error.code).toBe('unreachable');
  return error;
}

describe('a host that cannot be reached is exit 7, soon', () => {
  test('a dead port and a name that does not exist', async () => {
    const sandbox = createSandbox();
    const token = sandbox.guard('canary-token-for-nobody');
    const startedAt = performance.now();
    const [dead, nameless] = await Promise.all([
      linkTo(sandbox, `http://127.0.0.1:${await findDeadPort()}`, token),
      linkTo(sandbox, 'https://gitlink-test.invalid', token),
    ]);
    expect(performance.now() - startedAt).toBeLessThan(patienceMs);
    expect(expectUnreachable(dead).message).toContain('refused the connection');
    expect(expectUnreachable(nameless).message).toMatch(
      /gitlink-test\.invalid (was not found|could not be looked up)/,
    );
  });

  test.each([
    ['a web page', { kind: 'html' }, 'web page'],
    ['half of the JSON', { kind: 'broken-json' }, 'JSON'],
  ] as const)('%s in place of the answer', async (_what, fault, word) => {
    const { sandbox, gitea } = await createLinked();
    gitea.faults.add({ path: /repos/, fault });
    const error = expectUnreachable(await sandbox.run(['repos', '--json']));
    expect(error.message).toContain(word);
    expect((await sandbox.run(['list'])).stdout).toMatch(/\tok\n$/);
  });

  test('a 401 of something in between says nothing about the token; one of the host itself does', async () => {
    const { sandbox, gitea } = await createLinked();
    const remove = gitea.faults.add({ fault: { kind: 'html', status: 401 } });
    expect(expectUnreachable(await sandbox.run(['repos', '--json'])).message).toContain(
      'something is in between',
    );
    remove();
    gitea.faults.add({
      path: /repos/,
      fault: { kind: 'answer', answer: { status: 401, json: { message: 'not here' } } },
    });
    expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 4 });
    expect((await sandbox.run(['list'])).stdout).toMatch(/\tok\n$/);
  });

  test('a connection that breaks off once is no fault', async () => {
    const { sandbox, gitea } = await createLinked();
    gitea.faults.add({ path: /repos/, times: 1, fault: { kind: 'cut' } });
    expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 0 });
  });
});

describe('E8: a redirect to elsewhere is not followed, and the token goes nowhere', () => {
  test.each([301, 302, 307, 308])('%i', async (status) => {
    const seen: IncomingHttpHeaders[] = [];
    const elsewhere = createServer((request, response) => {
      seen.push(request.headers);
      response.writeHead(200, { 'content-type': 'application/json' }).end('[]');
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void elsewhere.close());
    const url = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
    const { sandbox, gitea } = await createLinked();
    gitea.faults.add({
      fault: { kind: 'answer', answer: { status, headers: { location: `${url}/api/v1/user/repos` } } },
    });
    const error = expectUnreachable(await sandbox.run(['repos', '--json']));
    expect(error.message).toContain(`a redirect to ${url}`);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 3 });
    expect(seen).toEqual([]);
  });
});

describe('F15: certificates', () => {
  test('one that signs itself is exit 7 naming the cause, and no token is sent', async () => {
    const gitea = await startGitea({ tls: createSelfSignedCertificate(['127.0.0.1']) });
    const sandbox = createSandbox();
    const error = expectUnreachable(
      await linkTo(sandbox, gitea.url, sandbox.guard('canary-token-for-nobody')),
    );
    expect(error.message).toContain('signed by itself');
    expect(error.hint).toContain('--ca-file');
    expect(gitea.requests).toEqual([]);
  });

  test('--ca-file is enough, and every later command of the link uses it', async () => {
    const authority = createCertificateAuthority('gitlink test');
    const gitea = await startGitea({ tls: authority.issue({ names: ['127.0.0.1'] }) });
    const sandbox = createSandbox();
    const caFile = join(sandbox.home, 'ca.pem');
    writeFileSync(caFile, authority.certificate);
    const token = sandbox.guard(addToken(gitea, usualScopes));
    expect(expectUnreachable(await linkTo(sandbox, gitea.url, token)).message).toContain('is not trusted');
    const args = ['link', 'gitea', '--host', gitea.url, '--with-token'];
    expect(await sandbox.run([...args, '--ca-file', caFile], { input: token })).toMatchObject({
      exitCode: 0,
    });
    const fresh = sandbox.guard(addToken(gitea, usualScopes));
    for (const [command, input] of [
      [['repos'], ''],
      [['list', '--check'], ''],
      [['relink', '--with-token', '--revoke-old'], fresh],
      [['regenerate-webhooks', '--url', 'https://ci.example/hook', '--repo', 'ada/site'], ''],
    ] as const) {
      const run = await sandbox.run(command, { input });
      expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    }
    writeFileSync(caFile, 'no certificate');
    for (const path of [caFile, join(sandbox.home, 'gone.pem')]) {
      const run = await sandbox.run([...args, '--name', 'other', '--ca-file', path, '--json'], {
        input: token,
      });
      expect(run).toMatchObject({ exitCode: 2 });
      expect(run.json<Failure>().error.message).toContain(path);
    }
    rmSync(caFile);
    expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 2 });
  });

  test('NODE_EXTRA_CA_CERTS is enough', async () => {
    const authority = createCertificateAuthority('gitlink test');
    const gitea = await startGitea({ tls: authority.issue({ names: ['127.0.0.1'] }) });
    const sandbox = createSandbox();
    const caFile = join(sandbox.home, 'ca.pem');
    writeFileSync(caFile, authority.certificate);
    const token = sandbox.guard(addToken(gitea, usualScopes));
    const run = await linkTo(sandbox, gitea.url, token, { env: { NODE_EXTRA_CA_CERTS: caFile } });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
  });

  test('NODE_TLS_REJECT_UNAUTHORIZED=0 is refused before anything is sent', async () => {
    const { sandbox, gitea, token } = await createLinked();
    gitea.clearRequests();
    const env = { NODE_TLS_REJECT_UNAUTHORIZED: '0' };
    const runs = [
      await linkTo(sandbox, gitea.url, token, { env }),
      await sandbox.run(['repos', '--json'], { env }),
      await sandbox.run(['list', '--check', '--json'], { env }),
    ];
    for (const run of runs) {
      expect(run).toMatchObject({ exitCode: 2 });
      expect(run.json<Failure>().error.message).toContain('NODE_TLS_REJECT_UNAUTHORIZED=0');
    }
    expect(gitea.requests).toEqual([]);
  });
});

describe('F14: behind a proxy', () => {
  const password = 'canary-proxy-p@ss/word';

  async function startProxy(options: ProxyServerOptions): Promise<ProxyServer> {
    const proxy = await startProxyServer(options);
    onTestFinished(() => proxy.close());
    return proxy;
  }

  test('codeberg.org by its own name: the whole life of a link, and the password is never shown', async () => {
    const authority = createCertificateAuthority('gitlink test');
    const gitea = await startGitea({
      flavour: 'forgejo',
      tls: authority.issue({ names: ['codeberg.org'] }),
      rootUrl: 'https://codeberg.org',
    });
    const proxy = await startProxy({
      hosts: { 'codeberg.org:443': { port: gitea.port } },
      credentials: { username: 'worker', password },
    });
    const sandbox = createSandbox();
    const caFile = join(sandbox.home, 'ca.pem');
    writeFileSync(caFile, authority.certificate);
    const env = {
      HTTPS_PROXY: proxy.url.replace('//', `//worker:${encodeURIComponent(sandbox.guard(password))}@`),
      NODE_EXTRA_CA_CERTS: caFile,
    };
    const token = sandbox.guard(addToken(gitea, usualScopes));
    const run = async (args: readonly string[], input = ''): Promise<Run> => {
      const result = await sandbox.run([...args, '--verbose'], { input, env });
      expect(result, result.stderr).toMatchObject({ exitCode: 0 });
      return result;
    };
    const linked = await run(['link', 'codeberg', '--with-token', '--json'], token);
    expect(linked.json()).toMatchObject({ link: { host: 'https://codeberg.org', flavour: 'forgejo' } });
    await run(['list', '--check']);
    expect((await run(['repos'])).stdout).toContain('ada/site');
    await run(['regenerate-webhooks', '--url', 'https://ci.example/hook', '--repo', 'ada/site']);
    expect(gitea.hooksOf('ada/site')).toHaveLength(1);
    await run(['unlink', '--yes', '--no-revoke']);
    expect(gitea.hooksOf('ada/site')).toEqual([]);
    expect(
      proxy.requests.every(({ target, status }) => target === 'codeberg.org:443' && status === 200),
    ).toBe(true);
  });

  test('a proxy that is down, or refuses the password, is exit 7 naming the proxy, in time', async () => {
    const sandbox = createSandbox();
    const token = sandbox.guard('canary-token-for-nobody');
    sandbox.guard(password);
    const deadPort = await findDeadPort();
    const proxy = await startProxy({ credentials: { username: 'worker', password: 'another' } });
    const withPassword = (url: string): string =>
      url.replace('//', `//worker:${encodeURIComponent(password)}@`);
    const startedAt = performance.now();
    const runs = await Promise.all(
      [`http://127.0.0.1:${deadPort}`, proxy.url].map((url) =>
        sandbox.run(['link', 'codeberg', '--with-token', '--json'], {
          input: token,
          env: { HTTPS_PROXY: withPassword(url) },
        }),
      ),
    );
    expect(performance.now() - startedAt).toBeLessThan(patienceMs);
    const [down, refused] = runs.map((run) => expectUnreachable(run).message);
    expect(down).toContain(`The proxy 127.0.0.1:${deadPort} did not connect to codeberg.org`);
    expect(refused).toContain('asks for a user name and password');
    expect(proxy.requests.every(({ status }) => status === 407)).toBe(true);
  });

  test('D10: this machine is reached directly, whatever the proxy', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox();
    const token = sandbox.guard(addToken(gitea, usualScopes));
    const proxy = await startProxy({});
    const env = { HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url };
    expect(await linkTo(sandbox, gitea.url, token, { env })).toMatchObject({ exitCode: 0 });
    expect(proxy.requests).toEqual([]);
    expect(readFileSync(join(sandbox.configDirectory, 'links.json'), 'utf8')).toContain(gitea.url);
  });
});

test('a variable that holds no proxy is exit 2, and is not repeated', async () => {
  const sandbox = createSandbox();
  const token = sandbox.guard('canary-token-for-nobody');
  for (const value of ['socks5://user:canary-pass@127.0.0.1', 'http://user:canary%pass@127.0.0.1']) {
    const env = { HTTPS_PROXY: value };
    const run = await sandbox.run(['link', 'codeberg', '--with-token', '--json'], { input: token, env });
    expect(run).toMatchObject({ exitCode: 2 });
    expect(run.stdout + run.stderr).not.toMatch(/canary.pass/);
  }
});
