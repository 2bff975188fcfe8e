import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { renameRepository } from '../simulators/gitea/world.ts';
import { isExpectMissing } from '../support/converse.ts';
import { addToken, createLinked, usualScopes } from '../support/linked.ts';
import { startGithub } from '../support/linked-github.ts';
import type { Run } from '../support/sandbox.ts';

const gitlink = resolve(import.meta.dirname, '../../bin/gitlink.js');

interface RepositoryDocument extends Readonly<Record<string, unknown>> {
  readonly fullName: string;
  readonly link: string;
}

function listRepositories(run: Run): readonly RepositoryDocument[] {
  return run.json<{ readonly repositories: readonly RepositoryDocument[] }>().repositories;
}

function namesOf(run: Run): string[] {
  return listRepositories(run)
    .map(({ fullName }) => fullName)
    .sort();
}

describe('repos', () => {
  test('D6: the JSON document is a closed list', async () => {
    const { sandbox, gitea } = await createLinked();
    const run = await sandbox.run(['repos', '--json']);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ schema: 1 });
    const repositories = listRepositories(run);
    expect(repositories.map(({ fullName }) => fullName).sort()).toEqual([
      'acme/api',
      'acme/old',
      'ada/notes',
      'ada/site',
      'bob/tools',
    ]);
    for (const repository of repositories) {
      expect(Object.keys(repository)).toEqual([
        'id',
        'fullName',
        'namespace',
        'cloneUrl',
        'webUrl',
        'defaultBranch',
        'private',
        'archived',
        'canManageWebhooks',
        'link',
      ]);
    }
    expect(repositories.find(({ fullName }) => fullName === 'acme/old')).toMatchObject({
      namespace: 'acme',
      cloneUrl: `${gitea.url}/acme/old.git`,
      webUrl: `${gitea.url}/acme/old`,
      defaultBranch: 'main',
      private: true,
      archived: true,
      canManageWebhooks: true,
      link: 'gitea',
    });
  });

  test('piped: one line a repository, cells separated by tabs, no header', async () => {
    const { sandbox } = await createLinked();
    const { stdout } = await sandbox.run(['repos']);
    expect(stdout.trimEnd().split('\n').sort()).toEqual([
      'acme/api\tprivate\tactive\tyes\tgitea',
      'acme/old\tprivate\tarchived\tyes\tgitea',
      'ada/notes\tprivate\tactive\tyes\tgitea',
      'ada/site\tpublic\tactive\tyes\tgitea',
      'bob/tools\tpublic\tactive\tno\tgitea',
    ]);
  });

  test('lines come before the last page is there', async () => {
    const { sandbox, gitea } = await createLinked({
      gitea: {
        world: { users: [{ login: 'ada' }], repositories: [{ owner: 'ada', name: 'many', count: 120 }] },
      },
    });
    // Without its third page the command fails at its end, when the first rows are long out.
    gitea.faults.add({
      path: /repos/,
      skip: 2,
      fault: { kind: 'answer', answer: { status: 404, json: {} } },
    });
    const run = await sandbox.run(['repos']);
    expect(run.exitCode).toBe(5);
    expect(run.stdout.split('\n').length).toBeGreaterThan(50);
    const json = await sandbox.run(['repos', '--json']);
    expect(json.json()).toMatchObject({ error: { code: 'notFound' } });
  });

  test.skipIf(isExpectMissing('repos in a pipe on a terminal'))(
    'piped on a terminal: no line of progress stands before the rows',
    async () => {
      const { sandbox } = await createLinked();
      const line = `'${process.execPath}' '${gitlink}' repos | cat`;
      const script = `set timeout 20\nspawn -noecho sh -c {${line}}\nexpect eof`;
      const run = await sandbox.runProgram('expect', ['-c', script], { env: { TERM: 'xterm' } });
      expect(run.stdout).toContain('ada/notes\tprivate');
      expect(run.stdout).not.toContain('Listing repositories');
    },
  );

  test('--search and --namespace', async () => {
    const { sandbox } = await createLinked();
    expect(namesOf(await sandbox.run(['repos', '--search', 'SIT', '--json']))).toEqual(['ada/site']);
    expect(namesOf(await sandbox.run(['repos', '--namespace', 'ACME', '--json']))).toEqual([
      'acme/api',
      'acme/old',
    ]);
    expect(namesOf(await sandbox.run(['repos', '--namespace', 'acme', '--search', 'api', '--json']))).toEqual(
      ['acme/api'],
    );
    const none = await sandbox.run(['repos', '--search', 'nothing']);
    expect(none).toMatchObject({ exitCode: 0, stdout: '', stderr: 'There are no such repositories.\n' });
  });

  test('an unknown namespace is exit 5; E13: what can be none is exit 2', async () => {
    const { sandbox, gitea } = await createLinked();
    const unknown = await sandbox.run(['repos', '--namespace', 'nowhere', '--json']);
    expect(unknown).toMatchObject({ exitCode: 5 });
    expect(unknown.json()).toMatchObject({ error: { code: 'notFound' } });
    gitea.clearRequests();
    for (const bad of ['-x', '../admin', 'a\u001bb', '*', 'a?b', 'a%2fb', '']) {
      const run = await sandbox.run(['repos', `--namespace=${bad}`]);
      expect(run, bad).toMatchObject({ exitCode: 2, stdout: '' });
      expect(run.stderr).not.toContain('\u001b');
    }
    expect(gitea.requests).toEqual([]);
  });

  test('the restriction is applied, and a repository stays in it when it is renamed', async () => {
    const { sandbox, gitea } = await createLinked({ link: ['--namespace', 'acme', '--repo', 'ada/site'] });
    expect(namesOf(await sandbox.run(['repos', '--json']))).toEqual(['acme/api', 'acme/old', 'ada/site']);
    renameRepository(gitea.state, 'ada/site', 'ada/homepage');
    expect(namesOf(await sandbox.run(['repos', '--json']))).toEqual(['acme/api', 'acme/old', 'ada/homepage']);
    expect(namesOf(await sandbox.run(['repos', '--namespace', 'bob', '--json']))).toEqual([]);
    expect(await sandbox.run(['repos', '--namespace', 'nowhere'])).toMatchObject({ exitCode: 5 });
  });

  test('--all: those of every link', async () => {
    const { sandbox, gitea } = await createLinked({ link: ['--namespace', 'acme'] });
    const token = sandbox.guard(addToken(gitea, usualScopes, 'bob'));
    await sandbox.run(['link', 'gitea', '--host', gitea.url, '--with-token', '--name', 'bobs'], {
      input: token,
    });
    const found = listRepositories(await sandbox.run(['repos', '--all', '--json']));
    expect(found.map(({ link, fullName }) => `${link} ${fullName}`).sort()).toEqual([
      'bobs acme/api',
      'bobs acme/old',
      'bobs bob/tools',
      'gitea acme/api',
      'gitea acme/old',
    ]);
  });

  test('--all with a namespace: a link that does not know it is no failure, unless none does', async () => {
    const { sandbox, gitea } = await createLinked();
    const world = { users: [{ login: 'ada' }], repositories: [{ path: 'ada/one' }] };
    const github = await startGithub({ world });
    const token = sandbox.guard(github.addToken().secret);
    const args = ['link', 'github', '--host', github.url, '--with-token'];
    expect(await sandbox.run(args, { input: token })).toMatchObject({ exitCode: 0 });
    const known = await sandbox.run(['repos', '--all', '--namespace', 'bob', '--json']);
    expect(known, known.stderr).toMatchObject({ exitCode: 0, stderr: '' });
    expect(namesOf(known)).toEqual(['bob/tools']);
    const unknown = await sandbox.run(['repos', '--all', '--namespace', 'nowhere', '--json']);
    expect(unknown).toMatchObject({ exitCode: 5 });
    expect(unknown.json()).toMatchObject({ error: { message: 'No link reaches a namespace nowhere.' } });
    await gitea.close();
    const partial = await sandbox.run(['repos', '--all', '--namespace', 'nowhere', '--json']);
    expect(partial, partial.stderr).toMatchObject({ exitCode: 3 });
  });

  test('a link beside --all contradicts it: exit 2', async () => {
    const { sandbox } = await createLinked();
    const run = await sandbox.run(['repos', 'nope', '--all']);
    expect(run).toMatchObject({ exitCode: 2, stdout: '' });
    expect(run.stderr).toContain('contradict each other');
  });

  test('a token that was deleted is exit 4, and the link says so from then on', async () => {
    const { sandbox, gitea, token } = await createLinked();
    gitea.state.tokens.delete(token);
    const run = await sandbox.run(['repos', '--json']);
    expect(run).toMatchObject({ exitCode: 4 });
    expect(run.json()).toMatchObject({
      error: { code: 'auth', hint: expect.stringContaining('gitlink relink gitea') as string },
    });
    expect((await sandbox.run(['list'])).stdout).toContain('revoked');
  });

  test('a token without the scope is exit 6', async () => {
    const { sandbox } = await createLinked({ scopes: ['read:user'] });
    const run = await sandbox.run(['repos', '--json']);
    expect(run).toMatchObject({ exitCode: 6 });
    expect(run.json()).toMatchObject({ error: { code: 'forbidden' } });
  });
});
