import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createCertificateAuthority } from '../support/certificate-authority.ts';
import { startProxyServer } from '../support/proxy-server.ts';
import type { Fault, RateLimit } from './faults.ts';
import { startGiteaSimulator, type GiteaSimulator, type GiteaSimulatorOptions } from './gitea/server.ts';
import { smallWorld } from './gitea/world.ts';

/** `npm run simulate -- gitea --port 3000`: a simulator to try gitlink on by hand. */

const usage = `usage: npm run simulate -- gitea [flags]
  --port N              default: one that is free
  --forgejo             Forgejo instead of Gitea
  --version V           as 1.26.2, or 15.0.0 with --forgejo
  --base-path /gitea    below a path, as behind a shared web server
  --as-proxy            be a proxy behind which gitea.com (codeberg.org with --forgejo) is the simulator
  --repositories N      N more in the organization
  --latency MS          how long each answer takes
  --rate-limit N/Ss     as 100/10s: the rest is answered 429
  --retry-after WORD    seconds, date or none: what the 429 says
  --fault LIST          as 5xx=0.05,lost=0.02; of 5xx, cut, lost, html, broken-json, stall, slow
  --seed N              for the faults
`;

const flags = {
  port: { type: 'string' },
  forgejo: { type: 'boolean' },
  version: { type: 'string' },
  'base-path': { type: 'string' },
  'as-proxy': { type: 'boolean' },
  repositories: { type: 'string' },
  latency: { type: 'string' },
  'rate-limit': { type: 'string' },
  'retry-after': { type: 'string' },
  fault: { type: 'string' },
  seed: { type: 'string' },
} as const;

type Flags = ReturnType<typeof parseArgs<{ options: typeof flags; allowPositionals: true }>>['values'];

class UsageProblem extends Error {}

try {
  await main();
} catch (error) {
  // `parseArgs` throws TypeErrors for flags that it does not know.
  if (!(error instanceof UsageProblem || error instanceof TypeError)) throw error;
  process.stderr.write(`${error.message}\n\n${usage}`);
  process.exitCode = 2;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: flags });
  if (positionals.join() !== 'gitea') throw new UsageProblem('Which provider? There is only gitea so far.');
  const options = readOptions(values);
  const faults = parseFaults(values.fault ?? '');
  const { simulator, introduction, close } = values['as-proxy']
    ? await startBehindProxy(options, values)
    : await startDirectly(options, values);
  for (const { kind, probability } of faults) simulator.faults.add({ fault: toFault(kind), probability });
  process.stdout.write(`${introduction}\n${describeContents(simulator)}\nCtrl-C ends it.\n`);

  const end = async () => {
    process.stdout.write(`${simulator.requests.length} requests.\n`);
    for (const failure of simulator.failures) process.stdout.write(`- ${failure}\n`);
    await close();
  };
  process.once('SIGINT', () => void end());
  process.once('SIGTERM', () => void end());
}

interface Running {
  readonly simulator: GiteaSimulator;
  /** What to type. */
  readonly introduction: string;
  close(this: void): Promise<void>;
}

async function startDirectly(options: GiteaSimulatorOptions, values: Flags): Promise<Running> {
  const simulator = await startGiteaSimulator({ ...options, ...readPort(values) });
  const introduction = `${simulator.url}

To link it, with a token from below
  gitlink link gitea --host ${simulator.url}
`;
  return { simulator, introduction, close: () => simulator.close() };
}

async function startBehindProxy(options: GiteaSimulatorOptions, values: Flags): Promise<Running> {
  const host = values.forgejo ? 'codeberg.org' : 'gitea.com';
  const authority = createCertificateAuthority('gitlink simulator');
  const folder = await mkdtemp(join(tmpdir(), 'gitlink-simulator-'));
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, authority.certificate);
  const simulator = await startGiteaSimulator({
    ...options,
    tls: authority.issue({ names: [host] }),
    rootUrl: `https://${host}${options.basePath ?? ''}`,
  });
  const proxy = await startProxyServer({
    ...readPort(values),
    hosts: { [`${host}:443`]: { port: simulator.port } },
  });
  const introduction = `The proxy ${proxy.url} stands before https://${host}

To link it, with a token from below
  HTTPS_PROXY=${proxy.url} NODE_EXTRA_CA_CERTS=${caFile} gitlink link gitea --host https://${host}
`;
  const close = async () => {
    await proxy.close();
    await simulator.close();
    await rm(folder, { recursive: true, force: true });
  };
  return { simulator, introduction, close };
}

function readPort(values: Flags): { readonly port?: number } {
  return values.port === undefined ? {} : { port: readNumber('port', values.port) };
}

function readOptions(values: Flags): GiteaSimulatorOptions {
  const count = readNumber('repositories', values.repositories ?? '0');
  const extra = count > 0 ? [{ owner: 'acme', name: 'service', private: true, count }] : [];
  return {
    flavour: values.forgejo ? 'forgejo' : 'gitea',
    latencyMs: readNumber('latency', values.latency ?? '0'),
    seed: readNumber('seed', values.seed ?? '1'),
    ...(values.version === undefined ? {} : { version: values.version }),
    ...(values['base-path'] === undefined ? {} : { basePath: values['base-path'] }),
    ...(values['rate-limit'] === undefined
      ? {}
      : { rateLimit: parseRateLimit(values['rate-limit'], values) }),
    world: { ...smallWorld, repositories: [...(smallWorld.repositories ?? []), ...extra] },
  };
}

function readNumber(flag: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new UsageProblem(`--${flag} takes a number, not "${text}".`);
  return Number(text);
}

function parseRateLimit(text: string, values: Flags): RateLimit {
  const match = /^(\d+)\/(\d+)s$/.exec(text);
  if (!match) throw new UsageProblem(`A rate limit looks like 100/10s, not "${text}".`);
  const retryAfter = values['retry-after'] ?? 'none';
  if (retryAfter !== 'seconds' && retryAfter !== 'date' && retryAfter !== 'none') {
    throw new UsageProblem('--retry-after takes seconds, date or none.');
  }
  return { requests: Number(match[1]), windowMs: Number(match[2]) * 1000, retryAfter };
}

function parseFaults(text: string): { readonly kind: string; readonly probability: number }[] {
  const parts = text.split(',').filter(Boolean);
  return parts.map((part) => {
    const [kind = '', probability = '1'] = part.split('=');
    toFault(kind);
    return { kind, probability: Number(probability) };
  });
}

function toFault(kind: string): Fault {
  switch (kind) {
    case '5xx':
      return { kind: 'answer', answer: { status: 502, text: 'Bad Gateway\n' } };
    case 'slow':
      return { kind, delayMs: 2000 };
    case 'cut':
    case 'lost':
    case 'html':
    case 'broken-json':
    case 'stall':
      return { kind };
    default:
      throw new UsageProblem(`No such fault: ${kind}.`);
  }
}

function describeContents(simulator: GiteaSimulator): string {
  const tokens = [
    ['everything gitlink may want', ['read:user', 'read:organization', 'write:repository', 'write:user']],
    ['what its OAuth asks for', ['read:user', 'read:organization', 'write:repository']],
    ['cannot manage webhooks', ['read:user', 'read:organization', 'read:repository']],
    ['cannot even say who it is', ['read:repository']],
    ['only what is public', ['all', 'public-only']],
  ] as const;
  const tokenLines = tokens.map(([what, scopes]) => {
    const { secret } = simulator.addToken({ user: 'ada', scopes });
    return `  ${secret}  ${what}: ${scopes.join(' ')}`;
  });
  const userLines = [...simulator.state.owners.values()]
    .filter((owner) => owner.kind === 'user')
    .map(
      (user) => `  ${user.login}${user.isAdmin ? ' (site admin)' : ''}, password ${user.password ?? 'none'}`,
    );
  return `Tokens of ada\n${tokenLines.join('\n')}\n\nUsers\n${userLines.join('\n')}\n`;
}
