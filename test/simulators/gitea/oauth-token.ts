import { createHash } from 'node:crypto';
import type { PlainAnswer, SimulatorRequest } from '../routes.ts';
import { isRecord, type GiteaContext } from './call.ts';
import { isRegistered } from './oauth-authorize.ts';
import { findLiveToken, issueTokens, type GiteaApplication, type GiteaGrant } from './oauth-state.ts';

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
export interface TokenOutcome {
  readonly grantType: string;
  /** Null where it gave tokens. */
  readonly error: string | null;
  readonly answer: PlainAnswer;
}

/** `POST /login/oauth/access_token`: checks in the order of the real servers; the texts are theirs. */
export function exchange(context: GiteaContext, request: SimulatorRequest): TokenOutcome {
  const sent = readFields(request.body);
  const grantType = sent['grant_type'] ?? '';
  try {
    const fields = { ...sent, ...readBasic(request, sent) };
    const grant = redeem(context, request, fields);
    const { accessToken, refreshToken } = issueTokens(
      context.state,
      context.behaviour,
      context.settings,
      grant,
    );
    const json = {
      access_token: accessToken,
      token_type: 'bearer',
      expires_in: context.settings.accessTokenLifeS,
      refresh_token: refreshToken,
    };
    return { grantType, error: null, answer: { status: 200, json } };
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    const json = { error: error.error, error_description: error.message };
    return { grantType, error: error.error, answer: { status: 400, json } };
  }
}

function readFields(body: unknown): Fields {
  if (!isRecord(body)) return {};
  return Object.fromEntries(Object.entries(body).map(([name, value]) => [name, String(value)]));
}

/** The header is read where the body names no client or no secret; what both name must be the same. */
function readBasic({ authorization }: SimulatorRequest, sent: Fields): Fields {
  const { client_id: id = '', client_secret: secret = '' } = sent;
  if (authorization === null || (id !== '' && secret !== '')) return {};
  if (authorization.scheme !== 'basic')
    throw new TokenError('invalid_request', 'cannot parse basic auth header');
  const { username, password } = authorization;
  for (const [field, value, other] of [
    ['client_id', id, username],
    ['client_secret', secret, password],
  ] as const) {
    if (value !== '' && value !== other) {
      throw new TokenError(
        'invalid_request',
        `${field} in request body inconsistent with Authorization header`,
      );
    }
  }
  return { client_id: username, client_secret: password };
}

function redeem(context: GiteaContext, request: SimulatorRequest, fields: Fields): GiteaGrant {
  if (fields['grant_type'] === 'authorization_code') return redeemCode(context, request, fields);
  if (fields['grant_type'] === 'refresh_token') return redeemRefreshToken(context, fields);
  throw new TokenError(
    'unsupported_grant_type',
    'Only refresh_token or authorization_code grant type is supported',
  );
}

/** @param refusal - The error for a wrong secret, which is not the same for both grants. */
function requireApplication({ state }: GiteaContext, fields: Fields, refusal: string): GiteaApplication {
  const { client_id: id = '', client_secret: secret = '' } = fields;
  const application = [...state.oauth.applications.values()].find(({ clientId }) => clientId === id);
  if (!application) throw new TokenError('invalid_client', `cannot load client with client id: "${id}"`);
  // A public client is not asked for its secret; a wrong one does not matter either.
  if (application.confidential && application.clientSecret !== secret) {
    throw new TokenError(refusal, secret === '' ? 'invalid empty client secret' : 'invalid client secret');
  }
  return application;
}

function redeemCode(context: GiteaContext, { recordFailure }: SimulatorRequest, fields: Fields): GiteaGrant {
  const { codes, grants } = context.state.oauth;
  const application = requireApplication(context, fields, 'unauthorized_client');
  const { redirect_uri: redirectUri = '', code = '', code_verifier: verifier = '' } = fields;
  if (redirectUri !== '' && !isRegistered(application, redirectUri)) {
    throw new TokenError('unauthorized_client', 'unexpected redirect URI');
  }
  const issued = codes.get(code);
  if (!issued || !grants.has(issued.grant.id)) {
    throw new TokenError('unauthorized_client', 'client is not authorized');
  }
  const { grant, request, expiresAt } = issued;
  if (expiresAt <= Date.now()) throw new TokenError('invalid_grant', 'authorization code expired');
  if (verifier.length < 43) recordFailure('a code verifier that is shorter than RFC 7636 allows');
  if (!isVerified(request.challengeMethod, request.challenge, verifier)) {
    throw new TokenError('unauthorized_client', 'failed PKCE code challenge');
  }
  if (redirectUri !== request.redirectUri) {
    throw new TokenError('invalid_grant', 'redirect_uri differs from the original authorization request');
  }
  if (grant.application !== application) throw new TokenError('invalid_grant', 'invalid grant');
  codes.delete(code);
  return grant;
}

function isVerified(method: string, challenge: string, verifier: string): boolean {
  if (method === '' && challenge === '') return true;
  const derived = method === 'plain' ? verifier : createHash('sha256').update(verifier).digest('base64url');
  return verifier !== '' && derived === challenge;
}

function redeemRefreshToken(context: GiteaContext, fields: Fields): GiteaGrant {
  const { grants, refreshTokens } = context.state.oauth;
  const application = requireApplication(context, fields, 'invalid_client');
  const token = refreshTokens.get(fields['refresh_token'] ?? '');
  if (!token || token.expiresAt <= Date.now()) {
    throw new TokenError('unauthorized_client', 'unable to parse refresh token');
  }
  if (!grants.has(token.grant.id)) throw new TokenError('invalid_grant', 'grant does not exist');
  if (token.grant.application !== application) {
    throw new TokenError('invalid_grant', 'refresh token belongs to a different client');
  }
  const isUsed = token.counter === 0 || token.counter !== token.grant.counter;
  if (context.settings.invalidateRefreshTokens && isUsed) {
    throw new TokenError('unauthorized_client', 'token was already used');
  }
  return token.grant;
}

/** `POST /login/oauth/introspect`: any client with its secret, given at its creation also to a public one. */
export function introspect(context: GiteaContext, request: SimulatorRequest): PlainAnswer {
  const { state, behaviour } = context;
  const token = findLiveToken(state, readFields(request.body)['token'] ?? '');
  if (!token && behaviour.refusesDeadIntrospection) {
    return { status: 401, text: 'Failed to authenticate user\n' };
  }
  const { authorization } = request;
  const client = [...state.oauth.applications.values()].find(
    ({ clientId, clientSecret }) =>
      authorization?.scheme === 'basic' &&
      authorization.username === clientId &&
      authorization.password === clientSecret,
  );
  if (!client) {
    const headers = { 'www-authenticate': 'Basic realm="Gitea OAuth2"' };
    return { status: 401, headers, text: 'no valid authorization' };
  }
  const grant = token?.grant;
  if (!grant || (behaviour.introspectsOnlyOwn && grant.application !== client)) {
    return { status: 200, json: { active: false } };
  }
  return {
    status: 200,
    json: {
      active: true,
      ...(grant.scope === '' ? {} : { scope: grant.scope }),
      username: grant.user.login,
      iss: context.baseUrl(),
      sub: String(grant.user.id),
      aud: [grant.application.clientId],
    },
  };
}
