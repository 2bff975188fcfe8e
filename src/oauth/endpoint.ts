import * as oauth from 'oauth4webapi';
import { InternalError, UnreachableError, UsageError } from '../errors.ts';
import { isLoopbackHost } from '../http/base-url.ts';
import { ConnectionFault, toUnreachableError } from '../http/connection-fault.ts';
import { parseJson } from '../http/safe-json.ts';
import { sendOnce } from '../http/send-once.ts';
import type { Secret } from '../secret.ts';
import type { OAuthClient, OAuthNetwork } from './oauth-client.ts';

/** What an endpoint answered, not judged yet. */
export interface EndpointAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed JSON, or null where the answer is something else. Foreign data. */
  readonly body: unknown;
  /** When the answer was complete, on both clocks, in milliseconds. */
  readonly arrivedAt: { readonly wall: number; readonly monotonic: number };
}

/** The connection ended after the request may have arrived: the server may have done what it was asked. */
export class LostAnswerError extends UnreachableError {}

const requestTimeoutMs = 30_000;
const bodyLimitBytes = 1_048_576;

/** What the authorization request tells of the verifier (RFC 7636 §4.2, S256). */
export function toCodeChallenge(verifier: Secret): Promise<string> {
  return oauth.calculatePKCECodeChallenge(verifier.reveal());
}

/**
 * Sends the code of a callback to the token endpoint (RFC 6749 §4.1.3, RFC 7636 §4.5). Like each function
 * below it sends one POST, once, follows no redirect, and leaves judging to its caller.
 *
 * @param exchange - The callback's parameters as {@link judgeCallback} accepted them, and what the flow began with.
 * @throws LostAnswerError, UnreachableError
 */
export function sendCode(
  client: OAuthClient,
  network: OAuthNetwork,
  exchange: {
    readonly parameters: URLSearchParams;
    readonly state: string;
    readonly redirectUri: string;
    readonly verifier: Secret;
  },
): Promise<EndpointAnswer> {
  const { parameters, state, redirectUri, verifier } = exchange;
  // The library insists on an issuer; where none is known the callback's own was judged by its origin.
  const issuer = client.issuer ?? parameters.get('iss') ?? client.tokenEndpoint;
  const server = { issuer, token_endpoint: client.tokenEndpoint };
  return post(client, network, client.tokenEndpoint, (identity, authentication, options) =>
    oauth.authorizationCodeGrantRequest(
      server,
      identity,
      authentication,
      oauth.validateAuthResponse(server, identity, parameters, state),
      redirectUri,
      verifier.reveal(),
      options,
    ),
  );
}

/** Sends a refresh token (RFC 6749 §6), with parameters that the server wants beside the standard's. */
export function sendRefreshToken(
  client: OAuthClient,
  network: OAuthNetwork,
  refreshToken: Secret,
  additionalParameters: Readonly<Record<string, string>>,
): Promise<EndpointAnswer> {
  const server = { issuer: client.tokenEndpoint, token_endpoint: client.tokenEndpoint };
  return post(client, network, client.tokenEndpoint, (identity, authentication, options) =>
    oauth.refreshTokenGrantRequest(server, identity, authentication, refreshToken.reveal(), {
      ...options,
      additionalParameters,
    }),
  );
}

/** Asks for a token of the client itself (RFC 6749 §4.4.2). */
export function sendClientCredentials(
  client: OAuthClient,
  network: OAuthNetwork,
  scope: string,
): Promise<EndpointAnswer> {
  const server = { issuer: client.tokenEndpoint, token_endpoint: client.tokenEndpoint };
  return post(client, network, client.tokenEndpoint, (identity, authentication, options) =>
    oauth.clientCredentialsGrantRequest(server, identity, authentication, { scope }, options),
  );
}

/** Asks for a device code (RFC 8628 §3.1). */
export function requestDeviceCode(
  client: OAuthClient,
  network: OAuthNetwork,
  endpoint: string,
  scope: string | null,
): Promise<EndpointAnswer> {
  const server = { issuer: endpoint, device_authorization_endpoint: endpoint };
  return post(client, network, endpoint, (identity, authentication, options) =>
    oauth.deviceAuthorizationRequest(
      server,
      identity,
      authentication,
      scope === null ? {} : { scope },
      options,
    ),
  );
}

/** Asks whether a device code was approved (RFC 8628 §3.4). */
export function sendDeviceCode(
  client: OAuthClient,
  network: OAuthNetwork,
  deviceCode: Secret,
): Promise<EndpointAnswer> {
  const server = { issuer: client.tokenEndpoint, token_endpoint: client.tokenEndpoint };
  return post(client, network, client.tokenEndpoint, (identity, authentication, options) =>
    oauth.deviceCodeGrantRequest(server, identity, authentication, deviceCode.reveal(), options),
  );
}

/** Asks the server to end a token (RFC 7009 §2.1). */
export function sendRevocation(
  client: OAuthClient,
  network: OAuthNetwork,
  endpoint: string,
  token: { readonly value: Secret; readonly kind: 'access_token' | 'refresh_token' },
): Promise<EndpointAnswer> {
  const server = { issuer: endpoint, revocation_endpoint: endpoint };
  return post(client, network, endpoint, (identity, authentication, options) =>
    oauth.revocationRequest(server, identity, authentication, token.value.reveal(), {
      ...options,
      additionalParameters: { token_type_hint: token.kind },
    }),
  );
}

/**
 * Parses an endpoint's address, refusing plain http to anywhere but this machine.
 *
 * @throws UsageError
 */
export function parseEndpoint(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.username !== '' || url.password !== '' || url.hash !== '') {
    throw new InternalError('An OAuth endpoint of this provider is not a plain address.');
  }
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname))) return url;
  throw new UsageError(
    `Signing in with a browser needs https; ${url.hostname} would be asked over plain http.`,
    {
      hint: 'Link the host by its https address, or link it with a token.',
    },
  );
}

type Options = Pick<
  oauth.TokenEndpointRequestOptions,
  typeof oauth.customFetch | typeof oauth.allowInsecureRequests
>;

async function post(
  client: OAuthClient,
  network: OAuthNetwork,
  endpoint: string,
  send: (identity: oauth.Client, authentication: oauth.ClientAuth, options: Options) => Promise<Response>,
): Promise<EndpointAnswer> {
  const url = parseEndpoint(endpoint);
  const options: Options = {
    [oauth.customFetch]: (_, request) => transmit(network, url, request),
    [oauth.allowInsecureRequests]: url.protocol === 'http:',
  };
  const response = await send({ client_id: client.clientId }, toAuthentication(client), options);
  const arrivedAt = { wall: network.clock.now(), monotonic: network.clock.monotonic() };
  const parsed = parseJson(await response.text());
  return {
    status: response.status,
    headers: response.headers,
    body: parsed.ok ? parsed.value : null,
    arrivedAt,
  };
}

async function transmit(
  network: OAuthNetwork,
  url: URL,
  request: oauth.CustomFetchOptions<'POST', URLSearchParams>,
): Promise<Response> {
  const limitMs = network.requestTimeoutMs ?? requestTimeoutMs;
  const wire = {
    url,
    method: 'POST',
    headers: { ...request.headers, 'user-agent': network.userAgent },
    body: request.body.toString(),
  };
  const limits = { firstByteMs: limitMs, totalMs: limitMs, bodyBytes: bodyLimitBytes };
  const { status, headers, text } = await sendOnce(network.fetch, wire, limits, network.signal).catch(
    (error: unknown) => {
      throw toFault(error, url);
    },
  );
  if (status >= 300 && status <= 399) throw createRedirectError(url);
  return new Response(text === '' ? null : text, { status, headers });
}

function toFault(error: unknown, url: URL): unknown {
  const fault = error instanceof ConnectionFault ? toUnreachableError(error, url) : error;
  if (!(fault instanceof UnreachableError)) return fault;
  // An answer beyond the limits came, and is as good as lost.
  const isLost = !(error instanceof ConnectionFault) || error.isSent;
  return isLost ? new LostAnswerError(fault.message, { hint: fault.hint }) : fault;
}

/** A redirect would carry the code or the token to another place. */
function createRedirectError(url: URL): UnreachableError {
  return new UnreachableError(
    `${url.origin} answered a request for a token with a redirect, which gitlink does not follow.`,
    { hint: 'Check the address of the host; a proxy or a sign-in page may be in between.' },
  );
}

function toAuthentication({ clientAuthentication, clientSecret }: OAuthClient): oauth.ClientAuth {
  if (clientAuthentication === 'none') return oauth.None();
  if (clientSecret === null) throw new InternalError('This OAuth client needs a secret and has none.');
  return clientAuthentication === 'post'
    ? oauth.ClientSecretPost(clientSecret.reveal())
    : oauth.ClientSecretBasic(clientSecret.reveal());
}
