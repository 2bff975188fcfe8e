import { GitlinkError, InternalError, StoppedLateError, UnsupportedError } from '../errors.ts';
import { signInByBrowser, type BrowserSignIn } from '../oauth/authorization-code.ts';
import { signInByDevice, type DeviceSignIn } from '../oauth/device-flow.ts';
import type { OAuthClient } from '../oauth/oauth-client.ts';
import { isClockWrong, type TokenSet } from '../oauth/token-set.ts';
import type { OAuthSupport } from '../providers/oauth-support.ts';
import type { HostDescription, Provider } from '../providers/provider.ts';
import { requireOAuth, toOAuthClient, type SignInClient } from './client-identity.ts';
import { nameRedirectUri, toRedirect } from './client-redirect.ts';
import type { OperationContext } from './context.ts';
import { openAnonymous } from './open-anonymous.ts';
import { endTokens } from './revoke-credential.ts';
import { toStoredCredential } from './stored-credential.ts';
import { verifyCredential, type VerifiedCredential } from './verify-credential.ts';

export interface SignInRequest {
  readonly provider: Provider;
  readonly description: HostDescription;
  readonly client: SignInClient;
  readonly scopes: readonly string[];
  readonly caFile: string | null;
}

/** What came of keeping a sign-in. One that is kept is told to the browser as such, also when the rest was stopped. */
type Kept<T> = { readonly value: T } | { readonly stopped: StoppedLateError };

/** How the person and their browser are reached. */
export type BrowserHooks = Pick<BrowserSignIn, 'openBrowser' | 'onWaiting' | 'askForRedirect' | 'timeoutMs'>;

/**
 * Asks whether a host signs people in now, before anything is opened.
 *
 * @throws UnsupportedError where that is switched off.
 */
export async function assertSignInOffered(
  context: OperationContext,
  { provider, description, caFile }: Pick<SignInRequest, 'provider' | 'description' | 'caFile'>,
): Promise<void> {
  const support = requireOAuth(provider);
  if (!support.isOffered) return;
  const base = description.host;
  const web = await openAnonymous(context, provider, base, caFile, { base });
  if (await support.isOffered(web, description)) return;
  throw new UnsupportedError(`Signing in with a browser is switched off at ${base}.`, {
    hint: 'Link it with a token: --method token',
  });
}

/**
 * Signs a person in with their browser and has the host verify what came of it.
 *
 * @param keep - Makes the link. The browser hears of success only after it.
 * @returns what `keep` made.
 * @throws what `keep` throws; the sign-in is ended at the host then, except for a StoppedLateError.
 */
export async function signInWithBrowser<T>(
  context: OperationContext,
  request: SignInRequest,
  hooks: BrowserHooks,
  keep: (verified: VerifiedCredential) => Promise<T>,
): Promise<T> {
  const { support, client, network, scope } = await prepare(context, request);
  let kept: Kept<T> | null = null;
  await signInByBrowser({
    ...hooks,
    client,
    network,
    authorizationEndpoint: support.toEndpoints(request.description).authorization,
    scope,
    redirect: toRedirect(support.redirect, request.client.callbackPort),
    timeoutHint: explainTimeout(support, request.client),
    random: context.random,
    store: async (tokens) => {
      kept = await settle(context, request, tokens, keep);
    },
  });
  return take(kept);
}

/** The same by a code that the person enters in a browser anywhere. */
export async function signInWithCode<T>(
  context: OperationContext,
  request: SignInRequest,
  show: DeviceSignIn['show'],
  keep: (verified: VerifiedCredential) => Promise<T>,
): Promise<T> {
  const { support, client: usual, network, scope } = await prepare(context, request);
  const client = support.isDeviceFlowSecretFree === true ? withoutSecret(usual) : usual;
  const { host } = request.description;
  const { device } = support.toEndpoints(request.description);
  if (device === null) throw new InternalError(`${request.provider.displayName} does not sign in by a code.`);
  let kept: Kept<T> | null = null;
  await signInByDevice({
    client,
    network,
    deviceEndpoint: device,
    scope,
    verificationOrigins: support.verificationOrigins?.(host) ?? [new URL(host).origin],
    show,
    store: async (tokens) => {
      kept = await settle(context, request, tokens, keep);
    },
  });
  return take(kept);
}

function withoutSecret(client: OAuthClient): OAuthClient {
  return { ...client, clientSecret: null, clientAuthentication: 'none' };
}

async function prepare(
  context: OperationContext,
  { provider, description, client, scopes, caFile }: SignInRequest,
) {
  const support = requireOAuth(provider);
  return {
    support,
    client: toOAuthClient(description, support, client.identity),
    network: await context.openNetwork(caFile),
    scope: scopes.length === 0 ? null : scopes.join(' '),
  };
}

/** A page of the host that refuses the redirect leaves the person there. */
function explainTimeout({ redirect, redirectAdvice }: OAuthSupport, { callbackPort }: SignInClient): string {
  const uri = nameRedirectUri(redirect, callbackPort);
  const parts = [
    `If the host's page refused the redirect, the client must be registered with exactly ${uri}.`,
    redirectAdvice ?? '',
  ];
  return parts.join(' ').trimEnd();
}

async function settle<T>(
  context: OperationContext,
  request: SignInRequest,
  tokens: TokenSet,
  keep: (verified: VerifiedCredential) => Promise<T>,
): Promise<Kept<T>> {
  const { provider, description, client, caFile } = request;
  if (isClockWrong(tokens)) {
    context.reporter.warn(
      `The clock of this machine and that of ${description.host} differ by ${Math.round(Math.abs(tokens.clockSkewMs ?? 0) / 60_000)} minutes.`,
    );
  }
  try {
    const credential = toStoredCredential(tokens);
    const verified = await verifyCredential(context, provider, description, credential, { client, caFile });
    return { value: await keep(verified) };
  } catch (error) {
    if (error instanceof StoppedLateError) return { stopped: error };
    await takeBack(context, request, tokens);
    throw error;
  }
}

/** What cannot be used shall not stay alive at the host. Whatever goes wrong here is less than what did before. */
async function takeBack(context: OperationContext, request: SignInRequest, tokens: TokenSet): Promise<void> {
  const { provider, description, client, caFile } = request;
  try {
    const ended = await endTokens(context, provider, {
      place: description,
      caFile,
      readIdentity: () => Promise.resolve(client.identity),
      tokens,
      signal: AbortSignal.timeout(10_000),
    });
    if (ended.outcome === 'impossible') {
      context.reporter.note(`What was allowed at the host stands until you end it at ${ended.pageUrl}`);
    }
  } catch (error) {
    if (!(error instanceof GitlinkError)) throw error;
  }
}

function take<T>(kept: Kept<T> | null): T {
  if (kept === null) throw new InternalError('A sign-in ended without storing anything.');
  if ('stopped' in kept) throw kept.stopped;
  return kept.value;
}
