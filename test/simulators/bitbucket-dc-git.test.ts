import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bareGitEnvironment } from '../support/git-http-backend.ts';
import type { BitbucketDcSimulator } from './bitbucket-dc/server.ts';
import type { NewToken } from './bitbucket-dc/token-state.ts';
import {
  callWith,
  createHook,
  hookBody,
  hooksOfAcme,
  hooksOfApi,
  signIn,
  start,
  startReceiver,
  toBasic,
} from './bitbucket-dc-kit.ts';
import { sendRequest } from './send-request.ts';

const run = promisify(execFile);
const gitEnvironment = { ...bareGitEnvironment, GIT_TERMINAL_PROMPT: '0', GIT_ASKPASS: '/bin/false' };

let folder = '';
let simulator: BitbucketDcSimulator;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gitlink-test-'));
  simulator = await start({ basePath: '/bitbucket', settings: { requiresHttpsRedirect: false } });
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Runs git with the token in a header, as tokens of projects and repositories need it. */
function git(args: readonly string[], token: NewToken, cwd = folder) {
  const header = `http.extraHeader=Authorization: Bearer ${simulator.addToken(token).secret}`;
  return run('git', ['-c', header, ...args], { cwd, env: gitEnvironment });
}

function urlOf(path: string): string {
  return `${simulator.url}/scm/${path}.git`;
}

async function commitInto(clone: string): Promise<void> {
  await writeFile(join(clone, 'new.txt'), 'new\n');
  const identity = ['-c', 'user.name=Ada', '-c', 'user.email=ada@acme.test'];
  await run('git', ['add', '.'], { cwd: clone, env: gitEnvironment });
  await run('git', [...identity, 'commit', '--quiet', '--message', 'Second commit'], {
    cwd: clone,
    env: gitEnvironment,
  });
}

test('a push is delivered, signed, to the hooks of the repository and of its project', async () => {
  const receiver = await startReceiver();
  const call = callWith(simulator);
  const body = { ...hookBody, url: receiver.url };
  await createHook(call, body);
  await createHook(call, { ...body, configuration: {} }, hooksOfAcme);
  await createHook(call, { ...body, active: false });
  await createHook(call, { ...body, events: ['pr:opened'] });
  const token = { kind: 'repository', resource: 'ACME/api', permissions: ['REPO_WRITE'] } as const;
  await git(['clone', '--quiet', urlOf('acme/api')], token);
  const clone = join(folder, 'api');
  expect(await readFile(join(clone, 'README.md'), 'utf8')).toBe('# api\n');
  await commitInto(clone);
  await git(['push', '--quiet', 'origin', 'main'], token, clone);
  await simulator.settle();
  expect(receiver.received).toHaveLength(2);
  const delivery = receiver.received.find(({ headers }) => 'x-hub-signature' in headers);
  expect(delivery?.headers['x-event-key']).toBe('repo:refs_changed');
  expect(JSON.parse(delivery?.body ?? '')).toMatchObject({
    eventKey: 'repo:refs_changed',
    actor: { type: 'SERVICE' },
    repository: { slug: 'api', project: { key: 'ACME' } },
    changes: [{ refId: 'refs/heads/main', type: 'UPDATE' }],
  });
  expect((await call(`${hooksOfApi}/31/latest?event=repo:refs_changed`)).status).toBe(200);
  simulator.assertNoFailures();
});

test('an empty repository takes a first push', async () => {
  const empty = join(folder, 'empty');
  await git(['clone', '--quiet', urlOf('acme/empty'), empty], {});
  await run('git', ['checkout', '--quiet', '-B', 'main'], { cwd: empty, env: gitEnvironment });
  await commitInto(empty);
  await git(['push', '--quiet', 'origin', 'main'], {}, empty);
  expect(simulator.state.findRepository('ACME', 'empty')?.empty).toBe(false);
});

const ofProject = { kind: 'project', resource: 'ACME' } as const;
const ofApi = { kind: 'repository', resource: 'ACME/api' } as const;

test.each<[string, string, NewToken, string, number]>([
  ['a user token as Bearer', 'acme/api', {}, 'bearer', 200],
  ['a user token beside the real name', 'acme/api', {}, 'ada', 200],
  ['a user token beside a name in capitals', 'acme/api', {}, 'ADA', 200],
  ['a user token beside a placeholder', 'acme/api', {}, 'x-token-auth', 401],
  ['a user token beside a slug', 'acme/api', { user: 'Grace@acme.test' }, 'grace_acme.test', 401],
  [
    'a user token beside a name with an at sign',
    'acme/api',
    { user: 'Grace@acme.test' },
    'Grace@acme.test',
    200,
  ],
  ['a token without the prefix', 'acme/api', { shape: 'legacy' }, 'ada', 200],
  ['a project token as Bearer', 'acme/api', ofProject, 'bearer', 200],
  ['a project token as a password', 'acme/api', ofProject, 'ada', 401],
  ['a project token as a password of its own user', 'acme/api', ofProject, 'access-token-user/1/41', 401],
  ['a repository token as Bearer', 'ACME/api', ofApi, 'bearer', 200],
  ['a repository token as a password', 'acme/api', ofApi, 'x-token-auth', 401],
  ['a repository token elsewhere', 'acme/old', ofApi, 'bearer', 404],
  ['a token that reads nothing', 'vault/secret', {}, 'bearer', 404],
  ['a token that reads what is public', 'vault/handbook', {}, 'bearer', 200],
  ['a personal repository', '~ada/notes', {}, 'bearer', 200],
  ['a dead token where strangers may read', 'vault/handbook', { expiryDays: -1 }, 'bearer', 200],
  ['a dead token elsewhere', 'acme/api', { expiryDays: -1 }, 'bearer', 401],
])('to clone with %s: %s', async (_, path, token, how, status) => {
  const { secret } = simulator.addToken(token);
  const authorization = how === 'bearer' ? `Bearer ${secret}` : toBasic(how, secret);
  const url = `${urlOf(path)}/info/refs?service=git-upload-pack`;
  const response = await sendRequest(url, { authorization });
  expect(response.status).toBe(status);
  if (status === 401) expect(response.headers['www-authenticate']).toContain('Basic');
});

test('an OAuth token is a password beside any name', async () => {
  const { access_token } = await signIn(simulator, simulator.oauth.addApplication());
  const url = new URL(urlOf('acme/api'));
  url.username = 'x-token-auth';
  url.password = access_token;
  await run('git', ['clone', '--quiet', url.href], { cwd: folder, env: gitEnvironment });
  expect(await readFile(join(folder, 'api', 'README.md'), 'utf8')).toBe('# api\n');
});

test.each<[string, string, NewToken]>([
  ['with a token that only reads', 'acme/api', { permissions: ['REPO_READ'] }],
  ['to an archived repository', 'acme/old', {}],
  ['without the right', 'acme/api', { user: 'bob' }],
  ['to what is only public', 'vault/handbook', {}],
])('git is refused to push %s', async (_, path, token) => {
  const clone = join(folder, 'clone');
  await git(['clone', '--quiet', urlOf(path), clone], token);
  await commitInto(clone);
  await expect(git(['push', 'origin', 'main'], token, clone)).rejects.toThrow(/403/);
});

test('an expired licence refuses pushes alone, and Basic can be switched off for git', async () => {
  const ask = async (service: string, authorization: string) =>
    (await sendRequest(`${urlOf('acme/api')}/info/refs?service=${service}`, { authorization })).status;
  const { secret } = simulator.addToken();
  simulator.settings.isLicenceExpired = true;
  expect(await ask('git-upload-pack', `Bearer ${secret}`)).toBe(200);
  expect(await ask('git-receive-pack', `Bearer ${secret}`)).toBe(403);
  simulator.settings.allowsBasicAtGit = false;
  expect(await ask('git-upload-pack', toBasic('ada', secret))).toBe(403);
});
