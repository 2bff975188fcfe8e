import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { GithubSimulator } from '../simulators/github/server.ts';
import { requireOrganization, requireUser } from '../simulators/github/state.ts';
import {
  makeRefreshSecret,
  makeStatelessSecret,
  storeToken,
  type NewToken,
} from '../simulators/github/token-state.ts';
import { renameRepository, smallWorld } from '../simulators/github/world.ts';
import { askHelper, changeLinks, readLinks, runForSecret, toRequest } from '../support/ask-git.ts';
import { createGithubSandbox, createLinkedGithub, startGithub } from '../support/linked-github.ts';
import type { Run, Sandbox } from '../support/sandbox.ts';

interface LinkFacts {
  readonly name: string;
  readonly status: string;
  readonly statusReason: string | null;
  readonly scopes: readonly string[] | null;
  readonly expiresAt: string | null;
}

/** github.com's manners, met on this machine. */
const cloud = { flavour: 'github.com', settings: { allowsLocalWebhooks: true } } as const;
const dayMs = 86_400_000;

interface Place {
  readonly github: GithubSimulator;
  readonly sandbox: Sandbox;
}

async function setUp(options: Parameters<typeof startGithub>[0] = {}): Promise<Place> {
  const github = await startGithub(options);
  return { github, sandbox: createGithubSandbox(github) };
}

function link({ github, sandbox }: Place, secret: string, ...more: readonly string[]): Promise<Run> {
  const args = ['link', 'github', '--host', github.url, '--with-token', ...more];
  return sandbox.run(args, { input: `${secret}\n` });
}

async function check({ sandbox }: Pick<Place, 'sandbox'>) {
  const run = await sandbox.run(['list', '--check', '--json']);
  const [found] = run.json<{ links: readonly LinkFacts[] }>().links;
  return { exitCode: run.exitCode, status: found?.status, reason: found?.statusReason, said: run.stderr };
}

/** Tokens that other programs obtained, as people paste them. */
function makeForeign({ state, addApp, install, oauth }: GithubSimulator) {
  const ada = requireUser(state, 'ada');
  const { app } = addApp({ owner: 'acme' });
  const installation = install(app, { account: 'acme', repositories: ['api'] });
  const now = Date.now();
  const scopes = ['read:org', 'repo'];
  const ofInstallation = {
    kind: 'installation',
    name: 'canary',
    installation,
    permissions: installation.permissions,
    repositories: installation.repositoryIds,
    expiresAt: new Date(now + 3_600_000),
  } as const;
  return {
    gho: () =>
      storeToken(state, now, {
        kind: 'oauth',
        name: 'canary',
        user: ada,
        scopes,
        client: oauth.addApplication(),
      }),
    ghu: () => storeToken(state, now, { kind: 'userAccess', name: 'canary', user: ada, client: app.client }),
    ghs: () => storeToken(state, now, ofInstallation),
    stateless: () => storeToken(state, now, { ...ofInstallation, secret: makeStatelessSecret(app.id) }),
  };
}

describe('a pasted token is known by its shape and described', () => {
  const permissions = ['contents:write', 'metadata:read', 'repository_hooks:write'];
  const cases: readonly (readonly [
    what: string,
    make: (github: GithubSimulator) => { readonly secret: string },
    expected: readonly [kind: string, shape: RegExp, account: string, scopes: readonly string[] | null],
  ])[] = [
    [
      'classic',
      ({ addToken }) => addToken(),
      ['personal-access-token', /^ghp_/, 'ada', ['read:org', 'repo']],
    ],
    [
      'fine-grained',
      ({ addToken }) => addToken({ kind: 'fineGrained' }),
      ['fine-grained-token', /^github_pat_/, 'ada', null],
    ],
    [
      'of before 2021',
      ({ addToken }) => addToken({ kind: 'legacy' }),
      ['legacy-token', /^[0-9a-f]{40}$/, 'ada', ['read:org', 'repo']],
    ],
    [
      'of an OAuth App',
      (github) => makeForeign(github).gho(),
      ['oauth-token', /^gho_/, 'ada', ['read:org', 'repo']],
    ],
    [
      "of a GitHub App's user",
      (github) => makeForeign(github).ghu(),
      ['oauth-token', /^ghu_/, 'ada', permissions],
    ],
    [
      'of an installation',
      (github) => makeForeign(github).ghs(),
      ['installation-token', /^ghs_[^.]{36}$/, 'acme', null],
    ],
    [
      'of an installation, with 520 characters',
      (github) => makeForeign(github).stateless(),
      ['installation-token', /^ghs_\d+_[^.]+\.[^.]+\.[^.]{250,}$/, 'acme', null],
    ],
  ];

  test.each(cases)(
    'one %s: linked, used, checked, unlinked',
    async (_what, make, [kind, shape, account, scopes]) => {
      const place = await setUp();
      const { github, sandbox } = place;
      const { secret } = make(github);
      expect(secret).toMatch(shape);
      const run = await link(place, secret, '--json');
      expect(run, run.stderr).toMatchObject({ exitCode: 0 });
      expect(run.stderr).toContain(`It is a token of ${account}.`);
      expect(run.stderr).not.toContain('missing');
      expect(run.json()).toMatchObject({ link: { method: 'token', account: { login: account }, scopes } });
      const shown = await sandbox.run(['show']);
      expect(shown.stdout).toMatch(new RegExp(`^method\\ttoken \\(${kind}\\)$`, 'm'));
      expect(shown.stdout).toContain(scopes === null ? 'the host does not tell' : scopes.join(', '));
      const repository = account === 'acme' ? 'acme/api' : 'ada/notes';
      const repos = await sandbox.run(['repos', '--json']);
      const listed = repos.json<{ repositories: { fullName: string }[] }>().repositories;
      // A GitHub App that is not installed on ada's own account does not bring her there.
      const reached = shape.test('ghu_') ? 'acme/api' : repository;
      expect(listed.map(({ fullName }) => fullName)).toContain(reached);
      const helper = await askHelper(
        sandbox,
        'git-credential-gitlink',
        'get',
        toRequest(`${github.url}/${reached}.git`),
      );
      expect(helper.stdout).toContain(`username=x-access-token\npassword=${secret}\n`);
      expect(await check(place)).toMatchObject({ exitCode: 0, reason: null });
      const handed = await runForSecret(sandbox, process.execPath, [
        join(import.meta.dirname, '../../bin/gitlink.js'),
        'token',
      ]);
      expect(handed.stdout.trim() === secret, handed.stderr).toBe(true);
      const gone = await sandbox.run(['unlink', '--yes']);
      expect(gone, gone.stderr).toMatchObject({ exitCode: 0 });
      expect(readLinks(sandbox)).toEqual([]);
    },
  );

  test.each([
    ['a refresh token', () => makeRefreshSecret(), 'This is a refresh token', '--method oauth'],
    [
      'what an App signs for itself',
      () => 'eyJhbGciOi.canaryFAKE.canaryFAKE',
      'signs for itself',
      '--app-id ID --app-key-file FILE',
    ],
    [
      'the key of an App',
      () => '-----BEGIN RSA PRIVATE KEY-----\ncanaryFAKE\n-----END RSA PRIVATE KEY-----',
      'holds a key',
      '--app-id ID --app-key-file FILE',
    ],
  ])('%s is refused before it is sent, with what to do', async (_what, make, what, hint) => {
    const place = await setUp();
    const secret = make();
    for (const line of secret.split('\n')) if (line.includes('canary')) place.sandbox.guard(line);
    const run = await link(place, secret);
    expect([run.exitCode, run.stderr]).toEqual([2, expect.stringContaining(what)]);
    expect(run.stderr).toContain(hint);
    expect(place.github.requests.filter(({ path }) => !path.endsWith('/meta'))).toEqual([]);
    expect(
      existsSync(join(place.sandbox.configDirectory, 'links.json')) ? readLinks(place.sandbox) : [],
    ).toEqual([]);
  });

  test('a token that nobody knows: exit 4, with the page for a new one', async () => {
    const place = await setUp();
    const run = await link(place, place.sandbox.guard(`ghp_canary${'0'.repeat(30)}`));
    expect([run.exitCode, run.stderr]).toEqual([4, expect.stringContaining('does not accept this token')]);
    expect(run.stderr).toContain(`${place.github.url}/settings/tokens`);
  });
});

describe('scopes', () => {
  test('missing ones do not keep it from being linked; what will not work is named, by show, too', async () => {
    const place = await setUp();
    const run = await link(place, place.github.addToken({ scopes: [] }).secret, '--for', 'push,webhooks');
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.stderr).toContain('The scope repo is missing: it is needed to list repositories and to push.');
    expect(run.stderr).toContain('The scope admin:repo_hook is missing: it is needed to manage webhooks.');
    expect(run.stderr).toContain('The scope read:org is missing: it is needed to list organizations.');
    const shown = await place.sandbox.run(['show']);
    expect(shown.stdout).toMatch(/^scopes missing\tadmin:repo_hook, read:org, repo$/m);
    // What does not work says which scope it wants, though GitHub calls it absent.
    const hooks = [
      'regenerate-webhooks',
      '--url',
      'http://127.0.0.1:9/canary',
      '--allow-http',
      '--repo',
      'ada/site',
    ];
    const refused = await place.sandbox.run(hooks);
    expect(refused.exitCode).not.toBe(0);
    expect(`${refused.stdout}${refused.stderr}`).toContain('lacks the scope');
  });

  test('those that are not needed are warned about', async () => {
    const place = await setUp();
    const { secret } = place.github.addToken({
      scopes: ['repo', 'read:org', 'delete_repo', 'admin:org_hook'],
    });
    const run = await link(place, secret);
    expect(run.stderr).toContain('The token may do more than is needed: admin:org_hook, delete_repo.');
    const shown = await place.sandbox.run(['show']);
    expect(shown.stdout).toMatch(/^scopes in excess\tadmin:org_hook, delete_repo$/m);
  });
});

describe('the end of a token', () => {
  test.each(['utc', 'offset'] as const)('is told by GitHub in its form "%s"', async (expiryFormat) => {
    const place = await setUp({ settings: { expiryFormat } });
    const expiresAt = new Date(Math.floor((Date.now() + 5 * dayMs) / 1000) * 1000);
    const { secret } = place.github.addToken({ expiresAt });
    expect((await link(place, secret, '--name', 'short')).exitCode).toBe(0);
    await link(place, place.github.addToken().secret, '--name', 'endless');
    const shown = await place.sandbox.run(['show', 'short', '--json']);
    expect(shown.json()).toMatchObject({ link: { expiresAt: expiresAt.toISOString(), status: 'expiring' } });
    const ending = await place.sandbox.run(['list', '--expiring', '10', '--json']);
    expect(ending.exitCode).toBe(3);
    expect(ending.json<{ links: LinkFacts[] }>().links.map(({ name }) => name)).toEqual(['short']);
    const later = await place.sandbox.run(['list', '--expiring', '3']);
    expect([later.exitCode, later.stdout]).toEqual([0, '']);
    const listed = await place.sandbox.run(['list']);
    expect(listed.stdout).toContain(`\t${expiresAt.toISOString().slice(0, 10)}\texpiring\n`);
  });

  test('a token that was ended elsewhere: 4, revoked, with the way back; nothing is deleted', async () => {
    const { sandbox, token } = await createLinkedGithub();
    token.revoked = true;
    const run = await sandbox.run(['repos']);
    expect([run.exitCode, run.stderr]).toEqual([4, expect.stringContaining('gitlink relink github')]);
    const found = await check({ sandbox });
    expect(found).toMatchObject({ exitCode: 3, status: 'revoked' });
    expect(found.said).toContain('github: gitlink relink github');
    token.revoked = false;
    expect(await check({ sandbox })).toMatchObject({ exitCode: 0, status: 'ok' });
  });
});

describe('the token of an installation that a person pasted is a token, and no link of an App', () => {
  test('once its secret is gone, that is what is said, with the way back', async () => {
    const place = await setUp();
    const { github, sandbox } = place;
    const run = await link(place, makeForeign(github).ghs().secret);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    changeLinks(sandbox, ([only]) => [{ ...only, credentialItem: 'credential.gone.1' }]);
    const repos = await sandbox.run(['repos']);
    expect(repos, repos.stderr).toMatchObject({ exitCode: 8, stdout: '' });
    expect(repos.stderr).toContain('The secret of "github" is no longer in the file.');
    expect(repos.stderr).toContain('gitlink relink github');
    const request = toRequest(`${github.url}/acme/api.git`);
    expect(await askHelper(sandbox, 'git-credential-gitlink', 'get', request)).toMatchObject({
      exitCode: 0,
      stdout: '',
      stderr: 'gitlink: the secret of "github" is gone; run: gitlink relink github\n',
    });
  });
});

describe('organizations that hold back', () => {
  const strict = {
    ...smallWorld,
    organizations: [
      { login: 'acme', members: { ada: 'admin', bob: 'member' }, policy: { enforcesSaml: true } },
      { login: 'others', members: { bob: 'admin', ada: 'member' }, policy: { approvesFineGrained: true } },
    ],
  } as const;

  test('single sign-on: insufficient (sso), the page, and ok as soon as it is authorised', async () => {
    const place = await setUp({ ...cloud, world: strict });
    const { github, sandbox } = place;
    const token = github.addToken();
    const run = await link(place, token.secret, '--json');
    const page = `${github.url}/settings/tokens`;
    expect(run.exitCode).toBe(0);
    expect(run.json()).toMatchObject({ link: { status: 'insufficient', statusReason: 'sso' } });
    expect(run.stderr).toContain('until it is authorised for single sign-on');
    expect(run.stderr).toContain(page);
    const found = await check(place);
    expect(found).toMatchObject({ exitCode: 3, status: 'insufficient', reason: 'sso' });
    expect(found.said).toContain(`authorise it for single sign-on (${page})`);
    const shown = await sandbox.run(['show']);
    expect(shown.stdout).toMatch(/^state\tinsufficient \(sso\)$/m);
    expect(shown.stdout).toMatch(/^next step\tauthorise it for single sign-on/m);
    // One repository's refusal brings the very page that authorises this token.
    const refused = await sandbox.run(['restrict', '--repo', 'acme/api']);
    expect(refused.exitCode).toBe(6);
    expect(refused.stderr).toContain(`${github.url}/orgs/acme/sso?authorization_request=canary`);
    token.ssoOrganizations.add(requireOrganization(github.state, 'acme').id);
    expect(await check(place)).toMatchObject({ exitCode: 0, status: 'ok', reason: null });
  });

  test.each([
    ['--namespace', 'others'],
    ['--repo', 'others/tool'],
  ])('a fine-grained token for %s %s waits for an owner: pending (approval), then ok', async (flag, name) => {
    const place = await setUp({ ...cloud, world: strict });
    const { github, sandbox } = place;
    const token = github.addToken({ kind: 'fineGrained', resourceOwner: 'others' });
    const run = await link(place, token.secret, '--json', flag, name);
    const page = `${github.url}/settings/personal-access-tokens`;
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({
      link: { status: 'pending', statusReason: 'approval', account: { login: 'ada' } },
    });
    expect(run.stderr).toContain('an owner of others may have to approve it first');
    expect(run.stderr).toContain(page);
    const waiting = await check(place);
    expect(waiting).toMatchObject({ exitCode: 0, status: 'pending', reason: 'approval' });
    expect(waiting.said).toContain(`an owner has to approve the token (${page})`);
    token.isPending = false;
    expect(await check(place)).toMatchObject({ exitCode: 0, status: 'ok', reason: null });
    const repos = await sandbox.run(['repos', '--json']);
    expect(repos.json()).toMatchObject({ repositories: [{ fullName: 'others/tool' }] });
    const [kept] = readLinks(sandbox);
    expect(kept?.['account']).toMatchObject({ login: 'ada', kind: 'user' });
  });

  const refusals: readonly (readonly [
    'blocksAddress' | 'restrictsOAuthApps' | 'blocksClassicTokens',
    (github: GithubSimulator) => { readonly secret: string },
    string,
    string,
  ])[] = [
    ['blocksAddress', ({ addToken }) => addToken(), 'IP allow list', 'lets in only networks that it knows'],
    [
      'restrictsOAuthApps',
      (github) => makeForeign(github).gho(),
      'OAuth App access restrictions',
      '--method token',
    ],
    [
      'blocksClassicTokens',
      ({ addToken }) => addToken(),
      'personal access token (classic)',
      '/settings/personal-access-tokens/new',
    ],
  ];

  test.each(refusals)('%s: 6, with the reason and what to do', async (policy, make, reason, hint) => {
    const place = await setUp(cloud);
    const { github, sandbox } = place;
    requireOrganization(github.state, 'others').policy[policy] = true;
    const { secret } = make(github);
    // The token is good for everything else.
    expect(await link(place, secret)).toMatchObject({ exitCode: 0 });
    const run = await sandbox.run(['restrict', '--repo', 'others/tool']);
    expect([run.exitCode, run.stderr]).toEqual([6, expect.stringContaining(reason)]);
    expect(run.stderr).toContain(hint);
    const hooks = await sandbox.run([
      ...[
        'regenerate-webhooks',
        '--url',
        'http://127.0.0.1:9/canary',
        '--allow-http',
        '--repo',
        'others/tool',
      ],
    ]);
    expect([hooks.exitCode, hooks.stderr]).toEqual([6, expect.stringContaining(reason)]);
  });
});

interface UnlinkDocument {
  readonly steps: readonly {
    readonly what: string;
    readonly state: string;
    readonly reason: string | null;
  }[];
  readonly remaining: readonly { readonly what: string; readonly url: string }[];
}

describe('unlink --revoke', () => {
  const kinds: readonly NewToken['kind'][] = ['classic', 'fineGrained'];

  test.each(kinds)(
    'on github.com a %s token is ended without a credential, and proven dead',
    async (kind = 'classic') => {
      const { sandbox, github, token } = await createLinkedGithub({ github: cloud, token: { kind } });
      github.clearRequests();
      const run = await sandbox.run(['unlink', '--revoke', '--yes', '--json']);
      expect(run, run.stderr).toMatchObject({ exitCode: 0 });
      expect(token.revoked).toBe(true);
      const { steps, remaining } = run.json<UnlinkDocument>();
      expect(steps.map(({ what, state }) => `${what} ${state}`)).toEqual([
        'revoke done',
        'proof done',
        'secret done',
        'record done',
      ]);
      expect(remaining).toEqual([]);
      const reports = github.requests.filter(({ path }) => path.endsWith('/credentials/revoke'));
      expect(reports.map(({ authorization }) => authorization)).toEqual([null]);
    },
  );

  test.each([
    ['classic', '/settings/tokens'],
    ['fineGrained', '/settings/personal-access-tokens'],
  ] as const)(
    'an Enterprise Server ends a %s token on its page only: what is left is named',
    async (kind, page) => {
      const { sandbox, github, token } = await createLinkedGithub({ token: { kind } });
      const run = await sandbox.run(['unlink', '--revoke', '--yes', '--json']);
      expect(run, run.stderr).toMatchObject({ exitCode: 0 });
      expect(token.revoked).toBe(false);
      const { steps, remaining } = run.json<UnlinkDocument>();
      expect(steps[0]).toMatchObject({
        what: 'revoke',
        state: 'skipped',
        reason: expect.stringContaining('on its page only') as string,
      });
      expect(steps.map(({ what }) => what)).not.toContain('proof');
      expect(remaining).toEqual([
        { what: expect.stringContaining('may still work') as string, url: `${github.url}${page}` },
      ]);
      expect(run.stderr).toContain('Left for you');
      expect(readLinks(sandbox)).toEqual([]);
    },
  );

  test('the token of an installation ends itself, wherever it is', async () => {
    const place = await setUp();
    const token = makeForeign(place.github).ghs();
    expect(await link(place, token.secret)).toMatchObject({ exitCode: 0 });
    const run = await place.sandbox.run(['unlink', '--revoke', '--yes', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json<UnlinkDocument>().steps.slice(0, 2)).toMatchObject([
      { what: 'revoke', state: 'done' },
      { what: 'proof', state: 'done' },
    ]);
    expect(token.revoked).toBe(true);
  });

  test('without --revoke it stays alive: it is the person’s own', async () => {
    const { sandbox, github, token } = await createLinkedGithub({ github: cloud });
    const run = await sandbox.run(['unlink', '--yes', '--json']);
    expect(run.json<UnlinkDocument>().remaining).toEqual([
      { what: 'the token, which is not revoked', url: `${github.url}/settings/tokens` },
    ]);
    expect(token.revoked).toBe(false);
  });
});

describe('what a token may be used for', () => {
  async function listNames({ sandbox }: Pick<Place, 'sandbox'>, ...flags: readonly string[]) {
    const run = await sandbox.run(['repos', '--json', ...flags]);
    return run
      .json<{ repositories: { fullName: string }[] }>()
      .repositories.map(({ fullName }) => fullName)
      .sort();
  }

  test('restrict and repos: namespaces and repositories, enforced by gitlink, lifted again', async () => {
    const place = await createLinkedGithub();
    const { sandbox, github } = place;
    expect(await listNames(place)).toContain('bob/shared');
    const run = await sandbox.run(['restrict', 'github', 'acme', '--repo', 'ada/notes', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({
      link: { enforcement: 'local', restriction: { namespaces: ['acme'], repositories: ['ada/notes'] } },
    });
    expect(await listNames(place)).toEqual([
      'acme/api',
      'acme/empty',
      'acme/handbook',
      'acme/legacy',
      'acme/web',
      'ada/notes',
    ]);
    expect(await listNames(place, '--namespace', 'ada')).toEqual(['ada/notes']);
    const outside = await askHelper(
      sandbox,
      'git-credential-gitlink',
      'get',
      toRequest(`${github.url}/bob/shared.git`),
    );
    expect([outside.exitCode, outside.stdout]).toEqual([0, '']);
    expect(outside.stderr).toContain('outside the restriction');
    expect((await sandbox.run(['token', '--repo', 'bob/shared'])).exitCode).toBe(6);
    expect((await sandbox.run(['restrict', 'github', '--repo', 'ada/absent'])).exitCode).toBe(5);
    await sandbox.run(['restrict', 'github', '--unrestricted']);
    expect(await listNames(place)).toContain('bob/shared');
  });

  test('a repository that was renamed stays allowed, by its old name and by its new one', async () => {
    const place = await createLinkedGithub({ link: ['--repo', 'acme/api'] });
    const { sandbox, github } = place;
    renameRepository(github.state, 'acme/api', 'acme/core');
    expect(await listNames(place)).toEqual(['acme/core']);
    for (const name of ['acme/core', 'acme/api']) {
      const url = `${github.url}/${name}.git`;
      const helper = await askHelper(sandbox, 'git-credential-gitlink', 'get', toRequest(url));
      expect([name, helper.stdout, helper.stderr]).toEqual([
        name,
        expect.stringContaining('password=') as string,
        '',
      ]);
    }
    const url = 'http://127.0.0.1:9/canary';
    const hooks = await sandbox.run(['regenerate-webhooks', '--url', url, '--allow-http', '--json']);
    expect(hooks, hooks.stderr).toMatchObject({ exitCode: 0 });
    expect(github.hooksOf('acme/core').map((hook) => hook.url)).toEqual([url]);
  });
});

describe('git with a pasted token', () => {
  test.each(['classic', 'fineGrained'] as const)(
    'a private repository is cloned and pushed to (%s)',
    async (kind) => {
      const { sandbox, github } = await createLinkedGithub({ token: { kind }, link: ['--setup-git'] });
      const run = async (...args: readonly string[]) => {
        const git = await sandbox.runProgram('git', args);
        expect(git, git.stderr).toMatchObject({ exitCode: 0 });
        return git.stdout.trim();
      };
      await run('clone', '--quiet', `${github.url}/ada/notes.git`, 'notes');
      expect(readFileSync(join(sandbox.home, 'notes/README.md'), 'utf8')).toContain('# notes');
      const identity = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com'];
      await run('-C', 'notes', ...identity, 'commit', '--quiet', '--allow-empty', '--message', 'canary');
      await run('-C', 'notes', 'push', '--quiet', 'origin', 'HEAD');
      const head = await run('-C', 'notes', 'rev-parse', 'HEAD');
      expect(await run('ls-remote', `${github.url}/ada/notes.git`, 'HEAD')).toContain(head);
    },
  );
});
