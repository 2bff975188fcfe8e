import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { LinkRecord, Records } from '../../src/store/link-schema.ts';
import { recordUsage } from '../../src/store/usage-log.ts';
import type { GiteaSimulator } from '../simulators/gitea/server.ts';
import { addToken, createLinked, startGitea, usualScopes } from '../support/linked.ts';
import { createSandbox, type Run, type Sandbox } from '../support/sandbox.ts';

interface LinkDocument extends Readonly<Record<string, unknown>> {
  readonly name: string;
  readonly status: string;
}

function listLinks(run: Run): readonly LinkDocument[] {
  return run.json<{ readonly links: readonly LinkDocument[] }>().links;
}

/** Changes the records as an earlier run of gitlink could have left them. */
function changeRecords(
  { configDirectory }: Sandbox,
  change: (links: LinkRecord[]) => readonly object[],
): void {
  const path = join(configDirectory, 'links.json');
  const records = JSON.parse(readFileSync(path, 'utf8')) as Records;
  writeFileSync(path, JSON.stringify({ ...records, links: change(records.links) }));
}

/** Adds copies of the only link that differ from it. */
function addTwins(sandbox: Sandbox, twins: readonly Partial<LinkRecord>[]): void {
  changeRecords(sandbox, ([link, ...others]) => [
    ...(link ? [link, ...twins.map((twin, index) => ({ ...link, id: `twin-${index}`, ...twin }))] : []),
    ...others,
  ]);
}

function inDays(days: number): number {
  return Date.now() + days * 24 * 60 * 60 * 1000;
}

/** A port of this machine on which nobody listens. */
async function findDeadPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The columns that a terminal gives to a line of the characters that this test uses. */
function widthOf(line: string): number {
  return [...line.replace(/\p{M}/gu, '')].reduce(
    (sum, each) => sum + ('漢字⭐✅👩💻🏳🌈'.includes(each) ? 2 : 1),
    0,
  );
}

describe('list', () => {
  test('without links says how to make one, on standard error', async () => {
    const sandbox = createSandbox();
    const run = await sandbox.run(['list']);
    expect(run).toMatchObject({ exitCode: 0, stdout: '' });
    expect(run.stderr).toContain('gitlink link PROVIDER');
    expect((await sandbox.run(['list', '--json'])).json()).toEqual({ schema: 1, links: [] });
    expect(await sandbox.run(['list', '--quiet'])).toMatchObject({ exitCode: 0, stdout: '', stderr: '' });
  });

  test('D6: the JSON document is a closed list, whatever stands in the records', async () => {
    const { sandbox } = await createLinked({ link: ['--webhook-url', 'https://ci.example/hook'] });
    changeRecords(sandbox, (links) =>
      links.map((link) => ({
        ...link,
        token: 'canary-extra-field',
        account: { ...link.account, password: 'canary-extra-field' },
      })),
    );
    const run = await sandbox.run(['list', '--json']);
    expect(Object.keys(run.json())).toEqual(['schema', 'links']);
    const [link] = listLinks(run);
    expect(Object.keys(link ?? {})).toEqual([
      'id',
      'name',
      'provider',
      'flavour',
      'host',
      'organization',
      'method',
      'account',
      'restriction',
      'enforcement',
      'status',
      'statusReason',
      'checkedAt',
      'scopes',
      'expiresAt',
      'createdAt',
      'lastUsedAt',
      'storage',
      'webhook',
    ]);
    expect(Object.keys(link?.['account'] ?? {})).toEqual(['login', 'kind', 'id']);
    expect(Object.keys(link?.['restriction'] ?? {})).toEqual(['mode', 'namespaces', 'repositories']);
    expect(Object.keys(link?.['webhook'] ?? {})).toEqual(['url', 'events', 'at', 'regeneratedAt']);
    expect(run.stdout).not.toContain('canary');
    for (const key of ['checkedAt', 'createdAt']) {
      expect(link?.[key]).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
    }
    expect(link).toMatchObject({ expiresAt: null, lastUsedAt: null, organization: null });
  });

  test('when a link was last used', async () => {
    const { sandbox } = await createLinked();
    const [link] = listLinks(await sandbox.run(['list', '--json']));
    const at = Date.UTC(2026, 0, 2, 3, 4, 5);
    recordUsage(sandbox.stateDirectory, { linkId: String(link?.['id']), at, by: 'git', path: null });
    expect(listLinks(await sandbox.run(['list', '--json']))).toMatchObject([
      { lastUsedAt: '2026-01-02T03:04:05.000Z' },
    ]);
  });

  test('piped: one line a link, cells separated by tabs, no header, complete', async () => {
    const { sandbox, gitea } = await createLinked();
    const namespaces = Array.from({ length: 80 }, (_, index) => `a-rather-long-namespace-${index}`);
    addTwins(sandbox, [
      {
        name: 'narrow',
        restriction: { mode: 'restricted', namespaces, repositories: [{ id: '1', fullName: 'ada/site' }] },
      },
    ]);
    const { stdout } = await sandbox.run(['list']);
    expect(stdout).toBe(
      [
        `gitea\tgitea\t${gitea.url}\tada\ttoken\tall\tnever\tok\n`,
        `narrow\tgitea\t${gitea.url}\tada\ttoken\t${[...namespaces, 'ada/site'].join(', ')}\tnever\tok\n`,
      ].join(''),
    );
  });

  test('E2: on a terminal no line is wider than it, whatever the names', async (context) => {
    const { sandbox } = await createLinked();
    const login = (text: string): Partial<LinkRecord> => ({
      account: { login: text, kind: 'user', id: '1' },
    });
    addTwins(sandbox, [
      {
        name: 'x'.repeat(63),
        ...login('漢字'.repeat(30)),
        status: 'secretMissing',
        statusReason: 'keychain',
      },
      { name: 'combining', ...login('e\u0301\u0323'.repeat(50)) },
      { name: 'emoji', ...login('⭐✅👩‍💻🏳️‍🌈'.repeat(9)), status: 'secretMissing', statusReason: 'keychain' },
      { name: 'hostile', ...login('\u001b[2J\u202eada\r\n\u2028\u{e0041}') },
      { name: 'far', host: `https://${'long-host-name.'.repeat(9)}dev`, expiresAt: inDays(400) },
      { name: 'bad', status: 'secretMissing', statusReason: 'keychain' },
    ]);
    for (const columns of [80, 132]) {
      const run = await runInTerminal(sandbox, columns, 'list');
      if (run === null) return context.skip('there is no `script` of util-linux');
      const lines = run.stdout.trimEnd().split('\r\n');
      // What does not fit into the last column goes on in lines below.
      expect(lines.filter((line) => !line.startsWith(' '))).toHaveLength(8);
      expect(lines[0]).toMatch(/^NAME +(PROVIDER +)?HOST +ACCOUNT +(METHOD +)?ACCESS +EXPIRES +STATE$/);
      expect(run.stdout).toContain('combining ');
      for (const line of lines) {
        expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
        expect(widthOf(line), line).toBeLessThanOrEqual(columns);
      }
    }
  });

  test('colours are for terminals, and not for NO_COLOR, --no-color and TERM=dumb', async (context) => {
    const { sandbox } = await createLinked();
    const coloured = await runInTerminal(sandbox, 80, 'list', { NO_COLOR: undefined, TERM: 'xterm' });
    if (coloured === null) return context.skip('there is no `script` of util-linux');
    expect(coloured.stdout).toContain('\u001b[32mok');
    const plain = [
      await runInTerminal(sandbox, 80, 'list', { NO_COLOR: '1', TERM: 'xterm' }),
      await runInTerminal(sandbox, 80, 'list --no-color', { NO_COLOR: undefined, TERM: 'xterm' }),
      await runInTerminal(sandbox, 80, 'list', { NO_COLOR: undefined, TERM: 'dumb' }),
      await sandbox.run(['list'], { env: { NO_COLOR: undefined, TERM: 'xterm' } }),
    ];
    for (const run of plain) expect(run?.stdout).not.toContain('\u001b');
  });

  test('--provider takes every word for it; another word is exit 2', async () => {
    const { sandbox } = await createLinked();
    for (const word of ['gitea', 'forgejo', 'codeberg']) {
      expect((await sandbox.run(['list', '--provider', word])).stdout).toContain('gitea');
    }
    const run = await sandbox.run(['list', '--provider', 'sourceforge', '--json']);
    expect(run).toMatchObject({ exitCode: 2 });
    expect(run.json()).toMatchObject({
      error: {
        code: 'usage',
        hint: 'There are: azure-devops, bitbucket, bitbucket-dc, gitea, github, gitlab',
      },
    });
  });

  test('--expiring: what ends within so many days, exit 3 when something does', async () => {
    const { sandbox } = await createLinked();
    addTwins(sandbox, [
      { name: 'soon', expiresAt: inDays(10) },
      { name: 'later', expiresAt: inDays(60) },
      { name: 'over', expiresAt: inDays(-1) },
    ]);
    const names = async (days: string): Promise<[number | null, ...string[]]> => {
      const run = await sandbox.run(['list', '--expiring', days, '--json']);
      return [run.exitCode, ...listLinks(run).map(({ name, status }) => `${name} ${status}`)];
    };
    expect(await names('5')).toEqual([3, 'over expired']);
    expect(await names('30')).toEqual([3, 'soon expiring', 'over expired']);
    expect(await names('365')).toEqual([3, 'soon expiring', 'later ok', 'over expired']);
    changeRecords(sandbox, ([link]) => (link ? [link] : []));
    const none = await sandbox.run(['list', '--expiring', '9999']);
    expect(none).toMatchObject({ exitCode: 0, stdout: '', stderr: 'Nothing expires within 9999 days.\n' });
    for (const bad of ['soon', '-1', '1.5', '', '99999']) {
      expect(await sandbox.run(['list', `--expiring=${bad}`])).toMatchObject({ exitCode: 2 });
    }
  });
});

describe('list --check', () => {
  test('ok, revoked and every way of not answering; a network fault is never a bad token', async () => {
    const { sandbox, gitea, token } = await createLinked();
    const second = sandbox.guard(addToken(gitea, usualScopes));
    const link = ['link', 'gitea', '--host', gitea.url, '--with-token', '--name'];
    expect(await sandbox.run([...link, 'dead-token'], { input: second })).toMatchObject({ exitCode: 0 });
    gitea.state.tokens.delete(second);

    const broken: readonly (readonly [string, Parameters<GiteaSimulator['faults']['add']>[0]['fault']])[] = [
      ['html', { kind: 'html' }],
      ['html-401', { kind: 'html', status: 401 }],
      ['html-502', { kind: 'html', status: 502 }],
      ['broken-json', { kind: 'broken-json' }],
      ['error-500', { kind: 'answer', answer: { status: 500, json: { message: 'canary: invalid token' } } }],
      ['busy', { kind: 'answer', answer: { status: 429, headers: { 'retry-after': '3600' } } }],
    ];
    const twins: Partial<LinkRecord>[] = [
      { name: 'no-host', host: `http://127.0.0.1:${await findDeadPort()}` },
    ];
    for (const [name, fault] of broken) {
      const host = await startGitea();
      host.faults.add({ fault });
      const known = gitea.state.tokens.get(token);
      if (known) host.state.tokens.set(token, known);
      twins.push({ name, host: host.url });
    }
    twins.push({ name: 'no-secret', credentialItem: 'credential.gone' });
    twins.push({ name: 'no-ca-file', caFile: join(sandbox.home, 'gone.pem') });
    twins.push({ name: 'half-gone', status: 'unlinking' });
    addTwins(sandbox, twins);

    const run = await sandbox.run(['list', '--check', '--json']);
    expect(run).toMatchObject({ exitCode: 3 });
    const found = new Map(
      listLinks(run).map(({ name, status, statusReason }) => [name, `${status} ${String(statusReason)}`]),
    );
    expect(Object.fromEntries(found)).toEqual({
      gitea: 'ok null',
      'dead-token': 'revoked null',
      'no-host': 'unreachable network',
      html: 'unreachable network',
      'html-401': 'unreachable network',
      'html-502': 'unreachable network',
      'broken-json': 'unreachable network',
      'error-500': 'unreachable network',
      busy: 'unreachable rateLimit',
      'no-secret': 'secretMissing file',
      'no-ca-file': 'unreachable caFile',
      'half-gone': 'unlinking null',
    });
    expect(run.stderr).toContain('no-ca-file: The CA file');
    // It is kept: a plain list says the same without asking.
    gitea.clearRequests();
    expect(listLinks(await sandbox.run(['list', '--json'])).map(({ status }) => status)).toEqual(
      listLinks(run).map(({ status }) => status),
    );
    expect(gitea.requests).toEqual([]);
  });

  test('all is well: exit 0, and what the host says is taken over', async () => {
    const { sandbox, gitea } = await createLinked();
    const user = gitea.state.findOwner('ada');
    if (user) user.login = 'ada-lovelace';
    gitea.state.reindex();
    const run = await sandbox.run(['list', '--check', '--json']);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(listLinks(run)).toMatchObject([{ status: 'ok', account: { login: 'ada-lovelace' } }]);
    expect(gitea.requests.at(-1)).toMatchObject({ method: 'GET', path: '/api/v1/token' });
  });

  test('exit 3 also when --expiring leaves the dead link out of the list', async () => {
    const { sandbox, gitea, token } = await createLinked();
    gitea.state.tokens.delete(token);
    expect(await sandbox.run(['list', '--check', '--expiring', '5'])).toMatchObject({
      exitCode: 3,
      stdout: '',
    });
  });

  test('50 links are asked at the same time', async () => {
    const { sandbox, gitea } = await createLinked();
    addTwins(
      sandbox,
      Array.from({ length: 49 }, (_, index) => ({ name: `twin-${index}` })),
    );
    gitea.clearRequests();
    gitea.setLatency(200);
    const startedAt = performance.now();
    const run = await sandbox.run(['list', '--check', '--json']);
    const durationMs = performance.now() - startedAt;
    expect(run).toMatchObject({ exitCode: 0 });
    expect(gitea.requests).toHaveLength(50);
    expect(gitea.peakConcurrency()).toBeGreaterThan(40);
    // One after the other it would be ten seconds.
    expect(durationMs).toBeLessThan(5_000);
  });
});

/** Runs gitlink on a terminal of so many columns; null where this machine has no way to make one. */
async function runInTerminal(
  sandbox: Sandbox,
  columns: number,
  commandLine: string,
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<Run | null> {
  const script = join(import.meta.dirname, '../../bin/gitlink.js');
  const command = `stty cols ${columns} rows 50; exec '${process.execPath}' '${script}' ${commandLine}`;
  try {
    return await sandbox.runProgram('script', ['-qec', command, '/dev/null'], { env });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}
