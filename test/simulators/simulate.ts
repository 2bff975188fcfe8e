import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createCertificateAuthority } from '../support/certificate-authority.ts';
import { startProxyServer } from '../support/proxy-server.ts';
import { describeContents as describeAzureDevops } from './azure-devops/contents.ts';
import { listCloudHosts } from './azure-devops/front.ts';
import { startAzureDevopsSimulator } from './azure-devops/server.ts';
import { addRepository, smallWorld as azureDevopsWorld } from './azure-devops/world.ts';
import { requireProject } from './azure-devops/state.ts';
import { describeContents as describeBitbucketDc } from './bitbucket-dc/contents.ts';
import { startBitbucketDcSimulator } from './bitbucket-dc/server.ts';
import { smallWorld as bitbucketDcWorld } from './bitbucket-dc/world.ts';
import { describeContents as describeBitbucket } from './bitbucket/contents.ts';
import { startBitbucketSimulator } from './bitbucket/server.ts';
import { smallWorld as bitbucketWorld } from './bitbucket/world.ts';
import type { Fault, RateLimit } from './faults.ts';
import { startGiteaSimulator, type GiteaSimulator } from './gitea/server.ts';
import { smallWorld as giteaWorld } from './gitea/world.ts';
import { describeContents as describeGithub } from './github/contents.ts';
import { startGithubSimulator } from './github/server.ts';
import { smallWorld as githubWorld } from './github/world.ts';
import { describeContents as describeGitlab } from './gitlab/contents.ts';
import { startGitlabSimulator } from './gitlab/server.ts';
import { smallWorld as gitlabWorld } from './gitlab/world.ts';
import type { SimulatorServer, SimulatorServerOptions } from './http-server.ts';

/** `npm run simulate -- gitlab --port 3000`: a simulator to try gitlink on by hand. */

const usage = `usage: npm run simulate -- github|gitea|gitlab|bitbucket|bitbucket-dc|azure-devops [flags]
  --port N              default: one that is free
  --forgejo             Forgejo instead of Gitea
  --server              Azure DevOps Server instead of Services
  --version V           as 1.26.2, 15.0.0 with --forgejo, 17.11.0-ee for GitLab, 3.17.2 for GitHub
                        Enterprise Server; the API's for Azure, as 6.0
  --base-path /git      below a path, as behind a shared web server
  --as-proxy            be a proxy behind which github.com, gitea.com, codeberg.org, gitlab.com, bitbucket.org or
                        dev.azure.com is the simulator
  --repositories N      N more in the organization, group or workspace acme
  --latency MS          how long each answer takes
  --rate-limit N/Ss     as 100/10s: the rest is answered 429
  --retry-after WORD    seconds, date or none: what the 429 says
  --fault LIST          as 5xx=0.05,lost=0.02; of 5xx, cut, lost, html, broken-json, stall, slow
  --seed N              for the faults
`;

const flags = {
  port: { type: 'string' },
  forgejo: { type: 'boolean' },
  server: { type: 'boolean' },
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
  const product = findProduct(positionals.join(), values);
  const options = readOptions(values);
  const faults = parseFaults(values.fault ?? '');
  const { running, introduction, close } = values['as-proxy']
    ? await startBehindProxy(product, options, values)
    : await startDirectly(product, options, values);
  const { simulator, contents } = running;
  for (const { kind, probability } of faults) simulator.faults.add({ fault: toFault(kind), probability });
  process.stdout.write(`${introduction}\n${contents}\nCtrl-C ends it.\n`);

  const end = async () => {
    process.stdout.write(`${simulator.requests.length} requests.\n`);
    for (const failure of simulator.failures) process.stdout.write(`- ${failure}\n`);
    await close();
  };
  process.once('SIGINT', () => void end());
  process.once('SIGTERM', () => void end());
}

type Options = Pick<
  SimulatorServerOptions,
  'basePath' | 'port' | 'tls' | 'latencyMs' | 'rateLimit' | 'seed'
> & { readonly rootUrl?: string };

interface Running {
  readonly simulator: SimulatorServer;
  /** Tokens and people that there are. */
  readonly contents: string;
}

/** What can be simulated. */
interface Product {
  readonly provider: 'github' | 'gitea' | 'gitlab' | 'bitbucket' | 'bitbucket-dc' | 'azure-devops';
  /** Whose name it takes behind a proxy. */
  readonly cloudHost: string;
  /** Where else it is, as where its API has a name of its own. */
  readonly otherHosts?: readonly string[];
  /** What to type beside the host. */
  readonly place?: string;
  start(this: void, options: Options): Promise<Running>;
}

function findProduct(name: string, values: Flags): Product {
  const count = readNumber('repositories', values.repositories ?? '0');
  const version = values.version === undefined ? {} : { version: values.version };
  if (name === 'gitea') {
    const more = count > 0 ? [{ owner: 'acme', name: 'service', private: true, count }] : [];
    const world = { ...giteaWorld, repositories: [...(giteaWorld.repositories ?? []), ...more] };
    const flavour = values.forgejo ? 'forgejo' : 'gitea';
    return {
      provider: 'gitea',
      cloudHost: values.forgejo ? 'codeberg.org' : 'gitea.com',
      start: async (options) => {
        const simulator = await startGiteaSimulator({ ...options, ...version, flavour, world });
        return { simulator, contents: describeGitea(simulator) };
      },
    };
  }
  if (values.forgejo) throw new UsageProblem('--forgejo belongs to gitea.');
  if (name === 'azure-devops') return describeAzureDevopsProduct(count, values);
  if (values.server) throw new UsageProblem('--server belongs to azure-devops.');
  if (name === 'github') return describeGithubProduct(count, values);
  if (name === 'bitbucket') return describeBitbucketProduct(count);
  if (name === 'bitbucket-dc') return describeBitbucketDcProduct(count, version);
  if (name !== 'gitlab') {
    throw new UsageProblem(
      'Which provider? There are github, gitea, gitlab, bitbucket, bitbucket-dc and azure-devops.',
    );
  }
  const more = count > 0 ? [{ path: 'acme/service', count }] : [];
  const world = { ...gitlabWorld, projects: [...(gitlabWorld.projects ?? []), ...more] };
  const settings = { isGitlabCom: values['as-proxy'] ?? false };
  return {
    provider: 'gitlab',
    cloudHost: 'gitlab.com',
    start: async (options) => {
      const simulator = await startGitlabSimulator({ ...options, ...version, settings, world });
      return { simulator, contents: describeGitlab(simulator) };
    },
  };
}

function describeAzureDevopsProduct(count: number, { server, version }: Flags): Product {
  const [host = '', ...otherHosts] = listCloudHosts(azureDevopsWorld.organizations ?? []);
  return {
    provider: 'azure-devops',
    cloudHost: host,
    otherHosts,
    place: ' --organization acme',
    start: async (options) => {
      const simulator = await startAzureDevopsSimulator({
        ...options,
        deployment: server ? 'onPremises' : 'hosted',
        ...(version === undefined ? {} : { highestVersion: version }),
      });
      const platform = requireProject(simulator.state, 'acme/Platform');
      addRepository(simulator.state, platform, { name: 'service', count });
      return { simulator, contents: describeAzureDevops(simulator) };
    },
  };
}

function describeGithubProduct(count: number, values: Flags): Product {
  const more = count > 0 ? [{ path: 'acme/service', count }] : [];
  const world = { ...githubWorld, repositories: [...(githubWorld.repositories ?? []), ...more] };
  const flavour = values['as-proxy'] ? 'github.com' : 'enterprise-server';
  const settings = values.version === undefined ? {} : { installedVersion: values.version };
  return {
    provider: 'github',
    cloudHost: 'github.com',
    otherHosts: ['api.github.com'],
    start: async ({ rootUrl, ...options }) => {
      const roots = rootUrl === undefined ? {} : { rootUrl, apiRootUrl: rootUrl.replace('://', '://api.') };
      const simulator = await startGithubSimulator({ ...options, ...roots, flavour, settings, world });
      return { simulator, contents: describeGithub(simulator) };
    },
  };
}

function describeBitbucketDcProduct(count: number, version: { readonly version?: string }): Product {
  const more = count > 0 ? [{ path: 'ACME/service', count }] : [];
  const world = { ...bitbucketDcWorld, repositories: [...(bitbucketDcWorld.repositories ?? []), ...more] };
  // As admins set it who want programs on people's machines to sign in.
  const settings = { requiresHttpsRedirect: false };
  return {
    provider: 'bitbucket-dc',
    cloudHost: 'bitbucket.acme.test',
    start: async (options) => {
      const simulator = await startBitbucketDcSimulator({ ...options, ...version, settings, world });
      return { simulator, contents: describeBitbucketDc(simulator) };
    },
  };
}

function describeBitbucketProduct(count: number): Product {
  const more = count > 0 ? [{ path: 'acme/service', count }] : [];
  const world = { ...bitbucketWorld, repositories: [...(bitbucketWorld.repositories ?? []), ...more] };
  return {
    provider: 'bitbucket',
    cloudHost: 'bitbucket.org',
    otherHosts: ['api.bitbucket.org'],
    start: async ({ rootUrl, ...options }) => {
      const roots = rootUrl === undefined ? {} : { rootUrl, apiRootUrl: rootUrl.replace('://', '://api.') };
      const simulator = await startBitbucketSimulator({ ...options, ...roots, world });
      return { simulator, contents: describeBitbucket(simulator) };
    },
  };
}

interface Started {
  readonly running: Running;
  /** What to type. */
  readonly introduction: string;
  close(this: void): Promise<void>;
}

async function startDirectly(product: Product, options: Options, values: Flags): Promise<Started> {
  const running = await product.start({ ...options, ...readPort(values) });
  const { simulator } = running;
  const introduction = `${simulator.url}

To link it, with a token from below
  gitlink link ${product.provider} --host ${simulator.url}${product.place ?? ''} --method token
`;
  return { running, introduction, close: () => simulator.close() };
}

async function startBehindProxy(product: Product, options: Options, values: Flags): Promise<Started> {
  const { cloudHost: host, otherHosts = [], provider } = product;
  const names = [host, ...otherHosts];
  const authority = createCertificateAuthority('gitlink simulator');
  const folder = await mkdtemp(join(tmpdir(), 'gitlink-simulator-'));
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, authority.certificate);
  const running = await product.start({
    ...options,
    tls: authority.issue({ names }),
    rootUrl: `https://${host}${options.basePath ?? ''}`,
  });
  const { simulator } = running;
  const proxy = await startProxyServer({
    ...readPort(values),
    hosts: Object.fromEntries(names.map((name) => [`${name}:443`, { port: simulator.port }])),
  });
  const introduction = `The proxy ${proxy.url} stands before https://${host}

To link it, with a token from below
  HTTPS_PROXY=${proxy.url} NODE_EXTRA_CA_CERTS=${caFile} gitlink link ${provider} --host https://${host}${product.place ?? ''} --method token
`;
  const close = async () => {
    await proxy.close();
    await simulator.close();
    await rm(folder, { recursive: true, force: true });
  };
  return { running, introduction, close };
}

function readPort(values: Flags): { readonly port?: number } {
  return values.port === undefined ? {} : { port: readNumber('port', values.port) };
}

function readOptions(values: Flags): Options {
  return {
    latencyMs: readNumber('latency', values.latency ?? '0'),
    seed: readNumber('seed', values.seed ?? '1'),
    ...(values['base-path'] === undefined ? {} : { basePath: values['base-path'] }),
    ...(values['rate-limit'] === undefined
      ? {}
      : { rateLimit: parseRateLimit(values['rate-limit'], values) }),
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

function describeGitea(simulator: GiteaSimulator): string {
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
