import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { askHelper, helpers, toRequest } from '../support/ask-git.ts';
import { addToken, createLinked, startGitea, usualScopes } from '../support/linked.ts';
import { createGithubSandbox, startGithub } from '../support/linked-github.ts';
import { createSandbox, type Sandbox } from '../support/sandbox.ts';
import type { GiteaSimulator } from '../simulators/gitea/server.ts';

type Environment = Readonly<Record<string, string>>;

interface InCi {
  readonly sandbox: Sandbox;
  readonly gitea: GiteaSimulator;
  readonly env: Environment;
  readonly token: string;
}

/** A home in which gitlink never ran, and the variables that a CI system gives. */
async function setUp(more: Environment = {}): Promise<InCi> {
  const gitea = await startGitea();
  const sandbox = createSandbox({ store: 'keychain' });
  const token = sandbox.guard(addToken(gitea, usualScopes));
  const own = { CI: 'true', GITLINK_PROVIDER: 'gitea', GITLINK_HOST: gitea.url, GITLINK_TOKEN: token };
  return { sandbox, gitea, env: { ...own, ...more }, token };
}

/** Everything under a home but what the tests themselves put there. */
function listFiles({ home }: Sandbox): readonly string[] {
  return readdirSync(home, { recursive: true, encoding: 'utf8' }).filter((path) => !path.startsWith('bin'));
}

describe('the link of the environment', () => {
  test('lists, checks and shows what the variables name, and writes no file', async () => {
    const { sandbox, gitea, env } = await setUp();
    const list = await sandbox.run(['list', '--check', '--json'], { env });
    expect(list, list.stderr).toMatchObject({ exitCode: 0 });
    expect(list.json()).toMatchObject({
      links: [
        {
          name: 'env',
          provider: 'gitea',
          host: gitea.url,
          status: 'ok',
          storage: 'env',
          account: { login: 'ada' },
        },
      ],
    });
    const repos = await sandbox.run(['repos'], { env });
    expect(repos.stdout).toContain('ada/notes');
    expect((await sandbox.run(['show'], { env })).stdout).toContain('env');
    expect(listFiles(sandbox)).toEqual([]);
  });

  test.each([
    ['Forgejo', 'forgejo'],
    ['codeberg', 'forgejo'],
    ['gitea', 'gitea'],
  ])('GITLINK_PROVIDER=%s names the product %s', async (word, flavour) => {
    const { sandbox, env } = await setUp({ GITLINK_PROVIDER: word });
    const list = await sandbox.run(['list', '--json'], { env });
    expect(list.json()).toMatchObject({ links: [{ provider: 'gitea', flavour }] });
  });

  test('the token may be in a file, and namespaces limit it', async () => {
    const { sandbox, env, token } = await setUp({ GITLINK_NAMESPACES: 'ada, lab' });
    const file = join(sandbox.home, 'bin', 'token');
    writeFileSync(file, `${token}\n`);
    const withFile = { ...env, GITLINK_TOKEN: '', GITLINK_TOKEN_FILE: file };
    const run = await sandbox.run(['repos', '--json'], { env: withFile });
    const { repositories } = run.json<{ repositories: { namespace: string }[] }>();
    expect(new Set(repositories.map(({ namespace }) => namespace))).toEqual(new Set(['ada']));
    const outside = await sandbox.run(['token', '--repo', 'acme/api'], { env: withFile });
    expect([outside.exitCode, outside.stdout]).toEqual([6, '']);
    writeFileSync(file, '');
  });

  test.each(helpers)('%s answers git with it, and keeps nothing', async (helper) => {
    const { sandbox, gitea, env, token } = await setUp();
    const url = `${gitea.url}/ada/notes.git`;
    const run = await askHelper(sandbox, helper, 'get', toRequest(url), { env });
    expect(run.stdout).toContain(`password=${token}\n`);
    const other = await askHelper(sandbox, helper, 'get', toRequest('https://git.other.dev/a/b.git'), {
      env,
    });
    expect([other.exitCode, other.stdout]).toEqual([0, '']);
    const refused = toRequest(url, 'username=ada', `password=${token}`);
    await askHelper(sandbox, helper, 'erase', refused, { env });
    expect(listFiles(sandbox)).toEqual([]);
  });

  test('it wins over stored links at its host, and leaves the others alone', async () => {
    const linked = await createLinked();
    const other = linked.sandbox.guard(addToken(linked.gitea, usualScopes));
    const env = { GITLINK_PROVIDER: 'gitea', GITLINK_HOST: linked.gitea.url, GITLINK_TOKEN: other };
    const request = toRequest(`${linked.gitea.url}/ada/notes.git`);
    const own = await askHelper(linked.sandbox, 'git-credential-gitlink', 'get', request, { env });
    expect(own.stdout).toContain(`password=${other}`);
    const stored = await askHelper(linked.sandbox, 'git-credential-gitlink', 'get', request);
    expect(stored.stdout).not.toContain(other);
    const list = await linked.sandbox.run(['list', '--json'], { env });
    const { links } = list.json<{ links: { name: string }[] }>();
    expect(links.map(({ name }) => name)).toEqual(['env', 'gitea']);
  });

  test('webhooks take a secret that is given, find hooks by their address, and leave no journal', async () => {
    const secret = 'canary-secret-of-the-receiver';
    const { sandbox, gitea, env } = await setUp({ HOOK_SECRET: secret });
    sandbox.guard(secret);
    const args = ['regenerate-webhooks', '--url', 'https://ci.acme.example/hook', '--repo', 'ada/notes'];
    const without = await sandbox.run(args, { env });
    expect([without.exitCode, without.stderr]).toEqual([2, expect.stringContaining('--secret-env')]);
    for (let round = 0; round < 2; round += 1) {
      const run = await sandbox.run([...args, '--secret-env', 'HOOK_SECRET'], { env });
      expect(run, run.stderr).toMatchObject({ exitCode: 0 });
      expect(run.stderr).not.toContain('The receiver needs the secret');
    }
    expect(gitea.hooksOf('ada/notes').map((hook) => hook.secret)).toEqual([secret]);
    expect(listFiles(sandbox)).toEqual([]);
  });

  test('its webhooks are marked as those of a stored link are, wherever the server has names for them', async () => {
    const secret = 'canary-secret-of-the-receiver';
    const { sandbox, gitea, env } = await setUp({ HOOK_SECRET: secret });
    sandbox.guard(secret);
    const target = ['--url', 'https://ci.acme.example/hook', '--repo', 'ada/notes'];
    const make = ['regenerate-webhooks', ...target, '--secret-env', 'HOOK_SECRET'];
    expect(await sandbox.run(make, { env })).toMatchObject({ exitCode: 0 });
    expect(gitea.hooksOf('ada/notes')).toMatchObject([{ name: 'gitlink' }]);
    const removal = await sandbox.run(['regenerate-webhooks', '--remove', ...target], { env });
    expect(removal, removal.stderr).toMatchObject({ exitCode: 0 });
    expect(gitea.hooksOf('ada/notes')).toEqual([]);
    expect(listFiles(sandbox)).toEqual([]);
  });

  test.each([
    [['unlink', 'env', '--yes']],
    [['rename', 'env', 'other']],
    [['restrict', 'env', 'ada']],
    [['rotate', 'env']],
    [['relink', 'env', '--with-token']],
  ])('%j is refused with 6', async (args) => {
    const { sandbox, env } = await setUp();
    const run = await sandbox.run(args, { env });
    expect([run.exitCode, run.stderr]).toEqual([6, expect.stringContaining('cannot change it')]);
  });

  test('relink asks no host before it refuses', async () => {
    const { sandbox, gitea, env } = await setUp();
    expect(await sandbox.run(['relink', 'env'], { env })).toMatchObject({ exitCode: 6 });
    expect(gitea.requests).toEqual([]);
  });

  test('a dead token: the advice is another GITLINK_TOKEN, and no command that is refused', async () => {
    const { sandbox, gitea, env, token } = await setUp();
    gitea.state.tokens.delete(token);
    const repos = await sandbox.run(['repos'], { env });
    const list = await sandbox.run(['list', '--check'], { env });
    expect([repos.exitCode, list.exitCode], repos.stderr + list.stderr).toEqual([4, 3]);
    for (const { stderr } of [repos, list]) {
      expect(stderr).toContain('set another GITLINK_TOKEN');
      expect(stderr).not.toContain('relink');
    }
  });

  test.each([
    [{ GITLINK_PROVIDER: 'sourceforge' }, 'GITLINK_PROVIDER names no provider'],
    [{ GITLINK_HOST: '' }, 'GITLINK_HOST is not set'],
    [{ GITLINK_TOKEN: '' }, 'no credential beside it'],
    [{ GITLINK_TOKEN_FILE: '/nowhere/at/all' }, 'both set'],
    [{ GITLINK_NAMESPACES: '../x' }, 'GITLINK_NAMESPACES'],
  ])('%j is exit 2 and says which variable', async (wrong, words) => {
    const { sandbox, env, gitea } = await setUp(wrong);
    const run = await sandbox.run(['list', '--json'], { env });
    expect([run.exitCode, run.stderr]).toEqual([2, expect.stringContaining(words)]);
    expect(run.json()).toMatchObject({ error: { code: 'usage' } });
    const request = toRequest(`${gitea.url}/ada/notes.git`);
    const helper = await askHelper(sandbox, 'git-credential-gitlink', 'get', request, { env });
    expect([helper.exitCode, helper.stdout]).toEqual([0, '']);
    expect(helper.stderr).toMatch(/^gitlink: [ -~]+\n$/);
  });
});

describe('a GitHub App of the environment', () => {
  test('mints for the repository that is asked for, from a key in one line, and writes nothing', async () => {
    const github = await startGithub();
    const sandbox = createGithubSandbox(github, { store: 'keychain' });
    const { app, pem } = github.addApp({ owner: 'acme' });
    const installation = github.install(app, { account: 'acme' });
    const env = {
      CI: 'true',
      GITLINK_PROVIDER: 'github',
      GITLINK_HOST: github.url,
      GITLINK_APP_ID: String(app.id),
      GITLINK_APP_PRIVATE_KEY: pem.replaceAll('\n', '\\n'),
      GITLINK_APP_INSTALLATION: String(installation.id),
    };
    sandbox.guard(pem.split('\n')[4] ?? '');
    const request = toRequest(`${github.url}/acme/api.git`);
    const run = await askHelper(sandbox, 'git-credential-gitlink', 'get', request, { env });
    expect(run.stdout, run.stderr).toMatch(/^username=x-access-token\npassword=ghs_/m);
    const minted = github.requests.find(({ path }) => path.endsWith('/access_tokens'));
    expect(minted?.body).toEqual({ repositories: ['api'] });
    const list = await sandbox.run(['list', '--check', '--json'], { env });
    expect(list.json()).toMatchObject({
      links: [{ name: 'env', method: 'app', status: 'ok', account: { login: 'acme' } }],
    });
    const script = 'test -n "$GH_TOKEN" && test -z "$GITLINK_APP_PRIVATE_KEY"';
    const exec = await sandbox.run(['exec', '--repo', 'acme/api', '--', 'sh', '-c', script], { env });
    expect(exec, exec.stderr).toMatchObject({ exitCode: 0 });
    expect(existsSync(join(sandbox.home, '.config'))).toBe(false);
    expect(listFiles(sandbox)).toEqual([]);
  });
});
