import { onTestFinished } from 'vitest';
import { gitlabProvider } from '../../src/providers/gitlab/index.ts';
import type { HostAccess } from '../../src/providers/provider.ts';
import type { Webhook, WebhookAdmin } from '../../src/providers/webhook-support.ts';
import {
  startGitlabSimulator,
  type GitlabSimulator,
  type GitlabSimulatorOptions,
} from '../simulators/gitlab/server.ts';
import type { NewToken } from '../simulators/gitlab/token-state.ts';
import { createSession, findRepository, requireWebhooks, type Session } from './provider-kit.ts';

/** What gitlink needs for everything at a simulated GitLab. */
export const usualScopes = ['api', 'read_repository', 'self_rotate'] as const;

/** Starts a simulated GitLab for one test; at its end it is closed and must not have met anything strange. */
export async function startGitlab(options: GitlabSimulatorOptions = {}): Promise<GitlabSimulator> {
  const gitlab = await startGitlabSimulator(options);
  onTestFinished(async () => {
    await gitlab.close();
    gitlab.assertNoFailures();
  });
  return gitlab;
}

export interface LinkedGitlab {
  readonly gitlab: GitlabSimulator;
  readonly session: Session;
  readonly access: Awaited<ReturnType<Session['link']>>;
  readonly secret: string;
}

/** A GitLab with a verified token, ada's unless told otherwise. */
export async function linkGitlab(
  options: GitlabSimulatorOptions = {},
  token: NewToken = {},
): Promise<LinkedGitlab> {
  const gitlab = await startGitlab(options);
  const session = createSession(gitlabProvider);
  const { secret } = gitlab.addToken({ ...(token.granularScopes ? {} : { scopes: usualScopes }), ...token });
  return { gitlab, session, secret, access: await session.link(gitlab.url, secret) };
}

export const admin: WebhookAdmin = requireWebhooks(gitlabProvider);

/** The place of a repository's webhooks. */
export async function placeOf(access: HostAccess, fullName: string) {
  return { level: 'repository', repository: await findRepository(gitlabProvider, access, fullName) } as const;
}

/** The hook that a list says is the only one. */
export function only(hooks: readonly Webhook[]): Webhook {
  const [hook] = hooks;
  if (!hook || hooks.length > 1) throw new Error(`There are ${hooks.length} hooks.`);
  return hook;
}
