import { createHash } from 'node:crypto';
import { createOAuthState, type GiteaGrant, type OAuthState } from './oauth-state.ts';
import { normalizeScopes } from './scopes.ts';

export type OrganizationRole = 'owner' | 'admin' | 'write' | 'read';
export type CollaboratorRole = 'admin' | 'write' | 'read';
export type Visibility = 'public' | 'limited' | 'private';

export interface GiteaUser {
  readonly kind: 'user';
  readonly id: number;
  login: string;
  readonly fullName: string;
  readonly isAdmin: boolean;
  /** `null`: an external account, which has no password here. */
  readonly password: string | null;
  /** With two factors a password alone is not enough. */
  readonly otp: string | null;
  readonly createdAt: Date;
}

export interface GiteaOrganization {
  readonly kind: 'organization';
  readonly id: number;
  login: string;
  readonly fullName: string;
  readonly visibility: Visibility;
  /** By the id of the user. */
  readonly members: Map<number, OrganizationRole>;
  readonly createdAt: Date;
}

/** Users and organizations share one number range and one name space, as in the servers' own table. */
export type GiteaOwner = GiteaUser | GiteaOrganization;

export interface GiteaRepository {
  readonly id: number;
  owner: GiteaOwner;
  name: string;
  private: boolean;
  archived: boolean;
  empty: boolean;
  readonly mirror: boolean;
  readonly defaultBranch: string;
  /** By the id of the user. */
  readonly collaborators: Map<number, CollaboratorRole>;
  /** What the first commit holds once git asks for it. */
  readonly files: Readonly<Record<string, string>>;
  readonly createdAt: Date;
}

export interface GiteaToken {
  readonly id: number;
  readonly kind: 'pat' | 'oauth';
  readonly user: GiteaUser;
  readonly name: string;
  readonly secret: string;
  /** Normalised. */
  readonly scopes: readonly string[];
  /** Ids of the only repositories that it may use; `null` for no such limit. */
  readonly repositories: readonly number[] | null;
  /** What an OAuth token hangs on: it is good as long as that is there. */
  readonly grant?: GiteaGrant;
  /** Milliseconds since the epoch; absent for tokens without an end. */
  expiresAt?: number;
  readonly createdAt: Date;
  lastUsedAt: Date | null;
}

export interface GiteaHook {
  readonly id: number;
  readonly level: 'repository' | 'organization' | 'user';
  /** The id of the repository, organization or user. */
  readonly placeId: number;
  readonly type: string;
  url: string;
  contentType: 'json' | 'form';
  /** Never changes: no API edits it. */
  readonly secret: string;
  /** Internal names. */
  events: readonly string[];
  branchFilter: string;
  authorizationHeader: string;
  active: boolean;
  name: string;
  readonly createdAt: Date;
  updatedAt: Date;
}

/** Hooks by where they hang, so that thousands of repositories with hooks stay fast. */
interface HookTable {
  add(hook: GiteaHook): void;
  remove(hook: GiteaHook): void;
  /** In the order in which they were made. */
  at(level: GiteaHook['level'], placeId: number): readonly GiteaHook[];
}

function createHookTable(): HookTable {
  const places = new Map<string, readonly GiteaHook[]>();
  const keyOf = (level: GiteaHook['level'], placeId: number) => `${level} ${placeId}`;
  const at = (level: GiteaHook['level'], placeId: number) => places.get(keyOf(level, placeId)) ?? [];
  const change = (hook: GiteaHook, hooks: readonly GiteaHook[]) =>
    places.set(keyOf(hook.level, hook.placeId), hooks);
  return {
    at,
    add: (hook) => change(hook, [...at(hook.level, hook.placeId), hook]),
    remove: (hook) =>
      change(
        hook,
        at(hook.level, hook.placeId).filter((other) => other !== hook),
      ),
  };
}

/** Everything that one simulated server knows. Mutable: handlers and tests change it. */
export interface GiteaState {
  /** Tells the servers of this process apart. */
  readonly number: number;
  readonly owners: Map<number, GiteaOwner>;
  readonly repositories: Map<number, GiteaRepository>;
  readonly hooks: HookTable;
  /** By the secret. */
  readonly tokens: Map<string, GiteaToken>;
  readonly oauth: OAuthState;
  /** Old `owner/name` in lower case to the id of the repository. */
  readonly repositoryRedirects: Map<string, number>;
  /** Old login in lower case to the id of the owner. */
  readonly ownerRedirects: Map<string, number>;
  findOwner(login: string): GiteaOwner | undefined;
  findRepository(owner: string, name: string): GiteaRepository | undefined;
  nextId(kind: 'owner' | 'repository' | 'hook' | 'token'): number;
  /** Repositories sorted as lists show them; kept until one is added, moved or removed. */
  listRepositories(): readonly GiteaRepository[];
  /** To be called after any change of repositories or owners' names. */
  reindex(): void;
}

let states = 0;

/** Builds an empty server. Ids start high enough to be told from counts and positions. */
export function createGiteaState(): GiteaState {
  const next = { owner: 100, repository: 1000, hook: 500, token: 10 };
  let ownersByLogin: Map<string, GiteaOwner> | undefined;
  let repositoriesByName: Map<string, GiteaRepository> | undefined;
  let sorted: readonly GiteaRepository[] | undefined;
  states += 1;
  const state: GiteaState = {
    number: states,
    owners: new Map(),
    repositories: new Map(),
    hooks: createHookTable(),
    tokens: new Map(),
    oauth: createOAuthState(),
    repositoryRedirects: new Map(),
    ownerRedirects: new Map(),
    findOwner: (login) => {
      ownersByLogin ??= new Map(
        [...state.owners.values()].map((owner) => [owner.login.toLowerCase(), owner]),
      );
      return ownersByLogin.get(login.toLowerCase());
    },
    findRepository: (owner, name) => {
      repositoriesByName ??= new Map(
        [...state.repositories.values()].map((repository) => [
          fullNameOf(repository).toLowerCase(),
          repository,
        ]),
      );
      return repositoriesByName.get(`${owner}/${name}`.toLowerCase());
    },
    nextId: (kind) => (next[kind] += 1),
    listRepositories: () => {
      sorted ??= [...state.repositories.values()].sort(compareNames);
      return sorted;
    },
    reindex: () => {
      ownersByLogin = undefined;
      repositoriesByName = undefined;
      sorted = undefined;
    },
  };
  return state;
}

export function fullNameOf(repository: GiteaRepository): string {
  return `${repository.owner.login}/${repository.name}`;
}

/** Lists are sorted by the name alone: owners are mixed. */
function compareNames(left: GiteaRepository, right: GiteaRepository): number {
  const [a, b] = [left.name.toLowerCase(), right.name.toLowerCase()];
  return a === b ? left.id - right.id : a < b ? -1 : 1;
}

export interface NewToken {
  readonly user: string;
  readonly name?: string;
  readonly scopes: readonly string[];
  /** As `owner/name`: a repository-specific token (Forgejo 15 or newer). */
  readonly repositories?: readonly string[];
}

/**
 * Adds a personal access token.
 *
 * @throws Error for an unknown user, repository or scope: the test is wrong then.
 */
export function addToken(state: GiteaState, spec: NewToken): GiteaToken {
  const user = state.findOwner(spec.user);
  if (user?.kind !== 'user') throw new Error(`No simulated user ${spec.user}.`);
  const scopes = normalizeScopes(spec.scopes);
  if ('invalid' in scopes) throw new Error(`No such scope: ${scopes.invalid}.`);
  const repositories = spec.repositories?.map((fullName) => requireRepository(state, fullName).id) ?? null;
  const id = state.nextId('token');
  return insertToken(state, {
    id,
    kind: 'pat',
    user,
    name: spec.name ?? `token-${id}`,
    scopes,
    repositories,
  });
}

/** Makes the secret and stores the token. */
export function insertToken(
  state: GiteaState,
  token: Omit<GiteaToken, 'secret' | 'createdAt' | 'lastUsedAt'>,
): GiteaToken {
  const made = {
    ...token,
    secret: makeTokenSecret(state, token.id),
    createdAt: new Date(),
    lastUsedAt: null,
  } satisfies GiteaToken;
  state.tokens.set(made.secret, made);
  return made;
}

/** 40 hex digits as the servers make them; different for every server that this process simulates. */
function makeTokenSecret(state: GiteaState, id: number): string {
  return createHash('sha1').update(`gitlink simulator canary ${state.number} ${id}`).digest('hex');
}

/** Finds a repository by `owner/name`. @throws Error when there is none: the test is wrong then. */
export function requireRepository(state: GiteaState, fullName: string): GiteaRepository {
  const [owner = '', name = ''] = fullName.split('/');
  const repository = state.findRepository(owner, name);
  if (!repository) throw new Error(`No simulated repository ${fullName}.`);
  return repository;
}
