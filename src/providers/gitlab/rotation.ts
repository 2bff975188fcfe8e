import { AuthError, InternalError } from '../../errors.ts';
import { HostAnswerError } from '../../http/host-answer-error.ts';
import type { Route } from '../../http/host-client.ts';
import { route } from '../../http/route.ts';
import { Secret } from '../../secret.ts';
import { narrow } from '../narrow.ts';
import { signInKind, type HostAccess, type Rotation } from '../provider.ts';
import { toExpiry, toTokenOwner } from './convert.ts';
import * as schemas from './schemas.ts';
import { fetchOwnToken, isAlive, toGrantsUrl, toTokensUrl } from './tokens.ts';

const dayMs = 86_400_000;
/** The most that GitLab gives by default. */
const longestDays = 365;

/**
 * Replaces a token by itself. The old one dies with the answer, and the new one stands in it alone. A dead token
 * is never sent there: GitLab takes that for a theft and ends every token that came of it, the living one too.
 *
 * @see https://docs.gitlab.com/api/personal_access_tokens/#automatic-reuse-detection
 */
export async function rotate(
  access: HostAccess,
  wish: { readonly expiresAt: number | null },
): Promise<Rotation> {
  const { host, credential } = access;
  if (credential.kind === signInKind) {
    return impossible('a sign-in is renewed whenever it is needed', toGrantsUrl(host));
  }
  if (credential.kind === 'deploy-token') {
    return impossible('GitLab does not replace deploy tokens: make another in Settings > Repository', host);
  }
  const token = await fetchOwnToken(access);
  if (token === 'signIn')
    return impossible('another program signed in and got this token', toGrantsUrl(host));
  if (token !== 'unreadable' && !isAlive(token)) {
    throw new AuthError(`${host} says that this token is no longer active, so it cannot be replaced.`);
  }
  const today = Math.floor(access.now() / dayMs) * dayMs;
  const expiresAt =
    wish.expiresAt ?? today + (token === 'unreadable' ? longestDays : toLifeDays(token)) * dayMs;
  try {
    const { body } = await access.http.request({
      method: 'POST',
      route: toRotateRoute(access),
      // Left out, the new token would live for a week.
      json: { expires_at: toDate(expiresAt) },
      repeat: 'never',
    });
    return toRotation(body);
  } catch (error) {
    if (!(error instanceof HostAnswerError) || ![400, 403, 404, 405].includes(error.status)) throw error;
    const said = error.hostMessage === null ? '' : `: ${error.hostMessage}`;
    return impossible(`${host} refuses to replace this token (${error.status})${said}`, toTokensUrl(host));
  }
}

/** Tokens of projects and groups are replaced at their owner; the general address refuses them. */
function toRotateRoute({ account }: HostAccess): Route {
  const owner = toTokenOwner(account.login);
  if (owner === null || (account.kind !== 'project' && account.kind !== 'group')) {
    return route`/personal_access_tokens/self/rotate`;
  }
  return owner.kind === 'project'
    ? route`/projects/${owner.id}/access_tokens/self/rotate`
    : route`/groups/${owner.id}/access_tokens/self/rotate`;
}

/** As long a life as the old token was given, in days. */
function toLifeDays({ created_at: createdAt, expires_at: lastDay }: schemas.OwnToken): number {
  const life = (toExpiry(lastDay) ?? Number.NaN) - Date.parse(createdAt ?? '');
  const days = Math.ceil(life / dayMs);
  return Number.isNaN(days) ? longestDays : Math.min(Math.max(days, 1), longestDays);
}

function toDate(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

function toRotation(body: unknown): Rotation {
  try {
    const made = narrow(schemas.rotatedToken, body, 'the new token');
    return {
      outcome: 'rotated',
      token: new Secret(made.token),
      expiresAt: toExpiry(made.expires_at),
      endsOld: true,
    };
  } catch (error) {
    throw new InternalError('GitLab replaced the token, and its answer does not say by which.', {
      cause: error,
      hint: 'The old token is dead. Make a new one and give it to the link: gitlink relink',
    });
  }
}

function impossible(reason: string, pageUrl: string): Rotation {
  return { outcome: 'impossible', reason, pageUrl };
}
