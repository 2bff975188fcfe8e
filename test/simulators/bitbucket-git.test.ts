import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { bareGitEnvironment } from '../support/git-http-backend.ts';
import type { BitbucketSimulator } from './bitbucket/server.ts';
import type { NewToken } from './bitbucket/token-state.ts';
import { renameRepository } from './bitbucket/world.ts';
import { basic, callWith, createHook, hookBody, hooksOfApi, start, startReceiver } from './bitbucket-kit.ts';
import { callbackPort, signIn } from './bitbucket-oauth-kit.ts';
import { sendRequest } from './send-request.ts';

const run = promisify(execFile);
const gitEnvironment = { ...bareGitEnvironment, GIT_TERMINAL_PROMPT: '0', GIT_ASKPASS: '/bin/false' };
const apiName = 'x-bitbucket-api-token-auth';

let folder = '';
let simulator: BitbucketSimulator;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gitlink-test-'));
  simulator = await start({ basePath: '/bitbucket' });
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function git(args: readonly string[], cwd = folder) {
  return run('git', args, { cwd, env: gitEnvironment });
}

function api(scopes: readonly string[], user = 'ada'): NewToken {
  return { kind: 'api', user, scopes: scopes.map((scope) => `${scope}:repository:bitbucket`) };
}

const reader = api(['read']);
const writer = api(['read', 'write']);
const ofRepository = (...scopes: string[]): NewToken => ({
  kind: 'repository',
  resource: 'acme/api',
  scopes,
});

function cloneUrl(fullName: string, token: NewToken, username: string): string {
  const url = new URL(`${simulator.url}/${fullName}.git`);
  url.username = username;
  url.password = simulator.addToken(token).secret;
  return url.href;
}

async function commitInto(clone: string): Promise<void> {
  await writeFile(join(clone, 'new.txt'), 'new\n');
  await git(['add', '.'], clone);
  const identity = ['-c', 'user.name=Ada', '-c', 'user.email=ada@acme.test'];
  await git([...identity, 'commit', '--quiet', '--message', 'Second commit'], clone);
}

async function pushTo(fullName: string, token: NewToken, username: string): Promise<string> {
  const clone = join(folder, 'clone');
  await git(['clone', '--quiet', cloneUrl(fullName, token, username), clone]);
  await git(['checkout', '--quiet', '-B', 'main'], clone);
  await commitInto(clone);
  await git(['push', '--quiet', 'origin', 'main'], clone);
  return (await git(['rev-parse', 'HEAD'], clone)).stdout.trim();
}

test('a push is delivered to the hooks of the repository and its workspace, signed where there is a secret', async () => {
  const receiver = await startReceiver();
  const call = callWith(simulator);
  const body = { ...hookBody, url: receiver.url };
  const { uuid } = await createHook(call, body);
  await createHook(call, { ...body, secret: '' }, '/2.0/workspaces/acme/hooks');
  await createHook(call, { ...body, active: false }, hooksOfApi);
  await createHook(call, { ...body, events: ['pullrequest:created'] }, hooksOfApi);
  await createHook(call, body, '/2.0/repositories/acme/site/hooks');
  const after = await pushTo('acme/api', writer, apiName);
  await simulator.settle();

  expect(receiver.received).toHaveLength(2);
  const signed = receiver.received.find(({ headers }) => 'x-hub-signature' in headers);
  const digest = createHmac('sha256', 'canary-old')
    .update(signed?.body ?? '')
    .digest('hex');
  expect(signed?.headers).toMatchObject({
    'x-hub-signature': `sha256=${digest}`,
    'x-event-key': 'repo:push',
    'x-attempt-number': '1',
    'x-hook-uuid': uuid.slice(1, -1),
  });
  expect(JSON.parse(signed?.body ?? '')).toMatchObject({
    push: { changes: [{ new: { type: 'branch', name: 'main', target: { hash: after } } }] },
    actor: { username: 'ada' },
    repository: { full_name: 'acme/api' },
  });
  simulator.assertNoFailures();
});

test('a receiver that fails is tried three times', async () => {
  const attempts: unknown[] = [];
  const server = createServer((request, response) => {
    attempts.push(request.headers['x-attempt-number']);
    response.writeHead(attempts.length < 3 ? 503 : 200).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  await createHook(callWith(simulator), { ...hookBody, url });
  await pushTo('acme/api', writer, apiName);
  await simulator.settle();
  expect(attempts).toEqual(['1', '2', '3']);
  expect(simulator.deliveries.map(({ status }) => status)).toEqual([503, 503, 200]);
});

test('an access token clones, an old name and one without .git do, an empty repository takes a first push', async () => {
  await git(['clone', '--quiet', cloneUrl('acme/api', ofRepository('repository'), 'x-token-auth'), 'api']);
  expect(await readFile(join(folder, 'api', 'README.md'), 'utf8')).toBe('# api\n');
  renameRepository(simulator.state, 'ada/notes', 'ada/minutes');
  await git(['clone', '--quiet', cloneUrl('ada/notes', reader, apiName), 'notes']);
  await git(['clone', '--quiet', cloneUrl('acme/old', reader, 'ada').replace('.git', ''), 'old']);
  await pushTo('acme/empty', writer, apiName);
  expect(simulator.state.findRepository('acme', 'empty')?.empty).toBe(false);
  simulator.assertNoFailures();
});

const email = 'ada@acme.test';

test.each<[string, NewToken, string, string, number]>([
  ['an API token with its own name', reader, apiName, 'acme/api', 200],
  ['an API token with the user name', reader, 'ada', 'acme/api', 200],
  ['an API token with the e-mail address', reader, email, 'acme/api', 401],
  ['an API token as an access token', reader, 'x-token-auth', 'acme/api', 401],
  ['an API token with somebody else’s name', reader, 'bob', 'acme/api', 401],
  ['an API token without a name', reader, '', 'acme/api', 401],
  ['an API token that may only write', api(['write']), apiName, 'acme/api', 403],
  ['an API token that may not', { kind: 'api', scopes: ['read:user:bitbucket'] }, apiName, 'acme/api', 403],
  ['an API token for what is hidden', reader, apiName, 'others/hidden', 404],
  ['an access token with its own name', ofRepository('repository'), 'x-token-auth', 'acme/api', 200],
  ['an access token with implied scopes', ofRepository('pullrequest'), 'x-token-auth', 'acme/api', 200],
  ['an access token as an API token', ofRepository('repository'), apiName, 'acme/api', 401],
  ['an access token with a user name', ofRepository('repository'), 'ada', 'acme/api', 401],
  ['an access token that may not', ofRepository('repository:admin'), 'x-token-auth', 'acme/api', 403],
  ['an access token elsewhere', ofRepository('repository'), 'x-token-auth', 'acme/gateway', 404],
  ['an app password', { kind: 'appPassword' }, 'ada', 'acme/api', 401],
])('to fetch with %s', async (_, token, username, fullName, status) => {
  const authorization = basic(username, simulator.addToken(token).secret);
  const url = `${simulator.url}/${fullName}.git/info/refs?service=git-upload-pack`;
  const response = await sendRequest(url, { authorization });
  expect(response.status).toBe(status);
  if (status === 401) {
    expect(response.headers['www-authenticate']).toBe('Basic realm="Bitbucket.org HTTP"');
  }
});

test('a sign-in fetches by either name and by Bearer, which others may not', async () => {
  const { access_token } = await signIn(simulator, simulator.oauth.addApplication({ callbackPort }));
  const ask = async (authorization: string) => {
    const url = `${simulator.url}/acme/api.git/info/refs?service=git-upload-pack`;
    return (await sendRequest(url, { authorization })).status;
  };
  for (const name of ['x-token-auth', 'ada']) expect(await ask(basic(name, access_token))).toBe(200);
  expect(await ask(`Bearer ${access_token}`)).toBe(200);
  for (const name of [email, 'bob', apiName]) expect(await ask(basic(name, access_token))).toBe(401);
  for (const token of [reader, ofRepository('repository')]) {
    expect(await ask(`Bearer ${simulator.addToken(token).secret}`)).toBe(401);
  }
  simulator.oauth.endAccessTokens();
  expect(await ask(basic('x-token-auth', access_token))).toBe(401);
});

test.each<[string, NewToken, string, string]>([
  ['with an API token that may only read', reader, apiName, 'acme/api'],
  ['with an access token that may only read', ofRepository('repository'), 'x-token-auth', 'acme/api'],
  ['without the role for it', writer, apiName, 'others/tool'],
])('git is refused to push %s', async (_, token, username, fullName) => {
  await expect(pushTo(fullName, token, username)).rejects.toThrow(/403/);
});

test('whoever has no credential reads what is public, and is asked for one elsewhere', async () => {
  const ask = (path: string) => sendRequest(`${simulator.url}/${path}`);
  expect((await ask('acme/site.git/info/refs?service=git-upload-pack')).status).toBe(200);
  for (const path of [
    'acme/api.git/info/refs?service=git-upload-pack',
    'acme/none.git/info/refs?service=git-upload-pack',
    'acme/site.git/info/refs?service=git-receive-pack',
  ]) {
    expect((await ask(path)).status, path).toBe(401);
  }
  simulator.settings.limits.anonymous = { requests: 0, windowMs: 1_000 };
  expect((await ask('acme/site.git/info/refs?service=git-upload-pack')).status).toBe(429);
});
