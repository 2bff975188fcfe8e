import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { askHelper, helpers, readLinks, toRequest } from '../support/ask-git.ts';
import {
  createInstalledGithub,
  linkInstallation,
  startGithub,
  createGithubSandbox,
  writeKey,
  type InstalledGithub,
} from '../support/linked-github.ts';
import type { Run } from '../support/sandbox.ts';

interface LinkDocument {
  readonly link: {
    readonly name: string;
    readonly method: string;
    readonly status: string;
    readonly statusReason: string | null;
    readonly account: { readonly login: string; readonly kind: string; readonly id: string | null };
    readonly enforcement: string;
    readonly scopes: readonly string[];
  };
}

function forget(path: string): void {
  onTestFinished(() => rmSync(path, { force: true }));
}

async function setUp(options: Parameters<typeof createInstalledGithub>[0] = {}): Promise<InstalledGithub> {
  const made = await createInstalledGithub(options);
  forget(made.keyFile);
  return made;
}

function ask({ sandbox, github }: InstalledGithub, fullName: string): Promise<Run> {
  return askHelper(sandbox, 'git-credential-gitlink', 'get', toRequest(`${github.url}/${fullName}.git`));
}

function readPassword({ stdout }: Run): string {
  return /^password=(.*)$/m.exec(stdout)?.[1] ?? '';
}

/** The requests that minted a token, with what they asked for. */
function listMints({ github }: InstalledGithub): readonly unknown[] {
  return github.requests.filter(({ path }) => path.endsWith('/access_tokens')).map(({ body }) => body);
}

describe('linking an installation without a browser', () => {
  test('an App id, a key file and an installation are enough, without a prompt', async () => {
    const { run, installation } = await setUp();
    const { link } = run.json<LinkDocument>();
    expect(link).toMatchObject({
      name: 'github',
      method: 'app',
      status: 'ok',
      account: { login: 'acme', kind: 'installation', id: String(installation.id) },
      enforcement: 'provider',
      scopes: ['contents:write', 'metadata:read', 'repository_hooks:write'],
    });
  });

  test('the only installation is adopted where none is named, without touching its page', async () => {
    const github = await startGithub();
    const sandbox = createGithubSandbox(github);
    const { app, pem } = github.addApp({ owner: 'acme' });
    github.install(app, { account: 'acme', repositories: ['api'] });
    const key = writeKey(sandbox, pem);
    forget(key);
    const args = ['link', 'github', '--host', github.url, '--json', '--app-id', String(app.id)];
    const run = await sandbox.run([...args, '--app-key-file', key]);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json<LinkDocument>().link.account.login).toBe('acme');
    // Known from now on, so that its number alone is enough; nothing is left to adopt.
    const again = await sandbox.run(args);
    expect(again.exitCode).toBe(6);
    expect(again.stderr).toContain('/installations/new');
  });

  test.each([
    ['a key of another App', 4, 'does not accept this key'],
    ['a file that is no key', 2, 'PEM'],
    ['an installation that is not there', 5, 'no installation 999'],
    ['a suspended installation', 6, 'suspended'],
  ])('%s ends with %i', async (what, exitCode, words) => {
    const github = await startGithub();
    const sandbox = createGithubSandbox(github);
    const { app, pem } = github.addApp({ owner: 'acme' });
    const other = github.addApp({ owner: 'acme', name: 'other-canary' });
    const installation = github.install(app, { account: 'acme' });
    if (what === 'a suspended installation') github.setSuspended(installation, 'ada');
    const key = writeKey(sandbox, what.startsWith('a key') ? other.pem : pem);
    forget(key);
    if (what.startsWith('a file')) writeFileSync(key, 'canary: no key at all\n');
    const run = await sandbox.run([
      ...['link', 'github', '--host', github.url, '--app-id', String(app.id), '--app-key-file', key],
      ...['--installation', what.includes('not there') ? '999' : String(installation.id)],
    ]);
    expect([run.exitCode, run.stderr]).toEqual([exitCode, expect.stringContaining(words)]);
    expect(existsSync(join(sandbox.configDirectory, 'links.json')) ? readLinks(sandbox) : []).toEqual([]);
  });
});

describe('git through an installation', () => {
  test('a private repository is cloned with a token that is good for it alone', async () => {
    const made = await setUp({ link: ['--setup-git'] });
    const { sandbox, github } = made;
    const clone = await sandbox.runProgram('git', ['clone', '--quiet', `${github.url}/acme/api.git`, 'api']);
    expect(clone, clone.stderr).toMatchObject({ exitCode: 0 });
    expect(existsSync(join(sandbox.home, 'api/README.md'))).toBe(true);
    expect(listMints(made)).toContainEqual({ repositories: ['api'] });
    // The same token at another repository of the installation: the host refuses it.
    const password = readPassword(await ask(made, 'acme/api'));
    sandbox.guard(password);
    const elsewhere = await sandbox.runProgram('git', ['ls-remote', `${github.url}/acme/web.git`], {
      env: {
        GIT_CONFIG_COUNT: '2',
        GIT_CONFIG_KEY_0: 'credential.helper',
        GIT_CONFIG_VALUE_0: '',
        GIT_CONFIG_KEY_1: `credential.${github.url}.helper`,
        GIT_CONFIG_VALUE_1: `!f() { printf 'username=x-access-token\\npassword=%s\\n' "$CANARY"; }; f`,
        GIT_CONFIG_GLOBAL: '/dev/null',
        CANARY: password,
      },
    });
    expect(elsewhere.exitCode).not.toBe(0);
    expect(elsewhere.stderr).toMatch(/not found/i);
  });

  test.each(helpers)('%s mints once an hour per repository', async (helper) => {
    const made = await setUp();
    const before = listMints(made).length;
    const request = toRequest(`${made.github.url}/acme/api.git`);
    const runs: Run[] = [];
    for (let count = 0; count < 3; count += 1)
      runs.push(await askHelper(made.sandbox, helper, 'get', request));
    expect(new Set(runs.map(readPassword)).size).toBe(1);
    expect(runs[0]?.stdout).toMatch(
      /^username=x-access-token\npassword=ghs_\S+\npassword_expiry_utc=\d+\n$/m,
    );
    expect(listMints(made).slice(before)).toEqual([{ repositories: ['api'] }]);
  });

  test('eight helpers at once mint one token', async () => {
    const made = await setUp();
    const before = listMints(made).length;
    const runs = await Promise.all(Array.from({ length: 8 }, () => ask(made, 'acme/web')));
    expect(new Set(runs.map(readPassword)).size).toBe(1);
    expect(listMints(made)).toHaveLength(before + 1);
  });

  test('a repository of another account gets nothing, and one line says why', async () => {
    const made = await setUp();
    const run = await ask(made, 'others/tool');
    expect(run.stdout).toBe('');
    expect(run.stderr).toMatch(/^gitlink: "github" is for acme alone, and others\/tool\.git is elsewhere\n$/);
  });

  test('a repository that the installation does not reach gets nothing', async () => {
    const made = await setUp({ installation: { repositories: ['api'] } });
    const run = await ask(made, 'acme/web');
    expect([run.exitCode, run.stdout]).toEqual([0, '']);
    expect(run.stderr).toMatch(/^gitlink: [ -~]+\n$/);
    expect(readPassword(await ask(made, 'acme/api'))).toMatch(/^ghs_/);
  });

  test('a restriction is obeyed before anything is minted', async () => {
    const made = await setUp({ link: ['--repo', 'acme/api'] });
    const before = listMints(made).length;
    const run = await ask(made, 'acme/web');
    expect([run.stdout, listMints(made).length]).toEqual(['', before]);
    expect(run.stderr).toContain('outside the restriction');
  });

  test('a refused token is forgotten, and the next question mints another', async () => {
    const made = await setUp();
    const url = `${made.github.url}/acme/api.git`;
    const first = readPassword(await ask(made, 'acme/api'));
    const helper = 'git-credential-gitlink';
    await askHelper(
      made.sandbox,
      helper,
      'erase',
      toRequest(url, 'username=x-access-token', `password=${first}`),
    );
    const second = readPassword(await ask(made, 'acme/api'));
    expect(second).toMatch(/^ghs_/);
    expect(second).not.toBe(first);
    expect(readLinks(made.sandbox)).toHaveLength(1);
  });

  test("fact 15: two hosts with the same installation id never see each other's token", async () => {
    const one = await setUp();
    const github = await startGithub();
    const { app, pem } = github.addApp({ owner: 'acme' });
    const installation = github.install(app, { account: 'acme' });
    expect(installation.id).toBe(one.installation.id);
    forget(writeKey(one.sandbox, pem));
    const other = { ...one, github, app, installation };
    const linked = await linkInstallation(other, app, installation, ['--name', 'second']);
    expect(linked, linked.stderr).toMatchObject({ exitCode: 0 });
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, index) => ask(index % 2 === 0 ? one : other, 'acme/api')),
    );
    for (const [index, answer] of answers.entries()) {
      const { state } = (index % 2 === 0 ? one : other).github;
      expect(state.tokens.has(readPassword(answer))).toBe(true);
    }
    for (const secret of github.state.tokens.keys()) one.sandbox.guard(secret);
  });
});

describe('token and exec', () => {
  test('a token is made for the repository and the permission that were named, and for nothing else', async () => {
    const made = await setUp();
    const run = await made.sandbox.run([
      'token',
      '--repo',
      'acme/api',
      '--permission',
      'contents:read',
      '--json',
    ]);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const { token } = run.json<{ token: string }>();
    expect(listMints(made).at(-1)).toEqual({ repositories: ['api'], permissions: { contents: 'read' } });
    const known = made.github.state.tokens.get(token);
    expect(known?.permissions).toMatchObject({ contents: 'read' });
    made.github.state.tokens.delete(token);
  });

  test('exec ends the token when the program is over', async () => {
    const made = await setUp();
    const script = 'test -n "$GH_TOKEN" && test "$GH_TOKEN" = "$GITHUB_TOKEN"';
    const run = await made.sandbox.run(['exec', '--repo', 'acme/api', '--', 'sh', '-c', script]);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const last = made.github.requests.at(-1);
    expect([last?.method, last?.path]).toEqual(['DELETE', '/api/v3/installation/token']);
  });

  test('a permission that was not granted is refused with 6', async () => {
    const { sandbox } = await setUp();
    const run = await sandbox.run(['token', '--repo', 'acme/api', '--permission', 'administration:write']);
    expect([run.exitCode, run.stdout]).toEqual([6, '']);
  });
});

describe('the life of an installation', () => {
  test('suspended and removed installations are recognised by list --check', async () => {
    const made = await setUp();
    const check = async () => {
      const run = await made.sandbox.run(['list', '--check', '--json']);
      const [link] = run.json<{ links: LinkDocument['link'][] }>().links;
      return [run.exitCode, link?.status, link?.statusReason];
    };
    made.github.setSuspended(made.installation, 'ada');
    expect(await check()).toEqual([3, 'suspended', null]);
    const refused = await ask(made, 'acme/api');
    expect([refused.stdout, refused.stderr]).toEqual(['', expect.stringContaining('suspended')]);
    made.github.setSuspended(made.installation, null);
    expect(await check()).toEqual([0, 'ok', null]);
    made.github.uninstall(made.installation);
    expect(await check()).toEqual([3, 'revoked', 'uninstalled']);
  });

  test('unlink ends what was minted and says what is left; --uninstall takes the App off', async () => {
    const made = await setUp();
    await ask(made, 'acme/api');
    const run = await made.sandbox.run(['unlink', '--yes', '--json', '--uninstall']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const { steps, remaining } = run.json<{
      steps: { what: string; state: string }[];
      remaining: { what: string; url: string }[];
    }>();
    expect(steps.map(({ what, state }) => [what, state])).toEqual([
      ['uninstall', 'done'],
      ['revoke', 'done'],
      ['proof', 'done'],
      ['secret', 'done'],
      ['record', 'done'],
    ]);
    expect(remaining.map(({ what }) => what)).toEqual([expect.stringContaining('gitlink client remove')]);
    expect(made.github.installationsOf(made.app)).toEqual([]);
    const alive = [...made.github.state.tokens.values()].filter(({ revoked }) => !revoked);
    expect(alive).toEqual([]);
  });

  test('without --uninstall the installation stays, and its page is named', async () => {
    const made = await setUp();
    const run = await made.sandbox.run(['unlink', '--yes', '--json']);
    const { remaining } = run.json<{ remaining: { what: string; url: string }[] }>();
    expect(remaining[0]?.url).toContain(`/settings/installations/${made.installation.id}`);
    expect(made.github.installationsOf(made.app)).toHaveLength(1);
    const removed = await made.sandbox.run(['client', 'remove', '--yes']);
    expect(removed, removed.stderr).toMatchObject({ exitCode: 0 });
    const records = readFileSync(join(made.sandbox.configDirectory, 'links.json'), 'utf8');
    expect(JSON.parse(records)).toMatchObject({ clients: [], intents: [], links: [] });
  });
});

describe('what a review found', () => {
  test('B6: a program that gets a token sees nothing of the link of the environment', async () => {
    const { sandbox } = await setUp();
    const env = {
      GITLINK_PROVIDER: 'gitea',
      GITLINK_HOST: 'https://git.elsewhere.dev',
      GITLINK_TOKEN: 'canary-other-token',
    };
    const script = 'test -z "$GITLINK_PROVIDER$GITLINK_HOST" && test "$GITLINK_TOKEN" != canary-other-token';
    const run = await sandbox.run(['exec', 'github', '--repo', 'acme/api', '--', 'sh', '-c', script], {
      env,
    });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
  });

  test('a token is ended, too, where the program cannot be started', async () => {
    const made = await setUp();
    const program = join(made.sandbox.home, 'bin', 'broken');
    writeFileSync(program, '#!/no/such/interpreter\n', { mode: 0o755 });
    const run = await made.sandbox.run(['exec', '--repo', 'acme/api', '--', program]);
    expect(run.exitCode).toBe(2);
    const alive = [...made.github.state.tokens.values()].filter(
      ({ revoked, repositories }) => !revoked && repositories !== 'all',
    );
    expect(alive).toEqual([]);
  });

  test('a permission without its level is exit 2, and nothing is minted', async () => {
    const made = await setUp();
    const before = listMints(made).length;
    const run = await made.sandbox.run(['token', '--repo', 'acme/api', '--permission', 'contents']);
    expect([run.exitCode, run.stdout, listMints(made).length]).toEqual([2, '', before]);
  });

  test('relink ends every token that the App has minted', async () => {
    const made = await setUp();
    await ask(made, 'acme/api');
    const pasted = made.github.addToken({});
    const run = await made.sandbox.run(['relink', 'github', '--with-token', '--allow-account-change'], {
      input: `${pasted.secret}\n`,
    });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const alive = [...made.github.state.tokens.values()].filter(
      ({ revoked, kind }) => !revoked && kind === 'installation',
    );
    expect(alive).toEqual([]);
  });

  test('a lost cache of tokens is no lost credential', async () => {
    const made = await setUp();
    rmSync(join(made.sandbox.configDirectory, 'secrets.vault'));
    // The key lay there, too: give it again.
    const again = await made.sandbox.run([
      ...['client', 'add', 'github', '--host', made.github.url],
      ...['--app-id', String(made.app.id), '--app-key-file', made.keyFile],
    ]);
    expect(again, again.stderr).toMatchObject({ exitCode: 0 });
    expect(readPassword(await ask(made, 'acme/api'))).toMatch(/^ghs_/);
  });

  test('without a terminal an installation on an account that nobody named is not taken', async () => {
    const github = await startGithub();
    const sandbox = createGithubSandbox(github);
    const { app, pem } = github.addApp({ owner: 'ada', isPublic: true });
    const installation = github.install(app, { account: 'acme' });
    const key = writeKey(sandbox, pem);
    forget(key);
    const args = ['link', 'github', '--host', github.url, '--app-id', String(app.id), '--app-key-file', key];
    const run = await sandbox.run(args);
    expect([run.exitCode, run.stderr]).toEqual([
      2,
      expect.stringContaining(`--installation ${installation.id}`),
    ]);
    const named = await sandbox.run([...args, '--namespace', 'acme']);
    expect(named, named.stderr).toMatchObject({ exitCode: 0 });
  });
});
