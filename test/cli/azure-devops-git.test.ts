import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { askHelper, helpers, readLinks, runForSecret, toRequest } from '../support/ask-git.ts';
import {
  assertDone,
  createBehindProxy,
  createLinkedAzure,
  createLinkedServer,
  createSignedInAzure,
  guardAll,
  linkArgs,
  linkToken,
  listAccessTokens,
  listForms,
  startAzureDevops,
  type LinkedAzure,
} from '../support/linked-azure-devops.ts';
import { createSandbox, type Run, type Sandbox } from '../support/sandbox.ts';

type Env = Readonly<Record<string, string>>;

function git(sandbox: Sandbox, args: readonly string[], folder = '', env: Env = {}, program = 'git') {
  const identity = ['-c', 'user.name=Ada', '-c', 'user.email=ada@acme.test'];
  return sandbox.runProgram(program, [...identity, ...args], { cwd: join(sandbox.home, folder), env });
}

async function gitDoes(
  sandbox: Sandbox,
  args: readonly string[],
  folder = '',
  env: Env = {},
  program = 'git',
): Promise<void> {
  const run = await git(sandbox, args, folder, env, program);
  expect(run, run.stderr).toMatchObject({ exitCode: 0 });
}

/** Clones, commits and pushes, and clones again to see it. */
async function cloneAndPush(sandbox: Sandbox, url: string, env: Env = {}, program = 'git'): Promise<void> {
  for (const folder of ['first', 'second']) {
    rmSync(join(sandbox.home, folder), { recursive: true, force: true });
  }
  const does = (args: readonly string[], folder = '') => gitDoes(sandbox, args, folder, env, program);
  await does(['clone', '--quiet', url, 'first']);
  const text = `${url}\n`;
  writeFileSync(join(sandbox.home, 'first/new.txt'), text);
  await does(['add', 'new.txt'], 'first');
  await does(['commit', '--quiet', '--message', 'New'], 'first');
  await does(['push', '--quiet'], 'first');
  await does(['clone', '--quiet', url, 'second']);
  expect(readFileSync(join(sandbox.home, 'second/new.txt'), 'utf8')).toBe(text);
}

function ask({ sandbox, azure }: Pick<LinkedAzure, 'sandbox' | 'azure'>, path: string): Promise<Run> {
  return askHelper(sandbox, 'git-credential-gitlink', 'get', toRequest(`${azure.url}/${path}`));
}

/** The link whose token is answered for a path; null for none. */
async function findAnswer(linked: Pick<LinkedAzure, 'sandbox' | 'azure'>, path: string) {
  const run = await ask(linked, path);
  expect([path, run.exitCode]).toEqual([path, 0]);
  return /^password=(.*)$/m.exec(run.stdout)?.[1] ?? null;
}

/** Every address of a repository that git may be given, on the test's host. */
const forms: readonly (readonly [string, string])[] = [
  ['the usual one', 'acme/Platform/_git/api'],
  ['the short form of a repository that is named like its project', 'acme/_git/Platform'],
  ['a space and letters outside ASCII', 'acme/Stra%C3%9Fe%20S%C3%BCd/_git/werk%20zeug'],
  ['other case', 'ACME/platform/_git/API'],
];

describe('git with a personal access token', () => {
  test.each(forms)('clones and pushes by %s', async (_name, path) => {
    const { sandbox, azure } = await createLinkedAzure({ link: ['--setup-git'] });
    await cloneAndPush(sandbox, `${azure.url}/${path}`);
    expect(listForms(azure, '/_git/')).toEqual(['basic gitlink']);
  });

  test('the organization as user name, as "Clone" gives it, names no account', async () => {
    const { sandbox, azure } = await createLinkedAzure({ link: ['--setup-git'] });
    const url = azure.url.replace('://', '://acme@');
    await cloneAndPush(sandbox, `${url}/acme/Platform/_git/api`);
    for (const name of ['acme', 'ada', 'somebody', 'ada%40acme.test']) {
      const named = `${azure.url.replace('://', `://${name}@`)}/acme/Platform/_git/api`;
      for (const helper of helpers) {
        const run = await askHelper(sandbox, helper, 'get', toRequest(named));
        expect([name, run.stdout]).toEqual([name, expect.stringContaining('password=')]);
      }
    }
  });

  test('what is no repository is not answered for a restricted link', async () => {
    const linked = await createLinkedAzure({ link: ['--namespace', 'acme/Platform'] });
    for (const path of ['acme', 'acme/Platform', 'acme/Platform/_git', 'acme/_git', '']) {
      expect([path, await findAnswer(linked, path)]).toEqual([path, null]);
    }
  });

  test('a dead token: the link is marked to be checked, and nothing is deleted', async () => {
    const { sandbox, azure, token } = await createLinkedAzure({ link: ['--setup-git'] });
    token.revoked = true;
    const run = await git(sandbox, ['clone', '--quiet', `${azure.url}/acme/Platform/_git/api`, 'api']);
    expect(run.exitCode).not.toBe(0);
    expect(readLinks(sandbox)).toMatchObject([{ status: 'unchecked', statusReason: 'refused' }]);
  });

  test('two organizations on one host never get each other’s token, and a third gets none', async () => {
    const linked = await createLinkedAzure();
    const labs = await linkToken(linked, { organization: 'acme-labs' }, ['--name', 'labs']);
    expect(await findAnswer(linked, 'acme/Platform/_git/api')).toBe(linked.token.secret);
    expect(await findAnswer(linked, 'acme/made/_git/later')).toBe(linked.token.secret);
    expect(await findAnswer(linked, 'acme-labs/Lab/_git/probe')).toBe(labs.secret);
    expect(await findAnswer(linked, 'acme-labs/_git/Lab')).toBe(labs.secret);
    expect(await findAnswer(linked, 'others/Tools/_git/hammer')).toBeNull();
    // Without a path nobody knows for which organization.
    const run = await askHelper(linked.sandbox, helpers[0], 'get', toRequest(linked.azure.url));
    expect(run).toMatchObject({ exitCode: 0, stdout: '' });
  });

  test('one organization alone is not answered for another, and explain says why', async () => {
    const linked = await createLinkedAzure();
    const run = await ask(linked, 'acme-labs/Lab/_git/probe');
    expect(run).toMatchObject({ exitCode: 0, stdout: '' });
    expect(run.stderr).toMatch(/^gitlink: "azure-devops" is for acme alone[ -~]*\n$/);
    const url = `${linked.azure.url}/acme-labs/Lab/_git/probe`;
    const explained = await linked.sandbox.run(['explain', url, '--json']);
    expect(explained.json()).toMatchObject({ chosen: null, candidates: [{ link: 'azure-devops' }] });
    expect(explained.json()['reason']).toContain('acme alone');
  });
});

describe('a restriction', () => {
  test('to a project whose name has a space and other letters: its repositories alone', async () => {
    const linked = await createLinkedAzure({ link: ['--namespace', 'acme/Straße Süd', '--setup-git'] });
    const { sandbox, azure } = linked;
    for (const path of [
      'acme/Stra%C3%9Fe%20S%C3%BCd/_git/api',
      'acme/Straße Süd/_git/werk zeug',
      'ACME/STRAße Süd/_git/made-later',
    ]) {
      expect([path, await findAnswer(linked, path)]).toEqual([path, linked.token.secret]);
    }
    for (const path of ['acme/Platform/_git/api', 'acme/_git/Platform', 'acme/Straße/_git/api']) {
      const run = await ask(linked, path);
      expect([path, run.stdout]).toEqual([path, '']);
      expect(run.stderr).toMatch(/^gitlink: .*outside the restriction of "azure-devops"/);
    }
    await cloneAndPush(sandbox, `${azure.url}/acme/Stra%C3%9Fe%20S%C3%BCd/_git/api`);
    const clone = await git(sandbox, ['clone', `${azure.url}/acme/Platform/_git/api`, 'api']);
    expect(clone.exitCode).toBe(128);
    expect(clone.stderr).toContain('gitlink restrict azure-devops --add');
  });

  test('to a repository, in its long and its short form', async () => {
    const linked = await createLinkedAzure({ link: ['--repo', 'acme/Platform/Platform'] });
    expect(await findAnswer(linked, 'acme/Platform/_git/Platform')).toBe(linked.token.secret);
    expect(await findAnswer(linked, 'acme/_git/platform')).toBe(linked.token.secret);
    expect(await findAnswer(linked, 'acme/Platform/_git/api')).toBeNull();
    for (const [path, chosen] of [
      ['acme/_git/Platform', 'azure-devops'],
      ['acme/Platform/_git/api', null],
    ] as const) {
      const run = await linked.sandbox.run(['explain', `${linked.azure.url}/${path}`, '--json']);
      expect([path, run.json()['chosen']]).toEqual([path, chosen]);
    }
    const token = await linked.sandbox.run(['token', '--repo', 'acme/Platform/api', '--json']);
    expect(token, token.stderr).toMatchObject({ exitCode: 6 });
  });
});

describe('git with a sign-in', () => {
  test('clones and pushes with a token of Entra, renewed where it ended; the refresh token stays here', async () => {
    const { sandbox, azure } = await createSignedInAzure({ link: ['--setup-git', '--for', 'push'] });
    await cloneAndPush(sandbox, `${azure.url}/acme/Platform/_git/api`);
    expect(listForms(azure, '/_git/')).toEqual(['basic gitlink']);
    const run = await ask({ sandbox, azure }, 'acme/Platform/_git/api');
    expect(run.stdout).toContain(`password=${listAccessTokens(azure).at(-1)}\n`);
    expect(run.stdout).toMatch(/^password_expiry_utc=\d+$/m);
    for (const secret of azure.oauth.listRefreshTokens()) expect(run.stdout).not.toContain(secret);
  });
});

describe('generated git credentials', () => {
  test('--username makes a token one for git alone, tried on --repo, and no API call is made with it', async () => {
    const azure = await startAzureDevops();
    const sandbox = guardAll(createSandbox(), azure);
    const { secret } = azure.addToken({ shape: 'old', scopes: ['vso.code_write'] });
    const flags = ['--with-token', '--username', 'ada.lovelace', '--repo', 'acme/Straße Süd/api'];
    const run = await sandbox.run(linkArgs(azure, ...flags, '--setup-git', '--json'), { input: secret });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(readLinks(sandbox)).toMatchObject([{ credentialKind: 'git-credential', organization: 'acme' }]);
    const api = azure.requests.filter(
      ({ path, authorization }) => path.includes('/_apis/') && authorization !== null,
    );
    expect(api).toEqual([]);
    await cloneAndPush(sandbox, `${azure.url}/acme/Stra%C3%9Fe%20S%C3%BCd/_git/api`);
    expect(listForms(azure, '/_git/')).toEqual(['basic ada.lovelace']);
    const repos = await sandbox.run(['repos', '--json']);
    expect(repos.exitCode).toBe(6);
  });

  test('in CI the variable with its user name makes it one, and no API call is made with it', async () => {
    const azure = await startAzureDevops();
    const sandbox = guardAll(createSandbox({ store: 'keychain' }), azure);
    const { secret } = azure.addToken({ shape: 'old', scopes: ['vso.code_write'] });
    const env = {
      CI: 'true',
      GITLINK_PROVIDER: 'azure-devops',
      GITLINK_HOST: azure.url,
      GITLINK_ORGANIZATION: 'acme',
      GITLINK_TOKEN: secret,
      GITLINK_USERNAME: 'ada.lovelace',
    };
    const request = toRequest(`${azure.url}/acme/Platform/_git/api`);
    const run = await askHelper(sandbox, 'git-credential-gitlink', 'get', request, { env });
    expect(run.stdout, run.stderr).toContain(`username=ada.lovelace\npassword=${secret}\n`);
    expect(await sandbox.run(['repos', '--json'], { env })).toMatchObject({ exitCode: 6 });
    expect(azure.requests).toEqual([]);
  });

  test('a wrong one: exit 4, and nothing is kept', async () => {
    const azure = await startAzureDevops();
    const sandbox = guardAll(createSandbox(), azure);
    const { secret } = azure.addToken({ shape: 'old', organization: 'acme-labs' });
    const flags = ['--with-token', '--username', 'ada', '--repo', 'acme/Platform/api', '--json'];
    const run = await sandbox.run(linkArgs(azure, ...flags), { input: secret });
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
  });
});

describe('under its own names', () => {
  const ownForms = [
    'https://dev.azure.com/acme/Platform/_git/api',
    'https://acme@dev.azure.com/acme/Stra%C3%9Fe%20S%C3%BCd/_git/werk%20zeug',
    'https://dev.azure.com/acme/_git/Platform',
    'https://acme.visualstudio.com/Platform/_git/api',
    'https://acme.visualstudio.com/DefaultCollection/Platform/_git/api',
    'https://acme.visualstudio.com/_git/Platform',
  ];

  test('every form of an address clones and pushes, each with the token of its organization', async () => {
    const { sandbox, azure, env } = await createBehindProxy();
    for (const [organization, name] of [
      ['acme', 'work'],
      ['acme-labs', 'labs'],
    ] as const) {
      const { secret } = azure.addToken({ organization });
      const args = ['link', 'azure-devops', '--organization', organization, '--with-token'];
      assertDone(await sandbox.run([...args, '--name', name, '--setup-git'], { input: secret, env }));
    }
    for (const url of ownForms) await cloneAndPush(sandbox, url, env);
    await cloneAndPush(sandbox, 'https://acme-labs.visualstudio.com/Lab/_git/probe', env);
    for (const url of ownForms) {
      const run = await sandbox.run(['explain', url, '--json']);
      expect([url, run.json()['chosen']]).toEqual([url, 'work']);
    }
    for (const url of [
      'https://evilacme.visualstudio.com.example/Platform/_git/api',
      'https://x.acme.visualstudio.com/Platform/_git/api',
      'https://others.visualstudio.com/Tools/_git/hammer',
      'http://acme.visualstudio.com/Platform/_git/api',
      'https://vssps.dev.azure.com/acme/Platform/_git/api',
    ]) {
      const run = await askHelper(sandbox, helpers[0], 'get', toRequest(url));
      expect([url, run.stdout]).toEqual([url, '']);
    }
  }, 90_000);

  test('of two organizations each has its own old name in the setup, and unlinking one takes that alone away', async () => {
    const { sandbox, azure, env } = await createBehindProxy();
    for (const organization of ['acme', 'acme-labs']) {
      const { secret } = azure.addToken({ organization });
      const args = ['link', 'azure-devops', '--organization', organization, '--with-token'];
      assertDone(await sandbox.run([...args, '--name', organization, '--setup-git'], { input: secret, env }));
    }
    const listHosts = () =>
      [...readFileSync(join(sandbox.home, '.gitconfig'), 'utf8').matchAll(/\[credential "(.*)"\]/g)].map(
        ([, host]) => host,
      );
    const [current, ofAcme, ofLabs] = [
      'https://dev.azure.com',
      'https://acme.visualstudio.com',
      'https://acme-labs.visualstudio.com',
    ];
    expect(listHosts().sort()).toEqual([current, ofAcme, ofLabs].sort());
    assertDone(await sandbox.run(['unlink', 'acme-labs', '--yes'], { env }));
    expect(listHosts().sort()).toEqual([current, ofAcme].sort());
    assertDone(await sandbox.run(['unlink', 'acme', '--yes'], { env }));
    expect(listHosts()).toEqual([]);
  });

  test('setup-git writes lines for both names, once, and takes them away again', async () => {
    const { sandbox, azure, env } = await createBehindProxy();
    const { secret } = azure.addToken();
    const own = '[user]\n\tname = Ada\n';
    const path = join(sandbox.home, '.gitconfig');
    writeFileSync(path, own);
    const args = ['link', 'azure-devops', '--organization', 'acme', '--with-token'];
    assertDone(await sandbox.run(args, { input: secret, env }));
    for (let times = 0; times < 2; times += 1) {
      const run = await sandbox.run(['setup-git']);
      expect(run, run.stderr).toMatchObject({ exitCode: 0 });
      const config = readFileSync(path, 'utf8');
      for (const host of ['https://dev.azure.com', 'https://acme.visualstudio.com']) {
        expect(config.split(`[credential "${host}"]`)).toHaveLength(2);
      }
      expect(config.match(/useHttpPath = true/g)).toHaveLength(2);
    }
    const filled = await runForSecret(sandbox, 'git', ['credential', 'fill'], {
      input: 'url=https://acme.visualstudio.com/Platform/_git/api\n\n',
    });
    expect(filled.stdout).toContain(`password=${secret}\n`);
    assertDone(await sandbox.run(['setup-git', '--undo']));
    expect(readFileSync(path, 'utf8')).toBe(own);
    // The last unlink of a host does the same.
    assertDone(await sandbox.run(['setup-git']));
    assertDone(await sandbox.run(['unlink', '--yes'], { env }));
    expect(readFileSync(path, 'utf8')).toBe(own);
  });
});

/** A git that takes a finished header from its helper; null where there is none. */
const newerGit = [process.env['GITLINK_TEST_GIT'] ?? '', '/tmp/gitlink-git-2.47.3/bin/git', 'git'].find(
  (program) => program !== '' && existsSync(program) && knowsAuthtype(program),
);
if (newerGit === undefined) {
  process.stderr.write(
    'Skipped: a clone beside an offer of Windows, as GITLINK_TEST_GIT names no git ≥ 2.46.\n',
  );
}

function knowsAuthtype(program: string): boolean {
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  const [, major = '0', minor = '0'] = /(\d+)\.(\d+)/.exec(stdout) ?? [];
  return Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 46);
}

describe('Azure DevOps Server', () => {
  const path = 'DefaultCollection/Stra%C3%9Fe%20S%C3%BCd/_git/werk%20zeug';

  test('clones and pushes in a collection below /tfs; other collections and paths are not its own', async () => {
    const linked = await createLinkedServer({ link: ['--setup-git'] });
    const { sandbox, azure } = linked;
    await cloneAndPush(sandbox, `${azure.url}/${path}`);
    await cloneAndPush(sandbox, `${azure.url}/DefaultCollection/_git/Platform`);
    expect(await findAnswer(linked, 'Other/Platform/_git/api')).toBeNull();
    const { origin } = new URL(azure.url);
    const request = toRequest(`${origin}/DefaultCollection/Platform/_git/api`);
    expect(await askHelper(sandbox, helpers[0], 'get', request)).toMatchObject({ stdout: '', stderr: '' });
  });

  test.skipIf(newerGit === undefined)(
    'a server that offers to sign in as Windows does: git 2.46 gets a finished header, clones and pushes',
    async () => {
      const { sandbox, azure } = await createLinkedServer({ link: ['--setup-git'] });
      azure.settings.gitOffersWindows = true;
      await cloneAndPush(sandbox, `${azure.url}/${path}`, {}, newerGit);
      expect(listForms(azure, '/_git/')).toEqual(['basic gitlink']);
    },
  );

  test.skipIf(newerGit === undefined)('there, too, a dead token is what marks the link', async () => {
    const { sandbox, azure, token } = await createLinkedServer({ link: ['--setup-git'] });
    azure.settings.gitOffersWindows = true;
    token.revoked = true;
    const run = await git(sandbox, ['clone', `${azure.url}/${path}`, 'api'], '', {}, newerGit);
    expect(run.exitCode).not.toBe(0);
    expect(readLinks(sandbox)).toMatchObject([{ status: 'unchecked', statusReason: 'refused' }]);
  });

  test('an older git that tells of the offer: no answer, and the reason', async () => {
    const { sandbox, azure } = await createLinkedServer();
    const request = toRequest(
      `${azure.url}/${path}`,
      'wwwauth[]=Negotiate',
      'wwwauth[]=NTLM',
      'wwwauth[]=Basic realm="x"',
    );
    const run = await askHelper(sandbox, helpers[0], 'get', request);
    expect(run).toMatchObject({ exitCode: 0, stdout: '' });
    expect(run.stderr).toContain('git 2.46 or newer');
  });
});
