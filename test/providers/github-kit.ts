import { onTestFinished } from 'vitest';
import type { AppAccess, AppSupport } from '../../src/providers/app-support.ts';
import { githubProvider } from '../../src/providers/github/index.ts';
import type { OAuthSupport } from '../../src/providers/oauth-support.ts';
import type { HostAccess } from '../../src/providers/provider.ts';
import type { Webhook, WebhookAdmin } from '../../src/providers/webhook-support.ts';
import { Secret } from '../../src/secret.ts';
import {
  startGithubSimulator,
  type GithubSimulator,
  type GithubSimulatorOptions,
} from '../simulators/github/server.ts';
import type { GithubApp, NewApp } from '../simulators/github/app-state.ts';
import type { NewToken } from '../simulators/github/token-state.ts';
import { createSession, findRepository, requireWebhooks, type Session } from './provider-kit.ts';

/** What gitlink needs for everything at a simulated GitHub, of a classic token. */
export const usualScopes = ['admin:org_hook', 'read:org', 'repo'] as const;

/** github.com's manners, met on this machine. */
export const cloud = { flavour: 'github.com', settings: { allowsLocalWebhooks: true } } as const;

/** Starts a simulated GitHub for one test; at its end it is closed and must not have met anything strange. */
export async function startGithub(options: GithubSimulatorOptions = {}): Promise<GithubSimulator> {
  const github = await startGithubSimulator(options);
  onTestFinished(async () => {
    await github.close();
    github.assertNoFailures();
  });
  return github;
}

export interface LinkedGithub {
  readonly github: GithubSimulator;
  readonly session: Session;
  readonly access: Awaited<ReturnType<Session['link']>>;
  readonly secret: string;
}

/** A GitHub with a verified token, ada's classic one unless told otherwise. */
export async function linkGithub(
  options: GithubSimulatorOptions = {},
  token: NewToken = {},
): Promise<LinkedGithub> {
  const github = await startGithub(options);
  const session = createSession(githubProvider);
  const { secret } = github.addToken({ scopes: usualScopes, ...token });
  return { github, session, secret, access: await session.link(github.url, secret) };
}

export const admin: WebhookAdmin = requireWebhooks(githubProvider);
export const oauth: OAuthSupport = requireThere(githubProvider.oauth);
export const apps: AppSupport = requireThere(githubProvider.apps);

function requireThere<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('GitHub has this.');
  return part;
}

/** The place of a repository's webhooks. */
export async function placeOf(access: HostAccess, fullName: string) {
  return { level: 'repository', repository: await findRepository(githubProvider, access, fullName) } as const;
}

/** The hook that a list says is the only one. */
export function only(hooks: readonly Webhook[]): Webhook {
  const [hook] = hooks;
  if (!hook || hooks.length > 1) throw new Error(`There are ${hooks.length} hooks.`);
  return hook;
}

export interface OpenApp {
  readonly github: GithubSimulator;
  readonly session: Session;
  readonly app: GithubApp;
  readonly access: AppAccess;
}

/** A GitHub with an App of ada's, and the way to act as it. */
export async function openApp(options: GithubSimulatorOptions = {}, spec: NewApp = {}): Promise<OpenApp> {
  const github = await startGithub(options);
  const session = createSession(githubProvider);
  const { app, pem } = github.addApp(spec);
  return { github, session, app, access: toAppAccess(session, github, String(app.id), pem) };
}

export function toAppAccess(session: Session, { url }: GithubSimulator, id: string, pem: string): AppAccess {
  const { host, flavour, version, http, now } = session.open(url, null);
  return { host, flavour, version, http, now, app: { id, key: new Secret(pem) } };
}
