import { AuthError, UnreachableError, UnsupportedError } from '../errors.ts';
import { isLoopbackHost } from '../http/base-url.ts';
import { toPrintable } from '../printable.ts';
import { Secret } from '../secret.ts';
import { requestDeviceCode, sendDeviceCode, type EndpointAnswer } from './endpoint.ts';
import type { OAuthClient, OAuthNetwork } from './oauth-client.ts';
import { explainFailure, toSignInError } from './sign-in-error.ts';
import { judgeFailure, judgeTokenAnswer, readSeconds, toFields, type TokenAnswer } from './token-response.ts';
import type { TokenSet } from './token-set.ts';

/** One sign-in by a code that is entered in a browser anywhere. */
export interface DeviceSignIn {
  readonly client: OAuthClient;
  readonly network: OAuthNetwork;
  readonly deviceEndpoint: string;
  readonly scope: string | null;
  /** Origins on which the host lets people enter codes. */
  readonly verificationOrigins: readonly string[];
  /** Shows the code; called once. Nothing is opened without the person's wish. */
  readonly show: (code: DeviceCode) => void;
  /** Keeps the tokens durably, before success is reported. */
  readonly store: (tokens: TokenSet) => Promise<void>;
}

/** What a person needs. */
export interface DeviceCode {
  /** Printable. */
  readonly userCode: string;
  /** On one of the flow's origins, and https (http on this machine only). */
  readonly verificationUri: string;
  /** The same with the code in it, for a QR code; null where there is none on the same origin. */
  readonly verificationUriComplete: string | null;
  /** When the code ends, in milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** RFC 8628 §3.2: the pause where the server names none; §3.5: what `slow_down` adds. */
const defaultIntervalMs = 5_000;
const slowDownMs = 5_000;
/** Longer pauses than this make no sense for a person who has just approved. */
const longestIntervalMs = 120_000;

/**
 * Signs a person in by a device code (RFC 8628), polling never faster than the server asks.
 *
 * @returns the tokens, once stored.
 * @throws AuthError when it is declined or not finished in time, UnsupportedError where the host has no such
 * flow, UnreachableError, the signal's reason, or what `store` throws.
 */
export async function signInByDevice(flow: DeviceSignIn): Promise<TokenSet> {
  const { client, network } = flow;
  const answer = await requestDeviceCode(client, network, flow.deviceEndpoint, flow.scope);
  const { code, deviceCode, intervalMs, lifeMs } = readDeviceCode(flow, answer);
  flow.show(code);
  const tokens = await poll(flow, deviceCode, intervalMs, network.clock.monotonic() + lifeMs);
  await flow.store(tokens);
  return tokens;
}

interface IssuedCode {
  readonly code: DeviceCode;
  readonly deviceCode: Secret;
  readonly intervalMs: number;
  readonly lifeMs: number;
}

function readDeviceCode(flow: DeviceSignIn, answer: EndpointAnswer): IssuedCode {
  const { host } = flow.client;
  const body = toFields(answer.body);
  if (answer.status === 404 || answer.status === 405) throw createUnsupportedError(host);
  const failure = judgeFailure(answer, body);
  if (failure?.outcome === 'error' && failure.error === 'unsupported_grant_type')
    throw createUnsupportedError(host);
  if (failure !== null) throw explainFailure(flow.client, failure);
  const refuse = (reason: string) =>
    toSignInError(host, { outcome: 'unexpected', reason, isTransient: false, retryAfterMs: null });

  const deviceCode = readText(body?.['device_code'], 2_000);
  const userCode = readText(body?.['user_code'], 64);
  const lifeS = readSeconds(body?.['expires_in']);
  if (deviceCode === null || userCode === null) throw refuse('it holds no code');
  if (typeof lifeS !== 'number') throw refuse('it does not say how long the code lives');
  const verificationUri = readAddress(body?.['verification_uri'], flow.verificationOrigins);
  if (verificationUri === null) throw refuse('the page for the code is not on the expected host');
  const complete = readAddress(body?.['verification_uri_complete'], flow.verificationOrigins);
  const intervalS = readSeconds(body?.['interval']);
  return {
    code: {
      userCode: toPrintable(userCode, 64),
      verificationUri: verificationUri.href,
      verificationUriComplete: complete?.origin === verificationUri.origin ? complete.href : null,
      expiresAt: answer.arrivedAt.wall + lifeS * 1000,
    },
    deviceCode: new Secret(deviceCode),
    intervalMs: typeof intervalS === 'number' ? limitInterval(intervalS * 1000) : defaultIntervalMs,
    lifeMs: lifeS * 1000,
  };
}

async function poll(
  { client, network }: DeviceSignIn,
  deviceCode: Secret,
  firstIntervalMs: number,
  deadline: number,
): Promise<TokenSet> {
  const { clock, signal } = network;
  let intervalMs = firstIntervalMs;
  /** RFC 8628 §3.5: faults make the polls rarer, so that a broken server is not hammered. */
  let faults = 0;
  let leastPauseMs = 0;
  for (;;) {
    const pauseMs = Math.max(leastPauseMs, limitInterval(intervalMs * 2 ** faults));
    if (clock.monotonic() + pauseMs >= deadline) {
      await clock.sleep(Math.max(0, deadline - clock.monotonic()), signal);
      throw new AuthError(`The code for ${client.host} was not entered in time.`, {
        hint: 'Run the command again.',
      });
    }
    await clock.sleep(pauseMs, signal);
    const answer = await ask(client, network, deviceCode);
    if (answer?.outcome === 'tokens') return answer.tokens;
    leastPauseMs = 0;
    if (answer === null || (answer.outcome === 'unexpected' && answer.isTransient)) {
      faults += 1;
      leastPauseMs = answer?.retryAfterMs ?? 0;
      continue;
    }
    faults = 0;
    if (answer.outcome === 'unexpected') throw toSignInError(client.host, answer);
    if (answer.error === 'slow_down') {
      intervalMs = limitInterval(Math.max(intervalMs + slowDownMs, answer.intervalMs ?? 0));
    } else if (answer.error !== 'authorization_pending') {
      throw explainFailure(client, answer);
    }
  }
}

/** @returns null where there was no answer: the next poll may get one. */
async function ask(
  client: OAuthClient,
  network: OAuthNetwork,
  deviceCode: Secret,
): Promise<TokenAnswer | null> {
  try {
    return judgeTokenAnswer(await sendDeviceCode(client, network, deviceCode));
  } catch (error) {
    if (error instanceof UnreachableError) return null;
    throw error;
  }
}

function limitInterval(intervalMs: number): number {
  return Math.min(longestIntervalMs, Math.max(1_000, intervalMs));
}

function readText(value: unknown, lengthLimit: number): string | null {
  return typeof value === 'string' && value !== '' && value.length <= lengthLimit ? value : null;
}

/** RFC 8628 §5.4: a person who is sent to another host may be entering somebody else's code. */
function readAddress(value: unknown, origins: readonly string[]): URL | null {
  if (typeof value !== 'string' || value.length > 2_000 || !URL.canParse(value)) return null;
  const url = new URL(value);
  const isSafe = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname));
  return isSafe && origins.includes(url.origin) && url.username === '' && url.password === '' ? url : null;
}

function createUnsupportedError(host: string): UnsupportedError {
  return new UnsupportedError(`${host} does not sign in by device code, or not with this client.`, {
    hint: 'Sign in with a browser (--method oauth) or a token (--method token).',
  });
}
