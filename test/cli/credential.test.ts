import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { askHelper, changeLinks, helpers, readLinks, toRequest } from '../support/ask-git.ts';
import { addToken, createLinked, startGitea, usualScopes, type Linked } from '../support/linked.ts';
import { createSandbox } from '../support/sandbox.ts';

let neverAsked: ReturnType<typeof startWithoutRequest>;

beforeAll(() => {
  neverAsked = startWithoutRequest();
});

const silence = { exitCode: 0, stdout: '', stderr: '' };

/** What one link answers, to the byte. */
function toAnswer(username: string, token: string): string {
  return `username=${username}\npassword=${token}\n`;
}

/** A second link of the same credential. */
function addTwin({ sandbox }: Linked, changes: Readonly<Record<string, unknown>>): void {
  changeLinks(sandbox, (links) => [...links, { ...links[0], id: 'twin', name: 'twin', ...changes }]);
}

describe.each(helpers)('%s', (helper) => {
  test('C4: answers only for the exact protocol, host, port and base path', async () => {
    const { sandbox, gitea, token } = await createLinked({ gitea: { basePath: '/gitea' } });
    const { host, port } = new URL(gitea.url);
    const answered = [`http://${host}/gitea/ada/notes.git`, `http://${host}/gitea/ada/notes.git/info/lfs`];
    for (const url of answered) {
      const run = await askHelper(sandbox, helper, 'get', toRequest(url));
      expect(run).toMatchObject({ ...silence, stdout: toAnswer('ada', token) });
    }
    const others = [
      `https://${host}/gitea/ada/notes.git`,
      `http://127.0.0.1/gitea/ada/notes.git`,
      `http://127.0.0.1:${Number(port) + 1}/gitea/ada/notes.git`,
      `http://127.0.0.1.:${port}/gitea/ada/notes.git`,
      `http://localhost:${port}/gitea/ada/notes.git`,
      `http://127.1:${port}/gitea/ada/notes.git`,
      `http://x.${host}/gitea/ada/notes.git`,
      `http://${host}.evil.example/gitea/ada/notes.git`,
      `http://${host}/ada/notes.git`,
      `http://${host}/gitea2/ada/notes.git`,
      `http://${host}/Gitea/ada/notes.git`,
      `http://${host}/gitea/../ada/notes.git`,
      `http://${host}`,
      `ssh://${host}/gitea/ada/notes.git`,
    ];
    for (const url of others) {
      expect([url, await askHelper(sandbox, helper, 'get', toRequest(url))]).toMatchObject([url, silence]);
    }
  });

  test('C11: erase of our own token marks the link, of another password nothing; store is silent', async () => {
    const { sandbox, gitea, token } = await createLinked();
    const url = `${gitea.url}/ada/notes.git`;
    const status = () => readLinks(sandbox)[0]?.['status'];
    const tell = (operation: string, ...more: string[]) =>
      askHelper(sandbox, helper, operation, toRequest(url, ...more));
    const before = readFileSync(join(sandbox.configDirectory, 'links.json'), 'utf8');
    const refused = [
      await tell('store', 'username=ada', `password=${token}`),
      await tell('erase', 'username=ada', 'password=canary-of-someone-else'),
      await tell('erase', 'username=bob', `password=${token}`),
      await tell('erase', 'username=ada'),
    ];
    for (const run of refused) expect(run).toMatchObject(silence);
    expect(readFileSync(join(sandbox.configDirectory, 'links.json'), 'utf8')).toBe(before);
    expect(status()).toBe('ok');
    expect(await tell('erase', 'username=ada', `password=${token}`)).toMatchObject(silence);
    expect(status()).toBe('unchecked');
    // The link and its secret stay: the host may have been wrong.
    expect((await tell('get')).stdout).toBe(toAnswer('ada', token));
    expect((await sandbox.run(['list', '--check'])).stdout).toMatch(/\tok\n$/);
  });

  test('C3, C15: what is no request is answered with nothing, exit 0', async () => {
    const { sandbox, gitea } = await createLinked();
    const request = toRequest(`${gitea.url}/ada/notes.git`);
    expect(await askHelper(sandbox, helper, 'capability', '')).toMatchObject({
      ...silence,
      stdout: 'version 0\ncapability authtype\n',
    });
    expect(await askHelper(sandbox, helper, 'no-such-operation', request)).toMatchObject(silence);
    const garbage = [
      '',
      '\n',
      'no equals sign\n',
      `host=evil.example\n${request}`,
      request.replace('notes', 'no\rtes'),
      request.replace('notes', 'no\u2028tes'),
      request.replace('notes', 'no\u202etes'),
      `x=${'y'.repeat(70_000)}\n${request}`,
      `${'a=b\n'.repeat(300)}${request}`,
      '\0\u0001\u0002',
    ];
    for (const input of garbage) {
      const run = await askHelper(sandbox, helper, 'get', input);
      expect(run).toMatchObject({ exitCode: 0, stdout: '' });
      expect(run.stderr).toMatch(/^gitlink: [ -~]*\n$/);
    }
  });

  test('B13: records that are damaged, newer or planted give nothing, exit 0 and one line', async () => {
    const { sandbox, gitea } = await createLinked();
    const path = join(sandbox.configDirectory, 'links.json');
    const good = readFileSync(path, 'utf8');
    const get = () => askHelper(sandbox, helper, 'get', toRequest(`${gitea.url}/ada/notes.git`));
    const bad = ['', good.slice(0, 200), '[]', 'null', good.replace(/"version": \d+/, '"version": 99')];
    for (const content of bad) {
      writeFileSync(path, content);
      const run = await get();
      expect(run).toMatchObject({ exitCode: 0, stdout: '' });
      expect(run.stderr).toMatch(/^gitlink: .*run: gitlink list\n$/);
      expect(readFileSync(path, 'utf8')).toBe(content);
    }
    writeFileSync(path, '{"version":1,"links":[null]}');
    expect(await get()).toMatchObject({
      ...silence,
      stderr: 'gitlink: it has a fault, so there is no answer\n',
    });
    renameSync(path, `${path}.real`);
    symlinkSync(`${path}.real`, path);
    const run = await get();
    expect(run).toMatchObject({ exitCode: 0, stdout: '' });
    expect(run.stderr).toMatch(/^gitlink: .*symbolic link.*\n$/);
  });
});

describe('the helper', () => {
  const helper = 'git-credential-gitlink';

  test('C6: a restricted link answers only for paths inside, and says why not and what to type', async () => {
    const linked = await createLinked({ link: ['--namespace', 'acme', '--repo', 'ada/site'] });
    const { sandbox, gitea, token } = linked;
    const get = (path: string) =>
      askHelper(sandbox, helper, 'get', toRequest(`${gitea.url}${path}`, 'capability[]=state'));
    for (const path of ['/acme/api.git', '/ACME/api', '/ada/site.git']) {
      expect([path, await get(path)]).toMatchObject([path, { ...silence, stdout: toAnswer('ada', token) }]);
    }
    const outside = (path: string) =>
      `gitlink: ${path} is outside the restriction of "gitea"; to allow it: gitlink restrict gitea --add NAMESPACE\n`;
    for (const path of ['ada/notes.git', 'acme', 'acme2/api.git', 'acme/../ada/notes.git', 'acme/%2e%2e/x']) {
      expect(await get(`/${path}`)).toMatchObject({ ...silence, stderr: outside(path) });
    }
    expect(await get('')).toMatchObject({
      ...silence,
      stderr:
        'gitlink: "gitea" is restricted, and git does not say which repository; run: gitlink setup-git\n',
    });
  });

  test('C7: a user name chooses among accounts; placeholders name nobody', async () => {
    const linked = await createLinked();
    const { sandbox, gitea, token } = linked;
    const get = (user: string) =>
      askHelper(
        sandbox,
        helper,
        'get',
        toRequest(gitea.url.replace('://', `://${user}@`) + '/ada/notes.git'),
      );
    for (const user of ['ada', 'ADA', 'x-access-token', 'oauth2']) {
      expect([user, await get(user)]).toMatchObject([user, { ...silence, stdout: toAnswer('ada', token) }]);
    }
    expect(await get('bob')).toMatchObject(silence);
    // The account of a token that may not read it is unknown: it may be bob's, but ada's link is ada's.
    addTwin(linked, { account: { login: null, kind: 'unknown', id: null } });
    expect(await get('bob')).toMatchObject({ ...silence, stdout: toAnswer('gitlink', token) });
    expect(await get('ada')).toMatchObject({ ...silence, stdout: toAnswer('ada', token) });
  });

  test('C7: of two links that fit equally neither answers, and one line names both', async () => {
    const linked = await createLinked();
    const { sandbox, gitea, token } = linked;
    const get = () => askHelper(sandbox, helper, 'get', toRequest(`${gitea.url}/acme/api.git`));
    addTwin(linked, {});
    expect(await get()).toMatchObject({
      ...silence,
      stderr:
        'gitlink: "gitea" and "twin" fit equally, so neither is used; choose for this repository: git config gitlink.link gitea\n',
    });
    expect((await sandbox.run(['restrict', 'gitea', 'acme'])).exitCode).toBe(0);
    expect(await get()).toMatchObject({ ...silence, stdout: toAnswer('ada', token) });
  });

  test('B12: a link that is being unlinked is silent; one that ended says so', async () => {
    const { sandbox, gitea } = await createLinked();
    const get = () => askHelper(sandbox, helper, 'get', toRequest(`${gitea.url}/ada/notes.git`));
    changeLinks(sandbox, ([link]) => [{ ...link, status: 'unlinking' }]);
    expect(await get()).toMatchObject(silence);
    changeLinks(sandbox, ([link]) => [{ ...link, status: 'expired', expiresAt: Date.UTC(2026, 0, 2) }]);
    expect(await get()).toMatchObject({
      ...silence,
      stderr: 'gitlink: the token of "gitea" ended on 2026-01-02; run: gitlink relink gitea\n',
    });
  });

  test('C8: answers what git needs, never a host, a path or a refresh token', async () => {
    const { sandbox, gitea, token } = await createLinked();
    const expiresAt = Date.UTC(2099, 0, 1);
    changeLinks(sandbox, ([link]) => [{ ...link, expiresAt }]);
    const answer = `${toAnswer('ada', token)}password_expiry_utc=${expiresAt / 1000}\n`;
    const url = `${gitea.url}/ada/notes.git`;
    expect((await askHelper(sandbox, helper, 'get', toRequest(url))).stdout).toBe(answer);
    const announced = toRequest(url, 'capability[]=authtype', 'capability[]=state', 'state[]=other:1');
    expect((await askHelper(sandbox, helper, 'get', announced)).stdout).toBe(
      `capability[]=authtype\nephemeral=1\n${answer}`,
    );
  });

  test('a secret that is gone, or a passphrase that is missing, is one line and exit 0', async () => {
    const { sandbox, gitea } = await createLinked();
    const get = (env: Record<string, string | undefined> = {}) =>
      askHelper(sandbox, helper, 'get', toRequest(`${gitea.url}/ada/notes.git`), { env });
    const locked = await get({ GITLINK_PASSPHRASE: undefined });
    expect(locked).toMatchObject({ exitCode: 0, stdout: '' });
    expect(locked.stderr).toMatch(/^gitlink: The encrypted file needs its passphrase\..*\n$/);
    const wrong = await get({ GITLINK_PASSPHRASE: 'another canary passphrase' });
    expect(wrong).toMatchObject({ exitCode: 0, stdout: '' });
    expect(wrong.stderr).toMatch(/^gitlink: [ -~]*passphrase[ -~]*\n$/);
    changeLinks(sandbox, ([link]) => [{ ...link, credentialItem: 'credential.gone.1' }]);
    expect(await get()).toMatchObject({
      ...silence,
      stderr: 'gitlink: the secret of "gitea" is gone; run: gitlink relink gitea\n',
    });
  });
});

// Fails until `addCredentialFlags` (src/cli/credential-flags.ts) makes the path absolute.
test('the path of --passphrase-file is kept, so that git finds it from anywhere, also a new one of relink', async () => {
  const gitea = await startGitea();
  const sandbox = createSandbox();
  const token = sandbox.guard(addToken(gitea, usualScopes));
  writeFileSync(join(sandbox.home, 'phrase'), 'another canary passphrase\n', { mode: 0o600 });
  const env = { GITLINK_PASSPHRASE: undefined };
  const args = ['link', 'gitea', '--host', gitea.url, '--with-token', '--passphrase-file', 'phrase'];
  expect(await sandbox.run(args, { input: token, env })).toMatchObject({ exitCode: 0 });
  const request = toRequest(`${gitea.url}/ada/notes.git`);
  const run = await askHelper(sandbox, 'git-credential-gitlink', 'get', request, { env, cwd: '/' });
  expect(run).toMatchObject({ ...silence, stdout: toAnswer('ada', token) });

  renameSync(join(sandbox.home, 'phrase'), join(sandbox.home, 'moved'));
  const next = sandbox.guard(addToken(gitea, usualScopes));
  const relinking = ['relink', '--with-token', '--passphrase-file', 'moved'];
  expect(await sandbox.run(relinking, { input: next, env })).toMatchObject({ exitCode: 0 });
  const again = await askHelper(sandbox, 'git-credential-gitlink', 'get', request, { env, cwd: '/' });
  expect(again).toMatchObject({ ...silence, stdout: toAnswer('ada', next) });
});

test('C15: a request that never ends gets no answer after 10 seconds, and the process is gone', async () => {
  const { output, durationMs } = await neverAsked;
  expect(output).toBe('gitlink: no answer in 10 seconds\n');
  expect(durationMs).toBeLessThan(12_000);
});

/** Runs the helper with a standard input that stays open, while the other tests go on. */
async function startWithoutRequest(): Promise<{ readonly output: string; readonly durationMs: number }> {
  const startedAt = performance.now();
  const home = mkdtempSync(join(tmpdir(), 'gitlink-test-'));
  const script = join(import.meta.dirname, '../../bin/git-credential-gitlink.js');
  const child = spawn(process.execPath, [script, 'get'], { env: { HOME: home } });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  }
  await once(child, 'close');
  rmSync(home, { recursive: true, force: true });
  return { output, durationMs: performance.now() - startedAt };
}
