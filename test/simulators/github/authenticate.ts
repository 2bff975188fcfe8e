import type { SentAuthorization, SimulatorRequest } from '../routes.ts';
import { looksLikeJwt, verifyJwt } from './app-jwt.ts';
import { refuse, refuseCredentials, refuseResource, type Actor, type GithubContext } from './call.ts';
import type { Need } from './call.ts';
import { isAlive, type GithubToken } from './token-state.ts';

/** Counts wrong credentials; too many and good ones are refused too. */
interface FailedLogins {
  isOver(context: GithubContext): boolean;
  note(context: GithubContext): void;
}

const hourMs = 3_600_000;

export function createFailedLogins(): FailedLogins {
  let times: number[] = [];
  return {
    isOver: ({ settings, now }) => {
      times = times.filter((time) => now() - time < hourMs);
      return times.length >= settings.maxFailedLogins;
    },
    note: ({ now }) => void times.push(now()),
  };
}

/**
 * Finds out who sent a request, and whether such a credential may be used here at all.
 *
 * @throws Refusal 401, 403
 */
export function authenticate(
  context: GithubContext,
  request: SimulatorRequest,
  need: Need,
  failed: FailedLogins,
): Actor {
  const actor = identify(context, request, failed);
  if (actor.kind === 'nobody') {
    if (need.who === 'anyone' && !context.settings.privateMode) return actor;
    const isApp = need.who === 'app';
    throw refuse(401, isApp ? 'A JSON web token could not be decoded' : 'Requires authentication', {
      page: need.page,
    });
  }
  if (need.who === 'app' && actor.kind !== 'app') throw refuse(401, 'A JSON web token could not be decoded');
  if (need.who !== 'app' && actor.kind === 'app' && need.who !== 'anyone') {
    request.recordFailure('an app that speaks for itself where somebody must');
    throw refuse(401, 'Requires authentication', { page: need.page });
  }
  if (actor.kind !== 'token') return actor;
  if (need.who === 'user' && !actor.user) throw refuseResource({ actor, need });
  if (need.who === 'installation' && actor.token.kind !== 'installation') {
    throw refuse(
      403,
      'You must authenticate with an installation access token in order to list repositories.',
      {
        page: need.page,
      },
    );
  }
  actor.token.lastUsedAt = new Date(context.now());
  return actor;
}

function identify(context: GithubContext, request: SimulatorRequest, failed: FailedLogins): Actor {
  const { authorization } = request;
  if (!authorization) return { kind: 'nobody' };
  if (failed.isOver(context)) {
    throw refuse(403, 'Maximum number of login attempts exceeded. Please try again later.');
  }
  if (authorization.scheme !== 'bearer') {
    request.recordFailure(`an API request with ${authorization.scheme} authorization`);
  }
  const secret = secretOf(authorization);
  if (looksLikeJwt(secret)) {
    // Of the two words that tokens go with, signed requests take one.
    if (authorization.scheme !== 'bearer') throw refuse(401, 'A JSON web token could not be decoded');
    return { kind: 'app', app: verifyJwt(context, secret) };
  }
  const token = context.state.tokens.get(secret);
  if (token && isAlive(token, context.now()) && token.installation?.suspendedAt) {
    throw refuse(403, 'This installation has been suspended');
  }
  if (!token || !isUsable(context, token)) {
    failed.note(context);
    throw refuseCredentials();
  }
  return { kind: 'token', token, user: token.user };
}

/** Whether a token is good, here and now. */
export function isUsable({ settings, now }: GithubContext, token: GithubToken): boolean {
  if (!isAlive(token, now()) || token.user?.isSuspended) return false;
  if (token.installation?.suspendedAt) return false;
  const lagMs = token.kind === 'installation' ? settings.replicationLagMs : 0;
  return now() - token.createdAt.getTime() >= lagMs;
}

/** The secret of an authorization, whatever way; empty for none. */
export function secretOf(authorization: SentAuthorization): string {
  if (authorization.scheme === 'other') return '';
  return authorization.scheme === 'basic' ? authorization.password : authorization.secret;
}
