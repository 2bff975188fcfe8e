import { onTestFinished } from 'vitest';
import { bitbucketProvider } from '../../src/providers/bitbucket/index.ts';
import type { Account, Credential, HostAccess } from '../../src/providers/provider.ts';
import type { Webhook, WebhookAdmin } from '../../src/providers/webhook-support.ts';
import { systemClock } from '../../src/runtime.ts';
import { Secret } from '../../src/secret.ts';
import { createTestClient } from '../http/http-kit.ts';
import { addConsumer, makeLongToken } from '../simulators/bitbucket/oauth-state.ts';
import {
  startBitbucketSimulator,
  type BitbucketSimulator,
  type BitbucketSimulatorOptions,
} from '../simulators/bitbucket/server.ts';
import { requireUser } from '../simulators/bitbucket/state.ts';
import type { NewToken } from '../simulators/bitbucket/token-state.ts';
import { createSession, findRepository, requireWebhooks, type Session } from './provider-kit.ts';

/** What gitlink needs for everything, of a consumer or an access token. */
export const usualScopes = ['account', 'project', 'pullrequest', 'repository:write', 'webhook'] as const;

/** The same of an API token. */
export const usualApiScopes = [
  'delete:webhook:bitbucket',
  'read:project:bitbucket',
  'read:pullrequest:bitbucket',
  'read:repository:bitbucket',
  'read:user:bitbucket',
  'read:webhook:bitbucket',
  'read:workspace:bitbucket',
  'write:repository:bitbucket',
  'write:webhook:bitbucket',
] as const;

/** Starts a simulated Bitbucket for one test; at its end it is closed and must not have met anything strange. */
export async function startBitbucket(options: BitbucketSimulatorOptions = {}): Promise<BitbucketSimulator> {
  const bitbucket = await startBitbucketSimulator(options);
  onTestFinished(async () => {
    await bitbucket.close();
    bitbucket.assertNoFailures();
  });
  return bitbucket;
}

/** A sign-in's token of a person, as another program would show it. */
export function addSignIn(
  { state }: BitbucketSimulator,
  scopes: readonly string[] = usualScopes,
  username = 'ada',
): string {
  const user = requireUser(state, username);
  const secret = makeLongToken({ sub: user.uuid });
  const grant = { consumer: addConsumer(state, { scopes }), user, isAlive: true };
  state.tokens.set(secret, {
    kind: 'oauth',
    name: 'sign-in',
    secret,
    user,
    resource: null,
    scopes,
    workspaceLimit: null,
    isUnscoped: false,
    grant,
    expiresAt: Date.now() + 3_600_000,
    revoked: false,
  });
  return secret;
}

export interface LinkedBitbucket {
  readonly bitbucket: BitbucketSimulator;
  readonly session: Session;
  readonly access: Awaited<ReturnType<Session['link']>>;
}

/** A Bitbucket with ada's verified sign-in. */
export async function linkBitbucket(
  options: BitbucketSimulatorOptions = {},
  scopes: readonly string[] = usualScopes,
): Promise<LinkedBitbucket> {
  const bitbucket = await startBitbucket(options);
  const session = createSession(bitbucketProvider);
  return { bitbucket, session, access: await session.link(bitbucket.url, addSignIn(bitbucket, scopes)) };
}

export const unknownAccount: Account = { login: null, kind: 'unknown', id: null };

/** The way to a host with a credential of any form. */
export function openWith(host: string, credential: Credential, account = unknownAccount): HostAccess {
  const open = (base: string) =>
    createTestClient(base, {
      userAgent: 'gitlink/test',
      pacing: bitbucketProvider.pacing,
      authorize: () => Promise.resolve(bitbucketProvider.toAuthorization(credential)),
    });
  return {
    host,
    flavour: 'bitbucket',
    version: null,
    credential,
    client: null,
    account,
    http: open(bitbucketProvider.toApiBase(host)),
    openBase: (base) => Promise.resolve(open(base)),
    now: () => Date.now(),
    sleep: (durationMs) => systemClock.sleep(durationMs),
  };
}

/** A token that was just made, as gitlink sees it: its kind by its shape, beside ada's address where it wants one. */
export function toCredential(secret: string, username = 'ada@acme.test'): Credential {
  const token = new Secret(secret);
  const shape = bitbucketProvider.recogniseToken?.(token);
  if (shape?.use !== 'api') throw new Error('This is no token for the API.');
  return { kind: shape.kind, token, ...(shape.companion ? { username } : {}) };
}

/** An access token and the verified account that it is linked as, the place named by the person. */
export async function linkPlace(
  bitbucket: BitbucketSimulator,
  token: NewToken & { readonly resource: string },
  named = token.resource,
) {
  const credential = toCredential(bitbucket.addToken(token).secret);
  const account = { ...unknownAccount, login: named };
  const identity = await bitbucketProvider.identify(openWith(bitbucket.url, credential, account));
  const access = openWith(bitbucket.url, { ...credential, kind: identity.credentialKind }, identity.account);
  return { identity, access };
}

export const admin: WebhookAdmin = requireWebhooks(bitbucketProvider);

/** The place of a repository's webhooks. */
export async function placeOf(access: HostAccess, fullName: string) {
  return {
    level: 'repository',
    repository: await findRepository(bitbucketProvider, access, fullName),
  } as const;
}

/** The hook that a list says is the only one. */
export function only(hooks: readonly Webhook[]): Webhook {
  const [hook] = hooks;
  if (!hook || hooks.length > 1) throw new Error(`There are ${hooks.length} hooks.`);
  return hook;
}
