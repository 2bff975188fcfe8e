import { AuthError, ForbiddenError, UnreachableError, UsageError, type GitlinkError } from '../../errors.ts';
import type { Authorization, HostResponse } from '../../http/host-client.ts';
import { route } from '../../http/route.ts';
import type { Secret } from '../../secret.ts';
import { narrow } from '../narrow.ts';
import type { SignInPlace } from '../oauth-support.ts';
import {
  signInKind,
  type Account,
  type Capability,
  type Credential,
  type HostAccess,
  type Identity,
  type Revocation,
  type Rotation,
  type TokenPage,
  type TokenShape,
} from '../provider.ts';
import { apiTokenKind } from './git.ts';
import { cloudHost, toAccessTokensUrl, toApiTokensUrl, toGrantsUrl } from './pages.ts';
import { anyAccessToken, findAccessToken, findPlace, isUserless } from './places.ts';
import { isScopeMissing, readRefusal, type Refusal } from './refusals.ts';
import * as schemas from './schemas.ts';
import { parseScopes, toLeastScopes } from './scopes.ts';

/** A sign-in's token that another program obtained and a person pasted: gitlink cannot renew it. */
const pastedSignInKind = 'oauth-token';

/**
 * Judges a token by its prefix, which decides how it travels. The three kinds of access tokens look alike, and so do
 * API tokens of other Atlassian products; what has no prefix can only be a sign-in's.
 */
export function recogniseToken(token: Secret): TokenShape {
  if (token.matches(/^ATATT3/)) return { use: 'api', kind: apiTokenKind, companion: 'email' };
  if (token.matches(/^ATCTT3/)) return { use: 'api', kind: anyAccessToken };
  if (token.matches(/^ATBB/)) {
    return {
      use: 'none',
      what: 'an app password, which Bitbucket switched off on 2026-07-28',
      hint: `Make an API token with scopes instead: ${toApiTokensUrl(cloudHost)}`,
    };
  }
  if (token.matches(/^BBDC-/)) {
    return {
      use: 'none',
      what: 'an access token of Bitbucket Data Center',
      hint: 'Link that server: gitlink link bitbucket-dc --host HOST',
    };
  }
  return { use: 'api', kind: pastedSignInKind };
}

/** API tokens are passwords beside the e-mail address of their account; everything else is a bearer token. */
export function toAuthorization({ kind, token, username }: Credential): Authorization {
  if (kind !== apiTokenKind) return { scheme: 'Bearer', secret: token };
  if (username !== undefined) return { scheme: 'Basic', username, secret: token };
  throw new UsageError('A Bitbucket API token goes with the e-mail address of its Atlassian account.', {
    hint: 'Name it with --email',
  });
}

/**
 * Verifies a credential by asking for its account. Access tokens have none and are refused, but the headers of that
 * very refusal tell what they are.
 */
export async function identify(access: HostAccess): Promise<Identity> {
  const { credential, host } = access;
  const { answer, refusal } = await askAccount(access);
  const type = answer.headers.get('x-credential-type');
  if (answer.status === 403 && refusal === null && type === null) throw createForeignError(host, 403);
  const told = findAccessToken(type, credential.kind);
  const scopes = parseScopes(answer.headers.get('x-oauth-scopes') ?? refusal?.granted?.join(' '));
  const common = { scopes, expiresAt: null };
  if (told !== null) {
    const account = await findPlace(access, told.place);
    return { ...common, account, credentialKind: told.kind, isExpiryHidden: true };
  }
  const { kind: credentialKind } = credential;
  const isEnding = credentialKind === apiTokenKind || isUserless(credentialKind);
  const known = { ...common, credentialKind, ...(isEnding ? { isExpiryHidden: true } : {}) };
  if (answer.status === 200) {
    return { ...known, account: toAccount(narrow(schemas.user, answer.body, 'the account')) };
  }
  if (isScopeMissing(refusal?.text ?? null)) {
    return { ...known, account: { login: null, kind: 'unknown', id: null } };
  }
  throw new ForbiddenError(`${host} knows this credential and refuses it: ${refusal?.text ?? 'no reason'}`, {
    hint: `Sign in at ${host} with a browser to see what the account or its workspace demands.`,
  });
}

/** @throws AuthError when the host refuses the credential. */
async function askAccount(access: HostAccess) {
  const answer = await access.http.request({ method: 'GET', route: route`/user`, accept: [401, 403] });
  const refusal = answer.status === 200 ? null : readRefusal(answer.body);
  if (answer.status === 401) throw toRefusalError(access, answer, refusal);
  return { answer, refusal };
}

function toAccount({ uuid, type, username, nickname }: schemas.User): Account {
  return { login: username ?? nickname ?? null, kind: type === 'app_user' ? 'bot' : 'user', id: uuid };
}

/** Says what a 401 means. One that is not in Bitbucket's words says nothing about the credential. */
function toRefusalError(access: HostAccess, answer: HostResponse, refusal: Refusal | null): GitlinkError {
  const realm = answer.headers.get('www-authenticate') ?? '';
  const { credential, host, account } = access;
  if (refusal === null && !realm.includes('Bitbucket.org')) return createForeignError(host, answer.status);
  const isExpired = /token expired/i.test(refusal?.text ?? '');
  const reason = isExpired ? 'it has expired' : 'it is wrong, has expired or was revoked';
  if (credential.kind === apiTokenKind) {
    return new AuthError(
      `${host} does not accept this API token: ${reason}, or it does not fit the e-mail address.`,
      {
        hint: `--email takes the address of the Atlassian account, not its user name, and the token must be an "API token with scopes" for the app Bitbucket, which ends after a year at most. Make one at ${toApiTokensUrl(host)}`,
      },
    );
  }
  if (isUserless(credential.kind)) {
    return new AuthError(`${host} does not accept this access token: ${reason}.`, {
      hint: `It ends with its repository, project or workspace, too, and an API key of an Atlassian organization only looks like one. Make a new one at ${toAccessTokensUrl(host, account)}`,
    });
  }
  if (credential.kind === signInKind) {
    return new AuthError(`${host} does not accept this sign-in any more: it has expired or was revoked.`, {
      hint: 'Sign in again with: gitlink relink',
    });
  }
  return new AuthError(`${host} does not accept this token: ${reason}.`, {
    hint: `The token of a sign-in ends within hours. See ${toGrantsUrl(host)}, and sign in with gitlink itself: --method oauth`,
  });
}

function createForeignError(host: string, status: number): UnreachableError {
  return new UnreachableError(
    `${host} answered ${status} without a word of Bitbucket's: something is in between.`,
    {
      hint: 'A proxy or a sign-in page? Open the address in a browser to see what answers there.',
    },
  );
}

/** Nothing that a person pastes can be ended by API; but what is dead already needs nobody to go to its page. */
export async function revoke(access: HostAccess): Promise<Revocation> {
  try {
    await askAccount(access);
  } catch (error) {
    if (error instanceof AuthError) return { outcome: 'alreadyDead' };
    throw error;
  }
  return toImpossible(access, 'ended');
}

/** Nor can it be replaced. */
export function rotate(access: HostAccess): Promise<Rotation> {
  return Promise.resolve(toImpossible(access, 'replaced'));
}

/** Where a person ends or replaces a token. */
export function toCredentialPage(host: string, account: Account, kind: string): string {
  if (kind === apiTokenKind) return toApiTokensUrl(host);
  return isUserless(kind) ? toAccessTokensUrl(host, account) : toGrantsUrl(host);
}

function toImpossible({ host, account, credential }: HostAccess, what: 'ended' | 'replaced') {
  const outcome = 'impossible' as const;
  const { kind } = credential;
  const pageUrl = toCredentialPage(host, account, kind);
  if (kind === apiTokenKind) {
    const reason = `an API token is ${what} on the page of the Atlassian account only`;
    return { outcome, reason, pageUrl };
  }
  if (isUserless(kind)) {
    const word = what === 'ended' ? 'Revoke' : 'Rotate';
    const reason = `an access token is ${what} in the settings of what it is of only (Security > Access tokens > ${word})`;
    return { outcome, reason, pageUrl };
  }
  const reason = 'another program signed in and got this token: end that sign-in there';
  return { outcome, reason, pageUrl };
}

export function toTokenPage({ host }: SignInPlace, capabilities: readonly Capability[]): TokenPage {
  const scopes = toLeastScopes(capabilities, 'apiToken').join(', ');
  return {
    url: toApiTokensUrl(host),
    instructions: `Choose "Create API token with scopes", name it "gitlink", give it a last day within a year, the app Bitbucket, and the scopes ${scopes}. It goes with the e-mail address of the Atlassian account: --email`,
  };
}
