import { AuthError, ForbiddenError, UsageError } from '../../errors.ts';
import { Secret } from '../../secret.ts';
import { narrow } from '../narrow.ts';
import {
  signInKind,
  type HostAccess,
  type Revocation,
  type Rotation,
  type RotationWish,
} from '../provider.ts';
import { isAccepted, send } from './ask.ts';
import { toGrantsUrl, toTokensUrlOf } from './pages.ts';
import * as schemas from './schemas.ts';
import { fetchRecord, findManaged, toTime } from './token-records.ts';

const dayMs = 86_400_000;

/**
 * Makes a token with the name, the permissions and as long a life as the old one has, which lives on until
 * {@link revoke}. Bitbucket lets no token do that, so another credential must: a sign-in of the owner's, or of an
 * administrator's of the project or repository.
 *
 * @see https://developer.atlassian.com/server/bitbucket/rest/v906/intro/
 */
export async function rotate(access: HostAccess, wish: RotationWish): Promise<Rotation> {
  const { host, credential, account } = access;
  if (credential.kind === signInKind) {
    const reason = 'a sign-in is renewed whenever it is needed';
    return { outcome: 'impossible', reason, pageUrl: toGrantsUrl(host) };
  }
  const pageUrl = toTokensUrlOf(host, account);
  const impossible = (reason: string): Rotation => ({ outcome: 'impossible', reason, pageUrl });
  const { via } = wish;
  if (via === undefined) {
    return impossible('Bitbucket lets no token make tokens; a link made by signing in may: --via LINK');
  }
  if (via.host !== host) throw new UsageError(`The link that --via names must be one of ${host}.`);
  const managed = await findManaged(credential.token, account, via);
  const record = managed && (await fetchRecord(via, managed));
  if (managed === null || record === null)
    return impossible('the other link does not see this token among those of its owner');
  const { name, permissions } = record;
  if (!permissions || permissions.length === 0) {
    return impossible('the server does not tell what this token may do, so that another could be made alike');
  }
  const days = toLifeDays(record, wish.expiresAt, access.now());
  const { body } = await send(
    via,
    {
      method: 'PUT',
      route: managed.tokens,
      json: { name, permissions, ...(days === null ? {} : { expiryDays: days }) },
      // Each one makes a token.
      repeat: 'never',
    },
    managed.http,
  );
  const made = narrow(schemas.madeAccessToken, body, 'the new token');
  const promised = days === null ? null : access.now() + days * dayMs;
  const expiresAt = toTime(made.expiryDate) ?? promised;
  return { outcome: 'rotated', token: new Secret(made.token), expiresAt, endsOld: false };
}

/**
 * Deletes a token.
 *
 * @param via - Another credential of the host that may manage the token; without, the token tries by itself, which
 * no server is known to allow.
 */
export async function revoke(access: HostAccess, via: HostAccess = access): Promise<Revocation> {
  const pageUrl = toTokensUrlOf(access.host, access.account);
  try {
    const managed = await findManaged(access.credential.token, access.account, via);
    if (managed === null) {
      return { outcome: 'impossible', reason: "nobody can say which of its owner's tokens it is", pageUrl };
    }
    const request = { method: 'DELETE', route: managed.token, accept: [404] } as const;
    const { status } = await send(via, request, managed.http);
    if (status !== 404) return { outcome: 'revoked' };
    // The same is said of a place that the other credential may not see.
    if (!(await isAccepted(access))) return { outcome: 'alreadyDead' };
    return { outcome: 'impossible', reason: 'the token is not to be seen where it should be', pageUrl };
  } catch (error) {
    if (error instanceof ForbiddenError) {
      const reason = via === access ? 'Bitbucket lets no token delete tokens' : error.message;
      return { outcome: 'impossible', reason, pageUrl };
    }
    if (error instanceof AuthError && via === access) return { outcome: 'alreadyDead' };
    throw error;
  }
}

/** Null for a token without an end. */
function toLifeDays(old: schemas.AccessToken, expiresAt: number | null, now: number): number | null {
  const [begin, end] = [toTime(old.createdDate), toTime(old.expiryDate)];
  const lifeMs = begin === null || end === null ? null : end - begin;
  const wantedMs = expiresAt === null ? lifeMs : expiresAt - now;
  return wantedMs === null ? null : Math.max(1, Math.ceil(wantedMs / dayMs));
}
