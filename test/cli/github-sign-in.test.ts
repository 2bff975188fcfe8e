import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { OAuthClient } from '../simulators/github/oauth-state.ts';
import type { GithubSimulator, GithubSimulatorOptions } from '../simulators/github/server.ts';
import { requireUser } from '../simulators/github/state.ts';
import { storeToken, type GithubToken } from '../simulators/github/token-state.ts';
import { askHelper, readLinks, toRequest } from '../support/ask-git.ts';
import { visit } from '../support/browser.ts';
import { createGithubSandbox, startGithub } from '../support/linked-github.ts';
import type { Run, Sandbox } from '../support/sandbox.ts';
import { listFileItems, shiftClock } from './refresh-kit.ts';
import { runWithBrowser, type BrowserRun } from './sign-in-kit.ts';

const clientKinds = ['OAuth App', 'GitHub App'] as const;
type ClientKind = (typeof clientKinds)[number];

/** github.com's manners, met on this machine. */
const cloud = { flavour: 'github.com' } as const;
const lifeS = 28_800;

interface WithClient {
  readonly github: GithubSimulator;
  readonly sandbox: Sandbox;
  readonly client: OAuthClient;
}

/** A sandbox that knows a client, as `gitlink client add` leaves it. A GitHub App is installed on acme. */
async function setUp(
  kind: ClientKind,
  {
    github: options,
    hasSecret = true,
    deviceFlow = true,
  }: {
    readonly github?: GithubSimulatorOptions;
    readonly hasSecret?: boolean;
    readonly deviceFlow?: boolean;
  } = {},
): Promise<WithClient> {
  const github = await startGithub(options);
  github.settings.deviceIntervalS = 1;
  const sandbox = createGithubSandbox(github);
  const client =
    kind === 'OAuth App' ? github.oauth.addApplication({ deviceFlow }) : addApp(github, deviceFlow);
  const args = ['client', 'add', 'github', '--host', github.url, '--client-id', client.clientId];
  const added = await sandbox.run(hasSecret ? [...args, '--with-secret'] : args, {
    input: client.clientSecret,
  });
  expect(added, added.stderr).toMatchObject({ exitCode: 0 });
  return { github, sandbox, client };
}

function addApp(github: GithubSimulator, deviceFlow: boolean): OAuthClient {
  const { app } = github.addApp({ owner: 'acme', deviceFlow, callbackUrls: ['http://127.0.0.1/callback'] });
  github.install(app, { account: 'acme' });
  return app.client;
}

function signIn({ github, sandbox }: WithClient, ...more: readonly string[]): Promise<BrowserRun> {
  const args = ['link', 'github', '--host', github.url, '--method', 'oauth', '--json', ...more];
  return runWithBrowser(sandbox, args);
}

/** Nobody has a terminal or a browser here. */
const remote = { SSH_CONNECTION: '192.0.2.1 5 192.0.2.2 22', DISPLAY: undefined };

/** Signs in by a code, which the person enters as soon as it is shown. */
async function signInByCode(
  { github, sandbox }: WithClient,
  decision: 'approve' | 'deny' = 'approve',
): Promise<Run & { readonly page: string | null }> {
  let page: string | null = null;
  let entered: Promise<void> = Promise.resolve();
  const run = await sandbox.run(['link', 'github', '--host', github.url, '--method', 'device', '--json'], {
    env: remote,
    onStart: (running) => {
      entered = running.waitForTalk('Enter it only if').then((talk) => {
        const [, address = '', code = ''] = /^Open (\S+) .*\n {2}(\S+)$/m.exec(talk) ?? [];
        page = address;
        github.oauth.decideDevice(code, decision);
      });
    },
  });
  if (run.exitCode === 0) await entered;
  return { ...run, page };
}

/** The tokens that the client was given, oldest first. */
function listTokens({ github, client }: WithClient): readonly GithubToken[] {
  return [...github.state.tokens.values()].filter((token) => token.client === client);
}

function only<T>(items: readonly T[]): T {
  const [item] = items;
  if (item === undefined || items.length > 1) throw new Error(`There are ${items.length}.`);
  return item;
}

function readForm({ github }: WithClient, grantType: string): Readonly<Record<string, string>> {
  const forms = github.requests
    .filter(({ path }) => path === '/login/oauth/access_token')
    .map(({ body }) => body as Readonly<Record<string, string>>);
  return forms.find((form) => form['grant_type'] === grantType) ?? {};
}

function readRefreshErrors({ github }: WithClient): readonly (string | null)[] {
  return github.oauth.tokenRequests
    .filter(({ grantType }) => grantType === 'refresh_token')
    .map(({ error }) => error);
}

describe('signing in with a browser', () => {
  test.each([
    ['OAuth App', ['read:org', 'repo']],
    ['GitHub App', ['contents:write', 'metadata:read', 'repository_hooks:write']],
  ] as const)('by an %s: the link stands, with account and what it may do', async (kind, granted) => {
    const made = await setUp(kind);
    const run = await signIn(made);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({
      link: { method: 'oauth', account: { login: 'ada', kind: 'user' }, status: 'ok', scopes: granted },
    });
    expect(run.stderr).toContain('Signed in as ada.');
    expect(run.stderr).not.toContain('missing');
    expect(run.visit?.text).toContain('Signed in to');
    const git = await askHelper(
      made.sandbox,
      'git-credential-gitlink',
      'get',
      toRequest(`${made.github.url}/acme/api.git`),
    );
    expect(git.stdout).toContain(`username=x-access-token\npassword=${only(listTokens(made)).secret}\n`);
    expect(await made.sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test.each(clientKinds)('A7: PKCE with an %s: S256, and the verifier fits the challenge', async (kind) => {
    const made = await setUp(kind);
    expect(await signIn(made)).toMatchObject({ exitCode: 0 });
    const asked = only(
      made.github.requests.filter(
        ({ method, path }) => method === 'GET' && path === '/login/oauth/authorize',
      ),
    );
    const { code_verifier: verifier = '', client_secret: secret } = readForm(made, 'authorization_code');
    expect(asked.query['code_challenge_method']).toBe('S256');
    expect(verifier.length).toBeGreaterThanOrEqual(43);
    expect(createHash('sha256').update(verifier).digest('base64url')).toBe(asked.query['code_challenge']);
    expect(secret).toBe(made.client.clientSecret);
    made.sandbox.guard(verifier);
  });

  test('a code that was asked for with another verifier is refused: exit 4, and nothing is kept', async () => {
    const made = await setUp('OAuth App');
    const { github } = made;
    const run = await runWithBrowser(
      made.sandbox,
      ['link', 'github', '--host', github.url, '--method', 'oauth'],
      {
        act: async (startUrl) => {
          // Stops at the way back, and lets the host forget what it was asked with.
          const { url } = await visit(startUrl, 'approve', (address) => address.includes('/callback?'));
          const { codes } = github.state.oauth;
          for (const [code, issued] of codes)
            codes.set(code, { ...issued, request: { ...issued.request, challenge: 'c'.repeat(43) } });
          return visit(url);
        },
      },
    );
    expect(run).toMatchObject({ exitCode: 4 });
    expect(run.visit?.text).toContain('Not signed in to');
    expect(readLinks(made.sandbox)).toEqual([]);
    expect(listTokens(made)).toEqual([]);
  });

  test('A10: deny: exit 4, and nothing is kept', async () => {
    const made = await setUp('OAuth App');
    const run = await runWithBrowser(
      made.sandbox,
      ['link', 'github', '--host', made.github.url, '--method', 'oauth'],
      { act: (url) => visit(url, 'deny') },
    );
    expect(run).toMatchObject({ exitCode: 4 });
    expect(readLinks(made.sandbox)).toEqual([]);
  });

  test('a wrong client secret: exit 4, saying what is wrong and where to look', async () => {
    const made = await setUp('OAuth App');
    made.client.clientSecret = 'canary-made-anew-by-its-owner';
    const run = await signIn(made);
    expect(run).toMatchObject({ exitCode: 4 });
    expect(run.stderr).toContain('does not know this client, or not with this secret');
    expect(run.stderr).toContain(`${made.github.url}/settings/developers`);
    expect(run.visit?.text).toContain('Not signed in to');
  });

  test.each(clientKinds)('A20: what cannot be verified is taken back at the host (%s)', async (kind) => {
    const made = await setUp(kind);
    made.github.faults.add({ method: 'GET', path: /\/api\/v3\/user$/, fault: { kind: 'html', status: 200 } });
    const run = await signIn(made);
    expect(run).toMatchObject({ exitCode: 7 });
    expect(run.visit?.text).toContain('Not signed in to');
    expect(only(listTokens(made)).revoked).toBe(true);
    expect(readLinks(made.sandbox)).toEqual([]);
  });
});

describe('signing in by a code', () => {
  test.each([
    ['OAuth App', true],
    ['OAuth App', false],
    ['GitHub App', false],
  ] as const)(
    'by an %s whose secret is known (%s): approve; the secret is never sent',
    async (kind, hasSecret) => {
      const made = await setUp(kind, { hasSecret });
      const run = await signInByCode(made);
      expect(run, run.stderr).toMatchObject({ exitCode: 0, page: `${made.github.url}/login/device` });
      expect(run.json()).toMatchObject({
        link: { method: 'device', account: { login: 'ada' }, status: 'ok' },
      });
      const forms = made.github.requests.filter(({ path }) => path.startsWith('/login/'));
      expect(forms.filter(({ body }) => 'client_secret' in (body as object))).toEqual([]);
      expect(await made.sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
    },
  );

  test('deny: exit 4, and nothing is kept', async () => {
    const made = await setUp('OAuth App');
    const run = await signInByCode(made, 'deny');
    expect([run.exitCode, run.stderr]).toEqual([4, expect.stringContaining('declined')]);
    expect(readLinks(made.sandbox)).toEqual([]);
  });

  test('§0 no. 4: a client that may not do it: exit 6, with the box to tick and the other way', async () => {
    const made = await setUp('GitHub App', { deviceFlow: false });
    const run = await signInByCode(made);
    expect(run).toMatchObject({ exitCode: 6, page: null });
    expect(run.stderr).toContain('Enable Device Flow');
    expect(run.stderr).toContain('--method oauth');
  });

  test('slow_down is obeyed: no question comes faster than it was told', async () => {
    const made = await setUp('OAuth App');
    made.github.oauth.polls.slowDowns = 1;
    const run = await signInByCode(made);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const errors = made.github.oauth.tokenRequests.map(({ error }) => error);
    expect(errors).toEqual(['slow_down', null]);
  });
});

describe('tokens that end and are renewed', () => {
  /** The token is due by the clock of the machine, and lives on. */
  const dueMs = (lifeS - 200) * 1000;

  test.each([
    ['OAuth App', 'browser'],
    ['GitHub App', 'browser'],
    ['GitHub App', 'code'],
  ] as const)(
    'C17: eight processes at expiry (%s, %s): one refresh, one answer',
    { timeout: 120_000 },
    async (kind, way) => {
      // An OAuth App's tokens end because gitlink asks for that, which github.com knows.
      const made = await setUp(kind, { github: cloud, hasSecret: way === 'browser' });
      const { sandbox, github } = made;
      const linked = way === 'browser' ? await signIn(made) : await signInByCode(made);
      expect(linked, linked.stderr).toMatchObject({ exitCode: 0 });
      // What a person must act on is the end of the refresh token, after half a year.
      const { expiresAt } = linked.json<{ link: { expiresAt: string } }>().link;
      expect(Math.round((Date.parse(expiresAt) - Date.now()) / 86_400_000)).toBe(184);
      const env = shiftClock(sandbox, dueMs);
      const request = toRequest(`${github.url}/acme/api.git`);
      const runs = await Promise.all(
        Array.from({ length: 8 }, (_, index) =>
          index % 4 === 0
            ? sandbox.run(['repos'], { env })
            : askHelper(sandbox, 'git-credential-gitlink', 'get', request, { env }),
        ),
      );
      expect(runs.map(({ exitCode }) => exitCode)).toEqual(runs.map(() => 0));
      const passwords = runs.map(({ stdout }) => /^password=(.*)$/m.exec(stdout)?.[1]).filter(Boolean);
      expect(passwords).toHaveLength(6);
      expect(readRefreshErrors(made)).toEqual([null]);
      const [old, fresh, ...more] = listTokens(made);
      // §0 no. 8: the old access token died with its refresh token.
      expect([old?.revoked, fresh?.revoked, more]).toEqual([true, false, []]);
      expect(new Set(passwords)).toEqual(new Set([fresh?.secret]));
      expect('client_secret' in readForm(made, 'refresh_token')).toBe(way === 'browser');
    },
  );

  test('F7: a token that the host refuses before its time is renewed once, and the command goes on', async () => {
    const made = await setUp('GitHub App');
    expect(await signIn(made)).toMatchObject({ exitCode: 0 });
    made.github.oauth.endAccessTokens();
    const run = await made.sandbox.run(['repos']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(readRefreshErrors(made)).toEqual([null]);
  });

  test('F5: a spent refresh token, which GitHub says in a 200: exit 4, revoked, the way back; nothing is deleted', async () => {
    const made = await setUp('GitHub App');
    const { sandbox, github } = made;
    expect(await signIn(made)).toMatchObject({ exitCode: 0 });
    const items = listFileItems(sandbox);
    github.oauth.revokeGrants('ada');
    const run = await sandbox.run(['repos']);
    expect([run.exitCode, run.stderr]).toEqual([4, expect.stringContaining('gitlink relink github')]);
    // Asked once: GitHub's word is final.
    expect(readRefreshErrors(made)).toEqual(['bad_refresh_token']);
    expect(readLinks(sandbox)).toMatchObject([{ status: 'revoked', statusReason: null }]);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 3 });
    const request = toRequest(`${github.url}/acme/api.git`);
    const helper = await askHelper(sandbox, 'git-credential-gitlink', 'get', request, {
      env: shiftClock(sandbox, dueMs),
    });
    expect([helper.exitCode, helper.stdout]).toEqual([0, '']);
    expect(helper.stderr).toContain('gitlink relink github');
    expect(listFileItems(sandbox)).toEqual(items);
    const again = await runWithBrowser(sandbox, ['relink', 'github', '--json']);
    expect(again, again.stderr).toMatchObject({ exitCode: 0 });
    expect(again.json()).toMatchObject({ link: { status: 'ok', method: 'oauth' } });
    expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 0 });
  });

  test('§0 no. 7: the eleventh sign-in ends one of the ten; that link says so, and which way is back', async () => {
    const made = await setUp('OAuth App');
    const { sandbox, github, client } = made;
    expect(await signIn(made, '--name', 'first')).toMatchObject({ exitCode: 0 });
    const { grant, scopes } = only(listTokens(made));
    const later = new Date(Date.now() + 60_000);
    const user = requireUser(github.state, 'ada');
    // Nine other machines, all busier than this one.
    for (let count = 0; count < 9; count += 1) {
      const token = {
        kind: 'oauth',
        name: 'elsewhere',
        user,
        client,
        grant,
        scopes,
        lastUsedAt: later,
      } as const;
      storeToken(github.state, Date.now(), token);
    }
    expect(await signIn(made, '--name', 'eleventh')).toMatchObject({ exitCode: 0 });
    const run = await sandbox.run(['list', '--check', '--json']);
    expect(run.exitCode).toBe(3);
    expect(run.json()).toMatchObject({
      links: [
        { name: 'first', status: 'revoked' },
        { name: 'eleventh', status: 'ok' },
      ],
    });
    expect(run.stderr).toContain('gitlink relink first');
    const repos = await sandbox.run(['repos', 'first']);
    expect([repos.exitCode, repos.stderr]).toEqual([4, expect.stringContaining('gitlink relink first')]);
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

describe('unlinking a sign-in', () => {
  const ended = ['revoke done', 'proof done', 'secret done', 'record done'];

  test.each([
    ['OAuth App', 'on an Enterprise Server, by its client', {}, true, 'DELETE'],
    ['GitHub App', 'on an Enterprise Server, by its client', {}, true, 'DELETE'],
    ['OAuth App', 'on github.com without a secret, as anybody', cloud, false, 'POST'],
    ['GitHub App', 'on github.com without a secret, as anybody', cloud, false, 'POST'],
  ] as const)('%s %s: it is ended, and a 401 proves it', async (kind, _where, options, hasSecret, method) => {
    const made = await setUp(kind, { github: options, hasSecret });
    const linked = hasSecret ? await signIn(made) : await signInByCode(made);
    expect(linked, linked.stderr).toMatchObject({ exitCode: 0 });
    made.github.clearRequests();
    const run = await made.sandbox.run(['unlink', '--yes', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const { steps, remaining } = run.json<UnlinkDocument>();
    expect(steps.map(({ what, state }) => `${what} ${state}`)).toEqual(ended);
    expect(remaining).toEqual([]);
    expect(listTokens(made).filter(({ revoked }) => !revoked)).toEqual([]);
    const ends = made.github.requests.filter(({ path }) => /applications|credentials/.test(path));
    expect(ends.map((sent) => [sent.method, sent.authorization?.scheme ?? null])).toEqual([
      [method, hasSecret ? 'basic' : null],
    ]);
    const proof = made.github.requests.at(-1);
    expect([proof?.path, proof?.authorization?.scheme]).toEqual(['/api/v3/user', 'bearer']);
    expect(readLinks(made.sandbox)).toEqual([]);
  });

  test('on an Enterprise Server without a secret nothing can end it: the page is named', async () => {
    const made = await setUp('OAuth App', { hasSecret: false });
    expect(await signInByCode(made)).toMatchObject({ exitCode: 0 });
    const run = await made.sandbox.run(['unlink', '--yes', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const { steps, remaining } = run.json<UnlinkDocument>();
    expect(steps[0]).toMatchObject({ what: 'revoke', state: 'skipped' });
    expect(only(remaining).url).toBe(`${made.github.url}/settings/applications`);
    expect(only(listTokens(made)).revoked).toBe(false);
  });

  test('a host that still accepts it keeps the link: the proof is the host’s, not ours', async () => {
    const made = await setUp('OAuth App');
    expect(await signIn(made)).toMatchObject({ exitCode: 0 });
    made.github.faults.add({
      method: 'DELETE',
      path: /\/applications\//,
      fault: { kind: 'answer', answer: { status: 204 } },
    });
    const run = await made.sandbox.run(['unlink', '--yes', '--json']);
    expect(run).toMatchObject({ exitCode: 3 });
    expect(run.json<UnlinkDocument>().steps).toContainEqual(
      expect.objectContaining({ what: 'proof', state: 'failed', reason: 'the host still accepts it' }),
    );
    expect(readLinks(made.sandbox)).toHaveLength(1);
  });
});
