import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LinkRecord, Records } from '../../src/store/link-schema.ts';
import { giteaProvider } from '../../src/providers/gitea/index.ts';
import { pacingOf } from '../../src/providers/github/pacing.ts';
import { gitlabProvider } from '../../src/providers/gitlab/index.ts';
import type { SimulatorServer } from '../simulators/http-server.ts';
import { startGiteaSimulator } from '../simulators/gitea/server.ts';
import { startGithubSimulator } from '../simulators/github/server.ts';
import { startGitlabSimulator } from '../simulators/gitlab/server.ts';
import type { Sandbox } from '../support/sandbox.ts';
import { toLimitRow, type Row } from './bench-table.ts';
import { runMetered, withToolSandbox, type MeteredRun, type ToolStore } from './tool-sandbox.ts';

/** The bars that depend on the network, from real processes against simulators that take their time. */

/** A simulated host with an account that has a number of repositories. */
interface BenchHost {
  readonly name: HostName;
  readonly simulator: SimulatorServer;
  /** As a person would paste it. */
  readonly token: string;
  /** How many requests gitlink has under way there at most. */
  readonly concurrency: number;
  /** The most calls beyond pages that a rotation may take for one repository. */
  readonly callsPerRepository: number;
}

const hostNames = ['gitlab', 'gitea', 'github'] as const;
type HostName = (typeof hostNames)[number];

const checkedLinks = 50;
const enumerated = 10_000;
const rotated = 1_000;
const pageLatencyMs = 50;
const slackOfRotation = 1.3;

export async function* measureHosts(store: ToolStore): AsyncGenerator<Row> {
  yield await measureCheck(store);
  for (const name of hostNames) yield* await measureEnumeration(store, name);
  for (const name of hostNames) yield* await measureWebhooks(store, name);
}

async function startHost(name: HostName, repositories: number): Promise<BenchHost> {
  if (name === 'gitlab') {
    const simulator = await startGitlabSimulator({
      world: { users: [{ username: 'ada' }], projects: [{ path: 'ada/site', count: repositories }] },
    });
    const { secret } = simulator.addToken({ scopes: ['api', 'read_repository', 'self_rotate'] });
    const { concurrency } = gitlabProvider.pacing;
    return { name, simulator, token: secret, concurrency, callsPerRepository: 2 };
  }
  if (name === 'github') {
    const simulator = await startGithubSimulator({
      world: { users: [{ login: 'ada' }], repositories: [{ path: 'ada/site', count: repositories }] },
    });
    const { secret } = simulator.addToken({ scopes: ['admin:org_hook', 'read:org', 'repo'] });
    const { concurrency } = pacingOf(simulator.url);
    return { name, simulator, token: secret, concurrency, callsPerRepository: 2 };
  }
  const simulator = await startGiteaSimulator({
    world: { users: [{ login: 'ada' }], repositories: [{ owner: 'ada', name: 'site', count: repositories }] },
  });
  const scopes = ['read:user', 'read:organization', 'write:repository'];
  const { secret } = simulator.addToken({ user: 'ada', scopes });
  const { concurrency } = giteaProvider.pacing;
  return { name, simulator, token: secret, concurrency, callsPerRepository: 3 };
}

/** Runs work with a link to a simulated host, which then takes its time for every answer. */
async function withHost<T>(
  store: ToolStore,
  name: HostName,
  repositories: number,
  work: (host: BenchHost, env: Readonly<Record<string, string>>) => Promise<T>,
): Promise<T> {
  const host = await startHost(name, repositories);
  try {
    return await withToolSandbox(store, async (sandbox, env) => {
      await linkTo(sandbox, host);
      host.simulator.setLatency(pageLatencyMs);
      const result = await work(host, env);
      host.simulator.assertNoFailures();
      return result;
    });
  } finally {
    await host.simulator.close();
  }
}

async function linkTo(sandbox: Sandbox, { name, simulator, token }: BenchHost): Promise<void> {
  const args = ['link', name, '--host', simulator.url, '--method', 'token', '--with-token'];
  const run = await sandbox.run(args, { input: `${token}\n` });
  if (run.exitCode !== 0) throw new Error(`gitlink link ended with ${String(run.exitCode)}: ${run.stderr}`);
}

function assertDone(run: MeteredRun): void {
  if (run.exitCode !== 0) throw new Error(`It ended with ${String(run.exitCode)}: ${run.stderr}`);
}

/** A part of the links at each host: the same credential under many names asks as often as many would. */
async function measureCheck(store: ToolStore): Promise<Row> {
  const hosts = await Promise.all(hostNames.map((name) => startHost(name, 1)));
  try {
    return await withToolSandbox(store, async (sandbox, env) => {
      for (const host of hosts) await linkTo(sandbox, host);
      multiplyLinks(sandbox, env, store);
      for (const { simulator } of hosts) simulator.setLatency(200);
      const run = await runMetered(env, ['list', '--check']);
      assertDone(run);
      const lines = run.stdout.trimEnd().split('\n');
      if (lines.length !== checkedLinks) throw new Error(`${lines.length} links were listed.`);
      return toLimitRow(
        `list --check, ${checkedLinks} links, 200 ms per answer`,
        run.durationMs,
        1_000,
        'ms',
      );
    });
  } finally {
    for (const { simulator } of hosts) await simulator.close();
  }
}

/** Makes many links of the few that are there, each with a credential of its own. */
function multiplyLinks(sandbox: Sandbox, env: Readonly<Record<string, string>>, store: ToolStore): void {
  const path = join(sandbox.configDirectory, 'links.json');
  const records = JSON.parse(readFileSync(path, 'utf8')) as Records;
  const copies = Array.from({ length: checkedLinks }, (_, index): { from: string; link: LinkRecord } => {
    const original = records.links[index % records.links.length];
    if (!original) throw new Error('There are no links.');
    const { credentialItem: from } = original;
    // The encrypted file has no way in but gitlink, so all share one item there.
    const credentialItem = store === 'file' ? from : `${from}-${index}`;
    return {
      from,
      link: { ...original, id: `${original.id}-${index}`, name: `link-${index}`, credentialItem },
    };
  });
  writeFileSync(path, JSON.stringify({ ...records, links: copies.map(({ link }) => link) }), { mode: 0o600 });
  if (store === 'file') return;
  const script = `const { Entry } = require('@napi-rs/keyring');
const open = (item) => new Entry('gitlink', item, { linux: { store: 'secret-service' } });
for (const [from, to] of ${JSON.stringify(copies.map(({ from, link }) => [from, link.credentialItem]))})
  open(to).setPassword(open(from).getPassword());`;
  const { status, stderr } = spawnSync(process.execPath, ['-e', script], { env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`The keychain cannot be written: ${stderr}`);
}

function measureEnumeration(store: ToolStore, name: HostName): Promise<Row[]> {
  return withHost(store, name, enumerated, async (_host, env) => {
    const run = await runMetered(env, ['repos']);
    assertDone(run);
    const count = run.stdout.trimEnd().split('\n').length;
    if (count !== enumerated) throw new Error(`${count} repositories were listed.`);
    const what = `repos, ${enumerated} at ${pageLatencyMs} ms per page, ${name}`;
    return [
      toLimitRow(what, run.durationMs, 6_000, 'ms'),
      toLimitRow(`  its first row`, run.firstOutputMs, 300, 'ms'),
      toLimitRow(`  its memory`, run.peakMemoryBytes / 1_000_000, 120, 'MB'),
    ];
  });
}

/** A rotation: the hooks are there already, as in every run but the first. */
function measureWebhooks(store: ToolStore, name: HostName): Promise<Row[]> {
  return withHost(store, name, rotated, async ({ simulator, concurrency, callsPerRepository }, env) => {
    simulator.setLatency(0);
    assertDone(
      await runMetered(env, ['regenerate-webhooks', '--url', 'https://ci.acme.example/hook', '--json']),
    );
    simulator.clearRequests();
    simulator.setLatency(pageLatencyMs);
    const run = await runMetered(env, ['regenerate-webhooks', '--json']);
    assertDone(run);
    const calls = simulator.requests.length;
    const hookCalls = simulator.requests.filter(({ path }) => path.includes('/hooks')).length;
    const leastMs = (calls * pageLatencyMs) / concurrency;
    return [
      {
        what: `regenerate-webhooks, ${rotated} at ${pageLatencyMs} ms per call, ${name}`,
        ratio: run.durationMs / leastMs,
        bar: slackOfRotation,
        detail: `${run.durationMs.toFixed(0)} ms against ${leastMs.toFixed(0)} ms (${calls} calls, ${concurrency} at once)`,
      },
      toLimitRow(`  its calls per repository beyond pages`, hookCalls / rotated, callsPerRepository, 'calls'),
      toLimitRow(`  its memory`, run.peakMemoryBytes / 1_000_000, 150, 'MB'),
    ];
  });
}
