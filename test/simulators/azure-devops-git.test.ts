import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bareGitEnvironment } from '../support/git-http-backend.ts';
import type { AzureDevopsSimulator } from './azure-devops/server.ts';
import { requireRepository } from './azure-devops/state.ts';
import type { NewPat } from './azure-devops/token-state.ts';
import {
  callWith,
  createHook,
  hookBody,
  start,
  startReceiver,
  startServer,
  startUnderOwnNames,
} from './azure-devops-kit.ts';
import { sendRequest } from './send-request.ts';

const run = promisify(execFile);
const gitEnvironment = { ...bareGitEnvironment, GIT_TERMINAL_PROMPT: '0', GIT_ASKPASS: '/bin/false' };

let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gitlink-test-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function git(args: readonly string[], cwd = folder, env: Readonly<Record<string, string>> = {}) {
  return run('git', args, { cwd, env: { ...gitEnvironment, ...env } });
}

function cloneUrl(
  simulator: AzureDevopsSimulator,
  path: string,
  token: NewPat = {},
  username = 'gitlink',
): string {
  const url = new URL(`${simulator.url}/${path}`);
  url.username = username;
  url.password = simulator.addToken(token).secret;
  return url.href;
}

/** What git says when it does not get in. */
async function failClone(url: string, ...options: string[]): Promise<string> {
  const outcome = await git([...options, 'clone', '--quiet', url, join(folder, 'clone')]).catch(
    (error: unknown) => error,
  );
  return (outcome as { stderr?: string }).stderr ?? '';
}

test('a push by PAT is delivered to the hooks of the repository', async () => {
  const simulator = await start();
  const receiver = await startReceiver();
  await createHook(simulator, callWith(simulator), hookBody(simulator, { url: receiver.url }));
  const clone = join(folder, 'clone');
  await git(['clone', '--quiet', cloneUrl(simulator, 'acme/Platform/_git/api'), clone]);
  await writeFile(join(clone, 'new.txt'), 'new\n');
  await git(['add', '.'], clone);
  const identity = ['-c', 'user.name=Ada', '-c', 'user.email=ada@acme.test'];
  await git([...identity, 'commit', '--quiet', '--message', 'Second commit'], clone);
  await git(['push', '--quiet', 'origin', 'HEAD:main'], clone);
  const after = (await git(['rev-parse', 'HEAD'], clone)).stdout.trim();
  await simulator.settle();
  expect(receiver.received).toHaveLength(1);
  expect(JSON.parse(receiver.received[0]?.body ?? '')).toMatchObject({
    resource: {
      refUpdates: [{ name: 'refs/heads/main', newObjectId: after }],
      repository: { id: requireRepository(simulator.state, 'acme/Platform/api').guid },
    },
  });
  simulator.assertNoFailures();
});

test.each([
  ['acme/Platform/_git/Platform'],
  ['acme/_git/Platform'],
  ['ACME/platform/_git/API'],
  ['acme/Stra%C3%9Fe%20S%C3%BCd/_git/werk%20zeug'],
])('%s is cloned, whatever the user name', async (path) => {
  const simulator = await start();
  for (const username of ['gitlink', 'acme']) {
    const { stdout } = await git([
      'ls-remote',
      cloneUrl(simulator, path, { scopes: ['vso.code'] }, username),
    ]);
    expect(stdout).toContain('refs/heads/main');
  }
  simulator.assertNoFailures();
});

test('a public project is cloned by anybody, and pushed to by nobody', async () => {
  const simulator = await start();
  const url = `${simulator.url}/homebrew/Beer/_git/ale`;
  expect((await git(['ls-remote', url])).stdout).toContain('refs/heads/main');
  expect((await sendRequest(`${url}/info/refs?service=git-receive-pack`)).status).toBe(401);
});

test('an Entra token goes by Bearer, and by Basic', async () => {
  const simulator = await start();
  const url = `${simulator.url}/acme/Platform/_git/api`;
  const { secret } = simulator.addEntraToken();
  const bearer = await git(['-c', `http.extraHeader=Authorization: Bearer ${secret}`, 'ls-remote', url]);
  expect(bearer.stdout).toContain('refs/heads/main');
  const withPassword = new URL(url);
  Object.assign(withPassword, { username: 'any', password: secret });
  expect((await git(['ls-remote', withPassword.href])).stdout).toContain('refs/heads/main');
});

describe('refused', () => {
  const api = 'acme/Platform/_git/api';

  test('a stranger is told how to sign in', async () => {
    const simulator = await start();
    const { status, headers } = await sendRequest(
      `${simulator.url}/${api}/info/refs?service=git-upload-pack`,
    );
    expect(status).toBe(401);
    expect(headers['www-authenticate']).toMatch(
      /^Bearer authorization_uri=.*, Basic realm=".*", TFS-Federated$/,
    );
  });

  test.each<[string, NewPat, string]>([
    ['an expired token', { expiresAt: 1 }, 'gitlink'],
    ['a token of another organization', { organization: 'acme-labs' }, 'gitlink'],
    ['a token without the scope', { scopes: ['vso.work'] }, 'gitlink'],
  ])('%s', async (_, token, username) => {
    const simulator = await start();
    expect(await failClone(cloneUrl(simulator, api, token, username))).toContain('Authentication failed');
  });

  test('a PAT by Bearer, and one beside no user name', async () => {
    const simulator = await start();
    const { secret } = simulator.addToken();
    const info = `${simulator.url}/${api}/info/refs?service=git-upload-pack`;
    for (const authorization of [
      `Bearer ${secret}`,
      `Basic ${Buffer.from(`:${secret}`).toString('base64')}`,
    ]) {
      expect((await sendRequest(info, { authorization })).status).toBe(401);
    }
  });

  test.each([
    ['what is not there', 'acme/Platform/_git/none'],
    ['what is disabled', 'acme/Platform/_git/old'],
    ['what the caller does not see', 'acme/Secret%20plans/_git/plan'],
    ['the short form for another name', 'acme/_git/api'],
  ])('%s: TF401019', async (_, path) => {
    const simulator = await start();
    const url = cloneUrl(simulator, path, { user: 'bob' });
    expect(await failClone(url)).toContain('not found');
    const { username, password, pathname } = new URL(url);
    const info = `${simulator.url}${pathname}/info/refs?service=git-upload-pack`;
    const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    expect(await sendRequest(info, { authorization })).toMatchObject({
      status: 404,
      text: expect.stringMatching(/^TF401019: /) as unknown,
    });
  });

  test('a push with a token for reading, and one of a reader', async () => {
    const simulator = await start();
    const ask = async (path: string, token: NewPat) => {
      const { username, password, pathname } = new URL(cloneUrl(simulator, path, token));
      const info = `${simulator.url}${pathname}/info/refs?service=git-receive-pack`;
      const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
      return (await sendRequest(info, { authorization })).status;
    };
    expect(await ask(api, { scopes: ['vso.code'] })).toBe(401);
    expect(await ask('acme/Stra%C3%9Fe%20S%C3%BCd/_git/api', { user: 'bob' })).toBe(403);
    expect(await ask(api, { user: 'bob' })).toBe(200);
  });
});

test('Server: a collection below /tfs; beside an offer of Windows only a header of its own gets in', async () => {
  const simulator = await startServer();
  const path = 'acme/Platform/_git/api';
  const url = cloneUrl(simulator, path, { shape: 'old' });
  expect((await git(['ls-remote', url])).stdout).toContain('refs/heads/main');
  simulator.settings.gitOffersWindows = true;
  expect(await failClone(url)).toContain('Authentication failed');
  const pair = Buffer.from(`gitlink:${new URL(url).password}`).toString('base64');
  const header = `http.extraHeader=Authorization: Basic ${pair}`;
  const { stdout } = await git(['-c', header, 'ls-remote', `${simulator.url}/${path}`]);
  expect(stdout).toContain('refs/heads/main');
});

describe('under its own names', () => {
  test('dev.azure.com and {organization}.visualstudio.com are the same, for git and the API', async () => {
    const { simulator, proxy, authority } = await startUnderOwnNames();
    const file = join(folder, 'ca.pem');
    await writeFile(file, authority);
    const { secret } = simulator.addToken();
    const env = { HTTPS_PROXY: proxy.url, GIT_SSL_CAINFO: file };
    for (const place of [
      'acme@dev.azure.com/acme/Platform/_git/api',
      'dev.azure.com/acme/_git/Platform',
      'acme.visualstudio.com/Platform/_git/api',
      'acme.visualstudio.com/DefaultCollection/Platform/_git/api',
      'acme.visualstudio.com/_git/Platform',
    ]) {
      const url = `https://any:${secret}@${place.replace('acme@', '')}`;
      expect((await git(['ls-remote', url], folder, env)).stdout, place).toContain('refs/heads/main');
    }
    const authorization = `Basic ${Buffer.from(`:${secret}`).toString('base64')}`;
    const ask = (host: string, path: string) =>
      sendRequest(`https://127.0.0.1:${simulator.port}${path}`, {
        authorization,
        ca: authority,
        headers: { host },
      });
    const repository = '/Platform/_apis/git/repositories/api?api-version=7.1';
    const { json } = await ask('dev.azure.com', `/acme${repository}`);
    expect(json).toMatchObject({
      remoteUrl: 'https://acme@dev.azure.com/acme/Platform/_git/api',
      webUrl: 'https://dev.azure.com/acme/Platform/_git/api',
    });
    expect((await ask('acme.visualstudio.com', `/DefaultCollection${repository}`)).json).toEqual(json);
    const profile = await ask(
      'app.vssps.visualstudio.com',
      '/_apis/profile/profiles/me?api-version=7.1-preview.3',
    );
    expect(profile.status).toBe(200);
    simulator.assertNoFailures();
    expect((await ask('dev.azure.com', '/app-vssps/_apis/accounts')).status).toBe(404);
    expect(() => simulator.assertNoFailures()).toThrow(/sent to dev.azure.com, which has no such address/);
  });
});
