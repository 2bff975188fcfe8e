import type { SentAuthorization, SimulatorRequest } from '../routes.ts';
import { refuse, refuseToken } from './call.ts';
import type { Actor, GitlabContext, Need, Refusal } from './call.ts';
import { isExpired, revokeFamily } from './token-state.ts';

const rotatePath = /access_tokens\/(self|\d+)\/rotate$/;
const credentialParameters = ['private_token', 'access_token', 'job_token', 'oauth_token'];
const credentialHeaders = ['private-token', 'job-token', 'deploy-token'];

/**
 * Finds out who sent a request, and whether its credential may do what the route does
 * (`providers/gitlab.md` §2.5, §9). gitlink sends `Authorization: Bearer`; other ways that the servers have are
 * answered as they do, and fail the test.
 *
 * @throws Refusal 401, 403
 */
export async function authenticate(
  context: GitlabContext,
  request: SimulatorRequest,
  need: Need,
): Promise<Actor> {
  checkManners(request);
  const actor = await identify(context, request);
  if (!actor) throw refuse(401, '401 Unauthorized');
  if (actor.token && actor.token.revoked) {
    if (context.behaviour.detectsReuse && rotatePath.test(request.path))
      revokeFamily(context.state, actor.token);
    throw refuseDead('revoked');
  }
  requireScope(actor, need);
  if (actor.token?.kind === 'impersonation' && !context.settings.impersonation) {
    throw refuseToken(
      401,
      'invalid_token',
      'Token is an impersonation token but impersonation was disabled.',
    );
  }
  if (actor.user.state === 'blocked') throw refuse(403, '403 Forbidden - Your account has been blocked.');
  if (actor.token) actor.token.lastUsedAt = new Date(context.now());
  return actor;
}

function checkManners(request: SimulatorRequest): void {
  const name = credentialParameters.find((parameter) => request.query.has(parameter));
  if (name !== undefined) request.recordFailure(`a credential in the query: ${name}`);
  const header = credentialHeaders.find((candidate) => request.headers[candidate] !== undefined);
  if (header !== undefined) request.recordFailure(`a credential in the header ${header}`);
  if (request.authorization && request.authorization.scheme !== 'bearer') {
    request.recordFailure(`an API request with ${request.authorization.scheme} authorization`);
  }
  if (!request.headers['user-agent']?.startsWith('gitlink/')) {
    request.recordFailure('a User-Agent that does not begin with "gitlink/"');
  }
}

async function identify(context: GitlabContext, request: SimulatorRequest): Promise<Actor | null> {
  const { authorization } = request;
  const bearer = authorization?.scheme === 'bearer' ? authorization.secret : undefined;
  const secret = bearer ?? request.headers['private-token'];
  if (typeof secret !== 'string') return null;
  const token = context.state.tokens.get(secret);
  if (token) {
    if (token.kind === 'deploy') return null;
    if (isExpired(token, context.now())) throw refuseDead('expired');
    return { user: token.user, token, scopes: token.scopes };
  }
  // OAuth tokens count in the Authorization header only.
  const grant = bearer === undefined ? 'unknown' : await context.grants.findAccess(bearer);
  if (grant === 'unknown') return null;
  if (grant === 'expired' || grant === 'revoked') throw refuseDead(grant);
  return { user: grant.user, token: null, scopes: grant.scopes };
}

function refuseDead(state: 'expired' | 'revoked'): Refusal {
  return refuseToken(
    401,
    'invalid_token',
    state === 'expired'
      ? 'Token is expired. You can either do re-authorization or token refresh.'
      : 'Token was revoked. You have to re-authorize from the user.',
  );
}

function requireScope({ token, scopes }: Actor, need: Need): void {
  if (token?.granularScopes) {
    if (need.permission === null || need.boundary === 'resource') return;
    const { boundary, permission } = need;
    const isGranted = token.granularScopes.some(
      (scope) => scope.access === boundary && scope.permissions.includes(permission),
    );
    if (!isGranted) throw refusePermission(permission);
    return;
  }
  if (need.scopes === 'any' || need.scopes.some((scope) => scopes.includes(scope))) return;
  throw refuseToken(
    403,
    'insufficient_scope',
    'The request requires higher privileges than provided by the access token.',
    need.scopes.join(' '),
  );
}

/** What a fine-grained token is told that lacks a permission. */
export function refusePermission(permission: string): Refusal {
  return refuseToken(
    403,
    'insufficient_granular_scope',
    `Access denied: Your Personal Access Token lacks the required permissions: [${permission}].`,
  );
}

/** The secret of an authorization, whatever way; empty for none. */
export function secretOf(authorization: SentAuthorization): string {
  if (authorization.scheme === 'other') return '';
  return authorization.scheme === 'basic' ? authorization.password : authorization.secret;
}
