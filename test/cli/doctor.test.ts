import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createProcessLocks } from '../../src/store/process-lock.ts';
import { systemClock, systemRandom } from '../../src/runtime.ts';
import { addToken, createLinked, startGitea, usualScopes, type Linked } from '../support/linked.ts';
import { createSandbox, type RunOptions } from '../support/sandbox.ts';
import { changeLinks, changeRecords, examine, findFaults, readRecords, runLine } from './doctor-kit.ts';

const hourMs = 60 * 60 * 1000;

/** A link that is used for nothing but to have something to break. */
function createBreakable(): Promise<Linked> {
  return createLinked();
}

/** Makes a file look as if it had been left behind hours ago. */
function age(path: string): void {
  const then = (Date.now() - 3 * hourMs) / 1000;
  utimesSync(path, then, then);
}

describe('doctor', () => {
  test('finds nothing where nothing is broken: exit 0, every check by name, nothing changed', async () => {
    const { sandbox, gitea } = await createBreakable();
    gitea.clearRequests();
    const before = readFileSync(join(sandbox.configDirectory, 'links.json'), 'utf8');
    const checks = await examine(sandbox);
    expect(checks.filter(({ state }) => state !== 'ok')).toEqual([]);
    expect(checks.map(({ name }) => name)).toEqual([
      'records',
      'settings',
      'permissions',
      'keychain',
      'encrypted-file',
      'links',
      'leftover-secrets',
      'leftover-files',
      'locks',
      'browser',
      'proxy',
      'certificates',
      'hosts',
      'clock',
      'git',
      'git-setup',
      'remotes',
      'clear-text',
      'webhook-runs',
    ]);
    for (const check of checks) {
      expect(Object.keys(check)).toEqual(['name', 'state', 'detail', 'fix']);
      expect(check.fix).toBeNull();
    }
    // The host is asked what it is, and no credential goes there.
    expect(gitea.requests.length).toBeGreaterThan(0);
    expect(gitea.requests.every(({ headers }) => headers.authorization === undefined)).toBe(true);
    expect(readFileSync(join(sandbox.configDirectory, 'links.json'), 'utf8')).toBe(before);
    expect(await sandbox.run(['doctor'])).toMatchObject({ exitCode: 0, stderr: 'All is well.\n' });
  });

  test('before anything is linked: exit 0, and nothing is made', async () => {
    const sandbox = createSandbox();
    expect(await findFaults(sandbox)).toEqual([]);
    expect(existsSync(sandbox.stateDirectory)).toBe(false);
  });

  test('D9: with a link of the environment neither keychain nor D-Bus is missed, and nothing is made', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox({ store: 'keychain' });
    const token = sandbox.guard(addToken(gitea, usualScopes));
    const env = { GITLINK_PROVIDER: 'gitea', GITLINK_HOST: gitea.url, GITLINK_TOKEN: token, CI: 'true' };
    expect(await findFaults(sandbox, [], { env })).toEqual([]);
    const run = await sandbox.run(['audit', '--json'], { env });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const { findings } = run.json<{ readonly findings: readonly Readonly<Record<string, unknown>>[] }>();
    expect(findings.map(({ code }) => code).sort()).toEqual(['never-expires', 'unrestricted']);
    expect(new Set(findings.map(({ fix }) => fix))).toEqual(new Set(['change the variables GITLINK_…']));
    expect(existsSync(sandbox.configDirectory)).toBe(false);
    expect(existsSync(sandbox.stateDirectory)).toBe(false);
  });

  test('on a terminal no line but one to copy is wider than 80 columns', async (context) => {
    const { sandbox } = await createBreakable();
    changeLinks(sandbox, () => ({ credentialItem: 'credential.gone', name: 'x'.repeat(63) }));
    const script = join(import.meta.dirname, '../../bin/gitlink.js');
    const command = `stty cols 80 rows 50; exec '${process.execPath}' '${script}' doctor`;
    const run = await sandbox.runProgram('script', ['-qec', command, '/dev/null']).catch(() => null);
    if (run === null) return context.skip('there is no `script` of util-linux');
    const lines = run.stdout.split('\r\n').map((line) => line.replace(/^[^]*\u001b\[2K/, ''));
    expect(lines.join('\n')).toContain('error    links');
    for (const line of lines.filter((each) => !each.includes('mend:'))) {
      expect(line.length, line).toBeLessThanOrEqual(80);
    }
  });
});

/** Something that is broken, and how `doctor` must name it. */
interface Breakage {
  readonly title: string;
  readonly name: string;
  readonly state: 'warning' | 'error';
  readonly detail: RegExp;
  /** Breaks it; what it returns is for every run after it. */
  readonly seed: (linked: Linked) => Promise<RunOptions | void> | RunOptions | void;
  /** What follows the line that `doctor` names, and what it reads; `env` where the line sets a variable. */
  readonly more?: string;
  readonly input?: (linked: Linked) => string;
  readonly after?: RunOptions;
  /** Whether `--fix` mends it, too; false where that is for a person. */
  readonly isMendedByFix: boolean;
}

const breakages: readonly Breakage[] = [
  {
    title: 'B3: a folder that others may enter',
    name: 'permissions',
    state: 'warning',
    detail: /other users may enter or read .*\.config\/gitlink \(mode 755\)/,
    seed: ({ sandbox }) => chmodSync(sandbox.configDirectory, 0o755),
    isMendedByFix: true,
  },
  {
    title: 'B3: a file that others may read and nothing reads',
    name: 'permissions',
    state: 'warning',
    detail: /links\.json\.previous \(mode 644\)/,
    seed: ({ sandbox }) => {
      const path = join(sandbox.configDirectory, 'links.json.previous');
      chmodSync(path, 0o644);
    },
    isMendedByFix: true,
  },
  {
    title: 'a hard link to the preferences',
    name: 'permissions',
    state: 'error',
    detail: /settings\.json has a second name/,
    seed: ({ sandbox }) =>
      linkSync(join(sandbox.configDirectory, 'settings.json'), join(sandbox.home, 'second-name')),
    isMendedByFix: false,
  },
  {
    title: 'damaged records, with the state before',
    name: 'records',
    state: 'error',
    detail: /links\.json is damaged/,
    seed: ({ sandbox }) => {
      const path = join(sandbox.configDirectory, 'links.json');
      writeFileSync(`${path}.previous`, readFileSync(path), { mode: 0o600 });
      writeFileSync(path, '{"version":3,', { mode: 0o600 });
    },
    isMendedByFix: false,
  },
  {
    title: 'damaged preferences',
    name: 'settings',
    state: 'error',
    detail: /settings\.json is damaged/,
    seed: ({ sandbox }) => writeFileSync(join(sandbox.configDirectory, 'settings.json'), '{'),
    more: '; gitlink config set store file',
    isMendedByFix: false,
  },
  {
    title: 'B15: an intention of a crash whose secret is there',
    name: 'leftover-secrets',
    state: 'warning',
    detail: /gitlink was stopped at .* a secret is left in the encrypted file/,
    seed: async (linked) => {
      const { id, credentialItem } = await addSecondLink(linked);
      changeRecords(linked.sandbox, (records) => ({
        ...records,
        links: records.links.filter((link) => link.id !== id),
        intents: [{ item: credentialItem, storage: 'file', createdAt: Date.now() - hourMs }],
      }));
    },
    isMendedByFix: true,
  },
  {
    title: 'B15: an intention of a crash whose secret was never written',
    name: 'leftover-secrets',
    state: 'warning',
    detail: /no secret is left/,
    seed: ({ sandbox }) => {
      changeRecords(sandbox, (records) => ({
        ...records,
        intents: [{ item: 'credential.x.1', storage: 'file', createdAt: Date.now() - hourMs }],
      }));
    },
    isMendedByFix: true,
  },
  {
    title: 'B11: a secret that no record names',
    name: 'leftover-secrets',
    state: 'warning',
    detail: /the encrypted file holds 1 secret that no link names/,
    seed: async (linked) => {
      const { id } = await addSecondLink(linked);
      changeRecords(linked.sandbox, (records) => ({
        ...records,
        links: records.links.filter((link) => link.id !== id),
      }));
    },
    isMendedByFix: true,
  },
  {
    title: 'a rotation that was stopped before its record: the only copy of the new token is adopted',
    name: 'leftover-secrets',
    state: 'warning',
    detail: /a secret is left in the encrypted file/,
    seed: ({ sandbox }) => {
      changeRecords(sandbox, (records) => ({
        ...records,
        links: records.links.map((link) => ({
          ...link,
          credentialItem: `credential.${link.id}.0000dead`,
          rotationBegunAt: Date.now() - hourMs,
        })),
        intents: records.links.map(({ credentialItem }) => ({
          item: credentialItem,
          storage: 'file',
          createdAt: Date.now() - hourMs,
        })),
      }));
    },
    isMendedByFix: true,
  },
  {
    title: 'a temporary file of a process that was killed',
    name: 'leftover-files',
    state: 'warning',
    detail: /was left by a gitlink that was stopped/,
    seed: ({ sandbox }) => {
      const path = join(sandbox.configDirectory, '.links.json.12345.mf3k2.tmp');
      writeFileSync(path, '{', { mode: 0o600 });
      age(path);
    },
    isMendedByFix: true,
  },
  {
    title: 'the webhook journal of a link that is gone',
    name: 'leftover-files',
    state: 'warning',
    detail: /belongs to a link that is gone/,
    seed: ({ sandbox }) => {
      const name = 'webhooks-00000000-0000-4000-8000-000000000000.jsonl';
      writeFileSync(join(sandbox.stateDirectory, name), '', { mode: 0o600 });
      age(join(sandbox.stateDirectory, name));
    },
    isMendedByFix: true,
  },
  {
    title: 'what a webhook run has read for a link that is gone',
    name: 'leftover-files',
    state: 'warning',
    detail: /webhook-readings-[0-9a-f-]+\.jsonl belongs to a link that is gone/,
    seed: ({ sandbox }) => {
      const name = 'webhook-readings-00000000-0000-4000-8000-000000000000.jsonl';
      writeFileSync(join(sandbox.stateDirectory, name), '', { mode: 0o600 });
      age(join(sandbox.stateDirectory, name));
    },
    isMendedByFix: true,
  },
  {
    title: 'a secret that is gone',
    name: 'links',
    state: 'error',
    detail: /the secret of "gitea" is not in the encrypted file any more/,
    seed: ({ sandbox }) => changeLinks(sandbox, () => ({ credentialItem: 'credential.gone' })),
    more: ' --with-token; gitlink doctor --fix',
    input: ({ gitea, sandbox }) => sandbox.guard(addToken(gitea, usualScopes)),
    isMendedByFix: false,
  },
  {
    title: 'a link that is half unlinked',
    name: 'links',
    state: 'warning',
    detail: /"gitea" is being unlinked/,
    seed: ({ sandbox }) => changeLinks(sandbox, () => ({ status: 'unlinking' })),
    more: ' --yes',
    isMendedByFix: false,
  },
  {
    title: 'a rotation whose end nobody knows',
    name: 'links',
    state: 'warning',
    detail: /a rotation of "gitea" was begun/,
    seed: ({ sandbox }) => changeLinks(sandbox, () => ({ rotationBegunAt: Date.now() - hourMs })),
    // The token of this link may not make others, and gitlink says so once it knows that nothing happened.
    more: ' --no-input || true',
    isMendedByFix: false,
  },
  {
    title: 'a webhook run that was stopped',
    name: 'webhook-runs',
    state: 'warning',
    detail: /a run for "gitea" is unfinished: 0 of \d+ hooks? have the new secret/,
    seed: async ({ sandbox, gitea }) => {
      const args = ['--url', `${gitea.url}/receiver`, '--allow-http', '--namespace', 'acme'];
      const run = await sandbox.run(['regenerate-webhooks', 'gitea', ...args]);
      expect(run).toMatchObject({ exitCode: 0 });
      const item = readRecords(sandbox).links[0]?.webhook?.secretItem ?? '';
      changeRecords(sandbox, (records) => ({
        ...records,
        links: records.links.map((link) => ({
          ...link,
          webhook: link.webhook && { ...link.webhook, secretItem: null, nextSecretItem: item },
        })),
      }));
      const journal = join(
        sandbox.stateDirectory,
        `webhooks-${readRecords(sandbox).links[0]?.id ?? ''}.jsonl`,
      );
      writeFileSync(journal, readFileSync(journal, 'utf8').replaceAll('"confirmed"', '"failed"'));
    },
    isMendedByFix: false,
  },
  {
    title: 'a client that nobody signs in with',
    name: 'clients',
    state: 'warning',
    detail: /the client canary-client of .* is registered, and no link uses it/,
    seed: async ({ sandbox, gitea }) => {
      const args = ['client', 'add', 'gitea', '--host', gitea.url, '--client-id', 'canary-client'];
      expect(await sandbox.run(args)).toMatchObject({ exitCode: 0 });
    },
    more: ' --yes',
    isMendedByFix: false,
  },
  {
    title: 'a passphrase file that others may read',
    name: 'passphrase-file',
    state: 'warning',
    detail: /other users may read .*phrase, which opens the encrypted file/,
    seed: (linked) => {
      const path = usePassphraseFile(linked);
      chmodSync(path, 0o644);
      return { env: { GITLINK_PASSPHRASE: undefined } };
    },
    isMendedByFix: true,
  },
  {
    title: 'a passphrase file that is gone',
    name: 'passphrase-file',
    state: 'error',
    detail: /phrase is not there, so the encrypted file cannot be opened/,
    seed: (linked) => {
      rmSync(usePassphraseFile(linked));
      return { env: { GITLINK_PASSPHRASE: undefined } };
    },
    input: () => passphrase,
    isMendedByFix: false,
  },
  {
    title: 'an encrypted file that is damaged',
    name: 'encrypted-file',
    state: 'error',
    detail: /The encrypted file is damaged/,
    seed: ({ sandbox }) => {
      const path = join(sandbox.configDirectory, 'secrets.vault');
      writeFileSync(path, readFileSync(path, 'utf8').replace('"generation"', '"generations"'));
    },
    isMendedByFix: false,
  },
  {
    title: 'an encrypted file whose passphrase is another',
    name: 'encrypted-file',
    state: 'error',
    detail: /The passphrase does not open the encrypted file/,
    seed: () => ({ env: { GITLINK_PASSPHRASE: 'canary of another passphrase' } }),
    // FILE stands for where the right one is.
    after: {},
    isMendedByFix: false,
  },
  {
    title: 'D10: a token in the address of a remote is pointed out and not shown',
    name: 'remotes',
    state: 'warning',
    detail: /the remote origin holds a password or token in clear text \(\.git\/config\)/,
    seed: async ({ sandbox, token }) => {
      // The sandbox searches its files for what it guards, so that this one is another.
      const address = `https://ada:${token.slice(0, 7)}-canary-in-remote@git.acme.dev/acme/api.git`;
      await sandbox.runProgram('git', ['init', '--quiet', '.']);
      await sandbox.runProgram('git', ['remote', 'add', 'origin', address]);
    },
    isMendedByFix: false,
  },
  {
    title: "B15: a token in git's own file of clear text",
    name: 'clear-text',
    state: 'warning',
    detail: /\.git-credentials holds 1 credential in clear text \(line 2\)/,
    seed: ({ sandbox }) =>
      writeFileSync(
        join(sandbox.home, '.git-credentials'),
        '# canary\nhttps://ada:canary-in-store@git.acme.dev\n',
      ),
    isMendedByFix: false,
  },
  {
    title: 'F14: a proxy that cannot be understood',
    name: 'proxy',
    state: 'error',
    detail: /The variable HTTPS_PROXY does not hold the address of an http or https proxy/,
    seed: () => ({ env: { HTTPS_PROXY: 'socks5://ada:canary-proxy@proxy.invalid' } }),
    after: { env: { HTTPS_PROXY: undefined } },
    isMendedByFix: false,
  },
  {
    title: 'F14: a network range among the exceptions of the proxy',
    name: 'proxy',
    state: 'warning',
    detail: /network ranges in NO_PROXY match nothing \(10\.0\.0\.0\/8\)/,
    seed: () => ({ env: { NO_PROXY: 'localhost, 10.0.0.0/8,.acme.dev' } }),
    after: { env: { NO_PROXY: 'localhost,.acme.dev' } },
    isMendedByFix: false,
  },
  {
    title: 'E14: Node told not to check certificates',
    name: 'certificates',
    state: 'error',
    detail: /NODE_TLS_REJECT_UNAUTHORIZED=0 switches the check of certificates off/,
    seed: () => ({ env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } }),
    after: { env: { NODE_TLS_REJECT_UNAUTHORIZED: undefined } },
    isMendedByFix: false,
  },
  {
    title: 'F15: extra authorities that are no file',
    name: 'certificates',
    state: 'warning',
    detail: /NODE_EXTRA_CA_CERTS names \/nonexistent\.pem/,
    seed: () => ({ env: { NODE_EXTRA_CA_CERTS: '/nonexistent.pem' } }),
    after: { env: { NODE_EXTRA_CA_CERTS: undefined } },
    isMendedByFix: false,
  },
  {
    title: 'a browser that is not there',
    name: 'browser',
    state: 'warning',
    detail: /the browser that is set \(no-such-browser\) is not on PATH/,
    seed: async ({ sandbox }) => {
      await sandbox.run(['config', 'set', 'browser', 'no-such-browser']);
    },
    isMendedByFix: false,
  },
  {
    title: "git's setup changed by hand",
    name: 'git-setup',
    state: 'error',
    detail: /git's configuration for .* is not as setup-git writes it/,
    seed: async ({ sandbox, gitea }) => {
      expect(await sandbox.run(['setup-git'])).toMatchObject({ exitCode: 0 });
      const key = `credential.${gitea.url}.helper`;
      await sandbox.runProgram('git', ['config', '--global', '--replace-all', key, 'store']);
    },
    isMendedByFix: true,
  },
  {
    title: 'a helper that git finds no more',
    name: 'git-setup',
    state: 'error',
    detail: /git's configuration for .* is not as setup-git writes it/,
    seed: async ({ sandbox }) => {
      expect(await sandbox.run(['setup-git'])).toMatchObject({ exitCode: 0 });
      rmSync(join(sandbox.home, 'bin/git-credential-gitlink'));
    },
    isMendedByFix: true,
  },
  {
    title: 'another helper in the repository, which gets a copy',
    name: 'git-setup',
    state: 'warning',
    detail: /\.git\/config names another helper, which git gives a copy/,
    seed: async ({ sandbox }) => {
      expect(await sandbox.run(['setup-git'])).toMatchObject({ exitCode: 0 });
      await sandbox.runProgram('git', ['init', '--quiet', '.']);
      await sandbox.runProgram('git', ['config', '--local', 'credential.helper', 'cache']);
    },
    isMendedByFix: false,
  },
  {
    title: 'a linked host that git does not ask for, although it asks for another',
    name: 'git-setup',
    state: 'warning',
    detail: /git does not ask gitlink for .*, of which there is a link/,
    seed: async ({ sandbox }) => {
      expect(await sandbox.run(['setup-git'])).toMatchObject({ exitCode: 0 });
      const other = await startGitea();
      const token = sandbox.guard(addToken(other, usualScopes));
      const args = ['link', 'gitea', '--host', other.url, '--with-token', '--name', 'other'];
      expect(await sandbox.run(args, { input: token })).toMatchObject({ exitCode: 0 });
    },
    isMendedByFix: false,
  },
  {
    title: 'a host that git asks for and no link is of',
    name: 'git-setup',
    state: 'warning',
    detail: /of which there is no link any more/,
    seed: async (linked) => {
      const { sandbox } = linked;
      expect(await sandbox.run(['setup-git'])).toMatchObject({ exitCode: 0 });
      const { links } = readRecords(sandbox);
      changeLinks(sandbox, () => ({ status: 'unlinking' }));
      changeRecords(sandbox, (records) => ({
        ...records,
        links: [],
        intents: links.map(({ credentialItem }) => ({
          item: credentialItem,
          storage: 'file',
          createdAt: Date.now(),
        })),
      }));
    },
    isMendedByFix: true,
  },
];

const passphrase = 'canary passphrase of the sandbox';

/** Has the encrypted file opened by a passphrase file, which the records name. */
function usePassphraseFile({ sandbox }: Linked): string {
  // Outside of what the sandbox searches for the passphrase at its end.
  const path = join(sandbox.home, '..', `${sandbox.home.split('/').at(-1) ?? ''}-phrase`);
  onTestFinished(() => rmSync(path, { force: true }));
  writeFileSync(path, `${passphrase}\n`, { mode: 0o600 });
  changeRecords(sandbox, (records) => ({ ...records, passphraseFile: path }));
  return path;
}

async function addSecondLink({ sandbox, gitea }: Linked): Promise<{ id: string; credentialItem: string }> {
  const token = sandbox.guard(addToken(gitea, usualScopes));
  const args = ['link', 'gitea', '--host', gitea.url, '--with-token', '--name', 'second'];
  expect(await sandbox.run(args, { input: token })).toMatchObject({ exitCode: 0 });
  const second = readRecords(sandbox).links.find(({ name }) => name === 'second');
  return { id: second?.id ?? '', credentialItem: second?.credentialItem ?? '' };
}

describe('doctor names what is broken, and nothing else; its line mends it', () => {
  test.each(breakages)('$title', async (breakage) => {
    const { name, state, detail, seed, more = '', input, after } = breakage;
    const linked = await createBreakable();
    const { sandbox } = linked;
    const surroundings = (await seed(linked)) ?? {};
    const run = await sandbox.run(['doctor', '--json'], surroundings);
    expect(run.stdout + run.stderr).not.toContain('canary-in-');
    const faults = await findFaults(sandbox, [], surroundings);
    expect(faults).toEqual([
      { name, state, detail: expect.stringMatching(detail) as string, fix: expect.any(String) as string },
    ]);

    const [fault] = faults;
    const line = `${fault?.fix ?? ''}${more}`;
    const mended = await runLine(sandbox, line, { ...surroundings, input: input?.(linked) ?? '' });
    expect(mended.exitCode, `${line}\n${mended.stderr}`).toBe(0);
    const left = await findFaults(sandbox, [], after ?? surroundings);
    expect(left.filter((each) => each.name === name && detail.test(each.detail))).toEqual([]);
  });

  const mendable = breakages.filter(({ isMendedByFix }) => isMendedByFix);
  test.each(mendable)('--fix mends: $title', async ({ name, detail, seed }) => {
    const linked = await createBreakable();
    const surroundings = (await seed(linked)) ?? {};
    const checks = await examine(linked.sandbox, ['--fix'], surroundings);
    expect(checks.find((check) => check.name === name && check.detail.startsWith('mended: '))).toMatchObject({
      state: 'ok',
      fix: null,
    });
    const left = await findFaults(linked.sandbox, [], surroundings);
    expect(left.filter((check) => detail.test(check.detail))).toEqual([]);
  });

  const personal = breakages.filter(({ isMendedByFix }) => !isMendedByFix);
  test.each(personal)('--fix leaves to a person: $title', async ({ name, state, detail, seed }) => {
    const linked = await createBreakable();
    const surroundings = (await seed(linked)) ?? {};
    const faults = await findFaults(linked.sandbox, ['--fix'], surroundings);
    expect(faults).toMatchObject([{ name, state, detail: expect.stringMatching(detail) as string }]);
  });
});

describe('doctor, where the line cannot be run here', () => {
  test('records of a newer gitlink: update it; nothing is judged by them, let alone removed', async () => {
    const { sandbox } = await createBreakable();
    const path = join(sandbox.configDirectory, 'links.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace(/"version": ?\d+/, '"version": 99'));
    const before = readFileSync(join(sandbox.configDirectory, 'secrets.vault'), 'utf8');
    const faults = await findFaults(sandbox, ['--fix']);
    expect(faults).toMatchObject([
      { name: 'records', state: 'error', fix: 'npm install --global gitlink@latest' },
    ]);
    expect(readFileSync(join(sandbox.configDirectory, 'secrets.vault'), 'utf8')).toBe(before);
  });

  test('B7: records that are a symbolic link', async () => {
    const { sandbox } = await createBreakable();
    const path = join(sandbox.configDirectory, 'links.json');
    renameSync(path, join(sandbox.home, 'elsewhere.json'));
    symlinkSync(join(sandbox.home, 'elsewhere.json'), path);
    const faults = await findFaults(sandbox);
    expect(faults).toMatchObject([
      { name: 'permissions', state: 'error', detail: expect.stringContaining('symbolic link') as string },
    ]);
    expect(await runLine(sandbox, faults[0]?.fix ?? 'false')).toMatchObject({ exitCode: 0 });
    expect(await findFaults(sandbox)).toEqual([]);
  });

  test('B3: records that others may read are closed by being read, and it is said', async () => {
    const { sandbox } = await createBreakable();
    const path = join(sandbox.configDirectory, 'links.json');
    chmodSync(path, 0o640);
    expect(await findFaults(sandbox)).toMatchObject([
      { name: 'permissions', detail: expect.stringContaining('mode 640') as string },
    ]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('a host that does not answer, and a CA file that is gone', async () => {
    const { sandbox, gitea } = await createBreakable();
    gitea.faults.add({ fault: { kind: 'html', status: 502 } });
    expect(await findFaults(sandbox)).toMatchObject([
      { name: 'hosts', state: 'warning', fix: `curl --head ${gitea.url}` },
    ]);
    changeLinks(sandbox, () => ({ caFile: join(sandbox.home, 'gone.pem') }));
    expect(await findFaults(sandbox)).toMatchObject([
      { name: 'certificates', state: 'error', fix: 'gitlink relink gitea --ca-file FILE' },
    ]);
  });

  test('a host that stays silent costs five seconds and no more', async () => {
    const { sandbox, gitea } = await createBreakable();
    gitea.setLatency(30_000);
    const startedAt = performance.now();
    const faults = await findFaults(sandbox);
    expect(faults).toMatchObject([
      { name: 'hosts', detail: expect.stringContaining('did not answer within 5 s') as string },
    ]);
    expect(performance.now() - startedAt).toBeLessThan(15_000);
    gitea.setLatency(0);
  });

  test('F7: a clock that is off', async () => {
    const { sandbox } = await createBreakable();
    const server = createServer((_request, response) => {
      response.setHeader('Date', new Date(Date.now() + 2 * hourMs).toUTCString());
      response.setHeader('Content-Type', 'application/json');
      response.end('{"version":"1.27.0"}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const host = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    changeLinks(sandbox, () => ({ host }));
    expect(await findFaults(sandbox)).toMatchObject([
      {
        name: 'clock',
        state: 'warning',
        detail: expect.stringMatching(/this machine is 120 minutes behind/) as string,
        fix: 'sudo timedatectl set-ntp true',
      },
    ]);
  });

  test('no git on PATH', async () => {
    const { sandbox } = await createBreakable();
    const faults = await findFaults(sandbox, [], { env: { PATH: join(sandbox.home, 'bin') } });
    expect(faults).toEqual([
      { name: 'git', state: 'error', detail: 'git was not found on PATH', fix: 'sudo apt install git' },
    ]);
  });

  test('B10: a process that holds the records', async () => {
    const { sandbox } = await createBreakable();
    const withLock = createProcessLocks({
      stateDirectory: sandbox.stateDirectory,
      clock: systemClock,
      random: systemRandom,
      platform: process.platform,
      command: 'hanging',
      waitLimitMs: 1_000,
    });
    const faults = await withLock('links', () => findFaults(sandbox));
    expect(faults).toMatchObject([{ name: 'locks', state: 'warning', fix: `kill ${process.pid}` }]);
    expect(await findFaults(sandbox)).toEqual([]);
  });

  test('an intention that is minutes old may be of a command that still runs', async () => {
    const linked = await createBreakable();
    const { id, credentialItem } = await addSecondLink(linked);
    changeRecords(linked.sandbox, (records) => ({
      ...records,
      links: records.links.filter((link) => link.id !== id),
      intents: [{ item: credentialItem, storage: 'file', createdAt: Date.now() - 60_000 }],
    }));
    expect(await findFaults(linked.sandbox, ['--fix'])).toEqual([]);
    expect(readRecords(linked.sandbox).intents).toHaveLength(1);
  });

  test('while the host is away nobody decides about a credential that may be the only one', async () => {
    const { sandbox, gitea } = await createBreakable();
    changeRecords(sandbox, (records) => ({
      ...records,
      links: records.links.map((link) => ({ ...link, credentialItem: `credential.${link.id}.0000dead` })),
      intents: records.links.map(({ credentialItem }) => ({
        item: credentialItem,
        storage: 'file',
        createdAt: Date.now() - hourMs,
      })),
    }));
    gitea.faults.add({ fault: { kind: 'html', status: 502 } });
    const faults = await findFaults(sandbox, ['--fix']);
    expect(faults.find(({ name }) => name === 'leftover-secrets')?.detail).toContain(
      'it could not be mended',
    );
    gitea.faults.clear();
    expect((await examine(sandbox, ['--fix'])).map(({ detail }) => detail)).toContain(
      'mended: gave "gitea" the credential that a stopped rotation had left',
    );
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('E2: hostile names stay on one line', async () => {
    const { sandbox } = await createBreakable();
    const folder = join(sandbox.home, 'work');
    mkdirSync(folder);
    await sandbox.runProgram('git', ['init', '--quiet', folder]);
    writeFileSync(
      join(folder, '.git/config'),
      '[remote "\u001b[2J$(touch canary)"]\n\turl = https://a:canary-word@git.acme.dev/x/y\n',
    );
    const run = await sandbox.run(['doctor'], { cwd: folder });
    expect(run.stdout).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f]/);
    expect(run.stdout).toContain("git remote set-url '");
    expect(existsSync(join(folder, 'canary'))).toBe(false);
  });
});
