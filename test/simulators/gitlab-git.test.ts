import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bareGitEnvironment } from '../support/git-http-backend.ts';
import type { GitlabSimulator } from './gitlab/server.ts';
import type { NewToken } from './gitlab/token-state.ts';
import { renameProject } from './gitlab/world.ts';
import { callWith, createHook, hooksOfApi, start, startReceiver } from './gitlab-kit.ts';
import { signIn } from './gitlab-oauth-kit.ts';
import { sendRequest } from './send-request.ts';

const run = promisify(execFile);
const gitEnvironment = { ...bareGitEnvironment, GIT_TERMINAL_PROMPT: '0', GIT_ASKPASS: '/bin/false' };

let folder = '';
let simulator: GitlabSimulator;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gitlink-test-'));
  simulator = await start({ basePath: '/gitlab' });
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function git(args: readonly string[], cwd = folder) {
  return run('git', args, { cwd, env: gitEnvironment });
}

function cloneUrl(fullPath: string, token: NewToken, username = 'oauth2'): string {
  const url = new URL(`${simulator.url}/${fullPath}.git`);
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

test("a project deep in groups is cloned, and a push is delivered to its webhook and to its group's", async () => {
  const receiver = await startReceiver();
  const call = callWith(simulator);
  const path = '/api/v4/projects/acme%2Fplatform%2Ftools%2Fcli/hooks';
  await createHook(call, { url: receiver.url, push_events_branch_filter: 'ma*' }, path);
  await createHook(call, { url: receiver.url, push_events_branch_filter: 'release-*' }, path);
  await createHook(call, { url: receiver.url }, '/api/v4/groups/acme/hooks');
  await createHook(call, { url: receiver.url }, hooksOfApi);

  const url = cloneUrl('acme/platform/tools/cli', { scopes: ['write_repository'] });
  await git(['clone', '--quiet', url, 'cli']);
  const clone = join(folder, 'cli');
  expect(await readFile(join(clone, 'README.md'), 'utf8')).toBe('# cli\n');
  await commitInto(clone);
  await git(['push', '--quiet', 'origin', 'main'], clone);
  await simulator.settle();
  expect(receiver.received).toHaveLength(2);
  expect(JSON.parse(receiver.received[0]?.body ?? '')).toMatchObject({
    ref: 'refs/heads/main',
    user_username: 'ada',
  });
  simulator.assertNoFailures();
});

test('an OAuth token clones, an address without .git and an old path do too, an empty project takes a first push', async () => {
  renameProject(simulator.state, 'ada/notes', 'acme/minutes');
  await git(['clone', '--quiet', cloneUrl('ada/notes', { scopes: ['read_repository'] }), 'notes']);
  await git(['clone', '--quiet', cloneUrl('acme/api', { scopes: ['read_api'] }).replace('.git', ''), 'api']);
  const { access_token } = await signIn(simulator, simulator.oauth.addApplication());
  await git(['clone', '--quiet', cloneUrl('ada/site', {}).replace(/oauth2:[^@]+/, `oauth2:${access_token}`)]);
  const empty = join(folder, 'empty');
  await git(['clone', '--quiet', cloneUrl('acme/platform/empty', { scopes: ['api'] }), empty]);
  await git(['checkout', '--quiet', '-B', 'main'], empty);
  await commitInto(empty);
  await git(['push', '--quiet', 'origin', 'main'], empty);
  expect(simulator.state.findProject('acme/platform/empty')?.empty).toBe(false);
  simulator.assertNoFailures();
});

const read = { scopes: ['read_repository'] };
const projectToken = { kind: 'project', resource: 'acme/api' } as const;
const deployToken = {
  kind: 'deploy',
  resource: 'acme',
  scopes: ['read_repository'],
  deployUsername: 'ci',
} as const;

test.each<[string, string, NewToken, string, boolean]>([
  ['a token that may read', 'acme/api', read, 'any name', true],
  ['a token without a name', 'acme/api', read, '', false],
  ['a token that may not', 'acme/api', { scopes: ['read_user'] }, 'ada', false],
  ['what one may not see', 'bob/secret', read, 'ada', false],
  ['a project token with api alone', 'acme/api', { ...projectToken, scopes: ['api'] }, 'x', false],
  ['a project token that may read', 'acme/api', { ...projectToken, ...read }, 'x', true],
  ['a project token elsewhere', 'acme/platform/tools/cli', { ...projectToken, ...read }, 'x', false],
  ['a deploy token with its name', 'acme/platform/tools/cli', deployToken, 'ci', true],
  ['a deploy token with another name', 'acme/api', deployToken, 'oauth2', false],
  ['a deploy token elsewhere', 'ada/notes', deployToken, 'ci', false],
])('to clone with %s: %s', async (_, path, token, username, isAllowed) => {
  const authorization = `Basic ${btoa(`${username}:${simulator.addToken(token).secret}`)}`;
  const url = `${simulator.url}/${path}.git/info/refs?service=git-upload-pack`;
  expect((await sendRequest(url, { authorization })).status === 200).toBe(isAllowed);
});

test.each<[string, string, NewToken, RegExp]>([
  ['with a token that may only read', 'acme/api', read, /403/],
  ['to an archived project', 'acme/old', { scopes: ['api'] }, /403/],
  ['without the role for it', 'acme/api', { scopes: ['api'], user: 'bob' }, /403/],
  ['with a deploy token', 'acme/api', { ...deployToken, deployUsername: 'oauth2' }, /403/],
])('git is refused to push %s', async (_, path, token, reason) => {
  const clone = join(folder, 'clone');
  await git(['clone', '--quiet', cloneUrl(path, token), clone]);
  await commitInto(clone);
  await expect(git(['push', 'origin', 'main'], clone)).rejects.toThrow(reason);
});

test('everything wrong is challenged alike, until there was too much of it', async () => {
  simulator.settings.maxFailedGitLogins = 2;
  const ask = (path: string, authorization?: string) =>
    sendRequest(`${simulator.url}/${path}/info/refs?service=git-upload-pack`, {
      ...(authorization === undefined ? {} : { authorization }),
    });
  const wrong = `Basic ${btoa('oauth2:canary')}`;
  for (const response of [
    await ask('ada/notes.git'),
    await ask('no/thing.git'),
    await ask('ada/site.git', wrong),
  ]) {
    expect(response.status).toBe(401);
    expect(response.headers['www-authenticate']).toBe('Basic realm="GitLab"');
  }
  expect((await ask('ada/site.git')).status).toBe(200);
  await ask('ada/site.git', wrong);
  expect((await ask('ada/site.git', wrong)).status).toBe(403);
});
