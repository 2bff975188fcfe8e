import { describe, expect, test } from 'vitest';
import { signIn } from '../simulators/gitlab-oauth-kit.ts';
import { signInPage } from '../simulators/gitlab/instance.ts';
import type { GitlabSimulator, GitlabSimulatorOptions } from '../simulators/gitlab/server.ts';
import type { NewToken } from '../simulators/gitlab/token-state.ts';
import { readLinks } from '../support/ask-git.ts';
import { createGitlabSandbox, startGitlab } from '../support/linked-gitlab.ts';
import { startGitea } from '../support/linked.ts';
import { createSandbox, type Run, type Sandbox } from '../support/sandbox.ts';

interface LinkDocument {
  readonly link: Readonly<Record<string, unknown>>;
}

interface Linking {
  readonly gitlab: GitlabSimulator;
  readonly sandbox: Sandbox;
  readonly run: Run;
}

/** Links a token as a person pastes it. */
async function link(
  token: NewToken,
  { gitlab: options, change }: LinkingOptions = {},
): Promise<Linking & { readonly secret: string }> {
  const gitlab = await startGitlab(options);
  const sandbox = createGitlabSandbox(gitlab);
  const made = gitlab.addToken(token);
  change?.(made);
  const args = ['link', 'gitlab', '--host', gitlab.url, '--with-token', '--json'];
  return {
    gitlab,
    sandbox,
    secret: made.secret,
    run: await sandbox.run(args, { input: `${made.secret}\n` }),
  };
}

interface LinkingOptions {
  readonly gitlab?: GitlabSimulatorOptions;
  readonly change?: (token: ReturnType<GitlabSimulator['addToken']>) => void;
}

function dayIn(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
}

const scopes = ['api', 'read_repository'];
/** Never in one piece, so that scanners stay quiet. */
const personalPrefix = ['gl', 'pat-'].join('');

describe('link gitlab with a token', () => {
  test.each<[string, NewToken, Record<string, unknown>]>([
    ["a person's", { scopes }, { login: 'ada', kind: 'user' }],
    [
      "a project's",
      { kind: 'project', resource: 'acme/api', scopes },
      { kind: 'project', login: expect.stringMatching(/^project_\d+_bot_/) },
    ],
    [
      "a group's",
      { kind: 'group', resource: 'acme', scopes },
      { kind: 'group', login: expect.stringMatching(/^group_\d+_bot_/) },
    ],
    [
      "a service account's",
      { kind: 'serviceAccount', user: 'service_account_group_31_canary', scopes },
      { kind: 'serviceAccount', login: 'service_account_group_31_canary' },
    ],
    ['a routable one', { scopes, shape: 'routable' }, { login: 'ada' }],
    ["with the instance's prefix before it", { scopes, prefix: `acme-${personalPrefix}` }, { login: 'ada' }],
    ['with a prefix of its own', { scopes, prefix: 'acme_' }, { login: 'ada' }],
    ['without any prefix', { scopes, prefix: '' }, { login: 'ada' }],
  ])('%s: linked, verified, and of use', async (_name, token, account) => {
    const { run, sandbox, gitlab } = await link(token);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json<LinkDocument>().link).toMatchObject({
      name: 'gitlab',
      provider: 'gitlab',
      flavour: 'gitlab',
      host: gitlab.url,
      method: 'token',
      account,
      scopes,
      status: 'ok',
      expiresAt: `${dayIn(365)}T00:00:00.000Z`,
    });
    expect(run.stderr).not.toContain('is missing');
    const repos = await sandbox.run(['repos', '--json']);
    expect(repos, repos.stderr).toMatchObject({ exitCode: 0 });
    expect(repos.stdout).toContain('acme/api');
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('a fine-grained one: linked; that nobody knows what it may do is said', async () => {
    const granularScopes = [{ access: 'user', permissions: ['read_user'] }] as const;
    const { run } = await link({ kind: 'fineGrained', granularScopes });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json<LinkDocument>().link).toMatchObject({ account: { login: 'ada' }, scopes: null });
    expect(run.stderr).toContain('does not tell what this token may do');
  });

  test('a fine-grained one that may not even describe its account is linked all the same', async () => {
    const granularScopes = [{ access: 'all_memberships', permissions: ['download_code'] }] as const;
    const { run, sandbox } = await link({ kind: 'fineGrained', granularScopes });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json<LinkDocument>().link).toMatchObject({ account: { login: null, kind: 'unknown' } });
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('the least one, for repositories alone: linked, what is missing is named with what it is for', async () => {
    const { run, sandbox } = await link({ scopes: ['read_repository'] });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json<LinkDocument>().link).toMatchObject({
      account: { login: null, kind: 'unknown' },
      scopes: ['read_repository'],
    });
    expect(run.stderr).toContain('This token may not read its own account');
    expect(run.stderr).toContain('The scope api is missing: it is needed to manage webhooks.');
    expect(run.stderr).toMatch(/The scope read_api is missing: it is needed to list repositories/);
    expect(run.stderr).toContain('The scope read_user is missing: it is needed to know the account.');
    const repos = await sandbox.run(['repos', '--json']);
    expect(repos).toMatchObject({ exitCode: 6 });
    expect(repos.json()).toMatchObject({ error: { code: 'forbidden' } });
    // What it lacks says nothing about whether it lives.
    expect(readLinks(sandbox)).toMatchObject([{ status: 'ok' }]);
  });

  test('more than is needed is named, too', async () => {
    const { run } = await link({ scopes: ['api', 'sudo', 'self_rotate'] });
    expect(run.stderr).toContain('The token may do more than is needed:');
    expect(run.stderr).toMatch(/more than is needed: .*sudo/);
    expect(run.stderr).not.toMatch(/more than is needed: .*self_rotate/);
  });

  test('tokens die at 00:00 UTC of the day that GitLab names: today is too late, tomorrow is expiring', async () => {
    const today = await link({ scopes, expiresAt: dayIn(0) });
    expect(today.run).toMatchObject({ exitCode: 4 });
    const tomorrow = await link({ scopes, expiresAt: dayIn(1) });
    expect(tomorrow.run.json<LinkDocument>().link).toMatchObject({
      status: 'expiring',
      expiresAt: `${dayIn(1)}T00:00:00.000Z`,
    });
    const forEver = await link({ scopes, expiresAt: null });
    expect(forEver.run.json<LinkDocument>().link).toMatchObject({ expiresAt: null });
  });

  test.each<[string, LinkingOptions, RegExp]>([
    ['expired', { change: (token) => (token.expiresAt = dayIn(-3)) }, /it has expired/],
    ['revoked', { change: (token) => (token.revoked = true) }, /it was revoked, or replaced by a newer one/],
  ])('an %s one: exit 4 in words of its own, and nothing is kept', async (_name, options, words) => {
    const { run, sandbox } = await link({ scopes }, options);
    expect(run).toMatchObject({ exitCode: 4 });
    expect(run.json()).toMatchObject({ error: { code: 'auth' } });
    expect(run.stderr).toMatch(words);
    expect(run.stderr).toContain('/-/user_settings/personal_access_tokens');
    expect((await sandbox.run(['list'])).stdout).toBe('');
  });

  test('of a blocked account: exit 6, not called a bad token', async () => {
    const { run } = await link({ scopes }, { change: (token) => (token.user.state = 'blocked') });
    expect(run).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain('Your account has been blocked');
  });

  test.each([
    ['gloas', /secret of an OAuth application/, /gitlink client add gitlab/],
    ['glrt', /token of a runner/, /access token/],
    ['glcbt', /CI job's token/, /job/],
    ['glptt', /triggers pipelines/, /access token/],
    ['acme-glft', /feeds/, /access token/],
  ])('D3: %s-… is exit 2 saying what it is, without echoing it', async (prefix, what, hint) => {
    const gitlab = await startGitlab();
    const sandbox = createGitlabSandbox(gitlab);
    const pasted = sandbox.guard([prefix, 'canary0123456789abcdef'].join('-'));
    gitlab.clearRequests();
    for (const more of [['--json'], ['--verbose']]) {
      const args = ['link', 'gitlab', '--host', gitlab.url, '--with-token', ...more];
      const run = await sandbox.run(args, { input: pasted });
      expect(run).toMatchObject({ exitCode: 2 });
      expect(run.stderr).toMatch(what);
      expect(run.stderr).toMatch(hint);
    }
    expect(gitlab.requests.filter(({ authorization }) => authorization !== null)).toEqual([]);
  });

  test("a sign-in's token that another program got: linked until it ends, and never renewed", async () => {
    const gitlab = await startGitlab();
    const sandbox = createGitlabSandbox(gitlab);
    const { access } = await signInElsewhere(gitlab);
    const args = ['link', 'gitlab', '--host', gitlab.url, '--with-token', '--json'];
    const run = await sandbox.run(args, { input: access });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const { link: made } = run.json<LinkDocument>();
    expect(made).toMatchObject({ method: 'token', account: { login: 'ada' }, status: 'expiring' });
    await gitlab.oauth.endAccessTokens();
    expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 4 });
    expect(gitlab.oauth.countExchanges('refresh_token')).toBe(0);
  });

  test('an instance older than GitLab 16.0: exit 6, saying so', async () => {
    const { run } = await link({ scopes }, { gitlab: { version: '15.4.0-ee' } });
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain('16.0');
  });
});

describe('which GitLab', () => {
  test('below a path, from the address of a repository deep inside', async () => {
    const gitlab = await startGitlab({ basePath: '/gitlab' });
    const sandbox = createGitlabSandbox(gitlab);
    const { secret } = gitlab.addToken({ scopes });
    const run = await sandbox.run(
      ['link', `${gitlab.url}/acme/platform/tools/cli`, '--with-token', '--json'],
      {
        input: secret,
      },
    );
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json<LinkDocument>().link).toMatchObject({ host: gitlab.url, provider: 'gitlab' });
    const repos = await sandbox.run(['repos', '--json']);
    expect(repos.stdout).toContain(`${gitlab.url}/acme/api.git`);
  });

  test.each(['/git/acme/api', '/git', '/git/acme/api.git'])(
    'a bare address finds the instance at /git: %s',
    async (path) => {
      const gitlab = await startGitlab({ basePath: '/git' });
      const sandbox = createGitlabSandbox(gitlab);
      const { secret } = gitlab.addToken({ scopes });
      const address = new URL(path, gitlab.url).href;
      const run = await sandbox.run(['link', address, '--with-token', '--json'], { input: secret });
      expect(run, run.stderr).toMatchObject({ exitCode: 0 });
      expect(run.json<LinkDocument>().link).toMatchObject({ host: gitlab.url, provider: 'gitlab' });
    },
  );

  test.each([
    ['its sign-in page instead of the API of others', signInPage],
    ['a redirect to its sign-in page', { status: 302, headers: { location: '/users/sign_in' } }],
    ['a page with 404', { ...signInPage, status: 404 }],
  ])('a bare address whose host answers with %s is recognised', async (_name, answer) => {
    const gitlab = await startGitlab();
    const sandbox = createGitlabSandbox(gitlab);
    const { secret } = gitlab.addToken({ scopes });
    gitlab.settings.absentPage = answer;
    const run = await sandbox.run(['link', gitlab.url, '--with-token', '--json'], { input: secret });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json<LinkDocument>().link).toMatchObject({ provider: 'gitlab' });
    const strange = gitlab.requests.filter(({ template }) => template === null);
    expect(strange.map(({ status }) => status)).toContain(answer.status);
  });

  test('a Gitea is not called a GitLab, and the other way round: exit 2, and no token is sent', async () => {
    const gitea = await startGitea();
    const gitlab = await startGitlab();
    const sandbox = createSandbox();
    const canary = sandbox.guard('canary-token-of-nobody');
    for (const [word, { url }] of [
      ['gitlab', gitea],
      ['gitea', gitlab],
    ] as const) {
      const run = await sandbox.run(['link', word, '--host', url, '--with-token'], { input: canary });
      expect(run, run.stderr).toMatchObject({ exitCode: 2 });
    }
  });
});

/** Signs ada in with a client of another program. */
async function signInElsewhere(gitlab: GitlabSimulator): Promise<{ readonly access: string }> {
  const tokens = await signIn(gitlab, gitlab.oauth.addApplication({ name: 'another program' }));
  return { access: tokens.access_token };
}
