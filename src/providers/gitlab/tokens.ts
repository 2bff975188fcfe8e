import { AuthError, UnsupportedError } from '../../errors.ts';
import { route } from '../../http/route.ts';
import type { Secret } from '../../secret.ts';
import { narrow } from '../narrow.ts';
import type { SignInPlace } from '../oauth-support.ts';
import {
  signInKind,
  type Account,
  type Capability,
  type HostAccess,
  type Identity,
  type Revocation,
  type TokenPage,
  type TokenShape,
} from '../provider.ts';
import { toAccount, toExpiry } from './convert.ts';
import { pastedSignInKind } from './git.ts';
import { ask, isGranular, lacksScope, toRefusalError, wantsPersonalToken } from './refusals.ts';
import * as schemas from './schemas.ts';
import { toLeastScopes } from './scopes.ts';

/** Tokens by their type's prefix, after which comes the instance's own, if it has one. */
const deployToken = toPattern('gldt');
const personalToken = toPattern('glpat');

/** Tokens that serve none of gitlink's purposes, and what to do instead of pasting them. */
const otherTokens: readonly (readonly [prefix: string, what: string, hint?: string])[] = [
  [
    'gloas',
    'the secret of an OAuth application',
    'Register the application, then sign in: gitlink client add gitlab --client-id ID --with-secret',
  ],
  [
    'glcbt',
    "a CI job's token, which ends with its job",
    'In a job, clone with the URL that GitLab sets up there.',
  ],
  ['glptt', 'a token that triggers pipelines'],
  ['glrtr?', 'the token of a runner'],
  ['glft', 'the token of feeds and calendars'],
  ['glimt', 'the token of an address for incoming mail'],
  ['glagent', 'the token of a Kubernetes agent'],
  ['glsoat', 'a token for SCIM'],
  ['glffct', 'the token of a client of feature flags'],
  ['glwt', 'the token of a workspace'],
];

/** @see https://docs.gitlab.com/security/tokens/#token-prefixes */
function toPattern(prefix: string): RegExp {
  return new RegExp(`^(?:[\\w.-]{1,40}-)?${prefix}-`);
}

/**
 * Judges a token by its prefix. Personal, project, group and service account tokens look alike, administrators
 * may give them another prefix, and a sign-in's token has none: all that is not known is worth asking the host.
 */
export function recogniseToken(token: Secret): TokenShape {
  const api: TokenShape = { use: 'api', kind: 'personal-access-token' };
  if (token.matches(personalToken)) return api;
  if (token.matches(deployToken)) return { use: 'git', kind: 'deploy-token' };
  const other = otherTokens.find(([prefix]) => token.matches(toPattern(prefix)));
  if (!other) return api;
  const [, what, hint = 'Paste a personal, project or group access token.'] = other;
  return { use: 'none', what, hint };
}

const unknownAccount: Account = { login: null, kind: 'unknown', id: null };

const tokenKinds: Readonly<Partial<Record<Account['kind'], string>>> = {
  project: 'project-access-token',
  group: 'group-access-token',
  serviceAccount: 'service-account-token',
};

/**
 * Verifies a credential by asking for the token itself, which any scope may, then for its account, which one
 * that serves git alone may not.
 */
export async function identify(access: HostAccess): Promise<Identity> {
  if (access.credential.kind === signInKind) return describeSignIn(access, signInKind);
  const answer = await fetchOwnToken(access);
  if (answer === 'signIn') return describeSignIn(access, pastedSignInKind);
  const account = await fetchAccount(access);
  if (answer === 'unreadable' || isFineGrained(answer)) {
    // Its permissions hold each at a project, a group or the account: names alone would claim too much.
    const expiresAt = answer === 'unreadable' ? null : toExpiry(answer.expires_at);
    return { account, credentialKind: 'fine-grained-token', scopes: null, expiresAt };
  }
  if (!isAlive(answer)) {
    throw new AuthError(`${access.host} says that this token is no longer active.`, {
      hint: `Make a new one at ${toTokensUrl(access.host)}`,
    });
  }
  return {
    account,
    credentialKind: tokenKinds[account.kind] ?? 'personal-access-token',
    scopes: [...(answer.scopes ?? [])].sort(),
    expiresAt: toExpiry(answer.expires_at),
  };
}

export function isAlive({ active, revoked }: schemas.OwnToken): boolean {
  return active !== false && revoked !== true;
}

/** Such a token lists the one scope `granular`, whatever it may do. */
function isFineGrained({ scopes }: schemas.OwnToken): boolean {
  return scopes?.includes('granular') ?? false;
}

/**
 * Asks a token what it is.
 *
 * @returns `signIn` for one that is none of the personal kind, `unreadable` for a fine-grained one that may not
 * describe itself.
 * @throws AuthError when the host refuses it; ForbiddenError when the account may not use it.
 */
export async function fetchOwnToken(access: HostAccess): Promise<schemas.OwnToken | 'signIn' | 'unreadable'> {
  const answer = await ask(access.http, route`/personal_access_tokens/self`);
  if (answer.status === 200) return narrow(schemas.ownToken, answer.body, 'the token');
  if (wantsPersonalToken(answer)) return 'signIn';
  if (answer.status === 403 && isGranular(answer.refusal)) return 'unreadable';
  if (answer.status === 404 && answer.refusal !== null) {
    throw new UnsupportedError(
      `${access.host} is older than GitLab 16.0, which is the oldest that gitlink knows.`,
    );
  }
  throw toRefusalError(access.host, answer);
}

async function fetchAccount(access: HostAccess): Promise<Account> {
  const answer = await ask(access.http, route`/user`);
  if (answer.status === 200) return toAccount(narrow(schemas.user, answer.body, 'the account'));
  if (lacksScope(answer)) return unknownAccount;
  throw toRefusalError(access.host, answer);
}

/** Whether a sign-in still works is `/user`'s to say: tokens of the coming sign-in service may be unknown here. */
async function describeSignIn(access: HostAccess, credentialKind: string): Promise<Identity> {
  const web = await access.openBase(access.host);
  const answer = await ask(web, route`/oauth/token/info`);
  const account = await fetchAccount(access);
  if (answer.status !== 200) return { account, credentialKind, scopes: null, expiresAt: null };
  const { scope, expires_in: seconds } = narrow(schemas.tokenInfo, answer.body, 'the sign-in');
  const isEnding = credentialKind === pastedSignInKind && typeof seconds === 'number';
  return {
    account,
    credentialKind,
    scopes: [...(scope ?? [])].sort(),
    expiresAt: isEnding ? access.now() + seconds * 1000 : null,
  };
}

/** Has the token end itself, which any scope may. */
export async function revoke(access: HostAccess): Promise<Revocation> {
  if (access.credential.kind === 'deploy-token') {
    const reason = 'a deploy token cannot end itself: its project or group does, in Settings > Repository';
    return { outcome: 'impossible', reason, pageUrl: access.host };
  }
  const answer = await ask(access.http, route`/personal_access_tokens/self`, 'DELETE');
  if (answer.status < 300) return { outcome: 'revoked' };
  if (wantsPersonalToken(answer)) {
    const reason = 'another program signed in and got this token: end that sign-in there';
    return { outcome: 'impossible', reason, pageUrl: toGrantsUrl(access.host) };
  }
  if (answer.status === 403 && isGranular(answer.refusal)) {
    const reason = 'this fine-grained token may not revoke itself';
    return { outcome: 'impossible', reason, pageUrl: toTokensUrl(access.host) };
  }
  const error = toRefusalError(access.host, answer);
  if (error instanceof AuthError) return { outcome: 'alreadyDead' };
  throw error;
}

export function toTokensUrl(host: string): string {
  return `${host}/-/user_settings/personal_access_tokens`;
}

/** A person's applications and, below them, the programs that they signed in to. */
export function toGrantsUrl(host: string): string {
  return `${host}/-/user_settings/applications`;
}

/** The page opens filled in, where the host still lets people make tokens with scopes. */
export function toTokenPage({ host }: SignInPlace, capabilities: readonly Capability[]): TokenPage {
  // Lets `gitlink rotate` replace the token; nothing but that.
  const scopes = [...toLeastScopes(capabilities), 'self_rotate'];
  const query = new URLSearchParams({ name: 'gitlink', scopes: scopes.join(',') });
  const url = toTokensUrl(host);
  return {
    url: capabilities.length === 0 ? url : `${url}?${query.toString().replaceAll('%2C', ',')}`,
    instructions: `Name it "gitlink", give it the scopes ${scopes.join(', ')}, and a last day: a year is the most.`,
  };
}
