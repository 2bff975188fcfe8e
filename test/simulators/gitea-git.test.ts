import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bareGitEnvironment } from '../support/git-http-backend.ts';
import type { GiteaSimulator } from './gitea/server.ts';
import { renameRepository } from './gitea/world.ts';
import { start, startReceiver } from './gitea-kit.ts';
import { sendRequest } from './send-request.ts';

const run = promisify(execFile);
const gitEnvironment = { ...bareGitEnvironment, GIT_TERMINAL_PROMPT: '0', GIT_ASKPASS: '/bin/false' };

let folder = '';
let simulator: GiteaSimulator;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gitlink-test-'));
  simulator = await start({ basePath: '/gitea' });
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function git(args: readonly string[], cwd = folder) {
  return run('git', args, { cwd, env: gitEnvironment });
}

/** As `http://user:token@host/gitea/owner/name.git`. */
function cloneUrl(fullName: string, scopes: readonly string[], login = 'ada'): string {
  const url = new URL(`${simulator.url}/${fullName}.git`);
  url.username = login;
  url.password = simulator.addToken({ user: login, scopes }).secret;
  return url.href;
}

async function commitInto(clone: string): Promise<void> {
  await writeFile(join(clone, 'new.txt'), 'new\n');
  await git(['add', '.'], clone);
  const identity = ['-c', 'user.name=Ada', '-c', 'user.email=ada@acme.test'];
  await git([...identity, 'commit', '--quiet', '--message', 'Second commit'], clone);
}

test('a private repository is cloned with a token that may read, and a push is delivered to its webhook', async () => {
  const receiver = await startReceiver();
  const { secret } = simulator.addToken({ user: 'ada', scopes: ['write:repository'] });
  const hook = (branch_filter: string) =>
    sendRequest(`${simulator.url}/api/v1/repos/acme/api/hooks`, {
      authorization: `token ${secret}`,
      json: {
        type: 'gitea',
        config: { url: receiver.url, content_type: 'json' },
        events: ['push'],
        branch_filter,
        active: true,
      },
    });
  await hook('ma*');
  await hook('release-*');

  await git(['clone', '--quiet', cloneUrl('acme/api', ['write:repository']), 'api']);
  const clone = join(folder, 'api');
  expect(await readFile(join(clone, 'README.md'), 'utf8')).toBe('# api\n');
  await commitInto(clone);
  await git(['push', '--quiet', 'origin', 'main'], clone);
  await simulator.settle();
  const { stdout } = await git(['rev-parse', 'HEAD'], clone);

  expect(receiver.received).toHaveLength(1);
  const [delivery] = receiver.received;
  expect(delivery?.headers['x-gitea-event']).toBe('push');
  expect(JSON.parse(delivery?.body ?? '')).toMatchObject({ ref: 'refs/heads/main', after: stdout.trim() });
  simulator.assertNoFailures();
});

test('an empty repository takes a first push', async () => {
  const [{ id } = { id: 0 }] = simulator.state.listRepositories().filter(({ name }) => name === 'notes');
  const repository = simulator.state.repositories.get(id);
  if (repository) repository.empty = true;
  await git(['clone', '--quiet', cloneUrl('ada/notes', ['write:repository']), 'notes']);
  const clone = join(folder, 'notes');
  await git(['checkout', '--quiet', '-B', 'main'], clone);
  await commitInto(clone);
  await git(['push', '--quiet', 'origin', 'main'], clone);
  expect(repository?.empty).toBe(false);
});

test('an old name still clones', async () => {
  const url = cloneUrl('ada/notes', ['read:repository']);
  renameRepository(simulator.state, 'ada/notes', 'acme/minutes');
  await git(['clone', '--quiet', url, 'notes']);
  expect(await readFile(join(folder, 'notes', 'README.md'), 'utf8')).toBe('# notes\n');
});

test.each([
  ['to fetch without a scope for repositories', 'acme/api', ['read:user'], 'ada', /403/],
  ['to fetch what one may not see', 'ada/notes', ['all'], 'bob', /not found/],
  ['to fetch what is private with a public-only token', 'ada/notes', ['all', 'public-only'], 'ada', /403/],
])('git is refused %s', async (_, fullName, scopes, login, reason) => {
  await expect(git(['clone', cloneUrl(fullName, scopes, login), 'x'])).rejects.toThrow(reason);
});

test.each([
  ['with a token that may only read', 'acme/api', ['read:repository'], 'ada', /403/],
  ['to an archived repository', 'acme/old', ['all'], 'ada', /403/],
  ['without the role for it', 'acme/api', ['all'], 'bob', /403/],
])('git is refused to push %s', async (_, fullName, scopes, login, reason) => {
  const clone = join(folder, 'clone');
  await git(['clone', '--quiet', cloneUrl(fullName, scopes, login), clone]);
  await commitInto(clone);
  await expect(git(['push', 'origin', 'main'], clone)).rejects.toThrow(reason);
});

test('the challenge comes where credentials are missing, and not where they are wrong', async () => {
  const ask = (path: string, authorization?: string) =>
    sendRequest(`${simulator.url}/${path}/info/refs?service=git-upload-pack`, {
      ...(authorization === undefined ? {} : { authorization }),
    });
  const missing = await ask('ada/notes.git');
  expect(missing.status).toBe(401);
  expect(missing.headers['www-authenticate']).toBe('Basic realm="Gitea"');
  const wrong = await ask('ada/notes.git', `Basic ${btoa('ada:canary')}`);
  expect(wrong.status).toBe(401);
  expect(wrong.headers['www-authenticate']).toBeUndefined();
  expect((await ask('ada/nothing.git')).status).toBe(401);
  expect((await ask('nobody/nothing.git')).status).toBe(404);
  const { secret } = simulator.addToken({ user: 'ada', scopes: ['read:repository'] });
  const forms = [
    `Bearer ${secret}`,
    `Basic ${btoa(`anything:${secret}`)}`,
    `Basic ${btoa(`${secret}:x-oauth-basic`)}`,
  ];
  for (const form of forms) expect((await ask('ada/notes.git', form)).status).toBe(200);
});
