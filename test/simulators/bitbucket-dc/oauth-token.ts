import { createHash } from 'node:crypto';
import type { PlainAnswer, SimulatorRequest } from '../routes.ts';
import { isRecord } from './body.ts';
import type { DcContext } from './call.ts';
import { beginSession, findRefresh } from './oauth-state.ts';
import type { DcApplication } from './oauth-state.ts';

/** An error of the token endpoint. */
class TokenError extends Error {
  readonly error: string;

  constructor(error: string, description: string) {
    super(description);
    this.error = error;
  }
}

type Fields = Readonly<Record<string, string>>;
type Session = ReturnType<typeof beginSession>;

/** What the token endpoint made of a request. */
interface TokenOutcome {
  readonly grantType: string;
  /** Null where it gave tokens. */
  readonly error: string | null;
  readonly answer: PlainAnswer;
}

/** `POST …/token` */
export function exchange(context: DcContext, request: SimulatorRequest): TokenOutcome {
  const fields = readForm(request);
  const grantType = fields['grant_type'] ?? '';
  try {
    const session = redeem(context, request, fields);
    const json = {
      access_token: session.accessToken,
      token_type: 'bearer',
      expires_in: context.settings.accessTokenLifeS,
      refresh_token: session.refreshToken,
      created_at: Math.floor(context.now() / 1000),
    };
    return { grantType, error: null, answer: { status: 200, json } };
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    return { grantType, error: error.error, answer: toAnswer(error) };
  }
}

function toAnswer({ error, message }: TokenError): PlainAnswer {
  return {
    status: error === 'invalid_client' ? 401 : 400,
    json: { error, error_description: message },
  };
}

function readForm({ headers, query, body, authorization, recordFailure }: SimulatorRequest): Fields {
  const type = headers['content-type'] ?? '';
  if (query.size > 0) recordFailure('parameters in the query of an OAuth request');
  if (authorization) recordFailure('an authorization header in an OAuth request');
  if (!headers['user-agent']?.startsWith('gitlink/')) {
    recordFailure('a User-Agent that does not begin with "gitlink/"');
  }
  if (!type.startsWith('application/x-www-form-urlencoded') || !isRecord(body)) {
    recordFailure(`an OAuth request of type "${type}" instead of a form`);
    return {};
  }
  return body as Fields;
}

function redeem(context: DcContext, request: SimulatorRequest, fields: Fields): Session {
  if (fields['grant_type'] === 'authorization_code') return redeemCode(context, request, fields);
  if (fields['grant_type'] === 'refresh_token') return refresh(context, fields);
  throw new TokenError('unsupported_grant_type', 'The grant_type is not supported');
}

/** Every client has a secret here, with PKCE too. */
function requireClient({ state }: DcContext, fields: Fields): DcApplication {
  const application = state.oauth.applications.get(fields['client_id'] ?? '');
  if (application && application.clientSecret === fields['client_secret']) return application;
  throw new TokenError('invalid_client', 'The client_id or client_secret is invalid');
}

function redeemCode(context: DcContext, { recordFailure }: SimulatorRequest, fields: Fields): Session {
  const { state, settings, now } = context;
  const application = requireClient(context, fields);
  const code = fields['code'] ?? '';
  const issued = state.oauth.codes.get(code);
  state.oauth.codes.delete(code);
  if (issued?.request.application !== application || issued.expiresAt <= now()) {
    throw new TokenError('invalid_grant', 'The provided authorization code is invalid');
  }
  const { request, user } = issued;
  if (fields['redirect_uri'] !== request.redirectUri) {
    throw new TokenError('invalid_grant', 'The provided redirect_uri is invalid');
  }
  const verifier = fields['code_verifier'] ?? '';
  if (verifier.length < 43) recordFailure('a code verifier that is shorter than RFC 7636 allows');
  if (!isVerified(request.challengeMethod, request.challenge, verifier)) {
    throw new TokenError('invalid_grant', 'The provided code_verifier is invalid');
  }
  const { scopes, redirectUri } = request;
  return beginSession(state.oauth, { application, user, scopes, redirectUri }, settings, now());
}

function isVerified(method: string, challenge: string, verifier: string): boolean {
  if (challenge === '') return true;
  return (
    (method === 'S256' ? createHash('sha256').update(verifier).digest('base64url') : verifier) === challenge
  );
}

/** Ends the old access token with the old refresh token. */
function refresh(context: DcContext, fields: Fields): Session {
  const { state, settings, now } = context;
  const application = requireClient(context, fields);
  const session = findRefresh(state.oauth, fields['refresh_token'] ?? '', now());
  if (session?.application !== application) {
    throw new TokenError('invalid_grant', 'The provided refresh_token is invalid');
  }
  const redirectUri = fields['redirect_uri'];
  const isRedirectRight = redirectUri === session.redirectUri;
  if (redirectUri === undefined ? settings.refreshNeedsRedirect : !isRedirectRight) {
    throw new TokenError('invalid_request', 'The provided redirect_uri is invalid');
  }
  state.oauth.sessions.delete(session);
  return beginSession(state.oauth, session, settings, now());
}

/** `POST …/revoke`: ends a sign-in by either of its tokens (RFC 7009); unknown ones are answered alike. */
export function revoke(context: DcContext, request: SimulatorRequest): PlainAnswer {
  const fields = readForm(request);
  const { sessions } = context.state.oauth;
  try {
    const application = requireClient(context, fields);
    const secret = fields['token'] ?? '';
    if (secret === '') throw new TokenError('invalid_request', 'The token is missing');
    for (const session of sessions) {
      const isMeant = session.accessToken === secret || session.refreshToken === secret;
      if (isMeant && session.application === application) sessions.delete(session);
    }
    return { status: 200, json: {} };
  } catch (error) {
    if (error instanceof TokenError) return toAnswer(error);
    throw error;
  }
}
