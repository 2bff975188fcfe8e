import type { SentAuthorization, SimulatorRequest } from '../routes.ts';
import { isRecord, refuseToken, type Actor, type BitbucketContext } from './call.ts';
import { findDefect, type BitbucketToken } from './token-state.ts';

/**
 * Finds out who sent an API request: API tokens by Basic with the e-mail address, all others by Bearer.
 *
 * @returns null for an anonymous request.
 * @throws Refusal 401 for everything else.
 */
export function authenticate(context: BitbucketContext, request: SimulatorRequest): Actor | null {
  const { authorization, body, query } = request;
  const isInBody = isRecord(body) && 'access_token' in body;
  if (query.has('access_token') || isInBody) {
    request.recordFailure('a token in the query or the body');
    throw refuseToken();
  }
  if (!authorization) return null;
  const token = findToken(context, authorization);
  if (!token || !isRightForm(token, authorization)) throw refuseToken();
  const defect = findDefect(token, context.now());
  if (defect === 'expired' && token.kind === 'oauth') {
    throw refuseToken('Access token expired. Use your refresh token to obtain a new access token.');
  }
  if (defect !== null) throw refuseToken();
  return { token, user: token.user };
}

/** The token that an authorization carries, good or not. */
export function findToken(
  { state }: Pick<BitbucketContext, 'state'>,
  authorization: SentAuthorization,
): BitbucketToken | undefined {
  if (authorization.scheme === 'other') return undefined;
  return state.tokens.get(authorization.scheme === 'basic' ? authorization.password : authorization.secret);
}

function isRightForm({ kind, user }: BitbucketToken, authorization: SentAuthorization): boolean {
  if (kind === 'api') return authorization.scheme === 'basic' && authorization.username === user?.email;
  return authorization.scheme === 'bearer';
}

const credentialTypes = {
  api: 'api_token',
  repository: 'repo_access_token',
  project: 'project_access_token',
  workspace: 'workspace_access_token',
} as const;

/** What `x-credential-type` says; null for no header. */
export function credentialTypeOf({ settings }: BitbucketContext, { kind }: BitbucketToken): string | null {
  if (kind === 'oauth') return settings.oauthCredentialType;
  return kind === 'appPassword' ? null : credentialTypes[kind];
}
