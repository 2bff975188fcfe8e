import type { SentAuthorization, SimulatorRequest } from '../routes.ts';
import { Refusal, refuse, type Actor, type GiteaContext } from './call.ts';
import { findLiveToken } from './oauth-state.ts';
import type { GiteaState, GiteaToken } from './state.ts';

/**
 * Finds out who sent a request, by token (header or Basic) or by password.
 *
 * @returns `null` for an anonymous request.
 * @throws Refusal 401 for a wrong credential; 403 for an anonymous one where signing in is required.
 */
export function authenticate(context: GiteaContext, request: SimulatorRequest): Actor | null {
  if (request.query.has('token') || request.query.has('access_token')) {
    request.recordFailure('a token in the query');
  }
  const actor = request.authorization ? identify(context, request, request.authorization) : null;
  if (!actor && context.settings.requireSignIn) {
    throw new Refusal({ status: 403, json: { message: 'Only signed in user is allowed to call APIs.' } });
  }
  if (actor?.token) actor.token.lastUsedAt = new Date();
  return actor;
}

function identify(
  context: GiteaContext,
  request: SimulatorRequest,
  authorization: SentAuthorization,
): Actor | null {
  if (authorization.scheme === 'other') {
    request.recordFailure('an authorization header that cannot be read');
    return null;
  }
  const token = findToken(context.state, authorization);
  if (token) return { user: token.user, token, isBasic: authorization.scheme === 'basic' };
  if (authorization.scheme !== 'basic') throw refuse(context, 401, context.behaviour.invalidTokenMessage);
  return signIn(context, request, authorization.username, authorization.password);
}

function signIn(
  context: GiteaContext,
  request: SimulatorRequest,
  username: string,
  password: string,
): Actor | null {
  if (!context.settings.enableBasicAuthentication) return null;
  const user = context.state.findOwner(username);
  if (user?.kind !== 'user' || user.password === null || user.password !== password) {
    throw refuse(context, 401, context.behaviour.invalidTokenMessage);
  }
  const { otpHeader } = context.behaviour;
  const otp = request.headers[otpHeader] ?? request.headers['x-gitea-otp'];
  if (user.otp !== null && otp !== user.otp) throw refuse(context, 401, 'invalid provided OTP');
  return { user, token: null, isBasic: true };
}

/**
 * The token that an authorization carries: as bearer, or in Basic as the password, or as the user name beside an
 * empty password or `x-oauth-basic`.
 */
export function findToken(state: GiteaState, authorization: SentAuthorization): GiteaToken | undefined {
  if (authorization.scheme === 'other') return undefined;
  if (authorization.scheme !== 'basic') return findLiveToken(state, authorization.secret);
  const { username, password } = authorization;
  return findLiveToken(state, password === '' || password === 'x-oauth-basic' ? username : password);
}
