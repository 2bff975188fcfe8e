import { setTimeout as delay } from 'node:timers/promises';
import type { Fault } from '../simulators/faults.ts';
import { startGiteaSimulator } from '../simulators/gitea/server.ts';
import type { SimulatorServer } from '../simulators/http-server.ts';
import { startGitlabSimulator } from '../simulators/gitlab/server.ts';
import { askHelper, toRequest } from '../support/ask-git.ts';
import type { Run, RunOptions, Sandbox } from '../support/sandbox.ts';
import { runWithBrowser } from './sign-in-kit.ts';

type RecordedRequest = SimulatorServer['requests'][number];

/** A host whose refresh tokens are good for one use, as the proofs of renewing see it. */
export interface RefreshHost extends Pick<SimulatorServer, 'url' | 'close' | 'assertNoFailures'> {
  readonly name: HostName;
  /** Every request that arrived. */
  readonly requests: readonly RecordedRequest[];
  /** What signs ada in. */
  readonly linkArgs: readonly string[];
  /** The name of the link that it makes. */
  readonly linkName: string;
  /** How long access tokens live that are issued from now on. */
  setAccessTokenLife(lifeS: number): void;
  /** Lets the server refuse all access tokens of now; no clock tells. */
  endAccessTokens(): Promise<void>;
  /** How many refreshes gave tokens. */
  countRefreshes(): number;
  /** How many refreshes were asked for and answered. */
  countAttempts(): number;
  /** How many requests have reached the token endpoint, answered or not. */
  countTokenRequests(): number;
  /** Ends the sign-in, as a person does on the host's page. */
  revokeGrants(): Promise<void>;
  /** Lets so many requests of the token endpoint meet a fault. */
  breakTokenEndpoint(fault: Fault, times?: number): () => void;
  /** Every secret of the server that is known. */
  listSecrets(): readonly string[];
  /** A token of ada's, as she would paste it. */
  addToken(): string;
  /** Lets so many refreshes be refused although their token is good, as a replica does that lags behind; null where none does. */
  readonly loseRefreshes: ((count: number) => void) | null;
  /** Remembers which refresh tokens are good, and can make them good again; null where the server cannot. */
  readonly remember: (() => () => void) | null;
}

export const hostNames = ['forgejo', 'gitlab'] as const;
export type HostName = (typeof hostNames)[number];

/** Private, and ada may read it. */
const repositoryPath = '/ada/notes.git';
const shortLifeS = 1;
/** Longer than the slowest machine takes for all that must not meet another end. */
export const longLifeS = 1_000;

export async function startRefreshHost(name: HostName): Promise<RefreshHost> {
  return name === 'forgejo' ? startForgejo() : startGitlab();
}

async function startForgejo(): Promise<RefreshHost> {
  const simulator = await startGiteaSimulator({ flavour: 'forgejo' });
  const { oauth, state, url } = simulator;
  const { clientId, clientSecret } = oauth.addApplication();
  return {
    ...simulator,
    name: 'forgejo',
    linkArgs: ['link', 'forgejo', '--host', url, '--client-id', clientId, '--for', 'clone,webhooks'],
    linkName: 'gitea',
    setAccessTokenLife: (lifeS) => oauth.setAccessTokenLife(lifeS),
    endAccessTokens: () => Promise.resolve(oauth.endAccessTokens()),
    countRefreshes: () => oauth.countExchanges('refresh_token'),
    countAttempts: () => countRefreshRequests(oauth.tokenRequests),
    revokeGrants: () => Promise.resolve(oauth.revokeGrants('ada')),
    countTokenRequests: () => countPosts(simulator, /^\/login\/oauth\/access_token$/),
    breakTokenEndpoint: (fault, times = Infinity) =>
      simulator.faults.add({ fault, times, method: 'POST', path: /^\/login\/oauth\/access_token$/ }),
    listSecrets: () => [clientSecret, ...state.tokens.keys(), ...state.oauth.refreshTokens.keys()],
    addToken: () =>
      simulator.addToken({ user: 'ada', scopes: ['read:user', 'read:organization', 'write:repository'] })
        .secret,
    loseRefreshes: null,
    remember: () => {
      const counters = [...state.oauth.grants.values()].map((grant) => [grant, grant.counter] as const);
      return () => {
        for (const [grant, counter] of counters) grant.counter = counter;
      };
    },
  };
}

async function startGitlab(): Promise<RefreshHost> {
  const simulator = await startGitlabSimulator();
  const { oauth, url, requests, state } = simulator;
  const { applicationId, secret } = oauth.addApplication();
  return {
    ...simulator,
    name: 'gitlab',
    linkArgs: ['link', 'gitlab', '--host', url, '--client-id', applicationId],
    linkName: 'gitlab',
    setAccessTokenLife: (lifeS) => oauth.setAccessTokenLife(lifeS),
    endAccessTokens: () => oauth.endAccessTokens(),
    countRefreshes: () => oauth.countExchanges('refresh_token'),
    countAttempts: () => countRefreshRequests(oauth.tokenRequests),
    revokeGrants: () => oauth.revokeGrants('ada'),
    countTokenRequests: () => countPosts(simulator, /^\/oauth\/token$/),
    breakTokenEndpoint: (fault, times = Infinity) =>
      simulator.faults.add({ fault, times, method: 'POST', path: /^\/oauth\/token$/ }),
    // The server keeps its newest to itself.
    listSecrets: () => [secret, ...state.tokens.keys(), ...requests.flatMap(findRefreshToken)],
    addToken: () => simulator.addToken({ scopes: ['api'] }).secret,
    loseRefreshes: (count) => {
      oauth.troubles.lostRefreshes = count;
    },
    remember: null,
  };
}

function countRefreshRequests(requests: readonly { readonly grantType: string }[]): number {
  return requests.filter(({ grantType }) => grantType === 'refresh_token').length;
}

function countPosts({ requests }: SimulatorServer, path: RegExp): number {
  return requests.filter((request) => request.method === 'POST' && path.test(request.path)).length;
}

function findRefreshToken({ body }: RecordedRequest): string[] {
  const { refresh_token: token } = (body ?? {}) as { readonly refresh_token?: unknown };
  return typeof token === 'string' ? [token] : [];
}

/** Signs ada in. The token is due at once; the next one lives long. */
export async function linkDue(sandbox: Sandbox, host: RefreshHost): Promise<void> {
  host.setAccessTokenLife(shortLifeS);
  assertDone(await runWithBrowser(sandbox, host.linkArgs));
  await waitForEnd(host);
}

/** Brings a link to where {@link linkDue} left it, by one refresh. */
export async function makeDue(sandbox: Sandbox, host: RefreshHost): Promise<void> {
  host.setAccessTokenLife(shortLifeS);
  await host.endAccessTokens();
  assertDone(await sandbox.run(['repos']));
  await waitForEnd(host);
}

async function waitForEnd(host: RefreshHost): Promise<void> {
  await delay(shortLifeS * 1000);
  host.setAccessTokenLife(longLifeS);
}

export function assertDone({ exitCode, stdout, stderr }: Run): void {
  if (exitCode !== 0) throw new Error(`It ended with ${String(exitCode)}:\n${stdout}${stderr}`);
}

/** Asks git's helper about a private repository of ada's. */
export function askForPassword(
  sandbox: Sandbox,
  host: RefreshHost,
  options: RunOptions & { readonly operation?: string; readonly lines?: readonly string[] } = {},
): Promise<Run> {
  const { operation = 'get', lines = [] } = options;
  const request = toRequest(toRepositoryUrl(host), ...lines);
  return askHelper(sandbox, 'git-credential-gitlink', operation, request, options);
}

export function toRepositoryUrl({ url }: RefreshHost): string {
  return url + repositoryPath;
}

/** The password in a helper's answer; null where there is none. */
export function readPassword({ stdout }: Run): string | null {
  return /^password=(.*)$/m.exec(stdout)?.[1] ?? null;
}

/** What 64 processes that asked at once got. */
export interface Burst {
  /** The different passwords that git's helpers answered; one if all is right. */
  readonly passwords: ReadonlySet<string | null>;
  /** What ended otherwise than it should, with what it said. */
  readonly wrong: readonly string[];
}

/** Starts many processes at once: of eight, six are git's helper and two are commands. */
export async function askAtOnce(sandbox: Sandbox, host: RefreshHost, count: number): Promise<Burst> {
  const passwords = new Set<string | null>();
  const wrong: string[] = [];
  /** @param isPublic - Whether standard output may be told. */
  const note = (what: string, run: Run, isPublic: boolean): void => {
    if (run.exitCode === 0 && !run.stderr.includes('gitlink:')) return;
    wrong.push(`${what}: ${String(run.exitCode ?? run.signal)} ${isPublic ? run.stdout : ''}${run.stderr}`);
  };
  await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      if (index % 8 === 0) return note('list', await sandbox.run(['list', '--check']), true);
      if (index % 8 === 1) return note('repos', await sandbox.run(['repos']), true);
      const run = await askForPassword(sandbox, host);
      passwords.add(readPassword(run));
      note('helper', run, false);
    }),
  );
  return { passwords, wrong };
}
