import { describe, expect, test } from 'vitest';
import type { BitbucketToken, NewToken } from '../simulators/bitbucket/token-state.ts';
import { readLinks } from '../support/ask-git.ts';
import {
  accessScopes,
  adaEmail,
  apiScopes,
  createLinkedBitbucket,
  guardAll,
  linkArgs,
  readLinksOrNone,
  startBitbucket,
} from '../support/linked-bitbucket.ts';
import { createSandbox, type Run } from '../support/sandbox.ts';

/** Links a token at a new Bitbucket, with these flags. */
async function tryLink(spec: NewToken, flags: readonly string[], spoil?: (token: BitbucketToken) => void) {
  const bitbucket = await startBitbucket();
  const sandbox = guardAll(createSandbox(), bitbucket);
  const token = bitbucket.addToken(spec);
  spoil?.(token);
  const args = linkArgs(bitbucket, '--with-token', '--json', ...flags);
  const run = await sandbox.run(args, { input: token.secret });
  return { bitbucket, sandbox, token, run };
}

/** What the host was asked with, beside the token: `bearer`, or `basic` and a user name. */
function listForms({ requests }: { requests: Awaited<ReturnType<typeof startBitbucket>>['requests'] }) {
  const sent = requests.flatMap(({ authorization }) => (authorization ? [authorization] : []));
  return [
    ...new Set(sent.map(({ scheme, username }) => (username === null ? scheme : `${scheme} ${username}`))),
  ];
}

function linkOf(run: Run): unknown {
  return run.json<{ link: unknown }>().link;
}

const usual = { kind: 'api', scopes: apiScopes } as const;

describe('link with an API token of Bitbucket Cloud', () => {
  test('fact 6: it goes beside the e-mail address at the API; account, scopes and expiry are told', async () => {
    const { bitbucket, sandbox, token, run } = await tryLink(usual, [
      '--email',
      adaEmail,
      '--expires',
      '2027-03-31',
    ]);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(linkOf(run)).toMatchObject({
      name: 'bitbucket',
      provider: 'bitbucket',
      method: 'token',
      account: { login: 'ada', kind: 'user', id: token.user?.uuid },
      scopes: [...apiScopes].sort(),
      expiresAt: '2027-03-31T00:00:00.000Z',
      enforcement: 'none',
      status: 'ok',
    });
    expect(listForms(bitbucket)).toEqual([`basic ${adaEmail}`]);
    const checked = await sandbox.run(['list', '--check', '--json']);
    expect(checked, checked.stderr).toMatchObject({ exitCode: 0 });
    expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 0 });
    expect(listForms(bitbucket)).toEqual([`basic ${adaEmail}`]);
  });

  test('fact 10: no API tells its end, so without --expires it has none and --expires must be a day to come', async () => {
    const { run } = await tryLink(usual, ['--email', adaEmail]);
    expect(linkOf(run)).toMatchObject({ expiresAt: null });
    for (const date of ['2020-01-01', 'soon']) {
      const refused = await tryLink(usual, ['--email', adaEmail, '--expires', date]);
      expect(refused.run).toMatchObject({ exitCode: 2 });
      expect(refused.bitbucket.requests).toEqual([]);
    }
  });

  test('--expires is what later counts: ended, it is not handed out, and list --expiring finds it', async () => {
    const soon = new Date(Date.now() + 5 * 86_400_000).toISOString().slice(0, 10);
    const { sandbox } = await createLinkedBitbucket({ link: ['--expires', soon] });
    const run = await sandbox.run(['list', '--expiring', '14', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 3 });
    expect(run.json()).toMatchObject({ links: [{ name: 'bitbucket', status: 'expiring' }] });
    expect(await sandbox.run(['list', '--expiring', '3'])).toMatchObject({ exitCode: 0 });
  });

  test.each([
    ['without --email', [], /--email/],
    ['with a user name for it', ['--email', 'ada'], /no e-mail address/],
  ])('%s and a terminal: exit 2 before anything is sent with it', async (_name, flags, words) => {
    const { bitbucket, sandbox, run } = await tryLink(usual, flags);
    expect(run, run.stderr).toMatchObject({ exitCode: 2 });
    expect(run.stderr).toMatch(words);
    expect(listForms(bitbucket)).toEqual([]);
    expect(readLinksOrNone(sandbox)).toEqual([]);
  });

  test.each<[string, NewToken, string, ((token: BitbucketToken) => void)?]>([
    ['the address of somebody else', usual, 'bob@acme.test'],
    ['a token for another Atlassian product', { ...usual, isUnscoped: true }, adaEmail],
    ['a token that was revoked', usual, adaEmail, (token) => (token.revoked = true)],
    ['a token that has ended', { ...usual, expiresAt: Date.now() - 1_000 }, adaEmail],
  ])('%s: exit 4 with what to look at', async (_name, spec, email, spoil) => {
    const { sandbox, run } = await tryLink(spec, ['--email', email], spoil);
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
    expect(run.json()).toMatchObject({ error: { code: 'auth' } });
    expect(run.stderr).toContain('--email takes the address of the Atlassian account');
    expect(run.stderr).toContain('API token with scopes');
    expect(run.stderr).toContain('/manage-profile/security/api-tokens');
    expect(readLinksOrNone(sandbox)).toEqual([]);
  });

  test('one without the scope for its account is linked, and the scope is named', async () => {
    const scopes = apiScopes.filter((scope) => scope !== 'read:user:bitbucket');
    const { sandbox, run } = await tryLink({ kind: 'api', scopes }, ['--email', adaEmail]);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(linkOf(run)).toMatchObject({ account: { login: null, kind: 'unknown' } });
    expect(run.stderr).toContain('read:user:bitbucket');
    expect((await sandbox.run(['repos'])).stdout).toContain('acme/api');
  });

  test('fact 8: repositories come workspace by workspace, and the lists that are gone are not asked for', async () => {
    const { bitbucket, sandbox } = await createLinkedBitbucket();
    const run = await sandbox.run(['repos', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const { repositories } = run.json<{ repositories: { fullName: string; namespace: string }[] }>();
    const names = repositories.map(({ fullName }) => fullName);
    expect(names).toEqual(expect.arrayContaining(['ada/site', 'acme/api', 'others/tool']));
    expect(names).not.toContain('others/public');
    expect(names).not.toContain('bob/secret');
    const project = await sandbox.run(['repos', '--namespace', 'acme/API']);
    expect(project.stdout).toMatch(/acme\/api\b/);
    expect(project.stdout).not.toContain('acme/site');
    // The simulator fails the test when one of the removed lists is asked for.
    expect(bitbucket.requests.filter(({ status }) => status === 410)).toEqual([]);
    expect(await sandbox.run(['repos', '--namespace', 'nobody'])).toMatchObject({ exitCode: 5 });
  });

  test('a token that dies later: exit 4, the link says so, and nothing is deleted', async () => {
    const { sandbox, token } = await createLinkedBitbucket();
    token.revoked = true;
    const run = await sandbox.run(['repos', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
    const check = await sandbox.run(['list', '--check']);
    expect(check).toMatchObject({ exitCode: 3 });
    expect(readLinks(sandbox)).toMatchObject([{ status: 'revoked' }]);
  });

  test("relink takes a new API token with its address, and the old one stays the person's", async () => {
    const { bitbucket, sandbox, token } = await createLinkedBitbucket();
    token.revoked = true;
    const { secret } = bitbucket.addToken(usual);
    const without = await sandbox.run(['relink', '--with-token', '--json'], { input: secret });
    expect(without, without.stderr).toMatchObject({ exitCode: 2 });
    expect(without.stderr).toContain('--email');
    const args = ['relink', '--with-token', '--email', adaEmail, '--json'];
    const run = await sandbox.run(args, { input: secret });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });
});

describe('fact 7: link with an access token of Bitbucket Cloud', () => {
  const places: readonly (readonly [NewToken & { resource: string }, string, string])[] = [
    [{ kind: 'repository', resource: 'acme/api', scopes: accessScopes }, '--repo', 'repository'],
    [{ kind: 'project', resource: 'acme/API', scopes: accessScopes }, '--namespace', 'project'],
    [{ kind: 'workspace', resource: 'acme', scopes: accessScopes }, '--namespace', 'workspace'],
  ];

  test.each(places)(
    '$kind: its account is the place, and the host keeps it there',
    async (spec, flag, kind) => {
      const { bitbucket, sandbox, run } = await tryLink(spec, [flag, spec.resource]);
      expect(run, run.stderr).toMatchObject({ exitCode: 0 });
      expect(linkOf(run)).toMatchObject({
        account: { login: spec.resource, kind },
        method: 'token',
        enforcement: 'provider',
        scopes: [...accessScopes].sort(),
        status: 'ok',
      });
      expect(run.stderr).toContain(spec.resource);
      expect(listForms(bitbucket)).toEqual(['bearer']);
      const listed = await sandbox.run(['repos']);
      expect(listed, listed.stderr).toMatchObject({ exitCode: 0 });
      expect(listed.stdout).toContain('acme/api');
      expect(listed.stdout).not.toContain('ada/');
      expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
      expect((await sandbox.run(['show'])).stdout).toContain(spec.resource);
      // Nobody is behind it, and nobody is asked for as if there were.
      expect(bitbucket.requests.filter(({ path }) => path.startsWith('/2.0/user/'))).toEqual([]);
    },
  );

  test.each(places)('$kind: without a place and a terminal: exit 2 naming the flags', async (spec) => {
    const { sandbox, run } = await tryLink(spec, []);
    expect(run, run.stderr).toMatchObject({ exitCode: 2 });
    expect(run.json()).toMatchObject({ error: { code: 'usage' } });
    expect(run.stderr).toContain('--namespace or --repo');
    expect(readLinksOrNone(sandbox)).toEqual([]);
  });

  test.each<[string, number, readonly string[]]>([
    ['a place that it does not reach', 5, ['--repo', 'bob/secret']],
    ['a place of another form', 2, ['--namespace', 'acme']],
  ])('%s: refused, with the form', async (_name, exitCode, flags) => {
    const spec = { kind: 'repository', resource: 'acme/api', scopes: accessScopes } as const;
    const { sandbox, run } = await tryLink(spec, flags);
    expect(run, run.stderr).toMatchObject({ exitCode });
    expect(run.stderr).toContain('acme/site');
    expect(readLinksOrNone(sandbox)).toEqual([]);
  });

  test('an end is remembered, and a dead one is exit 4 with the page of its place', async () => {
    const spec = { kind: 'repository', resource: 'acme/api', scopes: accessScopes } as const;
    const { run } = await tryLink(spec, ['--repo', 'acme/api', '--expires', '2027-01-31']);
    expect(linkOf(run)).toMatchObject({ expiresAt: '2027-01-31T00:00:00.000Z' });
    const dead = await tryLink(spec, ['--repo', 'acme/api'], (token) => (token.revoked = true));
    expect(dead.run, dead.run.stderr).toMatchObject({ exitCode: 4 });
    expect(dead.run.stderr).toContain(`${dead.bitbucket.url}/`);
  });
});

describe('what Bitbucket Cloud no longer takes', () => {
  test('fact 1: an app password: exit 2 with the way out, and it is sent nowhere', async () => {
    const { bitbucket, run } = await tryLink({ kind: 'appPassword' }, ['--email', adaEmail]);
    expect(run, run.stderr).toMatchObject({ exitCode: 2 });
    expect(run.json()).toMatchObject({ error: { code: 'usage' } });
    expect(run.stderr).toContain('2026-07-28');
    expect(run.stderr).toContain('https://id.atlassian.com/manage-profile/security/api-tokens');
    expect(listForms(bitbucket)).toEqual([]);
  });

  test('a token of Data Center belongs elsewhere', async () => {
    const bitbucket = await startBitbucket();
    const sandbox = createSandbox();
    const input = sandbox.guard(`${['BB', 'DC-'].join('')}canary${'A'.repeat(38)}`);
    const run = await sandbox.run(linkArgs(bitbucket, '--with-token'), { input });
    expect(run, run.stderr).toMatchObject({ exitCode: 2 });
    expect(run.stderr).toContain('gitlink link bitbucket-dc');
    expect(listForms(bitbucket)).toEqual([]);
  });
});
