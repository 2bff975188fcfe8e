import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { NewToken } from '../simulators/bitbucket-dc/token-state.ts';
import { askHelper, helpers, readLinks, toRequest } from '../support/ask-git.ts';
import { createLinkedDc, createSignedInDc, type LinkedDc } from '../support/linked-bitbucket.ts';
import type { Run, Sandbox } from '../support/sandbox.ts';

const authtype = 'capability[]=authtype';

async function gitDoes(
  sandbox: Sandbox,
  args: readonly string[],
  folder = '',
  env: Readonly<Record<string, string>> = {},
): Promise<Run> {
  const identity = ['-c', 'user.name=Ada', '-c', 'user.email=ada@acme.test'];
  const run = await sandbox.runProgram('git', [...identity, ...args], {
    cwd: join(sandbox.home, folder),
    env,
  });
  expect(run, run.stderr).toMatchObject({ exitCode: 0 });
  return run;
}

/** Who came to git's part of the server, once for each way. */
function listGitUsers({ bitbucket }: Pick<LinkedDc, 'bitbucket'>) {
  const sent = bitbucket.requests
    .filter(({ path }) => path.startsWith('/scm/'))
    .flatMap(({ authorization }) => (authorization ? [authorization] : []));
  return [...new Set(sent.map(({ scheme, username }) => `${scheme} ${username ?? ''}`.trim()))];
}

const ofProject: NewToken = { kind: 'project', resource: 'ACME' };
const ofRepository: NewToken = { kind: 'repository', resource: 'ACME/api' };

const installedGit = describeGit('git');
/** A git that takes bearer tokens from its helper; null where there is none. */
const newerGit =
  [process.env['GITLINK_TEST_GIT'] ?? '', 'git'].find(
    (program) => program !== '' && describeGit(program).knowsAuthtype,
  ) ?? null;
if (newerGit === null) {
  process.stderr.write(
    `Skipped: a clone by Bearer, as git is ${installedGit.version} and GITLINK_TEST_GIT names no newer one.\n`,
  );
}

function describeGit(program: string): { readonly version: string; readonly knowsAuthtype: boolean } {
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  const [version = 'missing', major = '0', minor = '0'] = /(\d+)\.(\d+)/.exec(stdout) ?? [];
  return { version, knowsAuthtype: Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 46) };
}

describe('git at Data Center with a user token', () => {
  test.each(helpers)('%s: the real name and the token, with and without authtype', async (helper) => {
    const { sandbox, bitbucket, token } = await createLinkedDc();
    const url = `${bitbucket.url}/scm/acme/api.git`;
    const old = await askHelper(sandbox, helper, 'get', toRequest(url));
    expect(old.stdout).toBe(`username=ada\npassword=${token.secret}\n`);
    const modern = await askHelper(sandbox, helper, 'get', toRequest(url, authtype));
    expect(modern.stdout).toContain(`username=ada\npassword=${token.secret}\n`);
    expect(old.stderr + modern.stderr).toBe('');
  });

  test('clone, push and a personal repository, below the context path', async () => {
    const linked = await createLinkedDc({ link: ['--setup-git'] });
    const { sandbox, bitbucket } = linked;
    await gitDoes(sandbox, ['clone', '--quiet', `${bitbucket.url}/scm/ACME/api.git`, 'api']);
    expect(readFileSync(join(sandbox.home, 'api/README.md'), 'utf8')).toBe('# api\n');
    writeFileSync(join(sandbox.home, 'api/new.txt'), 'new\n');
    await gitDoes(sandbox, ['add', 'new.txt'], 'api');
    await gitDoes(sandbox, ['commit', '--quiet', '--message', 'New'], 'api');
    await gitDoes(sandbox, ['push', '--quiet'], 'api');
    await gitDoes(sandbox, ['clone', '--quiet', `${bitbucket.url}/scm/~ada/notes.git`, 'notes']);
    expect(listGitUsers(linked)).toEqual(['basic ada']);
  });

  test('a name with an "@" is what git shows the server', async () => {
    const token = { user: 'Grace@acme.test', permissions: ['PROJECT_READ', 'REPO_READ'] };
    const linked = await createLinkedDc({ token, link: ['--setup-git'] });
    await gitDoes(linked.sandbox, ['clone', '--quiet', `${linked.bitbucket.url}/scm/acme/api.git`, 'api']);
    expect(listGitUsers(linked)).toEqual(['basic Grace@acme.test']);
  });

  test('a restriction holds: other projects get nothing, with the reason', async () => {
    const { sandbox, bitbucket } = await createLinkedDc({ link: ['--namespace', 'WEB'] });
    const ask = (path: string) =>
      askHelper(sandbox, 'git-credential-gitlink', 'get', toRequest(`${bitbucket.url}/scm/${path}.git`));
    expect((await ask('web/shop')).stdout).toContain('username=ada');
    const refused = await ask('ACME/api');
    expect(refused).toMatchObject({ exitCode: 0, stdout: '' });
    expect(refused.stderr).toMatch(/^gitlink: .*outside the restriction[ -~]*\n$/);
  });

  test('another context path of the same server is none of its business', async () => {
    const { sandbox, bitbucket } = await createLinkedDc();
    const other = bitbucket.url.replace(/\/bitbucket$/, '/stash');
    for (const url of [
      `${other}/scm/ACME/api.git`,
      bitbucket.url.replace(/\/bitbucket$/, '/scm/ACME/api.git'),
    ]) {
      const run = await askHelper(sandbox, 'git-credential-gitlink', 'get', toRequest(url));
      expect(run).toMatchObject({ exitCode: 0, stdout: '', stderr: '' });
    }
  });

  test('a dead token at git: the link is marked, no captcha comes of it, and nothing is deleted', async () => {
    const { sandbox, bitbucket, token } = await createLinkedDc({ link: ['--setup-git'] });
    bitbucket.state.tokens.delete(token.secret);
    sandbox.guard(token.secret);
    const clone = await sandbox.runProgram('git', ['clone', `${bitbucket.url}/scm/ACME/api.git`, 'api']);
    expect(clone.exitCode).not.toBe(0);
    expect(bitbucket.state.findUser('ada')?.failedLogins).toBeLessThan(3);
    expect(readLinks(sandbox)).toMatchObject([{ name: 'bitbucket-dc', statusReason: 'refused' }]);
  });
});

describe('fact 6: git at Data Center with a token that has nobody behind it', () => {
  const kinds: readonly (readonly [string, NewToken])[] = [
    ['project', ofProject],
    ['repository', ofRepository],
  ];
  const cases = kinds.flatMap(([kind, token]) => helpers.map((helper) => [kind, helper, token] as const));

  test.each(cases)(
    'a %s token, %s: Bearer for a git that announces authtype',
    async (_kind, helper, token) => {
      const { sandbox, bitbucket, token: made } = await createLinkedDc({ token });
      const url = `${bitbucket.url}/scm/acme/api.git`;
      const run = await askHelper(sandbox, helper, 'get', toRequest(url, authtype, 'capability[]=state'));
      expect(run).toMatchObject({ exitCode: 0, stderr: '' });
      expect(run.stdout.split('\n')).toEqual([
        'capability[]=authtype',
        'ephemeral=1',
        'authtype=Bearer',
        `credential=${made.secret}`,
        '',
      ]);
    },
  );

  test.each(cases)('a %s token, %s: one clear line for an older git', async (_kind, helper, token) => {
    const { sandbox, bitbucket } = await createLinkedDc({ token });
    const url = `${bitbucket.url}/scm/acme/api.git`;
    for (const more of [[], ['capability[]=state'], [authtype, 'capability[]=']]) {
      const run = await askHelper(sandbox, helper, 'get', toRequest(url, ...more));
      expect(run).toMatchObject({ exitCode: 0, stdout: '' });
      expect(run.stderr).toMatch(/^gitlink: [ -~]*git 2\.46 or newer[ -~]*\n$/);
    }
  });

  test.each(kinds)(
    'a %s token: what is answered clones, and as a password it would not',
    async (_kind, token) => {
      const { sandbox, bitbucket, token: made } = await createLinkedDc({ token });
      const url = `${bitbucket.url}/scm/acme/api.git`;
      const answer = await askHelper(sandbox, 'git-credential-gitlink', 'get', toRequest(url, authtype));
      const credential = /^credential=(.*)$/m.exec(answer.stdout)?.[1] ?? '';
      const header = (value: string) => ({
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: 'http.extraHeader',
        GIT_CONFIG_VALUE_0: `Authorization: ${value}`,
      });
      await gitDoes(sandbox, ['clone', '--quiet', url, 'api'], '', header(`Bearer ${credential}`));
      expect(readFileSync(join(sandbox.home, 'api/README.md'), 'utf8')).toBe('# api\n');
      const basic = Buffer.from(`x-token-auth:${made.secret}`).toString('base64');
      sandbox.guard(basic);
      const env = header(`Basic ${basic}`);
      expect((await sandbox.runProgram('git', ['clone', url, 'again'], { env })).exitCode).not.toBe(0);
    },
  );

  test.skipIf(installedGit.knowsAuthtype)('an older git is told what to do, by its own output', async () => {
    const { sandbox, bitbucket } = await createLinkedDc({ token: ofProject, link: ['--setup-git'] });
    const run = await sandbox.runProgram('git', ['clone', `${bitbucket.url}/scm/ACME/api.git`, 'api']);
    expect(run.exitCode).not.toBe(0);
    expect(run.stderr).toContain('git 2.46 or newer');
    expect(listGitUsers({ bitbucket })).toEqual([]);
  });

  test.skipIf(newerGit === null)('git 2.46 clones by Bearer, through the helper', async () => {
    const { sandbox, bitbucket } = await createLinkedDc({ token: ofProject, link: ['--setup-git'] });
    const args = ['clone', '--quiet', `${bitbucket.url}/scm/ACME/api.git`, 'api'];
    const run = await sandbox.runProgram(newerGit ?? '', args);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(listGitUsers({ bitbucket })).toEqual(['bearer']);
  });

  test('erase of the credential marks the link, and deletes nothing', async () => {
    const { sandbox, bitbucket, token } = await createLinkedDc({ token: ofProject });
    const url = `${bitbucket.url}/scm/acme/api.git`;
    const lines = [authtype, 'authtype=Bearer', `credential=${token.secret}`];
    await askHelper(sandbox, 'git-credential-gitlink', 'erase', toRequest(url, ...lines));
    expect(readLinks(sandbox)).toMatchObject([{ name: 'bitbucket-dc', statusReason: 'refused' }]);
  });
});

describe('git at Data Center with a sign-in', () => {
  test('any name and the access token, with its end, never the refresh token', async () => {
    const { sandbox, bitbucket } = await createSignedInDc({ link: ['--setup-git'] });
    const url = `${bitbucket.url}/scm/acme/api.git`;
    const run = await askHelper(sandbox, 'git-credential-gitlink', 'get', toRequest(url));
    const [session] = bitbucket.state.oauth.sessions;
    expect(run.stdout).toMatch(/^username=x-token-auth\npassword=\S+\npassword_expiry_utc=\d+\n$/);
    expect(run.stdout).toContain(`password=${session?.accessToken ?? '?'}\n`);
    expect(run.stdout).not.toContain(session?.refreshToken ?? '?');
    await gitDoes(sandbox, ['clone', '--quiet', url, 'api']);
    expect(listGitUsers({ bitbucket })).toEqual(['basic x-token-auth']);
  });
});
