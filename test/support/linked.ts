import {
  startGiteaSimulator,
  type GiteaSimulator,
  type GiteaSimulatorOptions,
} from '../simulators/gitea/server.ts';
import { createSandbox, type Sandbox, type SandboxOptions } from './sandbox.ts';
import { onTestFinished } from 'vitest';

/** What gitlink needs for everything but organization webhooks. */
export const usualScopes = ['read:user', 'read:organization', 'write:repository'] as const;

/** Starts a simulated Gitea for one test; at its end it is closed and must not have met anything strange. */
export async function startGitea(options: GiteaSimulatorOptions = {}): Promise<GiteaSimulator> {
  const gitea = await startGiteaSimulator(options);
  onTestFinished(async () => {
    await gitea.close();
    gitea.assertNoFailures();
  });
  return gitea;
}

export interface Linked {
  readonly sandbox: Sandbox;
  readonly gitea: GiteaSimulator;
  /** The token that ada pasted. */
  readonly token: string;
}

export interface LinkedOptions {
  readonly gitea?: GiteaSimulatorOptions;
  readonly sandbox?: SandboxOptions;
  readonly scopes?: readonly string[];
  /** More arguments of `gitlink link`. */
  readonly link?: readonly string[];
}

/** A sandbox in which ada's account at a simulated Gitea is linked as `gitea`. */
export async function createLinked(options: LinkedOptions = {}): Promise<Linked> {
  const gitea = await startGitea(options.gitea);
  const sandbox = createSandbox(options.sandbox);
  const token = sandbox.guard(addToken(gitea, options.scopes ?? usualScopes));
  const args = ['link', 'gitea', '--host', gitea.url, '--with-token', ...(options.link ?? [])];
  const run = await sandbox.run(args, { input: `${token}\n` });
  if (run.exitCode !== 0) throw new Error(`gitlink link ended with ${String(run.exitCode)}:\n${run.stderr}`);
  return { sandbox, gitea, token };
}

/** A new token of a user, as a person would paste it. */
export function addToken(gitea: GiteaSimulator, scopes: readonly string[], user = 'ada'): string {
  return gitea.addToken({ user, scopes }).secret;
}
