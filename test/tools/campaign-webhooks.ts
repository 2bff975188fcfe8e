import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BudgetState } from '../../src/http/budget.ts';
import { createSeededRandom } from '../simulators/faults.ts';
import type { SimulatorServer } from '../simulators/http-server.ts';
import { startGiteaSimulator } from '../simulators/gitea/server.ts';
import { startGithubSimulator } from '../simulators/github/server.ts';
import { startGitlabSimulator } from '../simulators/gitlab/server.ts';
import { runWithBrowser } from '../cli/sign-in-kit.ts';
import type { Run, Sandbox } from '../support/sandbox.ts';
import { runMetered, withToolSandbox, type MeteredRun, type ToolStore } from './tool-sandbox.ts';

/**
 * The fault run of bulk work: a rotation over many repositories that is killed again and again, at a host that
 * fails, loses answers, refuses some repositories for good, lets the token expire and asks for a pause.
 */

export interface FaultRunOptions {
  readonly host: FaultHostName;
  readonly store: ToolStore;
  readonly repositories: number;
  readonly kills: number;
  readonly seed: number;
}

export const faultHostNames = ['gitlab', 'gitea', 'github'] as const;
export type FaultHostName = (typeof faultHostNames)[number];

/** What came of it. All that counts mistakes must be 0. */
export interface FaultRunFigures {
  readonly repositories: number;
  readonly kills: number;
  /** Hooks whose secret `webhook-secret` does not tell, after any kill or at the end. */
  readonly unknownSecrets: number;
  readonly hooksWithoutSecret: number;
  readonly repositoriesWithoutHook: number;
  /** Repositories with more than one hook at the end. */
  readonly duplicates: number;
  /** Requests that the host had to refuse because gitlink sent too many. */
  readonly beyondLimit: number;
  /** Requests that came while the host had asked for a pause. */
  readonly duringPause: number;
  readonly renewals: number;
  readonly callsPerRepository: number;
  readonly peakMemoryMb: number;
  /** What the host did, so that a run without faults does not pass for one with them. */
  readonly failed: number;
  readonly lost: number;
}

/** The most calls for one repository, beyond pages, that a rotation may take in spite of all. */
export const callBars: Readonly<Record<FaultHostName, number>> = {
  gitlab: 2.2,
  gitea: 3.3,
  github: 2.2,
};

/** A simulated host as the fault run sees it. */
interface FaultHost {
  readonly simulator: SimulatorServer;
  link(sandbox: Sandbox): Promise<Run>;
  /** The secrets of the hooks of each repository; empty for a hook without one. */
  listSecrets(): readonly (readonly string[])[];
  /** The paths of the hooks of the repository with this number, from 1. */
  hooksPathOf(index: number): string;
  /** Lets the credential end, so that it has to be renewed; null where it lives on. */
  readonly endCredential: (() => Promise<void>) | null;
  countRenewals(): number;
}

const receiverUrl = 'https://ci.acme.example/hook';
const pauseMs = 3_000;
/** Requests that were under way when the pause was asked for still arrive. */
const underWayMs = 1_000;

function startFaultHost(name: FaultHostName, repositories: number): Promise<FaultHost> {
  if (name === 'gitea') return startGitea(repositories);
  return name === 'github' ? startGithub(repositories) : startGitlab(repositories);
}

/** Without limits of its own. */
async function startGitea(repositories: number): Promise<FaultHost> {
  const simulator = await startGiteaSimulator({
    world: { users: [{ login: 'ada' }], repositories: [{ owner: 'ada', name: 'site', count: repositories }] },
  });
  const scopes = ['read:user', 'read:organization', 'write:repository'];
  const { secret } = simulator.addToken({ user: 'ada', scopes });
  return {
    simulator,
    link: (sandbox) => linkByToken(sandbox, 'gitea', simulator.url, secret),
    listSecrets: () =>
      listNames(repositories).map((each) => simulator.hooksOf(each).map((hook) => hook.secret)),
    hooksPathOf: (index) => `/repos/${toName(index)}/hooks`,
    endCredential: null,
    countRenewals: () => 0,
  };
}

/** An Enterprise Server that has limits and tells of them. */
async function startGithub(repositories: number): Promise<FaultHost> {
  const simulator = await startGithubSimulator({
    world: { users: [{ login: 'ada' }], repositories: [{ path: 'ada/site', count: repositories }] },
    settings: { hasRateLimits: true },
  });
  const plenty = { requests: 1_000_000, windowMs: 60_000 };
  const secondary = { points: plenty, creationPerMinute: plenty, creationPerHour: plenty };
  Object.assign(simulator.settings.limits, { core: toThrottle(repositories), ...secondary });
  const { secret } = simulator.addToken({ scopes: ['admin:org_hook', 'read:org', 'repo'] });
  return {
    simulator,
    link: (sandbox) => linkByToken(sandbox, 'github', simulator.url, secret),
    listSecrets: () =>
      listNames(repositories).map((each) => simulator.hooksOf(each).map((hook) => hook.secret ?? '')),
    hooksPathOf: (index) => `/repos/${toName(index)}/hooks`,
    endCredential: null,
    countRenewals: () => 0,
  };
}

/** With limits that it tells of, and a sign-in that has to be renewed. */
async function startGitlab(repositories: number): Promise<FaultHost> {
  const simulator = await startGitlabSimulator({
    world: { users: [{ username: 'ada' }], projects: [{ path: 'ada/site', count: repositories }] },
    settings: { throttle: toThrottle(repositories) },
  });
  const { oauth, state, url } = simulator;
  const client = oauth.addApplication({ confidential: false });
  const names = listNames(repositories);
  const ids = names.map((each) => state.findProject(each)?.id ?? 0);
  return {
    simulator,
    link: (sandbox) =>
      runWithBrowser(sandbox, ['link', 'gitlab', '--host', url, '--client-id', client.applicationId]),
    listSecrets: () => names.map((each) => simulator.hooksOf(each).map(({ token }) => token ?? '')),
    hooksPathOf: (index) => `/projects/${ids[index - 1] ?? 0}/hooks`,
    endCredential: () => oauth.endAccessTokens(),
    countRenewals: () => oauth.countExchanges('refresh_token'),
  };
}

function linkByToken(sandbox: Sandbox, provider: string, url: string, secret: string): Promise<Run> {
  const args = ['link', provider, '--host', url, '--method', 'token', '--with-token'];
  return sandbox.run(args, { input: `${secret}\n` });
}

function listNames(repositories: number): readonly string[] {
  return Array.from({ length: repositories }, (_, index) => toName(index + 1));
}

function toName(index: number): string {
  return `ada/site-${String(index).padStart(4, '0')}`;
}

/** Tight enough to be met in every run. */
function toThrottle(repositories: number): { readonly requests: number; readonly windowMs: number } {
  return repositories < 1_000 ? { requests: 80, windowMs: 2_000 } : { requests: 2_000, windowMs: 10_000 };
}

/** Runs it. @throws Error where gitlink ends in a way that no fault explains. */
export async function runFaults(options: FaultRunOptions): Promise<FaultRunFigures> {
  const host = await startFaultHost(options.host, options.repositories);
  try {
    return await withToolSandbox(options.store, (sandbox, env) =>
      rotateInTrouble(host, options, sandbox, env),
    );
  } finally {
    await host.simulator.close();
  }
}

async function rotateInTrouble(
  host: FaultHost,
  { host: name, repositories, kills, seed }: FaultRunOptions,
  sandbox: Sandbox,
  env: Readonly<Record<string, string>>,
): Promise<FaultRunFigures> {
  const { simulator } = host;
  const random = createSeededRandom(seed);
  const wrong = { unknownSecrets: 0, hooksWithoutSecret: 0, repositoriesWithoutHook: 0 };
  const judge = async (): Promise<void> => {
    const known = await readKnownSecrets(sandbox);
    for (const secrets of host.listSecrets()) {
      if (secrets.length === 0) wrong.repositoriesWithoutHook += 1;
      for (const secret of secrets) {
        if (secret === '') wrong.hooksWithoutSecret += 1;
        else if (!known.has(secret)) wrong.unknownSecrets += 1;
      }
    }
  };

  assertEnd(await host.link(sandbox), [0]);
  assertEnd(await sandbox.run(['regenerate-webhooks', '--json', '--url', receiverUrl]), [0]);
  simulator.clearRequests();
  addFaults(host, repositories);

  let peakMemoryBytes = 0;
  const rotate = async (onRequest?: (count: number, run: RunningRotation) => void): Promise<MeteredRun> => {
    const run = await runWatched(env, simulator, onRequest);
    peakMemoryBytes = Math.max(peakMemoryBytes, run.peakMemoryBytes);
    return run;
  };

  // Spread over the whole rotation, so that it is met while it plans, sends and confirms.
  const share = (callBars[name] * repositories) / (kills + 1);
  let killed = 0;
  while (killed < kills) {
    const killAt = Math.ceil(share * (0.3 + 1.2 * random()));
    const isPausing = killed === Math.floor(kills / 2);
    if (isPausing) askForPause(host, Math.floor(killAt / 2));
    const run = await rotate((count, { kill }) => {
      if (isPausing ? isPauseKnown(sandbox) : count >= killAt) kill();
    });
    if (run.signal !== 'SIGKILL') {
      assertEnd(run, [0, 3]);
      break;
    }
    killed += 1;
    await judge();
  }

  // To its end at last, which the credential does not live to see.
  let isExpired = host.endCredential === null;
  const last = await rotate((count) => {
    if (isExpired || count < share / 4) return;
    isExpired = true;
    void host.endCredential?.();
  });
  assertEnd(last, [3]);
  await judge();
  const { requests } = simulator;
  const hookCalls = requests.filter(({ path }) => path.includes('/hooks')).length;
  const figures = {
    callsPerRepository: hookCalls / repositories,
    failed: requests.filter(({ status }) => status !== null && status >= 500).length,
    lost: requests.filter(({ fault }) => fault === 'lost').length,
    beyondLimit: requests.filter(({ status, fault }) => status === 429 && fault === null).length,
    duringPause: countDuringPauses(simulator),
    renewals: host.countRenewals(),
  };

  // The host is itself again: nothing is left over.
  host.simulator.faults.clear();
  assertEnd(await rotate(), [0]);
  await judge();
  simulator.assertNoFailures();
  return {
    repositories,
    kills: killed,
    ...wrong,
    duplicates: host.listSecrets().filter((secrets) => secrets.length > 1).length,
    ...figures,
    peakMemoryMb: Math.round(peakMemoryBytes / 1_000_000),
  };
}

/** 1 % of the repositories are gone, 1 % forbidden; of all requests 5 % fail, and 2 % are done without an answer. */
function addFaults(host: FaultHost, repositories: number): void {
  const part = Math.max(1, Math.round(repositories / 100));
  const every = Math.floor(repositories / part);
  const gone = Array.from({ length: part }, (_, index) => index * every + 1);
  const forbidden = gone.map((index) => index + 1);
  const answer = (status: number, message: string) =>
    ({ kind: 'answer', answer: { status, json: { message } } }) as const;
  const toPattern = (indices: readonly number[]): RegExp =>
    new RegExp(`(?:${indices.map((index) => host.hooksPathOf(index)).join('|')})(?:/|$)`);
  host.simulator.faults.add({ path: toPattern(gone), fault: answer(404, '404 Project Not Found') });
  host.simulator.faults.add({ path: toPattern(forbidden), fault: answer(403, '403 Forbidden') });
  host.simulator.faults.add({ path: /^\/api\//, probability: 0.05, fault: answer(502, 'Bad Gateway') });
  host.simulator.faults.add({ path: /^\/api\//, probability: 0.02, fault: { kind: 'lost' } });
}

/** A secondary limit: one refusal that speaks for all requests. */
function askForPause({ simulator }: FaultHost, afterRequests: number): void {
  const headers = { 'retry-after': String(pauseMs / 1_000) };
  const answer = { status: 429, headers, json: { message: 'You have exceeded a secondary rate limit.' } };
  simulator.faults.add({ path: /\/hooks/, skip: afterRequests, times: 1, fault: { kind: 'answer', answer } });
}

/** Whether a process has told the others that the host wants no requests. */
function isPauseKnown({ stateDirectory }: Sandbox): boolean {
  const names = readdirSync(stateDirectory).filter((name) => /^budget-.*\.json$/.test(name));
  return names.some((name) => {
    const { closedUntil } = JSON.parse(readFileSync(join(stateDirectory, name), 'utf8')) as BudgetState;
    return closedUntil > Date.now() + pauseMs / 2;
  });
}

function countDuringPauses({ requests }: SimulatorServer): number {
  const pauses = requests.filter(({ status, fault }) => status === 429 && fault === 'answer');
  return requests.filter((request) =>
    pauses.some(({ at }) => request.at > at + underWayMs && request.at < at + pauseMs),
  ).length;
}

interface RunningRotation {
  readonly kill: () => void;
}

/** Runs a rotation and tells of every request that arrives. */
async function runWatched(
  env: Readonly<Record<string, string>>,
  { requests }: SimulatorServer,
  onRequest: ((count: number, run: RunningRotation) => void) | undefined,
): Promise<MeteredRun> {
  const before = requests.length;
  let timer: NodeJS.Timeout | undefined;
  const run = await runMetered(env, ['regenerate-webhooks', '--json'], {
    onStart: (child) => {
      if (onRequest) {
        timer = setInterval(
          () => onRequest(requests.length - before, { kill: () => void child.kill('SIGKILL') }),
          1,
        );
      }
    },
  });
  clearInterval(timer);
  return run;
}

/** What the receiver can be given: the secret, and during a rotation the one before. */
async function readKnownSecrets(sandbox: Sandbox): Promise<ReadonlySet<string>> {
  const runs = [await sandbox.run(['webhook-secret']), await sandbox.run(['webhook-secret', '--previous'])];
  return new Set(runs.filter(({ exitCode }) => exitCode === 0).map(({ stdout }) => stdout.trimEnd()));
}

function assertEnd({ exitCode, signal, stderr }: Run, expected: readonly number[]): void {
  if (exitCode !== null && expected.includes(exitCode)) return;
  throw new Error(
    `gitlink ended with ${String(exitCode ?? signal)}, not ${expected.join(' or ')}: ${stderr}`,
  );
}

/** Whether the figures are what is promised. */
export function isWithinBars(name: FaultHostName, figures: FaultRunFigures): boolean {
  const { unknownSecrets, hooksWithoutSecret, repositoriesWithoutHook, duplicates } = figures;
  const { repositories, kills, callsPerRepository, beyondLimit, duringPause } = figures;
  const mistakes = unknownSecrets + hooksWithoutSecret + repositoriesWithoutHook + duplicates;
  // What is under way when a run is killed has to be asked for again, which counts where there is little else.
  const askedAgain = repositories < 1_000 ? (kills * 12) / repositories : 0;
  return (
    mistakes + beyondLimit + duringPause === 0 &&
    callsPerRepository <= callBars[name] + askedAgain &&
    figures.peakMemoryMb <= 150
  );
}
