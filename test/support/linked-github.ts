import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, onTestFinished } from 'vitest';
import type { GithubApp, Installation, NewApp, NewInstallation } from '../simulators/github/app-state.ts';
import {
  startGithubSimulator,
  type GithubSimulator,
  type GithubSimulatorOptions,
} from '../simulators/github/server.ts';
import type { GithubToken, NewToken } from '../simulators/github/token-state.ts';
import { createSandbox, type Run, type Sandbox, type SandboxOptions } from './sandbox.ts';

const guarded = new Map<Sandbox, GithubSimulator>();

// Registered after the sandbox's own, so that it runs before the search.
afterEach(() => {
  for (const [sandbox, { state }] of guarded) {
    const { clients, refreshTokens, devices } = state.oauth;
    const clientSecrets = [...clients.values()].map(({ clientSecret }) => clientSecret);
    const signIns = [...refreshTokens.keys(), ...devices.keys()];
    for (const secret of [...state.tokens.keys(), ...clientSecrets, ...signIns]) sandbox.guard(secret);
  }
  guarded.clear();
});

/** Starts a simulated Enterprise Server for one test; at its end it must not have met anything strange. */
export async function startGithub(options: GithubSimulatorOptions = {}): Promise<GithubSimulator> {
  const github = await startGithubSimulator(options);
  onTestFinished(async () => {
    await github.close();
    github.assertNoFailures();
  });
  return github;
}

/** Makes a sandbox that guards every token, code and client secret that the host has made until the test ends. */
export function createGithubSandbox(github: GithubSimulator, options: SandboxOptions = {}): Sandbox {
  const sandbox = createSandbox(options);
  guarded.set(sandbox, github);
  return sandbox;
}

/** A line of a key's middle: nothing of it may be seen anywhere. */
export function pickKeyLine(pem: string): string {
  return pem.split('\n')[4] ?? '';
}

export interface LinkedGithub {
  readonly sandbox: Sandbox;
  readonly github: GithubSimulator;
  readonly token: GithubToken;
}

export interface LinkedGithubOptions {
  readonly github?: GithubSimulatorOptions;
  readonly sandbox?: SandboxOptions;
  /** Default: ada's classic one. */
  readonly token?: NewToken;
  /** More arguments of `gitlink link`. */
  readonly link?: readonly string[];
}

/** A sandbox in which a token at a simulated Enterprise Server is linked as `github`. */
export async function createLinkedGithub(options: LinkedGithubOptions = {}): Promise<LinkedGithub> {
  const github = await startGithub(options.github);
  const sandbox = createGithubSandbox(github, options.sandbox);
  const token = github.addToken(options.token);
  const args = ['link', 'github', '--host', github.url, '--with-token', ...(options.link ?? [])];
  const run = await sandbox.run(args, { input: `${token.secret}\n` });
  if (run.exitCode !== 0) throw new Error(`gitlink link ended with ${String(run.exitCode)}:\n${run.stderr}`);
  return { sandbox, github, token };
}

export interface InstalledGithub {
  readonly sandbox: Sandbox;
  readonly github: GithubSimulator;
  readonly app: GithubApp;
  readonly installation: Installation;
  /** Where the key lies that the person gave. */
  readonly keyFile: string;
  readonly run: Run;
}

export interface InstalledOptions {
  readonly github?: GithubSimulatorOptions;
  readonly sandbox?: SandboxOptions;
  readonly app?: NewApp;
  /** Default: all of acme. */
  readonly installation?: Partial<NewInstallation>;
  readonly link?: readonly string[];
}

/** A sandbox in which an App that exists is linked as `github`, without a browser: id, key file, installation. */
export async function createInstalledGithub(options: InstalledOptions = {}): Promise<InstalledGithub> {
  const github = await startGithub(options.github);
  const sandbox = createGithubSandbox(github, options.sandbox);
  const { app, pem } = github.addApp({ owner: 'acme', ...options.app });
  const installation = github.install(app, { account: 'acme', ...options.installation });
  const keyFile = writeKey(sandbox, pem);
  const run = await linkInstallation({ sandbox, github }, app, installation, options.link);
  if (run.exitCode !== 0) throw new Error(`gitlink link ended with ${String(run.exitCode)}:\n${run.stderr}`);
  return { sandbox, github, app, installation, keyFile, run };
}

/** Links another installation with the same key. */
export function linkInstallation(
  { sandbox, github }: Pick<InstalledGithub, 'sandbox' | 'github'>,
  app: GithubApp,
  installation: Installation,
  more: readonly string[] = [],
): Promise<Run> {
  return sandbox.run([
    ...['link', 'github', '--host', github.url, '--json'],
    ...['--app-id', String(app.id), '--app-key-file', join(sandbox.home, '..', keyNameOf(sandbox))],
    ...['--installation', String(installation.id), ...more],
  ]);
}

/** Beside the home, where the search at the end does not find the person's own copy. */
export function writeKey(sandbox: Sandbox, pem: string): string {
  sandbox.guard(pickKeyLine(pem));
  const path = join(sandbox.home, '..', keyNameOf(sandbox));
  writeFileSync(path, pem, { mode: 0o600 });
  return path;
}

function keyNameOf({ home }: Sandbox): string {
  return `${home.split('/').at(-1) ?? ''}.pem`;
}
