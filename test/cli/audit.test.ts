import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { LinkRecord } from '../../src/store/link-schema.ts';
import { recordUsage } from '../../src/store/usage-log.ts';
import { addToken, createLinked, startGitea, usualScopes, type Linked } from '../support/linked.ts';
import { createSandbox, type RunOptions, type Sandbox } from '../support/sandbox.ts';
import { changeRecords, readRecords } from './doctor-kit.ts';
import { addHook, createHooks, fourRepositories, receiverUrl } from './webhooks-kit.ts';

interface Finding {
  readonly severity: 'info' | 'warning' | 'error';
  readonly code: string;
  readonly link: string | null;
  readonly subject: string;
  readonly evidence: string;
  readonly fix: string;
}

const dayMs = 24 * 60 * 60 * 1000;

async function audit(
  sandbox: Sandbox,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<readonly Finding[]> {
  const run = await sandbox.run(['audit', '--json', ...args], options);
  expect(run.exitCode, run.stdout + run.stderr).toBe(0);
  return run.json<{ readonly findings: readonly Finding[] }>().findings;
}

/** What was found, as `severity code`, by link. */
function byLink(findings: readonly Finding[]): Record<string, readonly string[]> {
  const found: Record<string, string[]> = {};
  for (const { severity, code, link, subject } of findings) {
    (found[link ?? subject] ??= []).push(`${severity} ${code}`);
  }
  return found;
}

/** A link that is limited and in use, so that nothing is to be said but that tokens of Gitea do not end. */
function createQuiet(): Promise<Linked> {
  return createLinked({ link: ['--namespace', 'acme'] });
}

/** Adds copies of the only link that differ from it; the rest of it is quiet. */
function addTwins(sandbox: Sandbox, twins: readonly Partial<LinkRecord>[]): void {
  changeRecords(sandbox, (records) => {
    const [link] = records.links;
    if (!link) return records;
    const quiet = { ...link, expiresAt: Date.now() + 300 * dayMs };
    const toId = (index: number): string => `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`;
    return {
      ...records,
      links: [quiet, ...twins.map((twin, index) => ({ ...quiet, id: toId(index), ...twin }))],
    };
  });
}

async function linkWith(
  { sandbox, gitea }: Linked,
  name: string,
  scopes: readonly string[],
): Promise<string> {
  const token = sandbox.guard(addToken(gitea, scopes));
  const args = ['link', 'gitea', '--host', gitea.url, '--with-token', '--name', name, '--namespace', 'acme'];
  expect(await sandbox.run(args, { input: token })).toMatchObject({ exitCode: 0 });
  return token;
}

describe('audit', () => {
  test('of nothing, and of a link that is as it should be', async () => {
    const none = createSandbox();
    expect(await audit(none)).toEqual([]);
    expect(await none.run(['audit'])).toMatchObject({
      exitCode: 0,
      stdout: '',
      stderr: 'Nothing was found.\n',
    });
    const { sandbox } = await createQuiet();
    const [finding, ...others] = await audit(sandbox);
    expect(others).toEqual([]);
    expect(finding).toMatchObject({
      severity: 'info',
      code: 'never-expires',
      link: 'gitea',
      fix: 'gitlink rotate gitea',
    });
    expect(Object.keys(finding ?? {})).toEqual(['severity', 'code', 'link', 'subject', 'evidence', 'fix']);
    expect(finding?.subject).toMatch(/^ada at http:\/\/127\.0\.0\.1:\d+$/);
    addTwins(sandbox, []);
    expect(await audit(sandbox)).toEqual([]);
  });

  test('every fault of a link is named, and nothing else', async () => {
    const linked = await createQuiet();
    const { sandbox, gitea } = linked;
    const now = Date.now();
    const inDays = (days: number): number => now + days * dayMs;
    const elsewhere = { host: 'http://127.0.0.1:1' };
    addTwins(sandbox, [
      { name: 'over', expiresAt: inDays(-2) },
      { name: 'today', expiresAt: inDays(0.5) },
      { name: 'this-week', expiresAt: inDays(6.5) },
      { name: 'next-week', expiresAt: inDays(13.5) },
      { name: 'this-month', expiresAt: inDays(29.5) },
      { name: 'far', expiresAt: inDays(31) },
      { name: 'endless', expiresAt: null },
      { name: 'signed-in', expiresAt: null, method: 'oauth' },
      { name: 'no-secret', credentialItem: 'credential.gone' },
      { name: 'away', ...elsewhere },
      { name: 'half', status: 'unlinking' },
      { name: 'open', restriction: { mode: 'unrestricted' } },
      { name: 'forgotten', createdAt: inDays(-100) },
      { name: 'busy', createdAt: inDays(-100) },
      { name: 'idle', createdAt: inDays(-200) },
      { name: 'scripted' },
      { name: 'deaf', webhook: { ...emptyTarget, url: 'http://ci.acme.example/hook' } },
    ]);
    const { links } = readRecords(sandbox);
    const idOf = (name: string): string => links.find((link) => link.name === name)?.id ?? '';
    const use = (name: string, at: number, by: 'git' | 'token'): void =>
      recordUsage(sandbox.stateDirectory, { linkId: idOf(name), at, by, path: null });
    use('busy', inDays(-1), 'git');
    use('idle', inDays(-91), 'git');
    use('scripted', inDays(-1), 'token');
    const dead = await linkWith(linked, 'dead', usualScopes);
    gitea.state.tokens.delete(dead);
    await linkWith(linked, 'poor', ['read:user', 'read:organization']);
    await linkWith(linked, 'rich', [...usualScopes, 'write:admin']);
    await sandbox.run(['client', 'add', 'gitea', '--host', gitea.url, '--client-id', 'canary-client']);

    const findings = await audit(sandbox);
    expect(byLink(findings)).toEqual({
      over: ['error expired'],
      today: ['error expires-soon'],
      'this-week': ['warning expires-soon'],
      'next-week': ['warning expires-soon'],
      'this-month': ['info expires-soon'],
      endless: ['info never-expires'],
      'no-secret': ['error secret-missing'],
      away: ['warning unreachable'],
      half: ['warning unlinking'],
      open: ['info unrestricted'],
      forgotten: ['warning unused'],
      idle: ['warning unused'],
      scripted: ['info personal-account'],
      deaf: ['warning webhook-missing', 'warning webhook-plain-http', 'info personal-account'],
      dead: ['error revoked'],
      poor: ['warning scope-missing', 'info never-expires'],
      rich: ['warning scope-excess', 'info never-expires'],
      [`canary-client at ${gitea.url}`]: ['warning client-unused'],
    });
    const find = (link: string): Finding | undefined => findings.find((finding) => finding.link === link);
    expect(find('today')?.evidence).toMatch(/^the credential ends on \d{4}-\d{2}-\d{2}, in 1 day$/);
    expect(find('this-week')?.evidence).toContain('in 7 days');
    expect(find('poor')).toMatchObject({
      evidence: 'read:repository is missing, which it takes to list repositories and clone',
      fix: 'gitlink relink poor --for clone',
    });
    expect(find('rich')?.evidence).toContain('write:admin');
    expect(find('idle')?.evidence).toMatch(/^last used on /);
    expect(find('forgotten')?.evidence).toMatch(/never used$/);
    // The worst first, so that a reader may stop.
    const severities = findings.map(({ severity }) => severity);
    expect(severities).toEqual([...severities].sort((a, b) => rank(a) - rank(b)));
  });

  test('a secret in a weak place: the encrypted file beside what opens it', async () => {
    const { sandbox } = await createQuiet();
    addTwins(sandbox, []);
    // Outside of what the sandbox searches for the passphrase at its end.
    const path = `${sandbox.home}-phrase`;
    onTestFinished(() => rmSync(path, { force: true }));
    writeFileSync(path, 'canary passphrase of the sandbox\n', { mode: 0o600 });
    changeRecords(sandbox, (records) => ({ ...records, passphraseFile: path }));
    expect(await audit(sandbox)).toMatchObject([
      {
        severity: 'warning',
        code: 'weak-storage',
        link: 'gitea',
        fix: 'gitlink relink gitea --store keychain',
      },
    ]);
    // Without it nothing can be read, and nothing is called sound.
    rmSync(path);
    const run = await sandbox.run(['audit', '--json'], { env: { GITLINK_PASSPHRASE: undefined } });
    expect(run).toMatchObject({ exitCode: 8 });
    expect(run.json()).toMatchObject({ error: { code: 'storage' } });
  });

  test('webhooks that are missing, switched off and doubled, each by its repository', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories } });
    const { sandbox, gitea } = linked;
    await createHooks(linked);
    changeRecords(sandbox, (records) => ({
      ...records,
      links: records.links.map((link) => ({ ...link, expiresAt: Date.now() + 300 * dayMs })),
    }));
    const webhookFindings = async (): Promise<readonly Finding[]> =>
      (await audit(sandbox)).filter(({ code }) => code.startsWith('webhook'));
    expect(await webhookFindings()).toEqual([]);

    const names = [1, 2, 3, 4].map((number) => `ada/site-000${number}`);
    const [gone = '', off = '', twice = ''] = names;
    const hooksOf = (name: string) => gitea.hooksOf(name);
    await gitea.settle();
    removeHook(linked, gone);
    for (const hook of hooksOf(off)) Object.assign(hook, { active: false });
    addHook(gitea, twice);
    const findings = await webhookFindings();
    expect(findings.map(({ severity, code, subject }) => [subject, `${severity} ${code}`])).toEqual([
      [off, 'error webhook-disabled'],
      [gone, 'error webhook-missing'],
      [twice, 'warning webhook-duplicated'],
    ]);
    expect(new Set(findings.map(({ fix }) => fix))).toEqual(
      new Set(['gitlink regenerate-webhooks gitea --repair']),
    );
    // The fix works: what is left is the hook that somebody made by hand.
    expect((await sandbox.run(['regenerate-webhooks', 'gitea', '--repair'])).exitCode).toBe(0);
    expect((await webhookFindings()).filter(({ severity }) => severity === 'error')).toEqual([]);
  });

  test('a run over webhooks that was stopped', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories } });
    await createHooks(linked);
    changeRecords(linked.sandbox, (records) => ({
      ...records,
      links: records.links.map((link) => ({
        ...link,
        webhook: link.webhook && {
          ...link.webhook,
          nextSecretItem: link.webhook.secretItem,
          secretItem: null,
        },
      })),
    }));
    expect((await audit(linked.sandbox)).map(({ code }) => code)).toContain('webhook-run-unfinished');
  });

  test('hosts are asked at the same time; one that is silent does not keep the others', async () => {
    const { sandbox, gitea } = await createQuiet();
    const silent = await startGitea();
    silent.setLatency(40_000);
    addTwins(sandbox, [
      ...Array.from({ length: 20 }, (_, index) => ({ name: `twin-${index}` })),
      { name: 'silent', host: silent.url },
    ]);
    gitea.setLatency(200);
    const startedAt = performance.now();
    expect(byLink(await audit(sandbox))).toEqual({ silent: ['warning unreachable'] });
    expect(gitea.peakConcurrency()).toBeGreaterThan(15);
    expect(performance.now() - startedAt).toBeLessThan(25_000);
    silent.setLatency(0);
  }, 60_000);

  test('--fail-on: exit 3 from a severity on, with the findings printed all the same', async () => {
    const { sandbox } = await createQuiet();
    const codes = async (): Promise<readonly (number | null)[]> =>
      Promise.all(
        [['--fail-on', 'warning'], ['--fail-on', 'error'], []].map(
          async (args) => (await sandbox.run(['audit', '--json', ...args])).exitCode,
        ),
      );
    expect(await codes()).toEqual([0, 0, 0]);
    addTwins(sandbox, [{ name: 'old', createdAt: Date.now() - 100 * dayMs }]);
    expect(await codes()).toEqual([3, 0, 0]);
    addTwins(sandbox, [{ name: 'over', expiresAt: Date.now() - dayMs }]);
    expect(await codes()).toEqual([3, 3, 0]);
    const run = await sandbox.run(['audit', '--fail-on', 'error']);
    expect(run).toMatchObject({ exitCode: 3, stderr: '1 error, 0 warnings, 0 to know.\n' });
    expect(run.stdout).toMatch(/^error\texpired\tover\t[^\t]+\t[^\t]+\tgitlink relink over\n$/);
  });
});

/** Names that a spreadsheet, a page or a terminal would take for something else. */
const hostileLogin = '=HYPERLINK("https://evil.example","a|b")\u001b[2J\n<img src=x>';

describe('audit --format', () => {
  async function createHostile(): Promise<Sandbox> {
    const { sandbox } = await createQuiet();
    addTwins(sandbox, [
      {
        name: 'hostile',
        host: 'http://127.0.0.1:1',
        account: { login: hostileLogin, kind: 'user', id: '9' },
      },
    ]);
    return sandbox;
  }

  test('csv: what begins like a formula does not stay one, quotes are doubled, lines end in CRLF', async () => {
    const sandbox = await createHostile();
    const { stdout } = await sandbox.run(['audit', '--format', 'csv']);
    const [head, row, ...rest] = stdout.split('\r\n');
    expect(head).toBe('severity,code,link,subject,evidence,fix');
    expect(row).toContain('"\'=HYPERLINK(""https://evil.example"",""a|b"")\\x1b[2J\\x0a<img src=x> at');
    expect(rest).toEqual(['']);
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b\u000c\u000e-\u001f]/);
  });

  test('markdown: a table in which nothing that others chose is markup', async () => {
    const sandbox = await createHostile();
    const { stdout } = await sandbox.run(['audit', '--format', 'markdown']);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toBe('| severity | code | link | subject | evidence | fix |');
    expect(lines[1]).toBe('| --- | --- | --- | --- | --- | --- |');
    expect(lines[2]?.match(/\|/g)).toHaveLength(7);
    expect(lines[2]).not.toMatch(/[<>[\]*`]/);
  });

  test('json, by its own flag and by that of every command; both words at once contradict each other', async () => {
    const sandbox = await createHostile();
    const own = await sandbox.run(['audit', '--format', 'json']);
    const usual = await sandbox.run(['audit', '--json']);
    expect(own.json()).toEqual(usual.json());
    expect(own.json<{ schema: number }>().schema).toBe(1);
    expect(await sandbox.run(['audit', '--json', '--format', 'csv'])).toMatchObject({ exitCode: 2 });
    expect(await sandbox.run(['audit', '--format', 'xml'])).toMatchObject({ exitCode: 2 });
    expect(await sandbox.run(['audit', '--fail-on', 'info'])).toMatchObject({ exitCode: 2 });
  });

  test('on a terminal no line but one to copy is wider than 80 columns', async (context) => {
    const sandbox = await createHostile();
    const script = join(import.meta.dirname, '../../bin/gitlink.js');
    const command = `stty cols 80 rows 50; exec '${process.execPath}' '${script}' audit`;
    const run = await sandbox.runProgram('script', ['-qec', command, '/dev/null']).catch(() => null);
    if (run === null) return context.skip('there is no `script` of util-linux');
    const lines = run.stdout.split('\r\n').map((line) => line.replace(/^[^]*\u001b\[2K/, ''));
    expect(lines.join('\n')).toContain('unreachable');
    for (const line of lines.filter((each) => !each.includes('settle:'))) {
      expect(line.length, line).toBeLessThanOrEqual(80);
      expect(line).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    }
  });
});

const emptyTarget: NonNullable<LinkRecord['webhook']> = {
  url: receiverUrl,
  events: ['push'],
  at: 'repositories',
  regeneratedAt: null,
  secretItem: null,
  nextSecretItem: null,
};

function rank(severity: Finding['severity']): number {
  return ['error', 'warning', 'info'].indexOf(severity);
}

/** Takes the hook of a repository away behind gitlink's back. */
function removeHook({ gitea }: Linked, fullName: string): void {
  for (const hook of gitea.hooksOf(fullName)) gitea.state.hooks.remove(hook);
}
