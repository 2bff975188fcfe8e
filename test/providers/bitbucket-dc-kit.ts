import { onTestFinished } from 'vitest';
import { bitbucketDcProvider } from '../../src/providers/bitbucket-dc/index.ts';
import { signInKind, type HostAccess } from '../../src/providers/provider.ts';
import type { Webhook, WebhookAdmin } from '../../src/providers/webhook-support.ts';
import { beginSession } from '../simulators/bitbucket-dc/oauth-state.ts';
import {
  startBitbucketDcSimulator,
  type BitbucketDcSimulator,
  type BitbucketDcSimulatorOptions,
} from '../simulators/bitbucket-dc/server.ts';
import { requireUser } from '../simulators/bitbucket-dc/state.ts';
import type { NewToken } from '../simulators/bitbucket-dc/token-state.ts';
import { createSession, findRepository, requireWebhooks, type Session } from './provider-kit.ts';

// Facts in the titles of tests are numbered as in `providers/bitbucket-data-center.md` §0.

/** Starts a simulated Data Center for one test; at its end it is closed and must not have met anything strange. */
export async function startDc(options: BitbucketDcSimulatorOptions = {}): Promise<BitbucketDcSimulator> {
  const dc = await startBitbucketDcSimulator(options);
  onTestFinished(async () => {
    await dc.close();
    dc.assertNoFailures();
  });
  return dc;
}

export interface LinkedDc {
  readonly dc: BitbucketDcSimulator;
  readonly session: Session;
  readonly access: Awaited<ReturnType<Session['link']>>;
  readonly secret: string;
}

/** A Data Center with a verified token, ada's for everything unless told otherwise. */
export async function linkDc(
  options: BitbucketDcSimulatorOptions = {},
  token: NewToken = {},
): Promise<LinkedDc> {
  const dc = await startDc(options);
  const session = createSession(bitbucketDcProvider);
  const { secret } = dc.addToken(token);
  return { dc, session, secret, access: await session.link(dc.url, secret) };
}

/** The way of a link that was made by signing in, without the browser. */
export async function signIn(
  { dc, session }: Pick<LinkedDc, 'dc' | 'session'>,
  user: string,
  scopes: readonly string[],
): Promise<HostAccess> {
  const application = dc.oauth.addApplication({ scopes });
  const { redirectUri } = application;
  const { accessToken } = beginSession(
    dc.state.oauth,
    { application, user: requireUser(dc.state, user), scopes, redirectUri },
    dc.settings,
    Date.now(),
  );
  return session.link(dc.url, accessToken, signInKind);
}

export const admin: WebhookAdmin = requireWebhooks(bitbucketDcProvider);

/** The place of a repository's webhooks. */
export async function placeOf(access: HostAccess, fullName: string) {
  return {
    level: 'repository',
    repository: await findRepository(bitbucketDcProvider, access, fullName),
  } as const;
}

/** The hook that a list says is the only one. */
export function only(hooks: readonly Webhook[]): Webhook {
  const [hook] = hooks;
  if (!hook || hooks.length > 1) throw new Error(`There are ${hooks.length} hooks.`);
  return hook;
}
