import type { DcHook } from './hook-state.ts';
import type { OAuthState } from './oauth-state.ts';
import { createOAuthState } from './oauth-state.ts';
import type { DcToken } from './token-state.ts';

/** How much somebody may do with a project or repository. `public`: see it because everybody may. */
export const levels = { none: 0, public: 1, read: 2, write: 3, admin: 4 } as const;
export type Level = (typeof levels)[keyof typeof levels];

export interface DcUser {
  readonly id: number;
  /** What people sign in with; may hold `@` and capitals. */
  readonly name: string;
  /** What stands in addresses: not the name. */
  readonly slug: string;
  readonly displayName: string;
  readonly emailAddress: string | null;
  readonly password: string | null;
  /** `SERVICE`: behind the tokens of a project or repository. */
  readonly type: 'NORMAL' | 'SERVICE';
  readonly isSystemAdmin: boolean;
  active: boolean;
  /** Wrong passwords since the last right one. */
  failedLogins: number;
}

export interface DcProject {
  readonly id: number;
  /** In capitals; `~slug` for a personal one. */
  key: string;
  readonly name: string;
  /** Of a personal project. */
  readonly owner: DcUser | null;
  public: boolean;
  /** "Settings restriction": admins of its repositories may not change webhooks and tokens. */
  restrictsSettings: boolean;
  /** By the id of the user. */
  readonly members: Map<number, Level>;
}

export interface DcRepository {
  readonly id: number;
  project: DcProject;
  slug: string;
  readonly name: string;
  public: boolean;
  archived: boolean;
  empty: boolean;
  readonly members: Map<number, Level>;
  /** What the first commit holds once git asks for it. */
  readonly files: Readonly<Record<string, string>>;
}

/** Everything that one simulated server knows. Mutable: handlers and tests change it. */
export interface DcState {
  /** Tells the servers of this process apart. */
  readonly number: number;
  readonly users: Map<number, DcUser>;
  readonly projects: Map<number, DcProject>;
  readonly repositories: Map<number, DcRepository>;
  /** By the secret; deleted ones are gone, expired ones stay. */
  readonly tokens: Map<string, DcToken>;
  /** By place, as `project 7`, in the order in which they were made. */
  readonly hooks: Map<string, DcHook[]>;
  readonly oauth: OAuthState;
  /** Every `nextPageStart` that was told, with its path. */
  readonly toldPages: Set<string>;
  findUser(name: string): DcUser | undefined;
  findUserBySlug(slug: string): DcUser | undefined;
  /** Keys are compared without case. */
  findProject(key: string): DcProject | undefined;
  findRepository(key: string, slug: string): DcRepository | undefined;
  /** As lists show them; kept until {@link DcState.reindex}. */
  listRepositories(): readonly DcRepository[];
  listProjects(): readonly DcProject[];
  nextId(kind: 'user' | 'project' | 'repository' | 'hook' | 'invocation' | 'token'): number;
  /** To be called after any change of users, projects, repositories or their names. */
  reindex(): void;
}

let states = 0;

/** Builds an empty server. Ids start high enough to be told from counts and positions. */
export function createDcState(): DcState {
  // Ids of tokens have twelve digits, as in the sample of the official description.
  const next = {
    user: 100,
    project: 40,
    repository: 700,
    hook: 30,
    invocation: 5000,
    token: 252_973_515_000,
  };
  let usersByName: Map<string, DcUser> | undefined;
  let projectsByKey: Map<string, DcProject> | undefined;
  let repositoriesByName: Map<string, DcRepository> | undefined;
  let repositories: readonly DcRepository[] | undefined;
  states += 1;
  const state: DcState = {
    number: states,
    users: new Map(),
    projects: new Map(),
    repositories: new Map(),
    tokens: new Map(),
    hooks: new Map(),
    oauth: createOAuthState(),
    toldPages: new Set(),
    findUser: (name) => {
      usersByName ??= indexBy(state.users, (user) => user.name);
      return usersByName.get(name.toLowerCase());
    },
    findUserBySlug: (slug) => [...state.users.values()].find((user) => user.slug === slug.toLowerCase()),
    findProject: (key) => {
      projectsByKey ??= indexBy(state.projects, (project) => project.key);
      return projectsByKey.get(key.toLowerCase());
    },
    findRepository: (key, slug) => {
      repositoriesByName ??= indexBy(state.repositories, fullNameOf);
      return repositoriesByName.get(`${key}/${slug}`.toLowerCase());
    },
    listRepositories: () => {
      repositories ??= [...state.repositories.values()].sort((left, right) => left.id - right.id);
      return repositories;
    },
    listProjects: () => [...state.projects.values()],
    nextId: (kind) => (next[kind] += 1),
    reindex: () => {
      usersByName = undefined;
      projectsByKey = undefined;
      repositoriesByName = undefined;
      repositories = undefined;
    },
  };
  return state;
}

function indexBy<Item>(items: ReadonlyMap<number, Item>, nameOf: (item: Item) => string): Map<string, Item> {
  return new Map([...items.values()].map((item) => [nameOf(item).toLowerCase(), item]));
}

/** `KEY/slug` */
export function fullNameOf({ project, slug }: DcRepository): string {
  return `${project.key}/${slug}`;
}

/** Finds a repository by `KEY/slug`. @throws Error when there is none: the test is wrong then. */
export function requireRepository(state: DcState, fullName: string): DcRepository {
  const [key = '', slug = ''] = fullName.split('/');
  const repository = state.findRepository(key, slug);
  if (!repository) throw new Error(`No simulated repository ${fullName}.`);
  return repository;
}

/** Finds a project by its key. @throws Error when there is none: the test is wrong then. */
export function requireProject(state: DcState, key: string): DcProject {
  const project = state.findProject(key);
  if (!project) throw new Error(`No simulated project ${key}.`);
  return project;
}

/** Finds a user by name. @throws Error when there is none: the test is wrong then. */
export function requireUser(state: DcState, name: string): DcUser {
  const user = state.findUser(name);
  if (!user) throw new Error(`No simulated user ${name}.`);
  return user;
}
