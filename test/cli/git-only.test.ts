import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { GitlabSimulator } from '../simulators/gitlab/server.ts';
import type { GitlabToken } from '../simulators/gitlab/token-state.ts';
import { askHelper, readLinks, toRequest } from '../support/ask-git.ts';
import { createGitlabSandbox, startGitlab } from '../support/linked-gitlab.ts';
import type { Run, Sandbox } from '../support/sandbox.ts';

interface Deployed {
  readonly gitlab: GitlabSimulator;
  readonly sandbox: Sandbox;
  readonly token: GitlabToken;
  readonly username: string;
}

/** A GitLab with a deploy token of `acme/api`, and a git that notes its arguments and has a helper of its own. */
async function createDeployed(resource = 'acme/api', basePath?: string): Promise<Deployed> {
  const gitlab = await startGitlab(basePath === undefined ? {} : { basePath });
  const sandbox = createGitlabSandbox(gitlab);
  const token = gitlab.addToken({ kind: 'deploy', resource, scopes: ['read_repository'] });
  const found = await sandbox.runProgram('sh', ['-c', 'command -v git']);
  const wrapper = `#!/bin/sh\nprintf '%s\\n' "$*" >>"$HOME/git-arguments"\nexec '${found.stdout.trim()}' "$@"\n`;
  writeFileSync(join(sandbox.home, 'bin', 'git'), wrapper, { mode: 0o755 });
  const helper = '[credential]\n\thelper = "!f() { cat >>$HOME/other-helper; }; f"\n';
  writeFileSync(join(sandbox.home, '.gitconfig'), helper);
  return { gitlab, sandbox, token, username: token.deployUsername ?? '' };
}

function link({ gitlab, sandbox, token }: Deployed, ...more: readonly string[]): Promise<Run> {
  const args = ['link', 'gitlab', '--host', gitlab.url, '--with-token', '--json', ...more];
  return sandbox.run(args, { input: `${token.secret}\n` });
}

/** The same, done. */
async function createLinkedDeployed(...more: readonly string[]): Promise<Deployed> {
  const made = await createDeployed();
  const run = await link(made, '--username', made.username, '--repo', 'acme/api', ...more);
  expect(run, run.stderr).toMatchObject({ exitCode: 0 });
  return made;
}

describe('a deploy token', () => {
  test('is replaced by a person, as audit says', async () => {
    const { sandbox } = await createLinkedDeployed();
    const run = await sandbox.run(['audit', '--json']);
    const { findings } = run.json<{ readonly findings: readonly Readonly<Record<string, unknown>>[] }>();
    expect(findings.find(({ code }) => code === 'never-expires')?.['fix']).toMatch(
      /^make a new one \(http.+\), then: gitlink relink gitlab$/,
    );
  });

  test('is verified by git alone; the link says that API commands cannot work', async () => {
    const made = await createDeployed();
    const { gitlab, sandbox, username } = made;
    const run = await link(made, '--username', username, '--repo', 'acme/api');
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({
      link: {
        method: 'token',
        account: { login: username, kind: 'unknown', id: null },
        restriction: { mode: 'restricted', repositories: ['acme/api'] },
        status: 'ok',
      },
    });
    expect(run.stderr).toContain('API commands will not work');
    const asked = gitlab.requests.filter(({ authorization }) => authorization !== null);
    expect(asked.map(({ path, status }) => [path, status])).toEqual([
      ['/acme/api.git/info/refs', 200],
      ['/acme/api.git/git-upload-pack', 200],
    ]);
    // Neither arguments nor the person's own helper saw it: the sandbox looks for it in both files.
    expect(readFileSync(join(sandbox.home, 'git-arguments'), 'utf8')).toContain('ls-remote');
    expect(existsSync(join(sandbox.home, 'other-helper'))).toBe(false);
  });

  test('below a path, in a nested group, by an address', async () => {
    const made = await createDeployed('acme', '/gitlab');
    const { gitlab, sandbox, token, username } = made;
    const repository = 'acme/platform/tools/cli';
    const address = `${gitlab.url}/${repository}`;
    const args = ['link', address, '--with-token', '--username', username, '--repo', repository, '--json'];
    const run = await sandbox.run(args, { input: token.secret });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ link: { host: gitlab.url } });
  });

  test.each([
    ['repos'],
    ['regenerate-webhooks', '--url', 'https://ci.acme.example/hook'],
    ['restrict', '--add', '--repo', 'acme/old'],
    ['rotate'],
  ])('%s: exit 6 with the way on, and nothing is asked', async (...args) => {
    const { gitlab, sandbox } = await createLinkedDeployed();
    gitlab.clearRequests();
    const run = await sandbox.run([...args, '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.json()).toMatchObject({
      error: { code: expect.stringMatching(/forbidden|unsupported/) as string },
    });
    expect(run.stderr).toContain('deploy token');
    expect(run.stderr).toContain('gitlink relink gitlab');
    expect(gitlab.requests).toEqual([]);
  });

  test('git clones with it through the helper, and gets nothing for other repositories', async () => {
    const { gitlab, sandbox, token, username } = await createLinkedDeployed('--setup-git');
    const clone = await sandbox.runProgram('git', ['clone', '--quiet', `${gitlab.url}/acme/api.git`, 'api']);
    expect(clone, clone.stderr).toMatchObject({ exitCode: 0 });
    expect(existsSync(join(sandbox.home, 'api', 'README.md'))).toBe(true);
    const answer = await askHelper(
      sandbox,
      'git-credential-gitlink',
      'get',
      toRequest(`${gitlab.url}/acme/api.git`),
    );
    expect(answer.stdout).toContain(`username=${username}\npassword=${token.secret}\n`);
    const other = await askHelper(
      sandbox,
      'git-credential-gitlink',
      'get',
      toRequest(`${gitlab.url}/acme/old.git`),
    );
    expect(other).toMatchObject({ exitCode: 0, stdout: '' });
  });

  test('list --check asks git; a revoked one is exit 3, a host that is away is not called revoked', async () => {
    const { gitlab, sandbox, token } = await createLinkedDeployed();
    gitlab.clearRequests();
    const good = await sandbox.run(['list', '--check', '--json']);
    expect(good, good.stderr).toMatchObject({ exitCode: 0 });
    expect(good.json()).toMatchObject({ links: [{ status: 'ok' }] });
    expect(gitlab.requests.map(({ path }) => path)).toContain('/acme/api.git/info/refs');
    gitlab.faults.add({ fault: { kind: 'answer', answer: { status: 502, text: 'Bad Gateway' } } });
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 3 });
    expect(readLinks(sandbox)).toMatchObject([{ status: 'unreachable' }]);
    gitlab.faults.clear();
    token.revoked = true;
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 3 });
    expect(readLinks(sandbox)).toMatchObject([{ status: 'revoked' }]);
  });

  test('a wrong user name is exit 4, a repository that it is not for exit 5; nothing is kept', async () => {
    const made = await createDeployed();
    const wrong = await link(made, '--username', 'somebody', '--repo', 'acme/api');
    expect(wrong, wrong.stderr).toMatchObject({ exitCode: 4 });
    expect(wrong.json()).toMatchObject({ error: { code: 'auth' } });
    expect(wrong.stderr).toContain('user name');
    const other = await link(made, '--username', made.username, '--repo', 'acme/old');
    expect(other, other.stderr).toMatchObject({ exitCode: 5 });
    expect((await made.sandbox.run(['list'])).stdout).toBe('');
    expect(existsSync(join(made.sandbox.home, 'other-helper'))).toBe(false);
  });

  test('a host that is away is exit 7, not a bad token', async () => {
    const made = await createDeployed();
    made.gitlab.faults.add({ fault: { kind: 'cut' }, path: /info\/refs/ });
    const run = await link(made, '--username', made.username, '--repo', 'acme/api');
    expect(run, run.stderr).toMatchObject({ exitCode: 7 });
  });

  test('without a terminal what is missing is exit 2, naming the flag', async () => {
    const made = await createDeployed();
    const noName = await link(made, '--repo', 'acme/api');
    expect(noName).toMatchObject({ exitCode: 2 });
    expect(noName.stderr).toContain('--username');
    const noRepository = await link(made, '--username', made.username);
    expect(noRepository).toMatchObject({ exitCode: 2 });
    expect(noRepository.stderr).toContain('--repo');
    for (const name of ['--upload-pack=x y', '']) {
      const strange = await link(made, '--username', name, '--repo', 'acme/api');
      expect(strange, name).toMatchObject({ exitCode: 2 });
    }
    for (const repository of ['../x', '-x/y', 'acme/api?x']) {
      const strange = await link(made, '--username', made.username, `--repo=${repository}`);
      expect([2, 5], `${repository}: ${strange.stderr}`).toContain(strange.exitCode);
    }
  });

  test('relink takes a new one for the same repository', async () => {
    const { gitlab, sandbox, token, username } = await createLinkedDeployed();
    const fresh = gitlab.addToken({
      kind: 'deploy',
      resource: 'acme/api',
      scopes: ['read_repository'],
      deployUsername: username,
    });
    token.revoked = true;
    const run = await sandbox.run(['relink', '--with-token', '--username', username, '--json'], {
      input: fresh.secret,
    });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('relink with a token of a person: API commands work again', async () => {
    const { gitlab, sandbox } = await createLinkedDeployed();
    const { secret } = gitlab.addToken({ scopes: ['api'] });
    const args = ['relink', '--with-token', '--allow-account-change', '--json'];
    const run = await sandbox.run(args, { input: secret });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ link: { account: { login: 'ada' } } });
    const repos = await sandbox.run(['repos']);
    expect(repos, repos.stderr).toMatchObject({ exitCode: 0 });
    expect(repos.stdout).toContain('acme/api');
  });

  test('unlink --revoke: it cannot end itself, so the page is named and the link goes', async () => {
    const { gitlab, sandbox, token } = await createLinkedDeployed();
    const run = await sandbox.run(['unlink', '--revoke', '--yes', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ steps: [{ what: 'revoke', state: 'skipped' }, {}, {}] });
    expect(JSON.stringify(run.json())).toContain('Settings > Repository');
    expect(run.stderr).toContain(`Left for you: the token, which may still work`);
    expect(token.revoked).toBe(false);
    expect(readLinks(sandbox)).toEqual([]);
    expect(gitlab.requests.filter(({ method }) => method === 'DELETE')).toEqual([]);
  });
});
