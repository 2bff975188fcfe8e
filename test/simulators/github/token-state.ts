import { createHash, randomBytes } from 'node:crypto';
import type { Installation, Permissions } from './app-state.ts';
import type { OAuthClient, OAuthGrant } from './oauth-state.ts';
import { requireAccount, requireRepository, requireUser } from './state.ts';
import type { GithubAccount, GithubState, GithubUser } from './state.ts';

/** `legacy`: 40 hex digits from before 2021, which cannot be told from each other. */
type TokenKind = 'classic' | 'legacy' | 'fineGrained' | 'oauth' | 'userAccess' | 'installation';

export interface GithubToken {
  readonly id: number;
  readonly kind: TokenKind;
  readonly secret: string;
  readonly name: string;
  /** Null for an installation's. */
  readonly user: GithubUser | null;
  /** Of `classic`, `legacy` and `oauth`; normalised. */
  scopes: readonly string[];
  /** Null for those that never end. */
  expiresAt: Date | null;
  revoked: boolean;
  /** Of a fine-grained token: the one account that it is for. */
  readonly resourceOwner: GithubAccount | null;
  /** What of that account it reaches: ids, or all, or nothing private. Also what an installation token is narrowed to. */
  readonly repositories: ReadonlySet<number> | 'all' | 'public';
  /** Of `fineGrained`, `userAccess` and `installation`. */
  readonly permissions: Permissions;
  /** A fine-grained token that an owner has not approved: public things only. */
  isPending: boolean;
  readonly installation: Installation | null;
  /** Of `oauth` and `userAccess`. */
  readonly client: OAuthClient | null;
  readonly grant: OAuthGrant | null;
  /** Organizations whose single sign-on it was authorised for, by id. */
  readonly ssoOrganizations: Set<number>;
  readonly createdAt: Date;
  lastUsedAt: Date | null;
}

export interface NewToken {
  /** Default `classic`. */
  readonly kind?: 'classic' | 'legacy' | 'fineGrained';
  /** Default `ada`. */
  readonly user?: string;
  readonly name?: string;
  /** Of a classic token. Default `repo`, `read:org`. */
  readonly scopes?: readonly string[];
  readonly expiresAt?: Date | null;
  /** Of a fine-grained token: the login of the one account. Default: its user's. */
  readonly resourceOwner?: string;
  /** Of a fine-grained token: full names, `all` (the default) or `public`. */
  readonly repositories?: readonly string[] | 'all' | 'public';
  /** Of a fine-grained token. Default: what gitlink needs. */
  readonly permissions?: Permissions;
}

/** Adds a token as a person does in the browser. @throws Error for names that are not there. */
export function addToken(state: GithubState, spec: NewToken, now: number): GithubToken {
  const kind = spec.kind ?? 'classic';
  const user = requireUser(state, spec.user ?? 'ada');
  const resourceOwner =
    kind === 'fineGrained' ? requireAccount(state, spec.resourceOwner ?? user.login) : null;
  const names = spec.repositories ?? 'all';
  return storeToken(state, now, {
    kind,
    user,
    name: spec.name ?? `${user.login}'s ${kind}`,
    scopes: kind === 'fineGrained' ? [] : normaliseScopes(spec.scopes ?? ['repo', 'read:org']),
    expiresAt: spec.expiresAt ?? null,
    resourceOwner,
    repositories:
      typeof names === 'string' ? names : new Set(names.map((name) => requireRepository(state, name).id)),
    permissions: {
      metadata: 'read',
      ...(spec.permissions ?? { contents: 'write', repository_hooks: 'write' }),
    },
    isPending: isToBeApproved(user, resourceOwner),
  });
}

function isToBeApproved(user: GithubUser, owner: GithubAccount | null): boolean {
  if (owner?.kind !== 'organization' || !owner.policy.approvesFineGrained) return false;
  return owner.members.get(user.id) !== 'admin';
}

type Stored = Partial<GithubToken> & Pick<GithubToken, 'kind' | 'name'>;

/** Keeps a new token of any kind. */
export function storeToken(state: GithubState, now: number, token: Stored): GithubToken {
  const stored: GithubToken = {
    id: state.nextId('token'),
    secret: makeSecret(token.kind),
    user: null,
    scopes: [],
    expiresAt: null,
    revoked: false,
    resourceOwner: null,
    repositories: 'all',
    permissions: {},
    isPending: false,
    installation: null,
    client: null,
    grant: null,
    ssoOrganizations: new Set(),
    createdAt: new Date(now),
    lastUsedAt: null,
    ...token,
  };
  state.tokens.set(stored.secret, stored);
  return stored;
}

const prefixes: Readonly<Record<TokenKind, string>> = {
  classic: 'ghp_',
  legacy: '',
  fineGrained: 'github_pat_',
  oauth: 'gho_',
  userAccess: 'ghu_',
  installation: 'ghs_',
};

function makeSecret(kind: TokenKind): string {
  const hex = randomBytes(40).toString('hex');
  if (kind === 'legacy') return hex.slice(0, 40);
  if (kind === 'fineGrained') return `github_pat_canary${hex.slice(0, 16)}_${hex.slice(16, 75)}`;
  return `${prefixes[kind]}canary${hex.slice(0, 30)}`;
}

/** `ghr_` and 76 more. */
export function makeRefreshSecret(): string {
  return `ghr_canary${randomBytes(35).toString('hex')}`;
}

/** What github.com makes since 2026-04: `ghs_`, the app's number, a JWT; about 520 characters. */
export function makeStatelessSecret(appId: number): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const jti = randomBytes(16).toString('hex');
  const padding = createHash('shake256', { outputLength: 30 }).update(jti).digest('hex');
  const head = encode({ alg: 'RS256', typ: 'JWT' });
  const claims = encode({ aud: 'canary', jti, context: padding });
  return `ghs_${appId}_${head}.${claims}.${randomBytes(214).toString('base64url')}`;
}

export function isExpired(token: Pick<GithubToken, 'expiresAt'>, now: number): boolean {
  return token.expiresAt !== null && token.expiresAt.getTime() <= now;
}

export function isAlive(token: GithubToken, now: number): boolean {
  return !token.revoked && !isExpired(token, now);
}

/** What each scope brings with it (`providers/github.md` §15). */
const contained: Readonly<Record<string, readonly string[]>> = {
  repo: ['public_repo', 'repo:status', 'repo:invite', 'repo_deployment', 'security_events'],
  'admin:org': ['write:org', 'read:org'],
  'write:org': ['read:org'],
  'admin:repo_hook': ['write:repo_hook', 'read:repo_hook'],
  'write:repo_hook': ['read:repo_hook'],
  user: ['read:user', 'user:email', 'user:follow'],
};

const otherScopes = ['admin:org_hook', 'workflow', 'gist', 'notifications', 'delete_repo', 'offline_access'];

export const knownScopes: ReadonlySet<string> = new Set([
  ...Object.keys(contained),
  ...Object.values(contained).flat(),
  ...otherScopes,
]);

/** Leaves out what another scope brings, as GitHub shows them. */
export function normaliseScopes(scopes: readonly string[]): readonly string[] {
  const unique = [...new Set(scopes)];
  return unique.filter((scope) => !unique.some((other) => contained[other]?.includes(scope))).sort();
}

/** Whether one of the wanted scopes was granted, by itself or by a larger one. */
export function hasScope(granted: readonly string[], wanted: readonly string[]): boolean {
  return wanted.some((scope) => granted.some((held) => held === scope || contained[held]?.includes(scope)));
}
