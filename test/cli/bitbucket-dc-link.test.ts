import { describe, expect, test } from 'vitest';
import type { BitbucketDcSimulator, BitbucketDcSimulatorOptions } from '../simulators/bitbucket-dc/server.ts';
import type { DcToken, NewToken } from '../simulators/bitbucket-dc/token-state.ts';
import { readLinks } from '../support/ask-git.ts';
import {
  createLinkedDc,
  guardAll,
  linkDcArgs,
  readLinksOrNone,
  startBitbucketDc,
} from '../support/linked-bitbucket.ts';
import { createSandbox, type Run, type Sandbox } from '../support/sandbox.ts';

interface Tried {
  readonly bitbucket: BitbucketDcSimulator;
  readonly sandbox: Sandbox;
  readonly token: DcToken;
  readonly run: Run;
}

/** Links a token at a new Data Center, with these flags. */
async function tryLink(
  spec: NewToken,
  flags: readonly string[] = [],
  options: BitbucketDcSimulatorOptions = {},
): Promise<Tried> {
  const bitbucket = await startBitbucketDc(options);
  const sandbox = guardAll(createSandbox(), bitbucket);
  const token = bitbucket.addToken(spec);
  const run = await sandbox.run(linkDcArgs(bitbucket, '--with-token', '--json', ...flags), {
    input: token.secret,
  });
  return { bitbucket, sandbox, token, run };
}

function linkOf(run: Run): unknown {
  return run.json<{ link: unknown }>().link;
}

/** Requests that carried a credential: how, and where to. */
function listCarrying({ requests }: BitbucketDcSimulator) {
  return requests.filter(({ authorization }) => authorization !== null);
}

describe('link with an HTTP access token of Data Center', () => {
  test.each<[string, NewToken]>([
    ['of today', {}],
    ['of before the prefix', { shape: 'legacy' }],
  ])(
    'facts 2, 4, 5: a user token %s, below a context path: the person, by Bearer below /rest',
    async (_name, spec) => {
      const { bitbucket, sandbox, run } = await tryLink(spec);
      expect(run, run.stderr).toMatchObject({ exitCode: 0 });
      expect(bitbucket.url).toMatch(/\/bitbucket$/);
      expect(linkOf(run)).toMatchObject({
        name: 'bitbucket-dc',
        provider: 'bitbucket-dc',
        host: bitbucket.url,
        method: 'token',
        account: { login: 'ada', kind: 'user' },
        scopes: ['PROJECT_ADMIN', 'REPO_ADMIN'],
        enforcement: 'none',
        expiresAt: null,
        status: 'ok',
      });
      expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 0 });
      expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
      const carrying = listCarrying(bitbucket);
      expect(carrying.length).toBeGreaterThan(3);
      for (const { path, authorization } of carrying) {
        expect(path).toMatch(/^\/rest\//);
        expect(authorization).toMatchObject({ scheme: 'bearer' });
      }
    },
  );

  test('fact 2: a name with an "@" is read from the header as it is, and its namespace goes by the slug', async () => {
    const world = { user: 'Grace@acme.test', permissions: ['PROJECT_READ', 'REPO_WRITE'] };
    const { run } = await tryLink(world);
    expect(linkOf(run)).toMatchObject({ account: { login: 'Grace@acme.test', kind: 'user' } });
    expect(run.stderr).toContain('Grace@acme.test');
  });

  test.each<[string, NewToken, readonly string[], string]>([
    ['project', { kind: 'project', resource: 'ACME' }, ['--namespace', 'acme'], 'ACME'],
    ['project', { kind: 'project', resource: 'ACME' }, [], 'ACME'],
    ['repository', { kind: 'repository', resource: 'ACME/api' }, ['--repo', 'ACME/api'], 'ACME/api'],
    ['repository', { kind: 'repository', resource: 'ACME/api' }, [], 'ACME/api'],
  ])('fact 6: a %s token is its place: %o %o', async (kind, spec, flags, login) => {
    const { bitbucket, sandbox, run } = await tryLink(spec, flags);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(linkOf(run)).toMatchObject({ account: { login, kind }, enforcement: 'provider', status: 'ok' });
    expect(listCarrying(bitbucket).every(({ authorization }) => authorization?.scheme === 'bearer')).toBe(
      true,
    );
    const listed = await sandbox.run(['repos', '--json']);
    const { repositories } = listed.json<{ repositories: { fullName: string }[] }>();
    const names = repositories.map(({ fullName }) => fullName);
    expect(names).toContain('ACME/api');
    expect(names.filter((name) => !name.startsWith(login))).toEqual([]);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('fact 6: one that fits several places has to be told which: exit 2 naming the flags', async () => {
    const spec = { kind: 'project', resource: 'ACME', permissions: ['REPO_READ'] } as const;
    const { run } = await tryLink(spec);
    expect(run, run.stderr).toMatchObject({ exitCode: 2 });
    expect(run.stderr).toContain('--namespace or --repo');
    const named = await tryLink(spec, ['--namespace', 'ACME']);
    expect(named.run, named.run.stderr).toMatchObject({ exitCode: 0 });
    expect(linkOf(named.run)).toMatchObject({ account: { login: 'ACME', kind: 'project' } });
  });

  test("a place that is not the token's, though it is public: exit 5", async () => {
    const { run } = await tryLink({ kind: 'project', resource: 'ACME' }, ['--repo', 'VAULT/handbook']);
    expect(run, run.stderr).toMatchObject({ exitCode: 5 });
  });

  test('--expires is kept, because no server tells it', async () => {
    const { run } = await tryLink({ expiryDays: 90 }, ['--expires', '2027-02-18']);
    expect(linkOf(run)).toMatchObject({ expiresAt: '2027-02-18T00:00:00.000Z' });
  });

  test('fact 1: without a client and a token: exit 2 with both ways, the token first', async () => {
    const bitbucket = await startBitbucketDc();
    const sandbox = createSandbox();
    const run = await sandbox.run(linkDcArgs(bitbucket, '--json'));
    expect(run, run.stderr).toMatchObject({ exitCode: 2 });
    expect(run.stderr).toMatch(/--with-token[\s\S]*gitlink client add bitbucket-dc/);
    const pasted = await sandbox.run(linkDcArgs(bitbucket, '--method', 'token'));
    expect(pasted).toMatchObject({ exitCode: 2 });
    expect(pasted.stderr).toContain(`${bitbucket.url}/plugins/servlet/access-tokens/manage`);
  });

  test('any address of the host will do: the context path is found', async () => {
    const bitbucket = await startBitbucketDc();
    const sandbox = guardAll(createSandbox(), bitbucket);
    const { secret } = bitbucket.addToken();
    const address = `${bitbucket.url}/projects/ACME/repos/api/browse`;
    const run = await sandbox.run(['link', address, '--with-token', '--json'], { input: secret });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(linkOf(run)).toMatchObject({ provider: 'bitbucket-dc', host: bitbucket.url });
  });
});

describe('fact 3: a dead token where strangers may read', () => {
  test.each<[string, NewToken]>([
    ['that has ended', { expiryDays: -1 }],
    ['of a project, that has ended', { kind: 'project', resource: 'ACME', expiryDays: -1 }],
    ['of a repository, that has ended', { kind: 'repository', resource: 'ACME/api', expiryDays: -1 }],
  ])('one %s is exit 4, never linked', async (_name, spec) => {
    const { sandbox, bitbucket, run } = await tryLink(spec);
    // Strangers see the public repository here, so that the lists answer 200.
    expect(bitbucket.settings.publicAccess).toBe(true);
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
    expect(run.json()).toMatchObject({ error: { code: 'auth' } });
    expect(readLinksOrNone(sandbox)).toEqual([]);
  });

  test('one that was deleted later: exit 4, revoked, and nothing is deleted here', async () => {
    const { sandbox, bitbucket, token } = await createLinkedDc();
    bitbucket.state.tokens.delete(token.secret);
    sandbox.guard(token.secret);
    const check = await sandbox.run(['list', '--check', '--json']);
    expect(check, check.stderr).toMatchObject({ exitCode: 3 });
    expect(readLinks(sandbox)).toMatchObject([{ status: 'revoked' }]);
    const { secret } = bitbucket.addToken();
    const run = await sandbox.run(['relink', '--with-token', '--json'], { input: secret });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('repos with a dead token is exit 4, and not an empty list', async () => {
    const { sandbox, bitbucket, token } = await createLinkedDc();
    bitbucket.state.tokens.delete(token.secret);
    sandbox.guard(token.secret);
    const run = await sandbox.run(['repos', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
  });
});

describe('fact 5: 401 of Data Center says not allowed, too', () => {
  test('a repository that may not be seen: exit 5, and the link stays good', async () => {
    const { sandbox } = await createLinkedDc({ bitbucket: { settings: { hidesRepositories: false } } });
    const run = await sandbox.run(['restrict', '--repo', 'VAULT/secret', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 5 });
    expect(readLinks(sandbox)).toMatchObject([{ status: 'ok' }]);
  });

  test('webhooks of a project with a token that may not: told as not allowed, and the link stays good', async () => {
    const token = { permissions: ['PROJECT_READ', 'REPO_ADMIN'] };
    const { sandbox, bitbucket } = await createLinkedDc({ token });
    const args = ['regenerate-webhooks', '--at', 'namespace', '--namespace', 'ACME'];
    const run = await sandbox.run([...args, '--url', 'https://ci.acme.example/hook', '--json']);
    expect(run, `${run.stdout}${run.stderr}`).toMatchObject({ exitCode: 0 });
    expect(bitbucket.requests.map(({ status }) => status)).toContain(401);
    expect(run.json()).toMatchObject({ results: [{ repository: 'ACME', action: 'skip', state: 'skipped' }] });
    expect(readLinks(sandbox)).toMatchObject([{ status: 'ok' }]);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test.each([
    ['a page with 401', { kind: 'html', status: 401 } as const],
    ['a page instead of an answer', { kind: 'html' } as const],
  ])('%s of something in between: exit 7, and the link is not called revoked', async (_name, fault) => {
    const { sandbox, bitbucket } = await createLinkedDc();
    bitbucket.faults.add({ fault });
    const run = await sandbox.run(['repos', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 7 });
    expect(readLinks(sandbox)).toMatchObject([{ name: 'bitbucket-dc', status: 'ok' }]);
  });
});

describe('lists of Data Center', () => {
  test('a server with small pages and hidden rows is read to its end, by what it says comes next', async () => {
    const { sandbox, bitbucket } = await createLinkedDc({
      bitbucket: { settings: { maxPageSize: 2, hiddenRows: 3 } },
    });
    bitbucket.clearRequests();
    const run = await sandbox.run(['repos', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const { repositories } = run.json<{ repositories: { fullName: string }[] }>();
    expect(repositories.map(({ fullName }) => fullName).sort()).toEqual(
      ['ACME/api', 'ACME/empty', 'ACME/old', 'WEB/shop', 'WEB/tools', '~ada/notes'].sort(),
    );
    const starts = bitbucket.requests
      .filter(({ path, query }) => path.endsWith('/repos') && query['permission'] === 'REPO_READ')
      .map(({ query }) => query['start'] ?? '0');
    expect(starts.length).toBeGreaterThan(2);
    // Never the size of the page added up.
    expect(starts).not.toContain('2');
  });

  test('one project and a search; a project that is not there: exit 5', async () => {
    const { sandbox } = await createLinkedDc();
    const project = await sandbox.run(['repos', '--namespace', 'web']);
    expect(project.stdout.match(/WEB\//g)).not.toBeNull();
    expect(project.stdout).not.toContain('ACME/');
    expect((await sandbox.run(['repos', '--search', 'note'])).stdout).toContain('~ada/notes');
    expect(await sandbox.run(['repos', '--namespace', 'NOWHERE'])).toMatchObject({ exitCode: 5 });
  });

  test('a bucket that is empty for a moment is waited for', async () => {
    const rateLimit = { capacity: 1, fillRate: 1, hasRetryAfter: true };
    const { sandbox, bitbucket } = await createLinkedDc();
    bitbucket.settings.rateLimit = rateLimit;
    const run = await sandbox.run(['repos']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(bitbucket.requests.map(({ status }) => status)).toContain(429);
    expect(run.stdout).toContain('ACME/api');
  });
});
