import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { addToken, createLinked, startGitea, usualScopes } from '../support/linked.ts';
import { createSandbox } from '../support/sandbox.ts';

interface LinkDocument {
  readonly schema: number;
  readonly link: Readonly<Record<string, unknown>>;
}

describe('link', () => {
  test.each([
    ['gitlub', 'Did you mean github or gitlab? There are: '],
    ['Bitbuket', 'Did you mean bitbucket? There are: '],
    ['sourceforge', 'There are: azure-devops, azure, bitbucket,'],
  ])('%s is no provider; the words that look like it are named first', async (word, hint) => {
    const run = await createSandbox().run(['link', word, '--json']);
    expect(run).toMatchObject({ exitCode: 2 });
    const { error } = run.json<{ error: { message: string; hint: string } }>();
    expect(error.message).toBe(`There is no provider "${word}".`);
    expect(error.hint.startsWith(hint), error.hint).toBe(true);
  });

  test('stores the credential and shows the account', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox();
    const token = sandbox.guard(addToken(gitea, usualScopes));
    const run = await sandbox.run(['link', 'gitea', '--host', gitea.url, '--with-token', '--json'], {
      input: `${token}\n`,
    });
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.stderr).toContain('It is a token of ada.');
    expect(run.stderr).toContain(`Linked ada at ${gitea.url} as "gitea" (secret in the file).`);
    expect(run.json<LinkDocument>()).toMatchObject({
      schema: 1,
      link: {
        name: 'gitea',
        provider: 'gitea',
        flavour: 'gitea',
        host: gitea.url,
        method: 'token',
        account: { login: 'ada', kind: 'user' },
        restriction: { mode: 'unrestricted', namespaces: [], repositories: [] },
        enforcement: 'none',
        status: 'ok',
        scopes: [...usualScopes].sort(),
        expiresAt: null,
        storage: 'file',
        webhook: null,
      },
    });
  });

  test('tells Forgejo from Gitea, and reads the scopes that it lists', async () => {
    const { sandbox } = await createLinked({ gitea: { flavour: 'forgejo' } });
    const { link } = (await sandbox.run(['show', '--json'])).json<LinkDocument>();
    expect(link).toMatchObject({ flavour: 'forgejo', scopes: [...usualScopes].sort() });
  });

  test('finds an instance below a path from the address of a repository', async () => {
    const gitea = await startGitea({ basePath: '/gitea' });
    const sandbox = createSandbox();
    const token = sandbox.guard(addToken(gitea, usualScopes));
    const run = await sandbox.run(['link', `${gitea.url}/ada/site`, '--with-token', '--json'], {
      input: token,
    });
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.json<LinkDocument>().link).toMatchObject({ host: gitea.url });
  });

  test('names missing scopes and what they are needed for, and links all the same', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox();
    const token = sandbox.guard(addToken(gitea, ['read:repository']));
    const run = await sandbox.run(['link', 'gitea', '--host', gitea.url, '--with-token'], { input: token });
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.stderr).toContain('The scope write:repository is missing: it is needed to manage webhooks.');
  });

  test('a wrong token is exit 4, and nothing is stored', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox();
    const token = sandbox.guard('f'.repeat(40));
    const run = await sandbox.run(['link', 'gitea', '--host', gitea.url, '--with-token', '--json'], {
      input: token,
    });
    expect(run).toMatchObject({ exitCode: 4 });
    expect(run.json()).toMatchObject({ error: { code: 'auth' } });
    expect((await sandbox.run(['list'])).stdout).toBe('');
  });

  test('D3: a token in an argument is exit 2, and its value is never echoed', async () => {
    const sandbox = createSandbox();
    for (const args of [['--token', 'canary-token-value'], ['--token=canary-token-value']]) {
      const run = await sandbox.run(['link', 'gitea', ...args, '--json']);
      expect(run).toMatchObject({ exitCode: 2 });
      expect(run.stderr).toContain('--with-token');
      expect(run.stdout + run.stderr).not.toContain('canary-token-value');
    }
  });

  test('a name that is taken is exit 2', async () => {
    const { sandbox, gitea } = await createLinked();
    const token = sandbox.guard(addToken(gitea, usualScopes));
    const run = await sandbox.run(['link', 'gitea', '--host', gitea.url, '--name', 'gitea', '--with-token'], {
      input: token,
    });
    expect(run).toMatchObject({ exitCode: 2 });
    expect(run.stderr).toContain('There is already a link named "gitea".');
  });

  test('a second link of the account gets a name of its own', async () => {
    const { sandbox, gitea } = await createLinked();
    const token = sandbox.guard(addToken(gitea, usualScopes));
    const run = await sandbox.run(['link', 'gitea', '--host', gitea.url, '--with-token', '--json'], {
      input: token,
    });
    expect(run.json<LinkDocument>().link).toMatchObject({ name: 'gitea-ada' });
    expect(run.stderr).toContain('"gitea" is a link of the same account.');
  });

  test('an unknown namespace is exit 5', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox();
    const token = sandbox.guard(addToken(gitea, usualScopes));
    const args = ['link', 'gitea', '--host', gitea.url, '--with-token', '--namespace', 'nowhere'];
    const run = await sandbox.run(args, { input: token });
    expect(run).toMatchObject({ exitCode: 5 });
    expect((await sandbox.run(['list'])).stdout).toBe('');
  });

  test('records that are damaged are kept as they are, exit 8', async () => {
    const { sandbox } = await createLinked();
    const path = join(sandbox.configDirectory, 'links.json');
    const damaged = readFileSync(path, 'utf8').slice(0, 200);
    writeFileSync(path, damaged);
    const run = await sandbox.run(['list', '--json']);
    expect(run).toMatchObject({ exitCode: 8 });
    expect(run.json()).toMatchObject({ error: { code: 'storage' } });
    expect(run.stderr).toContain('links.json.previous');
    expect(readFileSync(path, 'utf8')).toBe(damaged);
  });
});
