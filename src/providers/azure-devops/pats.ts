import { createHash } from 'node:crypto';
import { AuthError, ForbiddenError, UnreachableError, assertTellable } from '../../errors.ts';
import type { HostClient, HostRequest, HostResponse } from '../../http/host-client.ts';
import { route } from '../../http/route.ts';
import { toPrintable } from '../../printable.ts';
import { Secret } from '../../secret.ts';
import { narrow } from '../narrow.ts';
import type { HostAccess, Revocation, Rotation, RotationWish } from '../provider.ts';
import { ask } from './ask.ts';
import { derive } from './claims.ts';
import { gitCredentialKind } from './git.ts';
import { toGrantsUrl, toIdentityBase, toTokensUrl } from './pages.ts';
import { isServer, requireOrganization } from './places.ts';
import * as schemas from './schemas.ts';
import { isEntraKind, servicePrincipalKind } from './scopes.ts';
import { identify } from './tokens.ts';

const dayMs = 86_400_000;
/** The most that the page gives. */
const longestDays = 365;
const pageLimit = 100;

/** What cannot be done by API, and where a person does it. */
interface Impossible {
  readonly outcome: 'impossible';
  readonly reason: string;
  readonly pageUrl: string;
}

/** The way to a person's tokens, and the one of them that is meant. */
interface Found {
  readonly outcome: 'found';
  readonly http: HostClient;
  readonly token: schemas.PatToken;
}

const way =
  'a sign-in of the same person can: link it with --method oauth --for admin, and name it with --via';

/**
 * Makes a new token like the old one, by the sign-in of the same person: a token can do nothing to tokens. The old
 * one lives on until it is revoked.
 *
 * @see https://learn.microsoft.com/rest/api/azure/devops/tokens/pats
 */
export async function rotate(access: HostAccess, wish: RotationWish): Promise<Rotation> {
  const found = await findToken(access, wish.via);
  if (found.outcome === 'impossible') {
    const isWayMissing = wish.via === undefined && !isEntraKind(access.credential.kind) && !isServer(access);
    return isWayMissing ? { ...found, reason: `${found.reason}; ${way}` } : found;
  }
  const { http, token } = found;
  const expiresAt = wish.expiresAt ?? access.now() + toLifeMs(token);
  const made = await send(access, http, 'POST', {
    displayName: 'gitlink',
    scope: token.scope,
    validTo: new Date(expiresAt).toISOString(),
    allOrgs: false,
  });
  if (!made.token) throw new ForbiddenError(`${access.host} made a token and did not show it.`);
  const secret = new Secret(made.token);
  await nameAfterItself(access, http, made, secret);
  const end = Date.parse(made.validTo ?? '');
  return {
    outcome: 'rotated',
    token: secret,
    expiresAt: Number.isNaN(end) ? expiresAt : end,
    endsOld: false,
  };
}

/** Ends a token by the sign-in of the same person. */
export async function revoke(access: HostAccess, via?: HostAccess): Promise<Revocation> {
  try {
    await identify(access);
  } catch (error) {
    if (error instanceof AuthError) return { outcome: 'alreadyDead' };
    throw error;
  }
  const found = await findToken(access, via);
  if (found.outcome === 'impossible') return found;
  const { authorizationId } = found.token;
  await sendTo(access, found.http, { method: 'DELETE', query: { authorizationId }, accept: [404] });
  return { outcome: 'revoked' };
}

/**
 * Finds out which of a person's tokens a secret is. The list does not tell, so it must be the only one, or be named
 * after its own digest, as those are that gitlink made.
 */
async function findToken(access: HostAccess, via: HostAccess | undefined): Promise<Found | Impossible> {
  const { credential, host, organization } = access;
  const pageUrl = toTokensUrl(host, organization);
  const impossible = (reason: string, url = pageUrl): Impossible => ({
    outcome: 'impossible',
    reason,
    pageUrl: url,
  });
  if (isEntraKind(credential.kind)) {
    return impossible('it is a token of Entra, which ends by itself within the hour', toGrantsUrl(host));
  }
  if (credential.kind === gitCredentialKind) {
    return impossible('a generated git credential is replaced on the page that made it');
  }
  if (via === undefined) return impossible('a token can neither end nor replace itself');
  if (!isEntraKind(via.credential.kind) || via.credential.kind === servicePrincipalKind) {
    return impossible('only the sign-in of a person may manage tokens, and --via names something else');
  }
  if (via.account.id !== access.account.id) {
    return impossible('--via names the sign-in of another account, or for another organization');
  }
  const http = await via.openBase(toIdentityBase(host));
  const tokens = await listTokens(access, http);
  const ownName = toOwnName(credential.token);
  const named = tokens.find(({ displayName }) => displayName === ownName);
  // Those that are named after other digests are others.
  const candidates = tokens.filter(({ displayName }) => !/^gitlink [0-9a-f]{8}$/.test(displayName ?? ''));
  const token = named ?? (candidates.length === 1 ? candidates[0] : undefined);
  if (token !== undefined) return { outcome: 'found', http, token };
  return impossible(
    `${candidates.length} tokens of this account could be it, and Azure DevOps does not tell which: name it "${ownName}" on the page, and run the command again`,
  );
}

/** A name that only whoever has the token can tell. */
function toOwnName(token: Secret): string {
  const digest = derive(token, (value) => createHash('sha256').update(value).digest('hex'));
  return `gitlink ${digest.slice(0, 8)}`;
}

/** So that it is found again; without that it works just as well. */
async function nameAfterItself(
  access: HostAccess,
  http: HostClient,
  { authorizationId, scope, validTo }: schemas.PatToken,
  token: Secret,
): Promise<void> {
  try {
    await send(access, http, 'PUT', {
      authorizationId,
      displayName: toOwnName(token),
      scope,
      validTo,
      allOrgs: false,
    });
  } catch (error) {
    assertTellable(error);
  }
}

function toLifeMs({ validFrom, validTo }: schemas.PatToken): number {
  const lifeMs = Date.parse(validTo ?? '') - Date.parse(validFrom ?? '');
  return Number.isNaN(lifeMs) ? longestDays * dayMs : Math.min(Math.max(lifeMs, dayMs), longestDays * dayMs);
}

/**
 * The living tokens of the person who signed in.
 *
 * @param http - The way to the organization's identities.
 * @throws ForbiddenError when the sign-in may not manage tokens.
 */
export async function listTokens(access: HostAccess, http: HostClient): Promise<readonly schemas.PatToken[]> {
  const found: schemas.PatToken[] = [];
  const seen = new Set<string>();
  for (let continuationToken: string | undefined; ;) {
    const query = { displayFilterOption: 'active', $top: 100, continuationToken };
    const { body } = await sendTo(access, http, { method: 'GET', query });
    const page = narrow(schemas.patTokens, body, 'the tokens');
    found.push(...page.patTokens);
    continuationToken = page.continuationToken || undefined;
    if (continuationToken === undefined) return found;
    if (seen.has(continuationToken) || seen.size >= pageLimit) {
      throw new UnreachableError(`${access.host} sends the same tokens again and again.`);
    }
    seen.add(continuationToken);
  }
}

/** Sends a change, whose answer of 200 may mean that it was refused. */
async function send(
  access: HostAccess,
  http: HostClient,
  method: 'POST' | 'PUT',
  json: Readonly<Record<string, unknown>>,
): Promise<schemas.PatToken> {
  const { body } = await sendTo(access, http, { method, json });
  const { patToken, patTokenError, patTokenErrorMessage } = narrow(schemas.patResult, body, 'the token');
  if (patToken && (patTokenError ?? 'none') === 'none') return patToken;
  const error = patTokenError ?? 'none';
  const said = patTokenErrorMessage ? `: ${toPrintable(patTokenErrorMessage, 200)}` : '';
  throw new ForbiddenError(
    refusals[error] ?? `Azure DevOps refuses the new token (${toPrintable(error, 60)})${said}`,
    {
      hint: `Make one on the page: ${toTokensUrl(access.host, access.organization)}`,
    },
  );
}

/** What stands in an answer of 200. */
const refusals: Readonly<Record<string, string>> = {
  globalPATCreationBlocked: 'Azure DevOps makes no tokens for all organizations at once any more.',
  globalPatPolicyViolation: 'A policy of the tenant forbids tokens for all organizations.',
  fullScopePatPolicyViolation: 'A policy of the tenant forbids tokens with full access, as the old one is.',
  patLifespanPolicyViolation:
    'A policy of the tenant allows shorter lives only: name a nearer day with --expires.',
  disablePatCreationPolicyViolation: 'A policy of the organization lets only some people make tokens.',
  invalidValidTo: 'Azure DevOps does not take that last day: a year is the most.',
};

/** @throws ForbiddenError when the sign-in may not manage tokens. */
async function sendTo(
  access: HostAccess,
  http: HostClient,
  request: Omit<HostRequest, 'route' | 'headers'>,
): Promise<HostResponse> {
  const answer = await ask(http, {
    ...request,
    route: route`/${requireOrganization(access)}/_apis/tokens/pats`,
    version: '7.1-preview.1',
    accept: [203, 401, 403, ...(request.accept ?? [])],
  });
  if (![203, 401, 403].includes(answer.status)) return answer;
  throw new ForbiddenError('The sign-in that --via names may not manage tokens.', {
    hint: 'It takes the permission vso.pats_manage: sign in again with gitlink relink LINK --method oauth --for admin',
  });
}
