import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { emptyRecords, type LinkRecord, type Records } from '../../src/store/link-schema.ts';
import { findMissingPrograms, startKeyring, startSession } from '../support/secret-service.ts';
import { measureHosts } from './bench-hosts.ts';
import { findMedian, printRow, type Row } from './bench-table.ts';

/**
 * `npm run bench [PART…]`: the bars of the design, measured with real processes. The figures of `start` and `helper`
 * are ratios of medians against something that ran in turn with it, so that a busy machine slows both; those of
 * `hosts` are parts of what the design allows, from simulators that take their time, and want a machine at rest.
 *
 * Another gh than that of PATH: `GITLINK_BENCH_GH`.
 * Other Nodes: `GITLINK_TEST_NODES`, paths separated by colons. Rounds: `GITLINK_BENCH_ROUNDS`, default 40.
 * 64 processes at expiry are counted by `npm run campaign refresh`, the faults of bulk work by `npm run campaign webhooks`.
 */

interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly input?: string;
  /** What must stand in its output: a program that fails is fast. */
  readonly expected: string;
}

const project = process.cwd();
const rounds = Number(process.env['GITLINK_BENCH_ROUNDS'] ?? 40);
const nodes = [
  process.execPath,
  ...(process.env['GITLINK_TEST_NODES'] ?? '').split(':').filter((path) => path !== ''),
];
const startBars: Readonly<Record<string, number>> = { '20': 1.25, '24': 1.4 };
const helperBar = 1.15;

/** Runs programs in turn and gives the median duration of each, in milliseconds. */
function measureInTurn(programs: readonly Program[]): number[] {
  const durations = programs.map((): number[] => []);
  for (let round = -2; round < rounds; round += 1) {
    programs.forEach((program, index) => {
      const startedAt = performance.now();
      const { stdout } = spawnSync(program.command, program.args, {
        env: program.env,
        input: program.input ?? '',
        encoding: 'utf8',
      });
      const durationMs = performance.now() - startedAt;
      if (!stdout.includes(program.expected)) throw new Error(`${program.args.join(' ')} did not answer.`);
      // The first rounds fill the caches of the machine.
      if (round >= 0) durations[index]?.push(durationMs);
    });
  }
  return durations.map(findMedian);
}

function toRow(what: string, bar: number | null, ours: number, reference: number): Row {
  const detail = `${ours.toFixed(1)} ms against ${reference.toFixed(1)} ms`;
  return { what, ratio: ours / reference, bar, detail };
}

function measureStart(home: string, node: string): Row[] {
  const env = { HOME: home, PATH: process.env['PATH'] ?? '' };
  const version = readVersion(node);
  const bare = join(home, 'bare.js');
  writeFileSync(bare, '');
  const gitlink = join(project, 'bin/gitlink.js');
  const run = (args: readonly string[], expected: string): Program => ({
    command: node,
    args,
    env,
    expected,
  });
  const [reference = Number.NaN, showsVersion = Number.NaN, lists = Number.NaN] = measureInTurn([
    run([bare], ''),
    run([gitlink, '--version'], '.'),
    run([gitlink, 'list'], 'link-99'),
  ]);
  const bar = startBars[version.split('.')[0] ?? ''] ?? null;
  return [
    toRow(`--version, Node ${version}`, bar, showsVersion, reference),
    toRow(`list with 100 links, Node ${version}`, bar, lists, reference),
  ];
}

function measureHelper(home: string, env: Readonly<Record<string, string>>, node: string): Row[] {
  const version = readVersion(node);
  const least = join(project, 'node_modules', '.gitlink-bench-least.cjs');
  writeFileSync(
    least,
    `const { Entry } = require('@napi-rs/keyring');
process.stdout.write(String(new Entry('gitlink', 'credential.link-0.bench', { linux: { store: 'secret-service' } }).getPassword()));`,
  );
  const helper: Program = {
    command: node,
    args: [join(project, 'bin/git-credential-gitlink.js'), 'get'],
    env: { ...env, HOME: home },
    input: 'capability[]=authtype\nprotocol=https\nhost=host-0.example\n\n',
    expected: 'password=canary-bench-token',
  };
  const reference: Program = {
    command: node,
    args: [least],
    env: { ...env, HOME: home },
    expected: 'canary-bench-token',
  };
  const gh = findGh(home, env);
  try {
    const [ours = Number.NaN, theirs = Number.NaN, peer = Number.NaN] = measureInTurn([
      helper,
      reference,
      ...(gh ? [gh.program] : []),
    ]);
    return [
      toRow(`credential get from the keychain, 5 links, Node ${version}`, helperBar, ours, theirs),
      ...(gh
        ? [
            toRow(`the same, beside gh ${gh.version} auth git-credential get`, null, ours, peer),
            toRow(`gh ${gh.version} auth git-credential get, beside the least program`, null, peer, theirs),
          ]
        : []),
    ];
  } finally {
    rmSync(least, { force: true });
  }
}

/**
 * GitHub's own program, where `GITLINK_BENCH_GH` names one or PATH has one of 2.26 or newer: older ones keep no token
 * in the keychain. Its token lies in the same keychain, and nothing is asked over the network.
 */
function findGh(
  home: string,
  env: Readonly<Record<string, string>>,
): { readonly program: Program; readonly version: string } | null {
  const command = process.env['GITLINK_BENCH_GH'] ?? 'gh';
  const { stdout, error } = spawnSync(command, ['--version'], {
    env: { HOME: home, PATH: process.env['PATH'] },
    encoding: 'utf8',
  });
  const [, version = '', major = '0', minor = '0'] = error
    ? []
    : (/version ((\d+)\.(\d+)\.\d+)/.exec(stdout) ?? []);
  if (Number(major) * 1_000 + Number(minor) < 2_026) return null;
  const directory = join(home, '.config', 'gh');
  mkdirSync(directory, { recursive: true });
  writeFileSync(
    join(directory, 'hosts.yml'),
    'github.com:\n    users:\n        ada:\n    user: ada\n    git_protocol: https\n',
  );
  const program: Program = {
    command,
    args: ['auth', 'git-credential', 'get'],
    env: { ...env, HOME: home, GH_NO_UPDATE_NOTIFIER: '1', GH_TELEMETRY: 'false' },
    input: 'protocol=https\nhost=github.com\n\n',
    expected: 'password=canary-bench-token',
  };
  return { program, version };
}

/** Links on as many hosts, as the link store writes them. */
function writeRecords(home: string, count: number): void {
  const links = Array.from({ length: count }, (_, index): LinkRecord => ({
    id: `link-${index}`,
    name: `link-${index}`,
    provider: 'gitea',
    flavour: 'gitea',
    host: `https://host-${index}.example`,
    hostVersion: '1.27.0',
    organization: null,
    tenant: null,
    method: 'token',
    account: { login: `user-${index}`, kind: 'user', id: String(index) },
    credentialKind: 'personal-access-token',
    credentialOrigin: 'pasted',
    credentialItem: `credential.link-${index}.bench`,
    restriction: { mode: 'restricted', namespaces: ['acme', 'tools'], repositories: [] },
    status: 'ok',
    statusReason: null,
    checkedAt: 1_790_000_000_000,
    scopes: ['read:user', 'write:repository'],
    expiresAt: null,
    createdAt: 1_790_000_000_000,
    storage: 'keychain',
    client: null,
    rotationBegunAt: null,
    webhook: null,
    caFile: null,
    allowHttp: false,
  }));
  const unrestricted = links.map((link): LinkRecord => ({ ...link, restriction: { mode: 'unrestricted' } }));
  const records: Records = {
    ...emptyRecords,
    links: unrestricted,
  };
  const directory = join(home, '.config', 'gitlink');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, 'links.json'), JSON.stringify(records, null, 1), { mode: 0o600 });
}

function measurePackage(): Row[] {
  const sizes = ['bin', 'dist'].flatMap((folder) =>
    readdirSync(join(project, folder)).map((name) => statSync(join(project, folder, name)).size),
  );
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  return [
    {
      what: 'package, unpacked, without the keychain binding',
      ratio: bytes / 2_000_000,
      bar: 1,
      detail: `${(bytes / 1_000_000).toFixed(2)} MB of 2 MB`,
    },
  ];
}

function readVersion(node: string): string {
  return spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim().replace(/^v/, '');
}

function storeSecret(env: Readonly<Record<string, string>>): void {
  const script = `const { Entry } = require('@napi-rs/keyring');
new Entry('gitlink', 'credential.link-0.bench', { linux: { store: 'secret-service' } })
  .setPassword(JSON.stringify({ version: 1, kind: 'personal-access-token', token: 'canary-bench-token' }));
new Entry('gh:github.com', 'ada', { linux: { store: 'secret-service' } }).setPassword('canary-bench-token');`;
  const { status, stderr } = spawnSync(process.execPath, ['-e', script], {
    cwd: project,
    env,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`The keychain cannot be written: ${stderr}`);
}

/** Programs of the same kind, as far as they are installed. */
function measurePeers(home: string): Row[] {
  const env = { HOME: home, PATH: process.env['PATH'] ?? '' };
  const isInstalled = (name: string): boolean => spawnSync(name, ['--version'], { env }).error === undefined;
  return ['gh', 'glab', 'git-credential-oauth'].filter(isInstalled).map((name) => {
    const [ours = Number.NaN, theirs = Number.NaN] = measureInTurn([
      { command: process.execPath, args: [join(project, 'bin/gitlink.js'), '--version'], env, expected: '.' },
      { command: name, args: ['--version'], env, expected: '' },
    ]);
    return toRow(`--version, beside ${name}`, null, ours, theirs);
  });
}

function inHome<T>(work: (home: string) => T): T {
  const home = mkdtempSync(join(tmpdir(), 'gitlink-bench-'));
  try {
    return work(home);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

function measureStarts(): Row[] {
  return inHome((home) => {
    writeRecords(home, 100);
    return [...nodes.flatMap((node) => measureStart(home, resolve(node))), ...measurePeers(home)];
  });
}

async function measureHelpers(): Promise<Row[]> {
  const session = await startSession();
  const stopKeyring = await startKeyring(session, 'unlocked');
  try {
    storeSecret(session.env);
    return inHome((home) => {
      // What a person has; a hundred links are an admin's.
      writeRecords(home, 5);
      return nodes.flatMap((node) => measureHelper(home, session.env, resolve(node)));
    });
  } finally {
    await stopKeyring();
    await session.stop();
  }
}

const missing = findMissingPrograms();

const parts: Readonly<Record<string, () => Iterable<Row> | AsyncIterable<Row> | Promise<Iterable<Row>>>> = {
  start: measureStarts,
  helper: () => (missing.length === 0 ? measureHelpers() : []),
  hosts: () => measureHosts(missing.length === 0 ? 'keychain' : 'file'),
  package: measurePackage,
};

async function main(names: readonly string[]): Promise<void> {
  if (missing.length > 0) {
    process.stdout.write(
      `No keychain (${missing.join(', ')} missing): its figures are left out, those of memory too high.\n`,
    );
  }
  for (const name of names.length > 0 ? names : Object.keys(parts)) {
    const part = parts[name];
    if (!part) throw new Error(`There is no part "${name}"; there are: ${Object.keys(parts).join(', ')}`);
    for await (const row of await part()) printRow(row);
  }
}

await main(process.argv.slice(2));
