import { AuthError, GitlinkError, InternalError } from '../errors.ts';
import type { Random } from '../runtime.ts';
import { Secret } from '../secret.ts';
import { judgeCallback, type Callback } from './callback.ts';
import { describeDuration } from './describe-duration.ts';
import { parseEndpoint, sendCode, toCodeChallenge } from './endpoint.ts';
import type { FinalPage } from './final-page.ts';
import type { Redirect } from './loopback-listener.ts';
import { startLoopbackServer, type LoopbackServer, type SettlingCallback } from './loopback-server.ts';
import type { OAuthClient, OAuthNetwork } from './oauth-client.ts';
import { parsePastedRedirect } from './pasted-redirect.ts';
import { explainFailure } from './sign-in-error.ts';
import { judgeTokenAnswer } from './token-response.ts';
import type { TokenSet } from './token-set.ts';

/** One sign-in by browser. */
export interface BrowserSignIn {
  readonly client: OAuthClient;
  readonly network: OAuthNetwork;
  readonly authorizationEndpoint: string;
  readonly scope: string | null;
  readonly redirect: Redirect;
  /** What this server wants beside the standard's parameters; it cannot replace those. */
  readonly authorizationParameters?: Readonly<Record<string, string>>;
  readonly random: Random;
  /** How long a person may take, in milliseconds. Default: 5 minutes. */
  readonly timeoutMs?: number;
  /** What else a person may look at when the time is over: a redirect that a host refuses never comes back. */
  readonly timeoutHint?: string;
  /** Opens the one-use start address; null where no browser is to be opened. */
  readonly openBrowser: ((startUrl: string) => Promise<void>) | null;
  /** Told once the flow waits for the person, so that the address can be shown where nothing was opened. */
  readonly onWaiting: (waiting: WaitingForBrowser) => void;
  /**
   * Asks the person to paste the address that their browser, on another machine, was sent to. Asked again, with
   * the problem, until one is right. Absent where that is not offered.
   */
  readonly askForRedirect?: (problem: string | null, signal: AbortSignal) => Promise<string>;
  /** Keeps the tokens durably. The browser hears of success only after it. */
  readonly store: (tokens: TokenSet) => Promise<void>;
}

export interface WaitingForBrowser {
  readonly isOpened: boolean;
  /** For a browser that nobody opened. It holds the state: show it only to the person who asked. */
  readonly authorizationUrl: string;
  /** Where the browser comes back to; its port is what a person must forward from another machine. */
  readonly redirectUri: string;
}

const defaultTimeoutMs = 5 * 60_000;
/** RFC 7636 §4.1 and RFC 6749 §10.10: 256 bits each, used once, kept in memory only. */
const randomBytes = 32;

/**
 * Signs a person in with their browser: authorization code with PKCE (RFC 6749 §4.1, RFC 7636), by a listener on
 * the loopback address (RFC 8252 §7.3). All that varies between hosts is data.
 *
 * @returns the tokens, once stored.
 * @throws AuthError when it is declined, not finished in time, or answered by another server.
 * @throws ForbiddenError, UnreachableError, UsageError, the signal's reason, or what `store` throws.
 */
export async function signInByBrowser(flow: BrowserSignIn): Promise<TokenSet> {
  const { client, random, redirect } = flow;
  const endpoint = parseEndpoint(flow.authorizationEndpoint);
  // Asked now, so that a wrong configuration ends before the browser opens.
  parseEndpoint(client.tokenEndpoint);
  const server = await startLoopbackServer(redirect, random);
  try {
    const state = random.bytes(randomBytes).toString('base64url');
    const verifier = new Secret(random.bytes(randomBytes).toString('base64url'));
    const authorizationUrl = buildAuthorizationUrl(flow, endpoint, {
      redirect_uri: server.redirectUri,
      state,
      code_challenge: await toCodeChallenge(verifier),
    });
    const judge = (parameters: URLSearchParams): Callback =>
      judgeCallback(parameters, { ...client, state, authorizationEndpoint: flow.authorizationEndpoint });
    const callback = await waitForCallback(flow, server, authorizationUrl, judge);
    try {
      const tokens = await redeem(flow, callback, { state, verifier, redirectUri: server.redirectUri });
      await flow.store(tokens);
      await server.finish(createSuccessPage(client.host));
      return tokens;
    } catch (error) {
      await server.finish(createFailurePage(client.host, error));
      throw error;
    }
  } finally {
    await server.close();
  }
}

function buildAuthorizationUrl(
  flow: BrowserSignIn,
  endpoint: URL,
  ownParameters: Readonly<Record<'redirect_uri' | 'state' | 'code_challenge', string>>,
): string {
  const url = new URL(endpoint);
  const parameters = {
    response_type: 'code',
    client_id: flow.client.clientId,
    ...(flow.scope === null ? {} : { scope: flow.scope }),
    ...ownParameters,
    code_challenge_method: 'S256',
  };
  const foreign = Object.entries(flow.authorizationParameters ?? {});
  if (foreign.some(([name]) => Object.hasOwn(parameters, name))) {
    throw new InternalError("A provider's parameters may not replace those of the sign-in itself.");
  }
  for (const [name, value] of [...foreign, ...Object.entries(parameters)]) url.searchParams.set(name, value);
  return url.href;
}

/** Waits for the browser or the paste, whichever is right first. */
async function waitForCallback(
  flow: BrowserSignIn,
  server: LoopbackServer,
  authorizationUrl: string,
  judge: (parameters: URLSearchParams) => Callback,
): Promise<SettlingCallback> {
  const { host } = flow.client;
  const { clock, signal } = flow.network;
  const timeoutMs = flow.timeoutMs ?? defaultTimeoutMs;
  const ending = new AbortController();
  const either = AbortSignal.any([signal, ending.signal]);
  const deadline = clock.sleep(timeoutMs, either).then(() => {
    throw new AuthError(`Nobody finished signing in to ${host} within ${describeDuration(timeoutMs)}.`, {
      hint: ['Run the command again; --timeout gives more time.', flow.timeoutHint ?? ''].join(' ').trimEnd(),
    });
  });
  const startUrl = server.begin(authorizationUrl, judge);
  const settled = Promise.race([
    server.callback,
    deadline,
    ...(flow.askForRedirect
      ? [readPastedRedirects(flow.askForRedirect, server.redirectUri, judge, either)]
      : []),
  ]);
  try {
    return await Promise.race([
      settled,
      announce(flow, startUrl, authorizationUrl, server).then(() => settled),
    ]);
  } finally {
    ending.abort();
  }
}

async function announce(
  flow: BrowserSignIn,
  startUrl: string,
  authorizationUrl: string,
  { redirectUri }: LoopbackServer,
): Promise<void> {
  const isOpened = await (flow.openBrowser?.(startUrl).then(
    () => true,
    () => false,
  ) ?? Promise.resolve(false));
  flow.onWaiting({ isOpened, authorizationUrl, redirectUri });
}

async function readPastedRedirects(
  ask: NonNullable<BrowserSignIn['askForRedirect']>,
  redirectUri: string,
  judge: (parameters: URLSearchParams) => Callback,
  signal: AbortSignal,
): Promise<SettlingCallback> {
  for (let problem: string | null = null; ;) {
    const pasted = parsePastedRedirect(await ask(problem, signal), redirectUri);
    signal.throwIfAborted();
    const callback = pasted.ok ? judge(pasted.parameters) : null;
    if (callback !== null && callback.outcome !== 'wrong') return callback;
    problem = pasted.ok ? 'This address is not the answer to this sign-in.' : pasted.problem;
  }
}

async function redeem(
  { client, network }: BrowserSignIn,
  callback: SettlingCallback,
  begun: { readonly state: string; readonly verifier: Secret; readonly redirectUri: string },
): Promise<TokenSet> {
  if (callback.outcome === 'error') throw explainFailure(client, callback);
  if (callback.outcome === 'otherIssuer') {
    throw new AuthError(
      `Another server than ${client.host} answered this sign-in, so gitlink did not go on with it.`,
      {
        hint: 'Run the command again. If it happens twice, check the address of the host and the settings of the client.',
      },
    );
  }
  const { parameters } = callback;
  // Known to the redactor from now on: a server may quote it in an error.
  new Secret(parameters.get('code') ?? '');
  const answer = judgeTokenAnswer(await sendCode(client, network, { parameters, ...begun }));
  if (answer.outcome !== 'tokens') throw explainFailure(client, answer);
  return answer.tokens;
}

function createSuccessPage(host: string): FinalPage {
  return {
    kind: 'done',
    title: `Signed in to ${host}`,
    text: 'gitlink has stored the connection. You can close this page and go back to the terminal.',
  };
}

function createFailurePage(host: string, error: unknown): FinalPage {
  const reason = error instanceof GitlinkError ? error.message : 'Something went wrong in gitlink.';
  return {
    kind: 'failed',
    title: `Not signed in to ${host}`,
    text: `${reason} Go back to the terminal to see what to do next.`,
  };
}
