import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { GiteaSimulator } from '../simulators/gitea/server.ts';
import { addToken, createLinked, startGitea, usualScopes } from '../support/linked.ts';
import { createSandbox, type Run, type Sandbox } from '../support/sandbox.ts';

interface Failure {
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null };
}

/** The failure must be one JSON document with three fields, and the same words for people. */
function expectFailure(run: Run, exitCode: number, code: string): Failure['error'] {
  expect(run, run.stderr).toMatchObject({ exitCode });
  const document = run.json<Failure>();
  expect(Object.keys(document)).toEqual(['error']);
  expect(Object.keys(document.error)).toEqual(['code', 'message', 'hint']);
  expect(document.error.code).toBe(code);
  expect(run.stderr).toContain(`gitlink: ${document.error.message}\n`);
  return document.error;
}

/** Waits until the simulator has a request that it does not answer. */
async function untilAsked(gitea: GiteaSimulator): Promise<void> {
  while (gitea.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('F16: every exit code, each with one JSON document', () => {
  test('1: a host whose description of things cannot be understood', async () => {
    const { sandbox, gitea } = await createLinked();
    gitea.faults.add({
      path: /repos/,
      fault: { kind: 'answer', answer: { status: 200, json: [{ id: 'canary' }] } },
    });
    const error = expectFailure(await sandbox.run(['repos', '--json']), 1, 'internal');
    expect(error.message).toContain('description of repositories cannot be read (field 0.');
    expect(error.message).not.toContain('canary');
  });

  test('E12: an id that is no safe integer is refused', async () => {
    const { sandbox, gitea } = await createLinked();
    for (const id of [2 ** 53, -1e300, 1.5, null, '7']) {
      const remove = gitea.faults.add({
        path: /token/,
        fault: {
          kind: 'answer',
          answer: { status: 200, json: { id, scopes: [], user: { id: 1, login: 'ada' } } },
        },
      });
      const input = sandbox.guard(addToken(gitea, usualScopes));
      expectFailure(await sandbox.run(['relink', '--with-token', '--json'], { input }), 1, 'internal');
      remove();
    }
  });

  test('2: an answer is needed and there is no terminal', async () => {
    const sandbox = createSandbox();
    for (const args of [
      ['link'],
      ['link', 'gitea'],
      ['link', 'sourceforge'],
      ['link', 'gitea', '--host', 'a b'],
    ]) {
      expectFailure(await sandbox.run([...args, '--json']), 2, 'usage');
    }
    const gitea = await startGitea();
    const error = expectFailure(
      await sandbox.run(['link', 'gitea', '--host', gitea.url, '--json']),
      2,
      'usage',
    );
    expect(error.hint).toContain('--with-token');
  });

  test('4: a token that the host does not know', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox();
    const args = ['link', 'gitea', '--host', gitea.url, '--with-token', '--json'];
    const input = sandbox.guard('canary'.repeat(7));
    expectFailure(await sandbox.run(args, { input }), 4, 'auth');
  });

  test('5: no such link', async () => {
    expectFailure(await createSandbox().run(['show', 'nothing', '--json']), 5, 'notFound');
  });

  test('6: what the host refuses, and what cannot be done', async () => {
    const { sandbox, gitea } = await createLinked({ scopes: ['read:user'] });
    expectFailure(await sandbox.run(['repos', '--json']), 6, 'forbidden');
    const args = ['link', 'gitea', '--host', gitea.url, '--method', 'device', '--json'];
    const error = expectFailure(await sandbox.run(args), 6, 'unsupported');
    expect(error.hint).toContain('--method token');
  });

  test('7: a rate limit that lasts longer than anybody would wait', async () => {
    const { sandbox, gitea } = await createLinked();
    gitea.faults.add({
      fault: { kind: 'answer', answer: { status: 429, headers: { 'retry-after': '7200' } } },
    });
    expectFailure(await sandbox.run(['repos', '--json']), 7, 'rateLimited');
  });

  test('8: the secret store: a wrong passphrase, none, a damaged file, files in the way', async () => {
    const { sandbox } = await createLinked();
    const wrong = { GITLINK_PASSPHRASE: 'not the right one' };
    expectFailure(await sandbox.run(['repos', '--json'], { env: wrong }), 8, 'storage');
    const none = { GITLINK_PASSPHRASE: undefined };
    const missing = await sandbox.run(['repos', '--json'], { env: none });
    expect([2, 8]).toContain(missing.exitCode);
    writeFileSync(join(sandbox.configDirectory, 'secrets.vault'), 'canary');
    expectFailure(await sandbox.run(['repos', '--json']), 8, 'storage');
    rmSync(join(sandbox.configDirectory, 'links.json'));
    mkdirSync(join(sandbox.configDirectory, 'links.json'));
    expectFailure(await sandbox.run(['list', '--json']), 8, 'storage');
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s: exit %i at once, also while a host does not answer', async (signal, exitCode) => {
    const { sandbox, gitea } = await createLinked();
    gitea.clearRequests();
    gitea.setLatency(20_000);
    const startedAt = performance.now();
    const run = await sandbox.run(['repos', '--json'], {
      onStart: (child) => void untilAsked(gitea).then(() => child.kill(signal)),
    });
    expectFailure(run, exitCode, 'cancelled');
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });
});

describe('tokens that can be none', () => {
  const longToken = 'c'.repeat(20_000);
  test.each([
    ['nothing', ''],
    ['white space', ' \n\t\n'],
    ['two words', 'canary-one canary-two'],
    ['two lines', 'canary-one\ncanary-two\n'],
    ['letters outside ASCII', 'canary-tökén-value'],
    ['a control character', 'canary\u0007token-value'],
    ['far too much', longToken],
    ['a flood', 'c'.repeat(100_000)],
  ])('%s: exit 2, never sent, never repeated', async (_what, input) => {
    const gitea = await startGitea();
    const sandbox = createSandbox();
    const run = await sandbox.run(['link', 'gitea', '--host', gitea.url, '--with-token', '--json'], {
      input,
    });
    expectFailure(run, 2, 'usage');
    expect(run.stdout + run.stderr).not.toMatch(/canary|cccc/);
    expect(gitea.requests.map(({ authorization }) => authorization)).toEqual([null]);
  });

  test('a token in a file or a variable, with the line end of any system', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox();
    const token = sandbox.guard(addToken(gitea, usualScopes));
    const run = await sandbox.run(['link', 'gitea', '--host', gitea.url, '--token-env', 'CI_TOKEN'], {
      env: { CI_TOKEN: `${token}\r\n` },
    });
    expect(run).toMatchObject({ exitCode: 0 });
  });
});

describe('E4: an address is asked what it is before a token goes there', () => {
  async function startOther(
    status: number,
    type: string,
    body: string,
  ): Promise<[string, IncomingHttpHeaders[]]> {
    const seen: IncomingHttpHeaders[] = [];
    const server = createServer((request, response) => {
      seen.push(request.headers);
      response.writeHead(status, { 'content-type': type }).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    return [`http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen];
  }

  async function linkTo(sandbox: Sandbox, url: string): Promise<Run> {
    const input = sandbox.guard('canary-token-for-nobody');
    return sandbox.run(['link', 'gitea', '--host', url, '--with-token', '--json'], { input });
  }

  test.each([
    ['another product', 404, 'application/json', '{"message":"404 Not Found"}', 2, 'usage'],
    [
      'another product that wants a sign-in',
      401,
      'application/json',
      '{"message":"401 Unauthorized"}',
      2,
      'usage',
    ],
    ['a web site', 404, 'text/html', '<html></html>', 2, 'usage'],
    ['other JSON', 200, 'application/json', '{"version":7}', 2, 'usage'],
    ['a web page for everything', 200, 'text/html', '<html></html>', 7, 'unreachable'],
    ['broken JSON', 200, 'application/json', '{"version":"1.', 7, 'unreachable'],
  ] as const)('%s gets no token', async (_what, status, type, body, exitCode, code) => {
    const [url, seen] = await startOther(status, type, body);
    const sandbox = createSandbox();
    expectFailure(await linkTo(sandbox, url), exitCode, code);
    expect(seen.length).toBeGreaterThan(0);
    for (const headers of seen) expect(headers).not.toHaveProperty('authorization');
    expect((await sandbox.run(['list'])).stdout).toBe('');
  });
});

test('D3: a token in the place of something else is not echoed', async () => {
  const sandbox = createSandbox();
  const token = 'canary0123456789abcdef0123456789abcdef01';
  for (const args of [
    ['link', token],
    ['show', token],
    ['link', 'gitea', `-t${token}`],
    ['link', 'gitea', '--method', token],
  ]) {
    const run = await sandbox.run([...args, '--json']);
    expect(run.exitCode).not.toBe(0);
    expect(run.stdout + run.stderr).not.toContain(token);
  }
});

test('flags without a command, and output that cannot be written', async () => {
  const sandbox = createSandbox();
  const bare = await sandbox.run(['--json']);
  expect(bare).toMatchObject({ exitCode: 2 });
  expect(bare.json()).toMatchObject({ error: { code: 'usage', message: 'A command is needed.' } });
  const gitlink = `'${process.execPath}' '${resolve('bin/gitlink.js')}'`;
  const full = await sandbox.runProgram('sh', ['-c', `${gitlink} config list > /dev/full`]);
  expect(full.exitCode).toBe(1);
  expect(full.stderr).toContain('Standard output cannot be written: ENOSPC.');
  // Whoever reads a part of the messages must not stop the work, nor change how it ends.
  const gone = await sandbox.runProgram('sh', [
    '-c',
    `(${gitlink} repos nope 2>&1; echo "ended $?" >&3) 3>&2 | true`,
  ]);
  expect(gone.stderr).toContain('ended 5');
});
