import { describe, expect, test } from 'vitest';
import type { BitbucketDcSimulator, BitbucketDcSimulatorOptions } from '../simulators/bitbucket-dc/server.ts';
import type { DcToken, NewToken } from '../simulators/bitbucket-dc/token-state.ts';
import { sendRequest } from '../simulators/send-request.ts';
import { askHelper, readLinks, toRequest } from '../support/ask-git.ts';
import { createLinkedDc, createSignedInDc, linkDc } from '../support/linked-bitbucket.ts';
import type { Run, Sandbox } from '../support/sandbox.ts';

interface Both {
  readonly sandbox: Sandbox;
  readonly bitbucket: BitbucketDcSimulator;
  readonly token: DcToken;
}

/** Ada's sign-in as `admin`, and beside it a token as `bitbucket-dc`. */
async function createBoth(spec: NewToken = {}, options: BitbucketDcSimulatorOptions = {}): Promise<Both> {
  const link = ['--name', 'admin', '--scope', 'ACCOUNT_WRITE', '--scope', 'PROJECT_ADMIN'];
  const { sandbox, bitbucket } = await createSignedInDc({
    bitbucket: options,
    link,
    scopes: ['ACCOUNT_WRITE', 'PROJECT_ADMIN'],
  });
  const token = bitbucket.addToken({ name: 'build server', ...spec });
  sandbox.guard(token.secret);
  await linkDc(sandbox, bitbucket, token, ['--name', 'bitbucket-dc']);
  return { sandbox, bitbucket, token };
}

/** Whom the server takes a token for: null for nobody. */
async function askName({ url }: BitbucketDcSimulator, secret: string): Promise<string | null> {
  const { headers } = await sendRequest(`${url}/rest/api/latest/application-properties`, {
    authorization: `Bearer ${secret}`,
  });
  return headers['x-ausername']?.toString() ?? null;
}

/** The tokens that the server has, without those of sign-ins. */
function listTokens({ state }: BitbucketDcSimulator): readonly DcToken[] {
  return [...state.tokens.values()];
}

const rotate = (sandbox: Sandbox, ...flags: string[]): Promise<Run> =>
  sandbox.run(['rotate', 'bitbucket-dc', '--json', ...flags]);

describe('fact 7, 8: rotate --via a sign-in at Data Center', () => {
  test.each<[string, NewToken]>([
    ['user', { permissions: ['PROJECT_READ', 'REPO_WRITE'] }],
    ['project', { kind: 'project', resource: 'ACME' }],
    ['repository', { kind: 'repository', resource: 'WEB/tools', permissions: ['REPO_READ'] }],
  ])('a %s token: a new one of the same name and powers, and the old one is dead', async (_kind, spec) => {
    const { sandbox, bitbucket, token } = await createBoth({ ...spec, expiryDays: 30 });
    const run = await rotate(sandbox, '--via', 'admin');
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.stderr).toContain('The old one is dead.');
    const [made, ...others] = listTokens(bitbucket);
    expect(others).toEqual([]);
    expect(made).toMatchObject({ name: 'build server', permissions: token.permissions });
    expect(made?.secret).not.toBe(token.secret);
    expect(await askName(bitbucket, token.secret)).toBeNull();
    const days = ((made?.expiresAt ?? 0) - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(29);
    expect(days).toBeLessThan(31);
    expect(run.json()).toMatchObject({
      link: { name: 'bitbucket-dc', status: 'ok', expiresAt: new Date(made?.expiresAt ?? 0).toISOString() },
    });
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
    const url = `${bitbucket.url}/scm/web/tools.git`;
    const answer = await askHelper(
      sandbox,
      'git-credential-gitlink',
      'get',
      toRequest(url, 'capability[]=authtype', 'username=nobody'),
    );
    expect(answer.stdout).not.toContain(token.secret);
  });

  test('--expires says how long the new one lives', async () => {
    const { sandbox, bitbucket } = await createBoth();
    const date = new Date(Date.now() + 10 * 86_400_000).toISOString().slice(0, 10);
    const run = await rotate(sandbox, '--via', 'admin', '--expires', date);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const [made] = listTokens(bitbucket);
    const days = ((made?.expiresAt ?? 0) - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(8.9);
    expect(days).toBeLessThan(11.1);
  });

  test('the new token is kept before the old one goes: where that fails, both live, and it is said', async () => {
    const { sandbox, bitbucket, token } = await createBoth();
    bitbucket.faults.add({ fault: { kind: 'cut' }, method: 'DELETE' });
    const run = await rotate(sandbox, '--via', 'admin');
    expect(run, run.stderr).toMatchObject({ exitCode: 3 });
    expect(run.stderr).toContain('The old one may still work');
    expect(run.stderr).toContain(`${bitbucket.url}/plugins/servlet/access-tokens/manage`);
    expect(listTokens(bitbucket)).toHaveLength(2);
    bitbucket.state.tokens.delete(token.secret);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('an answer that is lost: asked once, the old token stays, and the next rotation works', async () => {
    const { sandbox, bitbucket, token } = await createBoth();
    const heal = bitbucket.faults.add({ fault: { kind: 'lost' }, method: 'PUT' });
    const run = await rotate(sandbox, '--via', 'admin');
    expect(run, run.stderr).toMatchObject({ exitCode: 7 });
    expect(bitbucket.requests.filter(({ method }) => method === 'PUT')).toHaveLength(1);
    expect(await askName(bitbucket, token.secret)).toBe('ada');
    heal();
    expect(await rotate(sandbox, '--via', 'admin')).toMatchObject({ exitCode: 0 });
    expect(await askName(bitbucket, token.secret)).toBeNull();
  });
});

describe('fact 8: what cannot rotate at Data Center', () => {
  test.each<[string, NewToken, string]>([
    ['user', {}, '/plugins/servlet/access-tokens/manage'],
    ['project', { kind: 'project', resource: 'ACME' }, '/projects/ACME/settings'],
    ['repository', { kind: 'repository', resource: 'ACME/api' }, '/projects/ACME/repos/api/settings'],
  ])('a %s token without --via: exit 6 with its page and the next command', async (_kind, token, page) => {
    const { sandbox, bitbucket } = await createLinkedDc({ token });
    bitbucket.clearRequests();
    const run = await rotate(sandbox);
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain('--via LINK');
    expect(run.stderr).toContain(`${bitbucket.url}${page}`);
    expect(run.stderr).toContain('gitlink relink bitbucket-dc --with-token');
    expect(bitbucket.requests.filter(({ method }) => method !== 'GET')).toEqual([]);
    expect(readLinks(sandbox)).toMatchObject([{ status: 'ok' }]);
  });

  test('--via another token: exit 6, nothing is changed, and both links stay good', async () => {
    const { sandbox, bitbucket, token } = await createLinkedDc();
    await linkDc(sandbox, bitbucket, bitbucket.addToken({ name: 'other' }), ['--name', 'other']);
    const run = await rotate(sandbox, '--via', 'other');
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(await askName(bitbucket, token.secret)).toBe('ada');
    expect(listTokens(bitbucket)).toHaveLength(2);
    expect(readLinks(sandbox)).toMatchObject([{ status: 'ok' }, { status: 'ok' }]);
  });

  test('--via itself, a link that is not there, or one of another host: exit 2 and 5', async () => {
    const { sandbox, bitbucket } = await createLinkedDc();
    expect(await rotate(sandbox, '--via', 'bitbucket-dc')).toMatchObject({ exitCode: 2 });
    expect(await rotate(sandbox, '--via', 'nothing')).toMatchObject({ exitCode: 5 });
    const other = await createLinkedDc();
    const { secret } = other.bitbucket.addToken();
    sandbox.guard(secret);
    await linkDc(sandbox, other.bitbucket, other.token, ['--name', 'elsewhere']);
    sandbox.guard(other.token.secret);
    other.bitbucket.clearRequests();
    const run = await rotate(sandbox, '--via', 'elsewhere');
    expect(run, run.stderr).toMatchObject({ exitCode: 2 });
    expect(other.bitbucket.requests).toEqual([]);
    expect(listTokens(bitbucket)).toHaveLength(1);
  });

  test('--via a sign-in that may not manage the tokens of a person: exit 6 with the page', async () => {
    const { sandbox, bitbucket } = await createSignedInDc({ link: ['--name', 'admin'] });
    const token = bitbucket.addToken();
    await linkDc(sandbox, bitbucket, token, ['--name', 'bitbucket-dc']);
    const run = await rotate(sandbox, '--via', 'admin');
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(await askName(bitbucket, token.secret)).toBe('ada');
    expect(readLinks(sandbox)).toMatchObject([{ status: 'ok' }, { status: 'ok' }]);
  });

  test('the sign-in itself is renewed', async () => {
    const { sandbox, bitbucket } = await createSignedInDc();
    const run = await rotate(sandbox);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(bitbucket.oauth.countExchanges('refresh_token')).toBe(1);
  });
});

interface UnlinkDocument {
  readonly steps: readonly { what: string; state: string; reason: string | null }[];
  readonly remaining: readonly { what: string; url: string | null }[];
}

function unlink(sandbox: Sandbox, ...flags: string[]): Promise<Run> {
  return sandbox.run(['unlink', 'bitbucket-dc', '--yes', '--json', ...flags]);
}

function summarise(run: Run): string[] {
  return run.json<UnlinkDocument>().steps.map(({ what, state }) => `${what} ${state}`);
}

describe('unlink at Data Center', () => {
  test.each<[string, NewToken, string]>([
    ['user', {}, '/plugins/servlet/access-tokens/manage'],
    ['project', { kind: 'project', resource: 'ACME' }, '/projects/ACME/settings'],
    ['repository', { kind: 'repository', resource: 'ACME/api' }, '/projects/ACME/repos/api/settings'],
  ])(
    'fact 8: a %s token cannot end itself: said, with its page, and it lives',
    async (_kind, token, page) => {
      const linked = await createLinkedDc({ token });
      const { sandbox, bitbucket } = linked;
      const run = await unlink(sandbox, '--revoke');
      expect(run, run.stderr).toMatchObject({ exitCode: 0 });
      expect(summarise(run)).toEqual(['revoke skipped', 'secret done', 'record done']);
      expect(run.json<UnlinkDocument>()).toMatchObject({
        steps: [{ reason: 'Bitbucket lets no token delete tokens' }, {}, {}],
        remaining: [{ what: 'the token, which may still work', url: bitbucket.url + page }],
      });
      expect(await askName(bitbucket, linked.token.secret)).not.toBeNull();
      expect(readLinks(sandbox)).toEqual([]);
    },
  );

  test.each<[string, NewToken, string]>([
    ['user', {}, '/plugins/servlet/access-tokens/manage'],
    ['project', { kind: 'project', resource: 'ACME' }, '/projects/ACME/settings'],
  ])('a %s token without --revoke: its page is named', async (_kind, token, page) => {
    const { sandbox, bitbucket } = await createLinkedDc({ token });
    const run = await unlink(sandbox);
    expect(run.json<UnlinkDocument>().remaining).toMatchObject([{ url: bitbucket.url + page }]);
  });

  test('a server that lets a token end itself: it is dead, and proved', async () => {
    const linked = await createLinkedDc({ bitbucket: { settings: { tokensReachThemselves: true } } });
    const run = await unlink(linked.sandbox, '--revoke');
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(summarise(run)).toEqual(['revoke done', 'proof done', 'secret done', 'record done']);
    expect(run.json<UnlinkDocument>().remaining).toEqual([]);
    expect(await askName(linked.bitbucket, linked.token.secret)).toBeNull();
    linked.sandbox.guard(linked.token.secret);
  });

  test('one that is dead already: done, proved, nothing left', async () => {
    const { sandbox, bitbucket, token } = await createLinkedDc();
    bitbucket.state.tokens.delete(token.secret);
    sandbox.guard(token.secret);
    const run = await unlink(sandbox, '--revoke');
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(summarise(run)).toEqual(['revoke done', 'proof done', 'secret done', 'record done']);
  });

  test('a sign-in where the server has no revocation: the page of the authorized programs', async () => {
    const { sandbox, bitbucket } = await createSignedInDc();
    const run = await unlink(sandbox);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(summarise(run)).toEqual(['revoke skipped', 'secret done', 'record done']);
    expect(run.json<UnlinkDocument>().remaining).toEqual([
      {
        what: 'the sign-in, which may still work',
        url: `${bitbucket.url}/plugins/servlet/oauth/users/access-tokens`,
      },
    ]);
    expect([...bitbucket.state.oauth.sessions]).toHaveLength(1);
  });

  test('a sign-in where it has: dead, and proved', async () => {
    const options = { bitbucket: { settings: { hasOAuthRevocation: true } } };
    const { sandbox, bitbucket } = await createSignedInDc(options);
    const [session] = bitbucket.state.oauth.sessions;
    sandbox.guard(session?.accessToken ?? '');
    sandbox.guard(session?.refreshToken ?? '');
    const run = await unlink(sandbox);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(summarise(run)).toEqual(['revoke done', 'proof done', 'secret done', 'record done']);
    expect([...bitbucket.state.oauth.sessions]).toEqual([]);
  });
});
