import { createHash } from 'node:crypto';
import type { PlainAnswer, SimulatorRequest } from '../routes.ts';
import { roleOf } from './access.ts';
import { isRecord, type GithubContext } from './call.ts';
import { pollDevice, type DevicePolls } from './oauth-device.ts';
import { OAuthProblem } from './oauth-problem.ts';
import type { OAuthClient } from './oauth-state.ts';
import { issueTokens } from './oauth-tokens.ts';
import type { GithubUser } from './state.ts';

type Fields = Readonly<Record<string, string>>;

export const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';

/** What the token endpoint made of a request. */
interface TokenOutcome {
  readonly grantType: string;
  /** Null where it gave tokens. */
  readonly error: string | null;
  readonly answer: PlainAnswer;
}

/** `POST /login/oauth/access_token` (`providers/github.md` §2.3, §2.4). */
export function exchange(
  context: GithubContext,
  polls: DevicePolls,
  request: SimulatorRequest,
): TokenOutcome {
  const fields = readForm(request, [
    'client_id',
    'client_secret',
    'code',
    'redirect_uri',
    'code_verifier',
    'repository_id',
    'grant_type',
    'refresh_token',
    'device_code',
  ]);
  const grantType = fields['grant_type'] ?? 'authorization_code';
  try {
    const json = redeem(context, polls, request, fields, grantType);
    return { grantType, error: null, answer: answerAs(request, json) };
  } catch (error) {
    if (!(error instanceof OAuthProblem)) throw error;
    return { grantType, error: error.error, answer: answerProblem(request, error) };
  }
}

/** A form as it was sent; of what is none, nothing is read. */
export function readForm(request: SimulatorRequest, allowed: readonly string[]): Fields {
  const { body, headers, query, recordFailure } = request;
  if (query.size > 0) recordFailure('parameters in the query of an OAuth request');
  if (request.authorization) recordFailure('an authorization header in an OAuth request');
  if (!headers['user-agent']?.startsWith('gitlink/')) {
    recordFailure('a User-Agent that does not begin with "gitlink/"');
  }
  const isForm = headers['content-type']?.startsWith('application/x-www-form-urlencoded') ?? false;
  if (!isForm || !isRecord(body)) {
    recordFailure('an OAuth request that is no form');
    return {};
  }
  for (const name of Object.keys(body)) {
    if (!allowed.includes(name)) recordFailure(`unknown parameter "${name}"`);
  }
  return body as Fields;
}

export function answerProblem(
  request: SimulatorRequest,
  { error, message, more }: OAuthProblem,
): PlainAnswer {
  return answerAs(request, {
    error,
    error_description: message,
    error_uri: `https://docs.github.com/apps/managing-oauth-apps/troubleshooting-oauth-app-access-token-request-errors/#${error.replaceAll('_', '-')}`,
    ...more,
  });
}

/** JSON for those who ask for it; a form for all others. */
export function answerAs(
  { headers }: SimulatorRequest,
  json: Readonly<Record<string, unknown>>,
): PlainAnswer {
  if (headers.accept?.includes('application/json')) return { status: 200, json };
  const fields = Object.entries(json).map(([name, value]): [string, string] => [name, String(value)]);
  return {
    status: 200,
    text: new URLSearchParams(fields).toString(),
    contentType: 'application/x-www-form-urlencoded; charset=utf-8',
  };
}

function redeem(
  context: GithubContext,
  polls: DevicePolls,
  request: SimulatorRequest,
  fields: Fields,
  grantType: string,
): Readonly<Record<string, unknown>> {
  const client = context.state.oauth.clients.get(fields['client_id'] ?? '');
  const secret = fields['client_secret'];
  if (!client || (secret !== undefined && secret !== client.clientSecret)) throw wrongClient();
  switch (grantType) {
    case 'authorization_code':
      if (secret === undefined) throw wrongClient();
      return redeemCode(context, request, client, fields);
    case 'refresh_token':
      return refresh(context, client, fields, secret !== undefined);
    case deviceGrant: {
      const { user, scopes } = pollDevice(context, polls, client, fields['device_code'] ?? '');
      const repositories = readRepository(context, client, user, fields['repository_id']);
      return issueTokens(context, { client, user, scopes, isOfDevice: true, ...repositories });
    }
    default:
      throw new OAuthProblem('unsupported_grant_type', 'The grant_type is not supported.');
  }
}

function wrongClient(): OAuthProblem {
  return new OAuthProblem(
    'incorrect_client_credentials',
    'The client_id and/or client_secret passed are incorrect.',
  );
}

function wrongCode(): OAuthProblem {
  return new OAuthProblem('bad_verification_code', 'The code passed is incorrect or expired.');
}

function redeemCode(
  context: GithubContext,
  { recordFailure }: SimulatorRequest,
  client: OAuthClient,
  fields: Fields,
): Readonly<Record<string, unknown>> {
  const { codes } = context.state.oauth;
  const { code = '', redirect_uri: redirectUri, code_verifier: verifier = '' } = fields;
  const issued = codes.get(code);
  // Whatever comes of it, a code is used up.
  codes.delete(code);
  if (issued?.request.client !== client || issued.expiresAt <= context.now()) throw wrongCode();
  if (redirectUri !== undefined && redirectUri !== (issued.request.redirectUri ?? client.callbackUrls[0])) {
    throw new OAuthProblem(
      'redirect_uri_mismatch',
      'The redirect_uri MUST match the registered callback URL for this application.',
    );
  }
  const { challenge, scopes } = issued.request;
  if (challenge !== '') {
    if (verifier.length < 43) recordFailure('a code verifier that is shorter than RFC 7636 allows');
    if (createHash('sha256').update(verifier).digest('base64url') !== challenge) throw wrongCode();
  }
  const { user } = issued;
  const repositories = readRepository(context, client, user, fields['repository_id']);
  return issueTokens(context, { client, user, scopes, isOfDevice: false, ...repositories });
}

/** One repository to narrow the token of an app to; one that is out of reach changes nothing. */
function readRepository(
  { state }: GithubContext,
  { kind }: OAuthClient,
  user: GithubUser,
  id: string | undefined,
): { readonly repositories?: ReadonlySet<number> } {
  const repository = state.repositories.get(Number(id));
  if (kind !== 'githubApp' || !repository || roleOf(user, repository) === null) return {};
  return { repositories: new Set([repository.id]) };
}

function refresh(
  context: GithubContext,
  client: OAuthClient,
  fields: Fields,
  hasSecret: boolean,
): Readonly<Record<string, unknown>> {
  const { refreshTokens } = context.state.oauth;
  const token = refreshTokens.get(fields['refresh_token'] ?? '');
  if (!hasSecret && !token?.isOfDevice) throw wrongClient();
  if (token?.grant.client !== client || token.isSpent || token.expiresAt <= context.now()) {
    throw new OAuthProblem('bad_refresh_token', 'The refresh token passed is incorrect or expired.');
  }
  token.isSpent = true;
  const old = context.state.tokens.get(token.accessSecret);
  if (old) old.revoked = true;
  const { grant, scopes, isOfDevice } = token;
  const narrowed = old && typeof old.repositories !== 'string' ? { repositories: old.repositories } : {};
  return issueTokens(context, { client, user: grant.user, scopes, isOfDevice, ...narrowed });
}
