import { createHash } from 'node:crypto';
import type { BitbucketHook } from './hook-state.ts';
import type { OAuthState } from './oauth-state.ts';
import { createOAuthState } from './oauth-state.ts';
import type { BitbucketToken } from './token-state.ts';

export type WorkspaceRole = 'owner' | 'create-project' | 'member';
export type RepositoryRole = 'admin' | 'write' | 'read';

export interface BitbucketUser {
  /** An `app_user` stands for a consumer that signed in for itself. */
  readonly kind: 'user' | 'app_user';
  readonly id: number;
  readonly uuid: string;
  readonly accountId: string;
  readonly username: string;
  readonly displayName: string;
  /** Of the Atlassian account. */
  readonly email: string;
  readonly createdAt: Date;
}

export interface BitbucketProject {
  readonly uuid: string;
  readonly key: string;
  readonly name: string;
  readonly isPrivate: boolean;
  readonly workspace: BitbucketWorkspace;
}

export interface BitbucketWorkspace {
  readonly id: number;
  readonly uuid: string;
  slug: string;
  readonly name: string;
  /** Whose personal workspace it is; null for a team's. */
  readonly personOf: BitbucketUser | null;
  /** By the id of the user. */
  readonly members: Map<number, WorkspaceRole>;
  readonly projects: Map<string, BitbucketProject>;
  readonly createdAt: Date;
}

export interface BitbucketRepository {
  readonly id: number;
  readonly uuid: string;
  slug: string;
  workspace: BitbucketWorkspace;
  project: BitbucketProject;
  isPrivate: boolean;
  empty: boolean;
  /** Granted to single users, by their id. */
  readonly roles: Map<number, RepositoryRole>;
  /** What the first commit holds once git asks for it. */
  readonly files: Readonly<Record<string, string>>;
  readonly createdAt: Date;
}

/** Everything that one simulated server knows. Mutable: handlers and tests change it. */
export interface BitbucketState {
  /** Tells the servers of this process apart. */
  readonly number: number;
  readonly users: Map<number, BitbucketUser>;
  readonly workspaces: Map<number, BitbucketWorkspace>;
  readonly repositories: Map<number, BitbucketRepository>;
  /** By the uuid of the repository or workspace, in the order in which they were made. */
  readonly hooks: Map<string, readonly BitbucketHook[]>;
  /** By the secret. */
  readonly tokens: Map<string, BitbucketToken>;
  readonly oauth: OAuthState;
  /** Old full name in lower case to the id of the repository. */
  readonly redirects: Map<string, number>;
  nextId(): number;
  /** An id in braces, the same for the same words in one server. */
  makeUuid(...words: readonly (string | number)[]): string;
  findUser(username: string): BitbucketUser | undefined;
  /** By slug, or by id in braces. */
  findWorkspace(idOrSlug: string): BitbucketWorkspace | undefined;
  /** By slug or id in braces; the workspace may be `{}` beside an id. */
  findRepository(workspace: string, idOrSlug: string): BitbucketRepository | undefined;
  /** Those of a workspace by slug; kept until one is added, moved or removed. */
  listRepositories(workspace: BitbucketWorkspace): readonly BitbucketRepository[];
  /** To be called after any change of repositories or slugs. */
  reindex(): void;
}

interface Index {
  readonly byName: ReadonlyMap<string, BitbucketRepository>;
  readonly byUuid: ReadonlyMap<string, BitbucketRepository>;
  readonly byWorkspace: ReadonlyMap<BitbucketWorkspace, readonly BitbucketRepository[]>;
}

let states = 0;

/** Builds an empty server. */
export function createBitbucketState(): BitbucketState {
  let lastId = 1000;
  let index: Index | undefined;
  states += 1;
  const number = states;
  const state: BitbucketState = {
    number,
    users: new Map(),
    workspaces: new Map(),
    repositories: new Map(),
    hooks: new Map(),
    tokens: new Map(),
    oauth: createOAuthState(),
    redirects: new Map(),
    nextId: () => (lastId += 1),
    makeUuid: (...words) => toUuid(`gitlink simulator canary ${number} ${words.join(' ')}`),
    findUser: (username) => [...state.users.values()].find((user) => user.username === username),
    findWorkspace: (idOrSlug) =>
      [...state.workspaces.values()].find(
        ({ slug, uuid }) => slug === idOrSlug.toLowerCase() || uuid === idOrSlug,
      ),
    findRepository: (workspace, idOrSlug) => {
      index ??= buildIndex(state);
      if (!idOrSlug.startsWith('{')) {
        const slug = state.findWorkspace(workspace)?.slug ?? workspace;
        return index.byName.get(`${slug}/${idOrSlug}`.toLowerCase());
      }
      const found = index.byUuid.get(idOrSlug);
      if (workspace === '{}' || found?.workspace === state.findWorkspace(workspace)) return found;
      return undefined;
    },
    listRepositories: (workspace) => {
      index ??= buildIndex(state);
      return index.byWorkspace.get(workspace) ?? [];
    },
    reindex: () => {
      index = undefined;
    },
  };
  return state;
}

function buildIndex({ repositories }: BitbucketState): Index {
  const sorted = [...repositories.values()].sort((left, right) => (left.slug < right.slug ? -1 : 1));
  const byWorkspace = new Map<BitbucketWorkspace, BitbucketRepository[]>();
  for (const repository of sorted) {
    const group = byWorkspace.get(repository.workspace) ?? [];
    group.push(repository);
    byWorkspace.set(repository.workspace, group);
  }
  return {
    byName: new Map(sorted.map((repository) => [fullNameOf(repository), repository])),
    byUuid: new Map(sorted.map((repository) => [repository.uuid, repository])),
    byWorkspace,
  };
}

function toUuid(text: string): string {
  const hex = createHash('sha1').update(text).digest('hex');
  const parts = [
    [0, 8],
    [8, 12],
    [12, 16],
    [16, 20],
    [20, 32],
  ].map(([from, to]) => hex.slice(from, to));
  return `{${parts.join('-')}}`;
}

export function fullNameOf({ workspace, slug }: BitbucketRepository): string {
  return `${workspace.slug}/${slug}`;
}

/** @throws Error when there is none: the test is wrong then. */
export function requireUser(state: BitbucketState, username: string): BitbucketUser {
  const user = state.findUser(username);
  if (!user) throw new Error(`No simulated user ${username}.`);
  return user;
}

/** @throws Error when there is none: the test is wrong then. */
export function requireWorkspace(state: BitbucketState, slug: string): BitbucketWorkspace {
  const workspace = state.findWorkspace(slug);
  if (!workspace) throw new Error(`No simulated workspace ${slug}.`);
  return workspace;
}

/** Finds a repository by `workspace/slug`. @throws Error when there is none: the test is wrong then. */
export function requireRepository(state: BitbucketState, fullName: string): BitbucketRepository {
  const [workspace = '', slug = ''] = fullName.split('/');
  const repository = state.findRepository(workspace, slug);
  if (!repository) throw new Error(`No simulated repository ${fullName}.`);
  return repository;
}

/** Finds a project by `workspace/KEY`. @throws Error when there is none: the test is wrong then. */
export function requireProject(state: BitbucketState, path: string): BitbucketProject {
  const [slug = '', key = ''] = path.split('/');
  const project = requireWorkspace(state, slug).projects.get(key);
  if (!project) throw new Error(`No simulated project ${path}.`);
  return project;
}
