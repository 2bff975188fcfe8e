import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { emptyRecords, type LinkRecord, type Records } from '../../src/store/link-schema.ts';
import { findMissingPrograms, startKeyring, startSession } from '../support/secret-service.ts';

/**
 * `npm run bench`: the bars of the design, measured with real processes. Every figure is a ratio of medians
 * against something that ran in turn with it, so that a busy machine slows both.
 *
 * Other Nodes: `GITLINK_TEST_NODES`, paths separated by colons. Rounds: `GITLINK_BENCH_ROUNDS`, default 40.
 */

interface Row {
  readonly what: string;
  readonly ratio: number | null;
  readonly bar: number | null;
  readonly detail: string;
}

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

function findMedian(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
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
  try {
    const [ours = Number.NaN, theirs = Number.NaN] = measureInTurn([helper, reference]);
    return [toRow(`credential get from the keychain, 5 links, Node ${version}`, helperBar, ours, theirs)];
  } finally {
    rmSync(least, { force: true });
  }
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
  .setPassword(JSON.stringify({ version: 1, kind: 'personal-access-token', token: 'canary-bench-token' }));`;
  const { status, stderr } = spawnSync(process.execPath, ['-e', script], {
    cwd: project,
    env,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`The keychain cannot be written: ${stderr}`);
}

function print(rows: readonly Row[]): void {
  for (const { what, ratio, bar, detail } of rows) {
    const figure = ratio === null ? '     -' : ratio.toFixed(2).padStart(6);
    const verdict = bar === null || ratio === null ? '' : ratio <= bar ? `meets ${bar}` : `MISSES ${bar}`;
    process.stdout.write(`${figure}  ${verdict.padEnd(12)}  ${what.padEnd(52)}  ${detail}\n`);
  }
}

async function main(): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'gitlink-bench-'));
  try {
    writeRecords(home, 100);
    print(nodes.flatMap((node) => measureStart(home, resolve(node))));
    const missing = findMissingPrograms();
    if (missing.length > 0) {
      process.stdout.write(`keychain not measured: ${missing.join(', ')} missing\n`);
    } else {
      const session = await startSession();
      const stopKeyring = await startKeyring(session, 'unlocked');
      try {
        storeSecret(session.env);
        // What a person has; a hundred links are an admin's.
        writeRecords(home, 5);
        print(nodes.flatMap((node) => measureHelper(home, session.env, resolve(node))));
      } finally {
        await stopKeyring();
        await session.stop();
      }
    }
    print(measurePackage());
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

await main();
