import { UnsupportedError, UsageError } from '../errors.ts';
import { toDisplayHost } from '../http/base-url.ts';
import { requireApps } from '../operations/apps/open-app.ts';
import { requestServiceToken, requireClientCredentials } from '../operations/apps/service-token.ts';
import { toMintedCredential } from '../operations/stored-credential.ts';
import { toUsualCapabilities } from '../operations/judge-scopes.ts';
import { requireOAuth, type SignInClient } from '../operations/client-identity.ts';
import type { RecognisedHost } from '../operations/recognise-host.ts';
import { verifyCredential, type VerifiedCredential } from '../operations/verify-credential.ts';
import type { SignInPlace } from '../providers/oauth-support.ts';
import type { Capability, LinkMethod, Provider } from '../providers/provider.ts';
import type { LinkRecord, Storage } from '../store/link-schema.ts';
import { chooseWay, signInBy } from './browser-sign-in.ts';
import { findSignInClient, registerByHand, registerByToken } from './choose-client.ts';
import { signInAsApp, toAppWebhook } from './app-sign-in.ts';
import { describeCredential } from './describe-credential.ts';
import { noTokenAdvice, readCapabilities, type CredentialFlags } from './credential-flags.ts';
import type { Session } from './session.ts';
import { verifyToken, type TokenSignInWish } from './token-sign-in.ts';

/** A credential that is verified and not kept yet. */
export interface SignedIn {
  readonly verified: VerifiedCredential;
  readonly method: LinkMethod;
  /** A credential that a person pasted is theirs. */
  readonly origin: LinkRecord['credentialOrigin'];
}

export interface SignInWish extends TokenSignInWish {
  /** Where a client that is registered on the way is kept. */
  readonly storage: Storage;
  /** How the link was signed in with before, for a link that gets a new credential; else null. */
  readonly usualMethod: LinkMethod | null;
  /** The client of that, by its id in the records. */
  readonly usualClient: string | null;
  /** Where webhooks shall deliver to; a new app gets one then. */
  readonly webhookUrl: string | null;
}

/**
 * Gets a credential, has the host verify it, says what it may and may not do, and has it kept. A browser hears of
 * success only after that.
 *
 * @returns what `keep` made.
 */
export async function signIn<T>(
  session: Session,
  recognised: RecognisedHost,
  wish: SignInWish,
  keep: (signedIn: SignedIn) => Promise<T>,
): Promise<T> {
  const { provider, description } = recognised;
  const { flags } = wish;
  const capabilities = readCapabilities(flags.for);
  if (isForProgram(recognised, wish)) {
    const verified = await signInAsService(session, recognised, wish);
    describeCredential(session, verified, capabilities);
    return keep({ verified, method: 'app', origin: 'obtained' });
  }
  if (isForApp(recognised, wish)) {
    const webhook = toAppWebhook(wish.webhookUrl ?? undefined, undefined);
    const verified = await signInAsApp(session, recognised, { ...wish, webhook });
    const usual = toUsualCapabilities(verified.identity.credentialKind);
    describeCredential(session, verified, readCapabilities(flags.for, usual));
    return keep({ verified, method: 'app', origin: 'obtained' });
  }
  const client = isForToken(recognised, wish)
    ? null
    : await findSignInClient(session, recognised, flags, wish.usualClient);
  const method = await chooseMethod(session, recognised, wish, client !== null);
  if (method === 'token') {
    const verified = await verifyToken(session, recognised, wish);
    describeCredential(session, verified, capabilities);
    return keep({ verified, method, origin: 'pasted' });
  }
  const opensBrowser = flags.browser !== false;
  const way = await chooseWay(session, recognised, { method, opensBrowser });
  const request = {
    provider,
    description,
    client: client ?? (await registerClient(session, recognised, wish)),
    scopes: chooseScopes(recognised, flags, capabilities),
    caFile: flags.caFile ?? null,
  };
  const timeoutMs = flags.timeout === undefined ? null : flags.timeout * 1000;
  return signInBy(session, request, way, timeoutMs, (verified) => {
    describeCredential(session, verified, capabilities);
    return keep({ verified, method: way === 'code' ? 'device' : 'oauth', origin: 'obtained' });
  });
}

/** Whether a program signs in by itself, at a host that has no apps for that. */
function isForProgram({ provider }: RecognisedHost, { flags, usualMethod }: SignInWish): boolean {
  if (provider.apps) return false;
  const isUsual = flags.method === undefined && usualMethod === 'app' && !isTokenGiven(flags);
  return flags.method === 'app' || isUsual;
}

/** Signs in as a program that is a client of the host with a secret, such as Entra's service principals. */
async function signInAsService(
  session: Session,
  recognised: RecognisedHost,
  { flags, usualClient }: SignInWish,
): Promise<VerifiedCredential> {
  const { context } = session;
  const { provider, description } = recognised;
  const { kind } = requireClientCredentials(provider);
  const client = await findSignInClient(session, recognised, flags, usualClient);
  if (client === null) {
    throw new UsageError('A program signs in as a client with a secret, and no client is named.', {
      hint: 'Add --client-id ID --client-secret-file FILE',
    });
  }
  const caFile = flags.caFile ?? null;
  const kept = await requestServiceToken(context, provider, description, client.identity, caFile);
  const credential = toMintedCredential(kind, [kept]);
  return verifyCredential(context, provider, description, credential, { client, caFile });
}

/** Whether an app is what is wanted: the usual way where the host has apps. */
function isForApp({ provider }: RecognisedHost, { flags, usualMethod }: SignInWish): boolean {
  const isNamed = flags.appId !== undefined || flags.installation !== undefined;
  const isMeant = isNamed || flags.org !== undefined || flags.public === true;
  if (isMeant && flags.method !== undefined && flags.method !== 'app') {
    throw new UsageError(
      `--app-id, --installation, --org and --public do not go with --method ${flags.method}.`,
    );
  }
  if (flags.method !== undefined || isMeant) {
    if (flags.method === 'app' || isMeant) requireApps(provider);
    return flags.method === 'app' || isMeant;
  }
  const isUsual = usualMethod === null || usualMethod === 'app';
  return provider.apps !== undefined && isUsual && !isTokenGiven(flags) && flags.clientId === undefined;
}

function isTokenGiven({ withToken, tokenFile, tokenEnv }: CredentialFlags): boolean {
  return withToken === true || tokenFile !== undefined || tokenEnv !== undefined;
}

/** Whether a token is what is wanted, so that clients do not matter. */
function isForToken({ provider }: RecognisedHost, { flags, usualMethod }: SignInWish): boolean {
  if (flags.method !== undefined) return flags.method === 'token';
  return isTokenGiven(flags) || !provider.oauth || (usualMethod === 'token' && flags.clientId === undefined);
}

/**
 * Without `--method` a token that is given decides, then a known client, then the person.
 *
 * @throws UsageError without a terminal where nothing decides.
 */
async function chooseMethod(
  session: Session,
  { provider, description }: RecognisedHost,
  { flags, usualMethod, commandLine }: SignInWish,
  isClientKnown: boolean,
): Promise<'token' | 'oauth' | 'device'> {
  const { method } = flags;
  if (method === 'token') return method;
  const hasToken = isTokenGiven(flags);
  if (method === 'oauth' || method === 'device') {
    if (hasToken) throw new UsageError(`A token is given, and --method ${method} takes none.`);
    assertOffers(provider, description, method);
    return method;
  }
  if (hasToken || !provider.oauth) return 'token';
  if (usualMethod === 'token' && flags.clientId === undefined) return 'token';
  if (isClientKnown) return usualMethod === 'device' ? 'device' : 'oauth';
  const { host } = description;
  if (!session.prompter.canAsk) {
    throw new UsageError(`How to sign in to ${toDisplayHost(host)} is not said.`, {
      hint: `With a token: ${commandLine} --with-token < FILE. With a browser, add a client first: gitlink client add ${provider.id} --host ${host} --client-id ID`,
    });
  }
  const choices = [
    { value: 'token', label: 'Paste a token' },
    { value: 'oauth', label: 'Sign in with the browser (a client must be registered once)' },
  ];
  const chosen = await session.prompter.choose('How do you want to sign in?', choices, '--method');
  return chosen === 'oauth' ? 'oauth' : 'token';
}

/** @throws UnsupportedError for a way of signing in that the host does not have. */
function assertOffers(provider: Provider, place: SignInPlace, method: 'oauth' | 'device'): void {
  const endpoints = requireOAuth(provider).toEndpoints(place);
  if (method === 'oauth' || endpoints.device !== null) return;
  throw new UnsupportedError(`${provider.displayName} does not sign in by a code.`, {
    hint: 'Sign in with a browser (--method oauth) or use a token (--method token).',
  });
}

/** Nobody signs in without a client; where the host can make one, the person chooses who does it. */
async function registerClient(
  session: Session,
  recognised: RecognisedHost,
  { flags, storage }: SignInWish,
): Promise<SignInClient> {
  const { provider, description } = recognised;
  if (session.prompter.canAsk && requireOAuth(provider).createClient) {
    const choices = [
      { value: 'page', label: 'I register it on the page of the host' },
      { value: 'token', label: 'gitlink registers it, with a token that is used once and not kept' },
    ];
    const chosen = await session.prompter.choose(
      'How is the client to be registered?',
      choices,
      '--client-id',
    );
    if (chosen === 'token') {
      const token = await session.prompter.askSecret(
        'Paste a token that may register clients',
        '--client-id',
        noTokenAdvice,
      );
      const options = { token, name: 'gitlink', flags };
      const record = await registerByToken(session, recognised, storage, options);
      session.reporter.note(`Registered the client ${record.clientId} at ${description.host}.`);
      const client = await findSignInClient(session, recognised, { ...flags, clientId: record.clientId });
      if (client) return client;
    }
  }
  return registerByHand(session, recognised, flags);
}

/** @throws UsageError for scopes where the host takes only its own. */
function chooseScopes(
  { provider }: RecognisedHost,
  flags: CredentialFlags,
  capabilities: readonly Capability[],
): readonly string[] {
  const support = requireOAuth(provider);
  if (flags.scope === undefined) return support.toScopes(capabilities);
  if (!support.hasConstantScopes) return flags.scope;
  throw new UsageError(
    `${provider.displayName} knows one set of scopes per client, so --scope cannot be used.`,
    {
      hint: 'Use a token with the scopes that you want: --method token',
    },
  );
}
