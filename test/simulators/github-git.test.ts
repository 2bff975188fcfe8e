import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bareGitEnvironment } from '../support/git-http-backend.ts';
import type { GithubSimulator } from './github/server.ts';
import { renameRepository } from './github/world.ts';
import { callWith, createHook, hookBody, installApp, mint, start, startReceiver } from './github-kit.ts';
import { signIn } from './github-oauth-kit.ts';

const run = promisify(execFile);
const gitEnvironment = { ...bareGitEnvironment, GIT_TERMINAL_PROMPT: '0', GIT_ASKPASS: '/bin/false' };

let folder = '';
let simulator: GithubSimulator;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gitlink-test-'));
  simulator = await start();
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function git(args: readonly string[], cwd = folder) {
  return run('git', args, { cwd, env: gitEnvironment });
}

function cloneUrl(fullName: string, secret: string, username = 'x-access-token'): string {
  const url = new URL(`${simulator.webUrl}/${fullName}.git`);
  url.username = username;
  url.password = secret;
  return url.href;
}

/** Why git could not; null where it could. */
async function failureOf(work: Promise<unknown>): Promise<string | null> {
  try {
    await work;
    return null;
  } catch (error) {
    return (error as { stderr: string }).stderr;
  }
}

function look(fullName: string, secret: string, username?: string): Promise<string | null> {
  return failureOf(git(['ls-remote', cloneUrl(fullName, secret, username)]));
}

async function pushTo(fullName: string, secret: string): Promise<string | null> {
  const name = `clone-${Math.abs(secret.length * 7)}-${fullName.replace('/', '-')}`;
  const clone = join(folder, name);
  await git(['init', '--quiet', '--initial-branch', 'topic', clone]);
  await writeFile(join(clone, 'new.txt'), 'new\n');
  await git(['add', '.'], clone);
  const identity = ['-c', 'user.name=Ada', '-c', 'user.email=ada@acme.test'];
  await git([...identity, 'commit', '--quiet', '--message', 'A commit'], clone);
  return failureOf(git(['push', '--quiet', cloneUrl(fullName, secret), 'topic'], clone));
}

test('an installation clones and pushes as x-access-token, and a hook hears of it', async () => {
  const receiver = await startReceiver();
  const { id } = await createHook(callWith(simulator), { ...hookBody, config: { url: receiver.url } });
  const secret = await mint(simulator, installApp(simulator));
  await git(['clone', '--quiet', cloneUrl('acme/api', secret), 'api']);
  expect(await readFile(join(folder, 'api', 'README.md'), 'utf8')).toBe('# api\n');
  expect(await pushTo('acme/api', secret)).toBeNull();
  await simulator.settle();
  const events = receiver.received.map(({ headers }) => headers['x-github-event']);
  expect(events.sort()).toEqual(['ping', 'push']);
  expect(simulator.hooksOf('acme/api')[0]?.id).toBe(id);
  simulator.assertNoFailures();
});

test('a token that was minted for one repository finds no other, nor what lies outside of its installation', async () => {
  const installed = installApp(simulator, undefined, { account: 'acme', repositories: ['api', 'web'] });
  const narrow = await mint(simulator, installed, { repositories: ['api'] });
  expect(await look('acme/api', narrow)).toBeNull();
  for (const other of ['acme/web', 'acme/empty', 'ada/notes', 'acme/none']) {
    expect(await look(other, narrow)).toContain('not found');
  }
  expect(await look('acme/web', await mint(simulator, installed))).toBeNull();
  simulator.assertNoFailures();
});

test('contents:read clones and does not push', async () => {
  const installed = installApp(simulator);
  const reading = await mint(simulator, installed, { permissions: { contents: 'read' } });
  expect(await look('acme/api', reading)).toBeNull();
  expect(await pushTo('acme/api', reading)).toContain('Write access to repository not granted');
  const none = await mint(simulator, installed, { permissions: { repository_hooks: 'read' } });
  expect(await look('acme/api', none)).not.toBeNull();
  simulator.assertNoFailures();
});

test('each kind of token by any name but none', async () => {
  const client = simulator.oauth.addApplication();
  const secrets = [
    simulator.addToken().secret,
    simulator.addToken({ kind: 'legacy' }).secret,
    simulator.addToken({ kind: 'fineGrained', resourceOwner: 'acme' }).secret,
    (await signIn(simulator, client)).access_token,
  ];
  for (const secret of secrets) {
    for (const username of ['x-access-token', 'ada', 'whoever']) {
      expect(await look('acme/api', secret, username)).toBeNull();
    }
  }
  expect(await look('acme/api', secrets[0] ?? '', '')).not.toBeNull();
  expect(await look('acme/api', 'ghp_canary-wrong')).toContain('Authentication failed');
  const fine = simulator.addToken({ kind: 'fineGrained', resourceOwner: 'ada' }).secret;
  expect(await look('acme/api', fine)).toContain('not found');
  expect(await look('acme/api', simulator.addToken({ scopes: ['read:org'] }).secret)).toContain('not found');
  simulator.assertNoFailures();
});

test('pushing takes a role, and a repository that is not archived', async () => {
  const bob = simulator.addToken({ user: 'bob' }).secret;
  expect(await look('acme/web', bob)).toBeNull();
  expect(await pushTo('acme/web', bob)).toContain('denied to bob');
  expect(await pushTo('acme/api', bob)).toBeNull();
  expect(await pushTo('acme/legacy', simulator.addToken().secret)).toContain('archived');
  expect(await pushTo('acme/empty', simulator.addToken().secret)).toBeNull();
  expect(simulator.state.findRepository('acme/empty')?.empty).toBe(false);
  simulator.assertNoFailures();
});

test('nobody reads what is public, also by an old name, and is challenged for the rest', async () => {
  const publicUrl = (name: string) => `${simulator.webUrl}/${name}`;
  expect(await failureOf(git(['ls-remote', publicUrl('ada/site.git')]))).toBeNull();
  renameRepository(simulator.state, 'ada/site', 'ada/home');
  expect(await failureOf(git(['ls-remote', publicUrl('ada/site')]))).toBeNull();
  expect(await failureOf(git(['ls-remote', publicUrl('acme/api')]))).toContain('could not read Username');
  const answer = await globalThis.fetch(publicUrl('acme/api.git/info/refs?service=git-upload-pack'));
  expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Basic realm="GitHub"']);
  simulator.assertNoFailures();
});
