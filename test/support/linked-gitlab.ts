import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, onTestFinished } from 'vitest';
import { runWithBrowser } from '../cli/sign-in-kit.ts';
import type { GitlabApplication, NewApplication } from '../simulators/gitlab/applications.ts';
import {
  startGitlabSimulator,
  type GitlabSimulator,
  type GitlabSimulatorOptions,
} from '../simulators/gitlab/server.ts';
import type { GitlabToken, NewToken } from '../simulators/gitlab/token-state.ts';
import { sendRequest } from '../simulators/send-request.ts';
import { createSandbox, type Sandbox, type SandboxOptions } from './sandbox.ts';

/** What gitlink needs for everything at a simulated GitLab. */
export const usualScopes = ['api', 'read_repository', 'self_rotate'] as const;

const guarded = new Map<Sandbox, GitlabSimulator>();

// Registered after the sandbox's own, so that it runs before the search.
afterEach(() => {
  for (const [sandbox, { state, oauth }] of guarded) {
    const clientSecrets = [...state.applications.values()].map(({ secret }) => secret);
    for (const secret of [...state.tokens.keys(), ...oauth.listIssued(), ...clientSecrets])
      sandbox.guard(secret);
  }
  guarded.clear();
});

/** Starts a simulated GitLab for one test; at its end it is closed and must not have met anything strange. */
export async function startGitlab(options: GitlabSimulatorOptions = {}): Promise<GitlabSimulator> {
  const gitlab = await startGitlabSimulator(options);
  onTestFinished(async () => {
    await gitlab.close();
    gitlab.assertNoFailures();
  });
  return gitlab;
}

/** Makes a sandbox that guards every token and client secret that the host has made until the test ends. */
export function createGitlabSandbox(gitlab: GitlabSimulator, options: SandboxOptions = {}): Sandbox {
  const sandbox = createSandbox(options);
  guarded.set(sandbox, gitlab);
  return sandbox;
}

export interface LinkedGitlab {
  readonly sandbox: Sandbox;
  readonly gitlab: GitlabSimulator;
  /** The token that was pasted. */
  readonly token: GitlabToken;
}

export interface LinkedGitlabOptions {
  readonly gitlab?: GitlabSimulatorOptions;
  readonly sandbox?: SandboxOptions;
  /** Default: ada's, with {@link usualScopes}. */
  readonly token?: NewToken;
  /** More arguments of `gitlink link`. */
  readonly link?: readonly string[];
}

/** A sandbox in which a token at a simulated GitLab is linked as `gitlab`. */
export async function createLinkedGitlab(options: LinkedGitlabOptions = {}): Promise<LinkedGitlab> {
  const gitlab = await startGitlab(options.gitlab);
  const sandbox = createGitlabSandbox(gitlab, options.sandbox);
  const token = gitlab.addToken({
    ...(options.token?.granularScopes ? {} : { scopes: usualScopes }),
    ...options.token,
  });
  const args = ['link', 'gitlab', '--host', gitlab.url, '--with-token', ...(options.link ?? [])];
  const run = await sandbox.run(args, { input: `${token.secret}\n` });
  if (run.exitCode !== 0) throw new Error(`gitlink link ended with ${String(run.exitCode)}:\n${run.stderr}`);
  return { sandbox, gitlab, token };
}

export interface GitlabWithClient {
  readonly sandbox: Sandbox;
  readonly gitlab: GitlabSimulator;
  readonly application: GitlabApplication;
}

export interface GitlabClientOptions {
  readonly gitlab?: GitlabSimulatorOptions;
  readonly application?: NewApplication;
}

/** A sandbox that knows a client of a simulated GitLab, as `gitlink client add` leaves it. */
export async function createGitlabWithClient(options: GitlabClientOptions = {}): Promise<GitlabWithClient> {
  const gitlab = await startGitlab(options.gitlab);
  const sandbox = createGitlabSandbox(gitlab);
  const application = gitlab.oauth.addApplication(options.application);
  const args = ['client', 'add', 'gitlab', '--host', gitlab.url, '--client-id', application.applicationId];
  const run = await sandbox.run(application.confidential ? [...args, '--with-secret'] : args, {
    input: application.secret,
  });
  if (run.exitCode !== 0)
    throw new Error(`gitlink client ended with ${String(run.exitCode)}:\n${run.stderr}`);
  return { sandbox, gitlab, application };
}

/** The same with ada signed in by her browser, as the link `gitlab`. */
export async function createSignedInGitlab(
  options: GitlabClientOptions & { readonly link?: readonly string[] } = {},
): Promise<GitlabWithClient> {
  const made = await createGitlabWithClient(options);
  const args = ['link', 'gitlab', '--host', made.gitlab.url, ...(options.link ?? [])];
  const run = await runWithBrowser(made.sandbox, args);
  if (run.exitCode !== 0) throw new Error(`gitlink link ended with ${String(run.exitCode)}:\n${run.stderr}`);
  return made;
}

/** The same with an access token that has ended by every clock. */
export async function createExpiredSignIn(): Promise<GitlabWithClient> {
  const made = await createSignedInGitlab();
  const { gitlab, sandbox } = made;
  // A renewal gets the short life: a short first token could end while it is being linked.
  gitlab.oauth.setAccessTokenLife(2);
  await gitlab.oauth.endAccessTokens();
  const run = await sandbox.run(['list', '--check']);
  if (run.exitCode !== 0) throw new Error(`gitlink list ended with ${String(run.exitCode)}:\n${run.stderr}`);
  await delay(2_100);
  gitlab.oauth.setAccessTokenLife(7_200);
  return made;
}

/** What the API answers to a token that asks for itself: 200, or 401 for a dead one. */
export async function askAlive(gitlab: GitlabSimulator, secret: string): Promise<number> {
  const { status } = await sendRequest(`${gitlab.url}/api/v4/personal_access_tokens/self`, {
    authorization: `Bearer ${secret}`,
  });
  return status;
}

/** The tokens of the sign-ins that are still good. */
export async function listAliveSignIns({ oauth }: GitlabSimulator): Promise<readonly string[]> {
  const issued = oauth.listIssued();
  const areAlive = await Promise.all(issued.map((token) => oauth.isAlive(token)));
  return issued.filter((_, index) => areAlive[index]);
}

/** Where a token replaces itself. */
export const rotatePath = /access_tokens\/self\/rotate$/;

/** How often the host was asked to replace a token. */
export function countRotations({ requests }: GitlabSimulator): number {
  return requests.filter(({ method, path }) => method === 'POST' && rotatePath.test(path)).length;
}

/** The newest token of the host. */
export function findNewestToken({ state }: GitlabSimulator): GitlabToken {
  const token = [...state.tokens.values()].at(-1);
  if (!token) throw new Error('There is no token.');
  return token;
}
