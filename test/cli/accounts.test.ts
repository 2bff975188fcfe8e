import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { GiteaSimulator } from '../simulators/gitea/server.ts';
import { renameRepository } from '../simulators/gitea/world.ts';
import { askHelper, changeLinks, toRequest } from '../support/ask-git.ts';
import { addToken, startGitea, usualScopes } from '../support/linked.ts';
import { createSandbox, type Sandbox } from '../support/sandbox.ts';

interface TwoAccounts {
  readonly sandbox: Sandbox;
  readonly gitea: GiteaSimulator;
  readonly tokens: Readonly<Record<'ada' | 'bob', string>>;
}

/** Links two accounts of one host, as `ada` and `bob`. */
async function createTwoAccounts(
  flags: Readonly<Partial<Record<'ada' | 'bob', readonly string[]>>> = {},
): Promise<TwoAccounts> {
  const gitea = await startGitea();
  const sandbox = createSandbox();
  const tokens = { ada: '', bob: '' };
  for (const user of ['ada', 'bob'] as const) {
    tokens[user] = sandbox.guard(addToken(gitea, usualScopes, user));
    const args = [
      'link',
      'gitea',
      '--host',
      gitea.url,
      '--name',
      user,
      '--with-token',
      ...(flags[user] ?? []),
    ];
    expect(await sandbox.run(args, { input: tokens[user] })).toMatchObject({ exitCode: 0 });
  }
  return { sandbox, gitea, tokens };
}

/** The account that git's helper answers with; null for none. */
async function whoAnswers(
  { sandbox, tokens }: TwoAccounts,
  url: string,
  options: { readonly cwd?: string } = {},
): Promise<string | null> {
  const run = await askHelper(sandbox, 'git-credential-gitlink', 'get', toRequest(url), options);
  const password = /^password=(.*)$/m.exec(run.stdout)?.[1];
  return Object.entries(tokens).find(([, token]) => token === password)?.[0] ?? null;
}

interface Explanation {
  readonly chosen: string | null;
  readonly reason: string;
  readonly candidates: readonly { readonly link: string; readonly fits: boolean }[];
}

async function explain({ sandbox }: TwoAccounts, url: string): Promise<Explanation> {
  const run = await sandbox.run(['explain', url, '--json']);
  expect(run).toMatchObject({ exitCode: 0 });
  return run.json<Explanation>();
}

describe('several accounts at one host', () => {
  test('C7: the link that is known to work there answers; where none is, the setting is named', async () => {
    const accounts = await createTwoAccounts();
    const { sandbox, gitea } = accounts;
    expect(await whoAnswers(accounts, `${gitea.url}/ada/site.git`)).toBe('ada');
    expect(await whoAnswers(accounts, `${gitea.url}/bob/tools.git`)).toBe('bob');
    expect(await whoAnswers(accounts, `${gitea.url}/acme/api.git`)).toBe(null);
    const before = await explain(accounts, `${gitea.url}/acme/api.git`);
    expect(before).toMatchObject({ chosen: null });
    expect(before.reason).toContain('git config gitlink.link ada');
    // What was listed is known.
    await sandbox.run(['repos', 'ada']);
    expect(await whoAnswers(accounts, `${gitea.url}/acme/api.git`)).toBe('ada');
    expect(await explain(accounts, `${gitea.url}/acme/other.git`)).toMatchObject({ chosen: 'ada' });
  });

  test("the repository's own setting chooses, and is taken back", async () => {
    const accounts = await createTwoAccounts();
    const { sandbox, gitea } = accounts;
    const clone = join(sandbox.home, 'clone');
    expect(await sandbox.runProgram('git', ['init', '--quiet', clone])).toMatchObject({ exitCode: 0 });
    const set = await sandbox.run(['setup-git', '--local', '--link', 'bob'], { cwd: clone });
    expect(set, set.stderr).toMatchObject({ exitCode: 0 });
    expect(set.stderr).toContain('gitlink setup-git');
    expect(readFileSync(join(clone, '.git', 'config'), 'utf8')).toContain('link = bob');
    const url = `${gitea.url}/ada/site.git`;
    expect(await whoAnswers(accounts, url, { cwd: clone })).toBe('bob');
    expect(await whoAnswers(accounts, url)).toBe('ada');
    const undone = await sandbox.run(['setup-git', '--local', '--undo'], { cwd: clone });
    expect(undone).toMatchObject({ exitCode: 0 });
    expect(await whoAnswers(accounts, url, { cwd: clone })).toBe('ada');
    expect(await sandbox.run(['setup-git', '--local', '--link', 'bob'])).toMatchObject({ exitCode: 5 });
    expect(await sandbox.run(['setup-git', '--link', 'bob'])).toMatchObject({ exitCode: 2 });
  });

  test('the longest match of the restrictions wins, and a restricted link before an unrestricted one', async () => {
    const accounts = await createTwoAccounts({ ada: ['--namespace', 'acme'], bob: ['--repo', 'bob/tools'] });
    const { sandbox, gitea } = accounts;
    expect(await whoAnswers(accounts, `${gitea.url}/acme/api.git`)).toBe('ada');
    expect(await whoAnswers(accounts, `${gitea.url}/bob/tools.git`)).toBe('bob');
    expect(await whoAnswers(accounts, `${gitea.url}/ada/site.git`)).toBe(null);
    const lifted = await sandbox.run(['restrict', 'bob', '--unrestricted']);
    expect(lifted, lifted.stderr).toMatchObject({ exitCode: 0 });
    expect(await whoAnswers(accounts, `${gitea.url}/acme/api.git`)).toBe('ada');
    expect(await whoAnswers(accounts, `${gitea.url}/ada/site.git`)).toBe('bob');
    expect(await explain(accounts, `${gitea.url}/ada/site.git`)).toMatchObject({
      chosen: 'bob',
      candidates: [
        { link: 'ada', fits: false },
        { link: 'bob', fits: true },
      ],
    });
  });

  test('a repository of the restriction keeps its credential under a new name, once it was listed', async () => {
    const accounts = await createTwoAccounts({ ada: ['--repo', 'ada/site'] });
    const { sandbox, gitea } = accounts;
    const site = [...gitea.state.repositories.values()].find(({ name }) => name === 'site');
    if (site) Object.assign(site, { name: 'page' });
    const url = `${gitea.url}/ada/page.git`;
    expect((await explain(accounts, url)).candidates).toMatchObject([{ fits: false }, { fits: true }]);
    await sandbox.run(['repos', 'ada']);
    expect(await whoAnswers(accounts, url)).toBe('ada');
  });

  test('C6: a name that another repository has taken gets nothing, once that was listed', async () => {
    const accounts = await createTwoAccounts({ ada: ['--repo', 'ada/site'] });
    const { sandbox, gitea } = accounts;
    renameRepository(gitea.state, 'ada/site', 'ada/page');
    renameRepository(gitea.state, 'ada/notes', 'ada/site');
    await sandbox.run(['restrict', 'bob', 'bob']);
    await sandbox.run(['repos', 'ada']);
    expect(await whoAnswers(accounts, `${gitea.url}/ada/site.git`)).toBe(null);
    expect(await whoAnswers(accounts, `${gitea.url}/ada/page.git`)).toBe('ada');
    expect(await sandbox.run(['exec', 'ada', '--repo', 'ada/site', '--', 'true'])).toMatchObject({
      exitCode: 6,
    });
  });

  test('a setting that names no link gets nothing, and says so', async () => {
    const accounts = await createTwoAccounts();
    const { sandbox, gitea } = accounts;
    const clone = join(sandbox.home, 'clone');
    await sandbox.runProgram('git', ['init', '--quiet', clone]);
    await sandbox.run(['setup-git', '--local', '--link', 'bob'], { cwd: clone });
    await sandbox.run(['rename', 'bob', 'robert']);
    const url = `${gitea.url}/ada/site.git`;
    const run = await askHelper(sandbox, 'git-credential-gitlink', 'get', toRequest(url), { cwd: clone });
    expect(run.stdout).toBe('');
    expect(run.stderr).toContain('names "bob", which is no link');
  });

  test('ssh, and what is no address, is exit 2', async () => {
    const { sandbox } = await createTwoAccounts();
    for (const url of ['git@git.acme.dev:acme/api.git', 'acme/api', 'ftp://git.acme.dev/x']) {
      expect(await sandbox.run(['explain', url])).toMatchObject({ exitCode: 2 });
    }
  });
});

describe('token and exec', () => {
  test('token prints it alone, or in the document; show tells when it was used', async () => {
    const { sandbox, gitea } = await createTwoAccounts();
    const args = ['token', 'ada', '--json'];
    // Unguarded on purpose: this command is there to print it.
    const fresh = createSandbox();
    const token = addToken(gitea, usualScopes);
    const link = ['link', 'gitea', '--host', gitea.url, '--with-token'];
    await fresh.run(link, { input: token });
    expect(await fresh.run(['token'])).toMatchObject({ exitCode: 0, stdout: `${token}\n` });
    expect((await fresh.run(args.with(1, 'gitea'))).json()).toMatchObject({ token, expiresAt: null });
    expect((await fresh.run(['show'])).stdout).toMatch(/last used\t.* by token/);
    expect(await sandbox.run(['token'])).toMatchObject({ exitCode: 2 });
    expect(await fresh.run(['token', '--permission', 'read'])).toMatchObject({ exitCode: 6 });
  });

  test('C12: a restricted link needs a repository inside of it, exit 6 otherwise', async () => {
    const { sandbox } = await createTwoAccounts({ ada: ['--namespace', 'acme'] });
    const run = (...more: string[]) =>
      sandbox.run(['exec', 'ada', ...more, '--', 'sh', '-c', 'test ${#GITEA_TOKEN} = 40']);
    expect(await run()).toMatchObject({ exitCode: 6 });
    expect(await run('--repo', 'ada/site')).toMatchObject({ exitCode: 6 });
    expect(await run('--repo', 'acme/api')).toMatchObject({ exitCode: 0 });
  });

  test('a credential that has ended is given to nobody: exit 4', async () => {
    const { sandbox } = await createTwoAccounts();
    changeLinks(sandbox, (links) => links.map((link) => ({ ...link, expiresAt: Date.now() - 1 })));
    const run = await sandbox.run(['exec', 'ada', '--', 'true']);
    expect(run).toMatchObject({ exitCode: 4 });
    expect(run.stderr).toContain('gitlink relink ada');
  });

  test("flags with a value may stand before exec; its own arguments are nobody else's", async () => {
    const { sandbox } = await createTwoAccounts();
    const args = ['--config-dir', sandbox.configDirectory, 'exec', 'ada', '--', 'echo', '--token=x'];
    expect(await sandbox.run(args)).toMatchObject({ exitCode: 0, stdout: '--token=x\n' });
  });

  test('exec without two hyphens is told where they belong', async () => {
    const { sandbox } = await createTwoAccounts();
    for (const [args, line] of [
      [['ada', 'nosuchcmd'], 'ada -- nosuchcmd'],
      [['ad', 'nosuchcmd'], 'ad -- nosuchcmd'],
      [['sh', '-', 'a b'], "-- sh - 'a b'"],
      [['ada', 'npm', '--', 'run'], 'ada -- npm run'],
    ] as const) {
      const run = await sandbox.run(['exec', ...args]);
      expect(run).toMatchObject({ exitCode: 2, stdout: '' });
      expect(run.stderr).toBe(
        `gitlink: The program to run comes after two hyphens.\n  Put -- before it: gitlink exec ${line}\n`,
      );
    }
  });

  test("exec: the child's environment only, its exit code, its arguments as they are", async () => {
    const { sandbox } = await createTwoAccounts();
    const run = (args: readonly string[]) => sandbox.run(['exec', 'ada', ...args]);
    const names = await run([
      '--',
      'sh',
      '-c',
      'env | grep -c -e ^GITLINK_TOKEN= -e ^GITEA_TOKEN= -e ^GITLINK_PASSPHRASE=',
    ]);
    expect(names.stdout).toBe('2\n');
    const own = await run(['--env', 'MY_TOKEN', '--', 'sh', '-c', 'echo ${#MY_TOKEN} ${#GITEA_TOKEN}']);
    expect(own.stdout).toBe('40 0\n');
    expect(await run(['--', 'sh', '-c', 'exit 7'])).toMatchObject({ exitCode: 7 });
    expect(await run(['--', 'sh', '-c', 'kill -KILL $$'])).toMatchObject({ exitCode: 137 });
    const echoed = await run(['--', 'echo', '--token', 'not ours', '--', '-x']);
    expect(echoed.stdout).toBe('--token not ours -- -x\n');
    expect(await run([])).toMatchObject({ exitCode: 2 });
    expect(await run(['--', 'no-such-program'])).toMatchObject({ exitCode: 2 });
    expect(await run(['--env', 'A=B', '--', 'true'])).toMatchObject({ exitCode: 2 });
  });
});
