import { createHash } from 'node:crypto';
import type { OAuthGrant } from './oauth-state.ts';
import { isApiScope, scopesOf } from './scopes.ts';
import { requireProject, requireRepository, requireUser, requireWorkspace } from './state.ts';
import type {
  BitbucketProject,
  BitbucketRepository,
  BitbucketState,
  BitbucketUser,
  BitbucketWorkspace,
} from './state.ts';

export type PastedKind = 'api' | 'repository' | 'project' | 'workspace' | 'appPassword';

export interface BitbucketToken {
  readonly kind: PastedKind | 'oauth';
  readonly name: string;
  readonly secret: string;
  /** Null for access tokens: they have no user. */
  readonly user: BitbucketUser | null;
  /** What an access token, or a consumer's own one, is of; null for tokens of people. */
  readonly resource: BitbucketRepository | BitbucketProject | BitbucketWorkspace | null;
  readonly scopes: readonly string[];
  /** The only workspace of an API token that was made so. */
  readonly workspaceLimit: BitbucketWorkspace | null;
  /** An API token that was made for no product: good for nothing here. */
  readonly isUnscoped: boolean;
  /** Of a sign-in. */
  readonly grant: OAuthGrant | null;
  /** Milliseconds since the epoch; null for no end. */
  expiresAt: number | null;
  revoked: boolean;
}

interface NewTokenBase {
  readonly name?: string;
  readonly scopes?: readonly string[];
  /** Milliseconds since the epoch. Default: a year for API tokens, else never. */
  readonly expiresAt?: number;
}

interface NewUserToken extends NewTokenBase {
  readonly kind: 'api' | 'appPassword';
  /** Default `ada`. */
  readonly user?: string;
  /** Slug of the only workspace that an API token is good for. */
  readonly workspaceLimit?: string;
  /** An API token as Jira takes it. */
  readonly isUnscoped?: boolean;
}

interface NewAccessToken extends NewTokenBase {
  readonly kind: 'repository' | 'project' | 'workspace';
  /** `acme/api`, `acme/API` or `acme`. */
  readonly resource: string;
}

export type NewToken = NewUserToken | NewAccessToken;

/**
 * Makes a token as a person does on a page of the host.
 *
 * @throws Error for an unknown user, resource or scope: the test is wrong then.
 */
export function addToken(state: BitbucketState, spec: NewToken, now: number): BitbucketToken {
  const { kind, scopes = [] } = spec;
  for (const scope of scopes) {
    const isKnown =
      kind === 'api' ? isApiScope(scope) : kind === 'appPassword' || scopesOf[kind].includes(scope);
    if (!isKnown) throw new Error(`No scope ${scope} for a token of the kind ${kind}.`);
  }
  const id = state.nextId();
  const token: BitbucketToken = {
    kind,
    name: spec.name ?? `token-${id}`,
    secret: makeSecret(kind, `${state.number} ${id}`),
    ...('resource' in spec ? describeAccess(state, spec) : describePerson(state, spec)),
    scopes,
    grant: null,
    expiresAt: spec.expiresAt ?? (kind === 'api' ? now + 365 * 86_400_000 : null),
    revoked: false,
  };
  state.tokens.set(token.secret, token);
  return token;
}

function describePerson(state: BitbucketState, { user, workspaceLimit, isUnscoped = false }: NewUserToken) {
  return {
    user: requireUser(state, user ?? 'ada'),
    resource: null,
    workspaceLimit: workspaceLimit === undefined ? null : requireWorkspace(state, workspaceLimit),
    isUnscoped,
  };
}

function describeAccess(state: BitbucketState, { kind, resource }: NewAccessToken) {
  const find = { repository: requireRepository, project: requireProject, workspace: requireWorkspace };
  return { user: null, resource: find[kind](state, resource), workspaceLimit: null, isUnscoped: false };
}

/** The shapes of `providers/bitbucket.md` §2b; `canary` in the middle shows that nobody ever issued it. */
function makeSecret(kind: PastedKind, seed: string): string {
  const body = `canary${createHash('sha512').update(`gitlink simulator canary ${seed}`).digest('base64url')}`;
  if (kind === 'appPassword') return `ATBB${body.slice(0, 28)}`;
  const checksum = createHash('sha256').update(seed).digest('hex').slice(0, 8).toUpperCase();
  const prefix = kind === 'api' ? 'ATATT3xFfGF0' : 'ATCTT3xFfGN0';
  return `${prefix}${`${body}-${body}`.slice(0, 171)}=${checksum}`;
}

/** Why a token is not good now; null for one that is. */
export function findDefect(token: BitbucketToken, now: number): 'dead' | 'expired' | null {
  if (token.revoked || token.isUnscoped || token.kind === 'appPassword') return 'dead';
  if (token.grant && !token.grant.isAlive) return 'dead';
  return token.expiresAt !== null && token.expiresAt <= now ? 'expired' : null;
}
