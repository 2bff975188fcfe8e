import type { SentAuthorization, SimulatorRequest } from '../routes.ts';
import { Refusal, refuse } from './call.ts';
import type { Actor, CredentialLimits, DcContext } from './call.ts';
import { findAccess } from './oauth-state.ts';
import { limitsOfScopes } from './scopes.ts';
import { levels } from './state.ts';
import { findLiveToken, levelOf, type DcToken } from './token-state.ts';

/** Where a credential is shown: git and REST differ in what they take as a password. */
type Surface = 'rest' | 'git' | 'page';

const unlimited: CredentialLimits = {
  repository: levels.admin,
  project: levels.admin,
  account: true,
  administration: true,
};

/**
 * Finds out who sent a request (`providers/bitbucket-data-center.md` §2, §10). A dead or unknown Bearer token is
 * no error: its sender is a stranger.
 *
 * @throws Refusal 401 for a wrong password, 403 where Basic is switched off
 */
export function authenticate(context: DcContext, request: SimulatorRequest, surface: Surface): Actor | null {
  checkManners(request, surface);
  const { authorization } = request;
  if (!authorization) return null;
  const isTokenTaken = surface !== 'page' || !context.behaviour.confinesTokens;
  switch (authorization.scheme) {
    case 'basic':
      return identifyBasic(context, authorization, surface, isTokenTaken);
    case 'bearer':
      return isTokenTaken ? identifyBearer(context, authorization.secret) : null;
    case 'token':
    case 'other':
      request.recordFailure('an authorization that is neither Bearer nor Basic');
      return null;
  }
}

function checkManners(request: SimulatorRequest, surface: Surface): void {
  for (const name of ['access_token', 'token', 'client_secret']) {
    if (request.query.has(name)) request.recordFailure(`a credential in the query: ${name}`);
  }
  if (surface === 'rest' && !request.headers['user-agent']?.startsWith('gitlink/')) {
    request.recordFailure('a User-Agent that does not begin with "gitlink/"');
  }
}

function identifyBearer(context: DcContext, secret: string): Actor | null {
  const token = findLiveToken(context.state, secret, context.now());
  return token ? actAs(context, token) : identifyOAuth(context, secret);
}

function actAs({ now }: DcContext, token: DcToken): Actor {
  token.lastAuthenticatedAt = now();
  const limits = {
    repository: levelOf(token.permissions, 'REPO'),
    project: levelOf(token.permissions, 'PROJECT'),
    account: false,
    administration: false,
  };
  return { user: token.user, kind: 'token', token, limits };
}

function identifyOAuth({ state, now }: DcContext, secret: string): Actor | null {
  const access = findAccess(state.oauth, secret, now());
  if (!access?.user.active) return null;
  return { user: access.user, kind: 'oauth', token: null, limits: limitsOfScopes(access.scopes) };
}

function identifyBasic(
  context: DcContext,
  { username, password }: { readonly username: string; readonly password: string },
  surface: Surface,
  isTokenTaken: boolean,
): Actor | null {
  const { state, settings, behaviour, now } = context;
  const isAllowed = surface === 'git' ? settings.allowsBasicAtGit : settings.allowsBasicAtRest;
  if (!isAllowed && behaviour.canBlockBasic) {
    const message = 'Basic Authentication has been disabled on this instance.';
    throw new Refusal({ status: 403, json: { message } });
  }
  // git may show the access token of a sign-in beside any name.
  const oauth = surface === 'git' ? identifyOAuth(context, password) : null;
  if (oauth) return oauth;
  const user = state.findUser(username);
  if (!user?.active || user.type === 'SERVICE') throw refusePassword();
  if (user.failedLogins >= settings.maxFailedLogins) throw refuseCaptcha(context);
  const token = findLiveToken(state, password, now());
  if (isTokenTaken && token?.user === user) return actAs(context, token);
  if (user.password !== null && user.password === password) {
    user.failedLogins = 0;
    return { user, kind: 'password', token: null, limits: unlimited };
  }
  user.failedLogins += 1;
  throw refusePassword();
}

function refusePassword(): Refusal {
  return refuse(
    401,
    'Authentication failed. Please check your credentials and try again.',
    'com.atlassian.bitbucket.auth.IncorrectPasswordAuthenticationException',
  );
}

function refuseCaptcha({ baseUrl }: DcContext): Refusal {
  const { answer } = refuse(
    401,
    'CAPTCHA required. Your Bitbucket account has been marked as requiring a CAPTCHA to be solved before you may log in again.',
    'com.atlassian.bitbucket.auth.CaptchaRequiredAuthenticationException',
  );
  const reason = `CAPTCHA_CHALLENGE; login-url=${baseUrl()}/login`;
  return new Refusal({ ...answer, headers: { 'x-authentication-denied-reason': reason } });
}

/** The secret of an authorization, whatever way; empty for none. */
export function secretOf(authorization: SentAuthorization): string {
  if (authorization.scheme === 'other') return '';
  return authorization.scheme === 'basic' ? authorization.password : authorization.secret;
}
