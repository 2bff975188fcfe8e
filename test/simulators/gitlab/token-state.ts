import { createHash } from 'node:crypto';
import { findImpossibleScope } from './scopes.ts';
import { requireGroup, requireProject, requireUser } from './state.ts';
import type { AccessLevel, GitlabGroup, GitlabProject, GitlabState, GitlabUser } from './state.ts';

export type TokenKind =
  'personal' | 'impersonation' | 'fineGrained' | 'project' | 'group' | 'serviceAccount' | 'deploy';

/** One entry of a fine-grained token. */
export interface GranularScope {
  readonly access: 'user' | 'instance' | 'all_memberships' | 'personal_projects' | 'selected_memberships';
  /** As `read_webhook`, `create_webhook`, `rotate_personal_access_token`. */
  readonly permissions: readonly string[];
  readonly projectId: number | null;
  readonly groupId: number | null;
}

export interface GitlabToken {
  readonly id: number;
  readonly kind: TokenKind;
  /** Who it acts as: a person, a service account, or the bot of a project or group. */
  readonly user: GitlabUser;
  readonly name: string;
  readonly description: string | null;
  readonly secret: string;
  readonly scopes: readonly string[];
  /** Null for all but fine-grained tokens. */
  readonly granularScopes: readonly GranularScope[] | null;
  readonly createdAt: Date;
  /** A day in UTC, at whose beginning the token dies; null for never. */
  expiresAt: string | null;
  lastUsedAt: Date | null;
  revoked: boolean;
  /** Shared by a token and all that it was rotated into. */
  readonly familyId: number;
  /** Where a project, group or deploy token belongs. */
  readonly resource: GitlabProject | GitlabGroup | null;
  /** The name that git must send with a deploy token, to the letter. */
  readonly deployUsername: string | null;
  readonly prefix: string;
  readonly shape: TokenSecretShape;
}

type TokenSecretShape = 'legacy' | 'routable';

interface NewGranularScope {
  readonly access: GranularScope['access'];
  readonly permissions: readonly string[];
  /** Full paths, for `selected_memberships`. */
  readonly projects?: readonly string[];
  readonly groups?: readonly string[];
}

export interface NewToken {
  /** Default `personal`. */
  readonly kind?: TokenKind;
  /** Whose it is; not for project, group and deploy tokens, which get a bot or nobody. Default ada. */
  readonly user?: string;
  /** The full path of the project or group of a project, group or deploy token. */
  readonly resource?: string;
  /** The role of a project or group token's bot. Default 40. */
  readonly accessLevel?: AccessLevel;
  readonly name?: string;
  readonly scopes?: readonly string[];
  readonly granularScopes?: readonly NewGranularScope[];
  /** `2027-01-31`; null for never. Default: a year from now. */
  readonly expiresAt?: string | null;
  /** Where an admin changed it, as `acme-glpat-`. */
  readonly prefix?: string;
  /** Default `legacy`; gitlab.com makes `routable` ones. */
  readonly shape?: TokenSecretShape;
  readonly deployUsername?: string;
}

/** The usual beginnings; never in one piece, so that scanners stay quiet. */
export const tokenPrefixes = { personal: ['gl', 'pat-'].join(''), deploy: ['gl', 'dt-'].join('') };

/**
 * Adds a token.
 *
 * @throws Error for an unknown user, place or scope: the test is wrong then.
 */
export function addToken(state: GitlabState, spec: NewToken, now: number): GitlabToken {
  const kind = spec.kind ?? 'personal';
  const impossible = findImpossibleScope(kind, spec.scopes ?? []);
  if (impossible !== undefined) throw new Error(`A ${kind} token cannot have the scope ${impossible}.`);
  if ((kind === 'fineGrained') !== (spec.granularScopes !== undefined)) {
    throw new Error('granularScopes belong to fine-grained tokens, and to no others.');
  }
  const id = state.nextId('token');
  const resource = findResource(state, kind, spec.resource);
  const user =
    resource && kind !== 'deploy'
      ? addBot(state, kind, resource, spec, id)
      : requireUser(state, spec.user ?? 'ada');
  return insertToken(state, {
    id,
    kind,
    user,
    name: spec.name ?? `token ${id}`,
    description: null,
    scopes: spec.scopes ?? [],
    granularScopes: spec.granularScopes?.flatMap((scope) => toGranularScopes(state, scope)) ?? null,
    createdAt: new Date(now),
    expiresAt: spec.expiresAt === undefined ? toDay(now + 365 * dayMs) : spec.expiresAt,
    familyId: id,
    resource,
    deployUsername: kind === 'deploy' ? (spec.deployUsername ?? `gitlab+deploy-token-${id}`) : null,
    prefix: spec.prefix ?? tokenPrefixes[kind === 'deploy' ? 'deploy' : 'personal'],
    shape: spec.shape ?? 'legacy',
  });
}

function findResource(
  state: GitlabState,
  kind: TokenKind,
  path: string | undefined,
): GitlabProject | GitlabGroup | null {
  if (!['project', 'group', 'deploy'].includes(kind)) return null;
  if (path === undefined) throw new Error(`A ${kind} token needs a resource.`);
  if (kind === 'group') return requireGroup(state, path);
  return kind === 'deploy'
    ? (state.findProject(path) ?? requireGroup(state, path))
    : requireProject(state, path);
}

function toGranularScopes(state: GitlabState, scope: NewGranularScope): readonly GranularScope[] {
  const { access, permissions } = scope;
  const projects = (scope.projects ?? []).map((path) => requireProject(state, path).id);
  const groups = (scope.groups ?? []).map((path) => requireGroup(state, path).id);
  if (access !== 'selected_memberships') return [{ access, permissions, projectId: null, groupId: null }];
  return [
    ...projects.map((projectId) => ({ access, permissions, projectId, groupId: null })),
    ...groups.map((groupId) => ({ access, permissions, projectId: null, groupId })),
  ];
}

/** Each project or group token has a member of its own. */
function addBot(
  state: GitlabState,
  kind: TokenKind,
  resource: GitlabProject | GitlabGroup,
  spec: NewToken,
  tokenId: number,
): GitlabUser {
  const word = kind === 'project' ? 'project' : 'group';
  const id = state.nextId('user');
  const user: GitlabUser = {
    kind: word === 'project' ? 'projectBot' : 'groupBot',
    id,
    username: `${word}_${resource.id}_bot_${digest(`bot ${state.number} ${id}`).slice(0, 32)}`,
    name: spec.name ?? `token ${tokenId}`,
    state: 'active',
    isAdmin: false,
    namespaceId: null,
    createdAt: new Date(),
  };
  state.users.set(id, user);
  resource.members.set(id, spec.accessLevel ?? 40);
  state.reindex();
  return user;
}

/** Makes the secret and stores the token. */
export function insertToken(
  state: GitlabState,
  token: Omit<GitlabToken, 'secret' | 'lastUsedAt' | 'revoked'>,
): GitlabToken {
  const made: GitlabToken = { ...token, secret: makeSecret(state, token), lastUsedAt: null, revoked: false };
  state.tokens.set(made.secret, made);
  return made;
}

/** Bodies of the right length and letters, that say what they are. */
function makeSecret(state: GitlabState, { id, prefix, shape }: Pick<GitlabToken, 'id' | 'prefix' | 'shape'>) {
  const text = digest(`token ${state.number} ${id}`);
  if (shape === 'legacy') return `${prefix}canary_${text.slice(0, 13)}`;
  const payload = Buffer.from(`canary ${text.slice(0, 24)}`).toString('base64url');
  return `${prefix}canary${payload}.01.${text.slice(24, 33)}`;
}

function digest(text: string): string {
  return createHash('sha256').update(`gitlink simulator canary ${text}`).digest('hex');
}

const dayMs = 86_400_000;

/** A day in UTC, as the API writes it. */
export function toDay(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

export function isExpired(token: GitlabToken, now: number): boolean {
  return token.expiresAt !== null && token.expiresAt <= toDay(now);
}

/** A revoked token that is used to rotate shows a theft: everything that it became ends. */
export function revokeFamily(state: GitlabState, token: GitlabToken): void {
  for (const other of state.tokens.values()) {
    if (other.familyId === token.familyId) other.revoked = true;
  }
}
