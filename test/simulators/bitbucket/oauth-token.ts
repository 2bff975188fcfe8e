import { createHash } from 'node:crypto';
import type { PlainAnswer, SimulatorRequest } from '../routes.ts';
import { isRecord, type BitbucketContext } from './call.ts';
import { missingCallback } from './oauth-authorize.ts';
import {
  makeLongToken,
  type AuthorizationRequest,
  type BitbucketConsumer,
  type OAuthGrant,
} from './oauth-state.ts';
import type { BitbucketUser } from './state.ts';

/** An error of the token endpoint: always 400. */
class TokenError extends Error {
  readonly error: string;

  constructor(error: string, description: string) {
    super(description);
    this.error = error;
  }
}

type Fields = Readonly<Record<string, string>>;

/** What the token endpoint made of a request. */
interface TokenOutcome {
  readonly grantType: string;
  /** Null where it gave tokens. */
  readonly error: string | null;
  readonly answer: PlainAnswer;
}

/** `POST /site/oauth2/access_token`: a form, and the consumer by Basic in every case. */
export function exchange(context: BitbucketContext, request: SimulatorRequest): TokenOutcome {
  const fields = readForm(request);
  const grantType = fields['grant_type'] ?? '';
  try {
    const consumer = authenticateConsumer(context, request);
    const json = redeem(context, request, consumer, fields);
    return { grantType, error: null, answer: { status: 200, json } };
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    const json = { error: error.error, error_description: error.message };
    return { grantType, error: error.error, answer: { status: 400, json } };
  }
}

/** Of a body that is no form nothing is read. */
function readForm({ body, headers, recordFailure, query }: SimulatorRequest): Fields {
  if ([...query.keys()].length > 0) recordFailure('parameters in the address of the token endpoint');
  const isForm = headers['content-type']?.startsWith('application/x-www-form-urlencoded') ?? false;
  if (!isForm) recordFailure('a token request that is no form');
  if (!isForm || !isRecord(body)) return {};
  return Object.fromEntries(Object.entries(body).map(([name, value]) => [name, String(value)]));
}

function authenticateConsumer(
  { state }: BitbucketContext,
  { authorization }: SimulatorRequest,
): BitbucketConsumer {
  if (authorization?.scheme !== 'basic') {
    throw new TokenError(
      'unauthorized_client',
      'Client credentials missing; this request needs to be authenticated with the OAuth client id and secret',
    );
  }
  const consumer = state.oauth.consumers.get(authorization.username);
  if (!consumer || consumer.secret !== authorization.password) {
    throw new TokenError('invalid_client', 'Invalid OAuth client credentials');
  }
  if (consumer.callbackUrl === null) {
    throw new TokenError(missingCallback.error, missingCallback.error_description);
  }
  return consumer;
}

function redeem(
  context: BitbucketContext,
  request: SimulatorRequest,
  consumer: BitbucketConsumer,
  fields: Fields,
): Readonly<Record<string, unknown>> {
  const grantType = fields['grant_type'] ?? 'None';
  switch (grantType) {
    case 'authorization_code':
      return issueTokens(context, redeemCode(context, request, consumer, fields), true);
    case 'refresh_token':
      return issueTokens(context, redeemRefreshToken(context, consumer, fields), true);
    case 'client_credentials':
      return issueTokens(context, actForItself(context, consumer), false);
    default:
      throw new TokenError('unsupported_grant_type', `Unsupported grant type: ${grantType}`);
  }
}

function redeemCode(
  { state, now }: BitbucketContext,
  { recordFailure }: SimulatorRequest,
  consumer: BitbucketConsumer,
  fields: Fields,
): OAuthGrant {
  const { code = '', redirect_uri: redirectUri, code_verifier: verifier = '' } = fields;
  const issued = state.oauth.codes.get(code);
  // Whatever comes of it, a code is used up.
  state.oauth.codes.delete(code);
  if (!issued || issued.expiresAt <= now() || issued.grant.consumer !== consumer) {
    throw new TokenError('invalid_grant', 'The specified code is not valid.');
  }
  if ((redirectUri ?? null) !== issued.request.redirectUri) {
    throw new TokenError('invalid_grant', 'The redirect_uri does not match the authorization request.');
  }
  if (verifier.length < 43) recordFailure('a code verifier that is shorter than RFC 7636 allows');
  if (!isVerified(issued.request, verifier)) {
    throw new TokenError('invalid_grant', 'The code_verifier does not match the code_challenge.');
  }
  return issued.grant;
}

function isVerified({ challenge, challengeMethod }: AuthorizationRequest, verifier: string): boolean {
  if (challenge === '') return true;
  const derived =
    challengeMethod === 'S256' ? createHash('sha256').update(verifier).digest('base64url') : verifier;
  return derived === challenge;
}

/** Each is good for one use, and for what is left of the grace after it. */
function redeemRefreshToken(
  { state, settings, now }: BitbucketContext,
  consumer: BitbucketConsumer,
  fields: Fields,
): OAuthGrant {
  const token = state.oauth.refreshTokens.get(fields['refresh_token'] ?? '');
  if (!token || token.expiresAt <= now() || !token.grant.isAlive || token.grant.consumer !== consumer) {
    throw new TokenError('invalid_grant', 'Invalid refresh_token');
  }
  if (token.usedAt === null) {
    token.usedAt = now();
    token.expiresAt = Math.min(token.expiresAt, token.usedAt + settings.refreshGraceS * 1000);
  }
  return token.grant;
}

/** The person behind it is nobody: an app user that sees the workspace of the consumer. */
function actForItself({ state }: BitbucketContext, consumer: BitbucketConsumer): OAuthGrant {
  if (!consumer.isPrivate) {
    throw new TokenError(
      'unauthorized_client',
      'Cannot use client_credentials with a consumer marked as "public".',
    );
  }
  const user: BitbucketUser = {
    kind: 'app_user',
    id: 0,
    uuid: state.makeUuid('app user', consumer.key),
    accountId: `712020:${state.makeUuid('app account', consumer.key).slice(1, -1)}`,
    username: '',
    displayName: consumer.name,
    email: '',
    createdAt: new Date(),
  };
  const grant = { consumer, user, isAlive: true };
  state.oauth.grants.add(grant);
  return grant;
}

/** A new access token, beside which the old ones live on, and mostly a new refresh token. */
function issueTokens(
  { state, settings, now }: BitbucketContext,
  grant: OAuthGrant,
  isRefreshable: boolean,
): Readonly<Record<string, unknown>> {
  const { consumer, user } = grant;
  const expiresAt = now() + settings.accessTokenLifeS * 1000;
  const accessToken = makeLongToken({ sub: user.accountId, exp: Math.floor(expiresAt / 1000) });
  const refreshToken = makeLongToken({ sub: user.accountId, use: 'refresh' });
  state.tokens.set(accessToken, {
    kind: 'oauth',
    name: consumer.name,
    secret: accessToken,
    user,
    resource: user.kind === 'app_user' ? consumer.workspace : null,
    scopes: consumer.scopes,
    workspaceLimit: null,
    isUnscoped: false,
    grant,
    expiresAt,
    revoked: false,
  });
  if (isRefreshable) {
    const refreshExpiresAt = now() + settings.refreshTokenLifeS * 1000;
    state.oauth.refreshTokens.set(refreshToken, { grant, expiresAt: refreshExpiresAt, usedAt: null });
  }
  return {
    access_token: accessToken,
    token_type: 'bearer',
    expires_in: settings.accessTokenLifeS,
    [settings.saysScopes ? 'scopes' : 'scope']: consumer.scopes.join(' '),
    ...(isRefreshable ? { refresh_token: refreshToken } : {}),
  };
}
