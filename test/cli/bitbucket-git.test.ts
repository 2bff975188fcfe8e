import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { NewToken } from '../simulators/bitbucket/token-state.ts';
import { requireProject, requireRepository } from '../simulators/bitbucket/state.ts';
import { askHelper, helpers, readLinks, toRequest } from '../support/ask-git.ts';
import {
  accessScopes,
  adaEmail,
  apiScopes,
  createLinkedBitbucket,
  createSignedIn,
  linkArgs,
  type LinkedBitbucket,
} from '../support/linked-bitbucket.ts';
import type { Run, Sandbox } from '../support/sandbox.ts';

type Linked = Pick<LinkedBitbucket, 'sandbox' | 'bitbucket'>;

async function gitDoes(sandbox: Sandbox, args: readonly string[], folder = ''): Promise<void> {
  const identity = ['-c', 'user.name=Ada', '-c', 'user.email=ada@acme.test'];
  const run = await sandbox.runProgram('git', [...identity, ...args], { cwd: join(sandbox.home, folder) });
  expect(run, run.stderr).toMatchObject({ exitCode: 0 });
}

/** Clones, commits and pushes, and clones again to see it. */
async function cloneAndPush({ sandbox, bitbucket }: Linked, fullName: string): Promise<void> {
  const url = `${bitbucket.url}/${fullName}.git`;
  await gitDoes(sandbox, ['clone', '--quiet', url, 'first']);
  writeFileSync(join(sandbox.home, 'first/new.txt'), 'new\n');
  await gitDoes(sandbox, ['add', 'new.txt'], 'first');
  await gitDoes(sandbox, ['commit', '--quiet', '--message', 'New'], 'first');
  await gitDoes(sandbox, ['push', '--quiet'], 'first');
  await gitDoes(sandbox, ['clone', '--quiet', url, 'second']);
  expect(readFileSync(join(sandbox.home, 'second/new.txt'), 'utf8')).toBe('new\n');
}

/** The user names that git showed the server. */
function listGitUsers({ bitbucket }: Linked): readonly (string | null)[] {
  const sent = bitbucket.requests.filter(({ path }) => /\/(info\/refs|git-[a-z]+-pack)$/.test(path));
  return [...new Set(sent.flatMap(({ authorization }) => (authorization ? [authorization.username] : [])))];
}

function ask({ sandbox, bitbucket }: Linked, fullName: string): Promise<Run> {
  return askHelper(sandbox, 'git-credential-gitlink', 'get', toRequest(`${bitbucket.url}/${fullName}.git`));
}

async function expectAnswered(linked: Linked, fullName: string, isAnswered = true): Promise<void> {
  const run = await ask(linked, fullName);
  expect([fullName, run.exitCode, run.stdout.includes('password=')]).toEqual([fullName, 0, isAnswered]);
  if (isAnswered) expect(run.stderr).toBe('');
  // One line that says which link, and why not.
  else expect(run.stderr).toMatch(/^gitlink: [ -~]*"bitbucket"[ -~]*\n$/);
}

describe('fact 6: git at Bitbucket Cloud', () => {
  const access: readonly (readonly [NewToken & { resource: string }, string])[] = [
    [{ kind: 'repository', resource: 'acme/api', scopes: accessScopes }, '--repo'],
    [{ kind: 'project', resource: 'acme/API', scopes: accessScopes }, '--namespace'],
    [{ kind: 'workspace', resource: 'acme', scopes: accessScopes }, '--namespace'],
  ];

  test('an API token clones and pushes beside its own word, never beside the e-mail address', async () => {
    const linked = await createLinkedBitbucket({ link: ['--setup-git'] });
    await cloneAndPush(linked, 'acme/api');
    expect(listGitUsers(linked)).toEqual(['x-bitbucket-api-token-auth']);
    for (const helper of helpers) {
      const request = toRequest(`${linked.bitbucket.url}/acme/api.git`);
      const run = await askHelper(linked.sandbox, helper, 'get', request);
      expect(run.stdout).toBe(`username=x-bitbucket-api-token-auth\npassword=${linked.token.secret}\n`);
      expect(run.stdout + run.stderr).not.toContain(adaEmail);
    }
  });

  test.each(access)('the access token of a $kind clones and pushes as x-token-auth', async (token, flag) => {
    const linked = await createLinkedBitbucket({ token, link: [flag, token.resource, '--setup-git'] });
    await cloneAndPush(linked, 'acme/api');
    expect(listGitUsers(linked)).toEqual(['x-token-auth']);
  });

  test('a sign-in clones and pushes with a token of 2,500 characters, renewed where it ended', async () => {
    const linked = await createSignedIn({ link: ['--setup-git', '--for', 'push'] });
    await cloneAndPush(linked, 'acme/api');
    expect(listGitUsers(linked)).toEqual(['x-token-auth']);
  });

  test('the name in a remote is of no matter: every clone address of Bitbucket has one', async () => {
    const linked = await createLinkedBitbucket();
    for (const name of ['ada', 'bob', 'x-token-auth', 'ada%40acme.test']) {
      const url = `${linked.bitbucket.url.replace('://', `://${name}@`)}/acme/api.git`;
      const run = await askHelper(linked.sandbox, 'git-credential-gitlink', 'get', toRequest(url));
      expect([name, run.stdout]).toEqual([
        name,
        expect.stringContaining('username=x-bitbucket-api-token-auth\n'),
      ]);
    }
  });

  test('a token that has ended by --expires is not handed out', async () => {
    const linked = await createLinkedBitbucket({ link: ['--expires', '2027-01-31'] });
    const path = join(linked.sandbox.configDirectory, 'links.json');
    const records = readFileSync(path, 'utf8');
    writeFileSync(path, records.replace(/"expiresAt":\s*\d+/, '"expiresAt":1700000000000'));
    const run = await ask(linked, 'acme/api');
    expect(run).toMatchObject({ exitCode: 0, stdout: '' });
    expect(run.stderr).toContain('ended on 2023-11-14; run: gitlink relink bitbucket');
  });
});

describe('a restriction at Bitbucket Cloud', () => {
  test('to a workspace: its repositories and no others, by the path alone', async () => {
    const linked = await createLinkedBitbucket({ link: ['--namespace', 'acme'] });
    expect((await linked.sandbox.run(['show', '--json'])).json()).toMatchObject({
      link: { restriction: { namespaces: ['acme'] }, enforcement: 'local' },
    });
    await expectAnswered(linked, 'acme/api');
    await expectAnswered(linked, 'ACME/Site');
    await expectAnswered(linked, 'acme/made-later');
    await expectAnswered(linked, 'ada/notes', false);
    await expectAnswered(linked, 'acme-other/api', false);
  });

  test('to a project: only its repositories, which the list tells and no path does', async () => {
    const linked = await createLinkedBitbucket({ link: ['--namespace', 'acme/API'] });
    await expectAnswered(linked, 'acme/api');
    await expectAnswered(linked, 'acme/gateway');
    await expectAnswered(linked, 'acme/site', false);
    await expectAnswered(linked, 'acme/unknown', false);
    await expectAnswered(linked, 'ada/notes', false);
    const explained = await linked.sandbox.run([
      'explain',
      `${linked.bitbucket.url}/acme/site.git`,
      '--json',
    ]);
    expect(explained.json()).toMatchObject({ chosen: null });
    const token = await linked.sandbox.run(['token', '--repo', 'acme/site', '--json']);
    expect(token, token.stderr).toMatchObject({ exitCode: 6 });
  });

  test.each<[string, readonly string[]]>([
    ['restrict', ['restrict', 'bitbucket', 'acme/API']],
    ['repos', ['repos']],
    ['list --check', ['list', '--check']],
  ])(
    'a repository that came to the project later: %s lists it anew, and then it is answered',
    async (_name, args) => {
      const linked = await createLinkedBitbucket({ link: ['--namespace', 'acme/API'] });
      await expectAnswered(linked, 'acme/site', false);
      const { state } = linked.bitbucket;
      requireRepository(state, 'acme/site').project = requireProject(state, 'acme/API');
      requireRepository(state, 'acme/gateway').project = requireProject(state, 'acme/WEB');
      const run = await linked.sandbox.run(args);
      expect(run, run.stderr).toMatchObject({ exitCode: 0 });
      await expectAnswered(linked, 'acme/site');
      // What left the project is not answered any more.
      await expectAnswered(linked, 'acme/gateway', false);
    },
  );

  test('a list that is lost costs a question about each repository, until it is made again', async () => {
    const linked = await createLinkedBitbucket({ link: ['--namespace', 'acme/API'] });
    const [link] = readLinks(linked.sandbox);
    const list = join(linked.sandbox.stateDirectory, `repositories-${String(link?.['id'])}.json`);
    for (const spoil of [() => writeFileSync(list, '{"version":1,"repositories"'), () => rmSync(list)]) {
      expect(existsSync(list)).toBe(true);
      spoil();
      const noAnswer = linked.bitbucket.faults.add({ path: /repositories/, fault: { kind: 'cut' } });
      await expectAnswered(linked, 'acme/api', false);
      noAnswer();
      await expectAnswered(linked, 'acme/api');
      await expectAnswered(linked, 'acme/site', false);
      expect(await linked.sandbox.run(['repos'])).toMatchObject({ exitCode: 0 });
      await expectAnswered(linked, 'acme/api');
    }
    expect(await linked.sandbox.run(['unlink', '--yes'])).toMatchObject({ exitCode: 0 });
    expect(existsSync(list)).toBe(false);
  });

  test('the access token of a workspace, limited to one of its projects: gitlink keeps that', async () => {
    const token = { kind: 'workspace', resource: 'acme', scopes: [...accessScopes, 'project'] } as const;
    const linked = await createLinkedBitbucket({ token, link: ['--namespace', 'acme'] });
    const run = await linked.sandbox.run(['restrict', 'bitbucket', 'acme/API', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ link: { enforcement: 'local' } });
    await expectAnswered(linked, 'acme/api');
    await expectAnswered(linked, 'acme/site', false);
  });

  test('a project and a workspace that are not there: exit 5, and nothing changes', async () => {
    const { sandbox } = await createLinkedBitbucket({ link: ['--namespace', 'acme/API'] });
    for (const name of ['acme/NOPE', 'nobody']) {
      const run = await sandbox.run(['restrict', 'bitbucket', name, '--json']);
      expect(run, run.stderr).toMatchObject({ exitCode: 5 });
    }
    expect(readLinks(sandbox)).toMatchObject([{ restriction: { namespaces: ['acme/API'] } }]);
  });

  test('of two links the one that is restricted to the project answers for it', async () => {
    const linked = await createLinkedBitbucket({ link: ['--namespace', 'acme/API'] });
    const { sandbox, bitbucket, token } = linked;
    const wide = bitbucket.addToken({ kind: 'api', scopes: apiScopes });
    const args = linkArgs(bitbucket, '--with-token', '--email', adaEmail, '--name', 'wide');
    expect(await sandbox.run(args, { input: wide.secret })).toMatchObject({ exitCode: 0 });
    expect((await ask(linked, 'acme/api')).stdout).toContain(`password=${token.secret}\n`);
    expect((await ask(linked, 'acme/site')).stdout).toContain(`password=${wide.secret}\n`);
  });
});
