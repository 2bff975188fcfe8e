import type { GitlabApplication } from './applications.ts';
import type { GitlabHook } from './hook-state.ts';
import type { GitlabToken } from './token-state.ts';

/** `access_level` as the API counts it: 10 guest, 15 planner, 20 reporter, 30 developer, 40 maintainer, 50 owner. */
export type AccessLevel = 5 | 10 | 15 | 20 | 30 | 40 | 50;
export type Visibility = 'private' | 'internal' | 'public';

export interface GitlabUser {
  readonly kind: 'human' | 'projectBot' | 'groupBot' | 'serviceAccount';
  readonly id: number;
  username: string;
  readonly name: string;
  state: 'active' | 'blocked';
  readonly isAdmin: boolean;
  /** The id of the personal namespace; bots have none. */
  readonly namespaceId: number | null;
  readonly createdAt: Date;
}

export interface GitlabGroup {
  readonly id: number;
  path: string;
  readonly name: string;
  readonly parent: GitlabGroup | null;
  readonly visibility: Visibility;
  /** By the id of the user; they hold in everything below too. */
  readonly members: Map<number, AccessLevel>;
  readonly createdAt: Date;
}

export interface GitlabProject {
  readonly id: number;
  path: string;
  readonly name: string;
  owner: GitlabGroup | GitlabUser;
  readonly visibility: Visibility;
  archived: boolean;
  empty: boolean;
  /** The day when it will be deleted, as `2026-12-01`. */
  deletionDate: string | null;
  readonly members: Map<number, AccessLevel>;
  /** Groups that it is shared with, with the most that their members may. */
  readonly shares: readonly { readonly group: GitlabGroup; readonly level: AccessLevel }[];
  /** What the first commit holds once git asks for it. */
  readonly files: Readonly<Record<string, string>>;
  readonly createdAt: Date;
}

/** Everything that one simulated server knows. Mutable: handlers and tests change it. */
export interface GitlabState {
  /** Tells the servers of this process apart. */
  readonly number: number;
  readonly users: Map<number, GitlabUser>;
  readonly groups: Map<number, GitlabGroup>;
  readonly projects: Map<number, GitlabProject>;
  /** By the secret; revoked and expired ones stay. */
  readonly tokens: Map<string, GitlabToken>;
  /** By place, as `project 7`, in the order in which they were made. */
  readonly hooks: Map<string, GitlabHook[]>;
  /** By `application_id`, which is the client id. */
  readonly applications: Map<string, GitlabApplication>;
  /** Old full path in lower case to the id of the project. */
  readonly projectRedirects: Map<string, number>;
  findUser(username: string): GitlabUser | undefined;
  findGroup(fullPath: string): GitlabGroup | undefined;
  findProject(fullPath: string): GitlabProject | undefined;
  /** By id, kept until {@link GitlabState.reindex}. */
  listProjects(): readonly GitlabProject[];
  nextId(kind: 'user' | 'namespace' | 'project' | 'token' | 'hook' | 'event' | 'application'): number;
  /** To be called after any change of users, groups, projects or their paths. */
  reindex(): void;
}

let states = 0;

/** Builds an empty server. Ids start high enough to be told from counts and positions. */
export function createGitlabState(): GitlabState {
  const next = {
    user: 500,
    namespace: 30,
    project: 4700,
    token: 9000,
    hook: 80,
    event: 70_000,
    application: 20,
  };
  let usersByName: Map<string, GitlabUser> | undefined;
  let groupsByPath: Map<string, GitlabGroup> | undefined;
  let projectsByPath: Map<string, GitlabProject> | undefined;
  let projects: readonly GitlabProject[] | undefined;
  states += 1;
  const state: GitlabState = {
    number: states,
    users: new Map(),
    groups: new Map(),
    projects: new Map(),
    tokens: new Map(),
    hooks: new Map(),
    applications: new Map(),
    projectRedirects: new Map(),
    findUser: (username) => {
      usersByName ??= indexBy(state.users, (user) => user.username);
      return usersByName.get(username.toLowerCase());
    },
    findGroup: (fullPath) => {
      groupsByPath ??= indexBy(state.groups, groupPathOf);
      return groupsByPath.get(fullPath.toLowerCase());
    },
    findProject: (fullPath) => {
      projectsByPath ??= indexBy(state.projects, fullPathOf);
      return projectsByPath.get(fullPath.toLowerCase());
    },
    listProjects: () => {
      projects ??= [...state.projects.values()].sort((left, right) => left.id - right.id);
      return projects;
    },
    nextId: (kind) => (next[kind] += 1),
    reindex: () => {
      usersByName = undefined;
      groupsByPath = undefined;
      projectsByPath = undefined;
      projects = undefined;
    },
  };
  return state;
}

function indexBy<Item>(items: ReadonlyMap<number, Item>, nameOf: (item: Item) => string): Map<string, Item> {
  return new Map([...items.values()].map((item) => [nameOf(item).toLowerCase(), item]));
}

export function isGroup(owner: GitlabGroup | GitlabUser): owner is GitlabGroup {
  return 'members' in owner;
}

export function groupPathOf(group: GitlabGroup): string {
  return group.parent ? `${groupPathOf(group.parent)}/${group.path}` : group.path;
}

export function namespacePathOf(owner: GitlabGroup | GitlabUser): string {
  return isGroup(owner) ? groupPathOf(owner) : owner.username;
}

export function fullPathOf(project: GitlabProject): string {
  return `${namespacePathOf(project.owner)}/${project.path}`;
}

/** The group and those above it, from the inside out. */
export function listAncestors(group: GitlabGroup): readonly GitlabGroup[] {
  return group.parent ? [group, ...listAncestors(group.parent)] : [group];
}

/** Finds a project by its full path. @throws Error when there is none: the test is wrong then. */
export function requireProject(state: GitlabState, fullPath: string): GitlabProject {
  const project = state.findProject(fullPath);
  if (!project) throw new Error(`No simulated project ${fullPath}.`);
  return project;
}

/** Finds a group by its full path. @throws Error when there is none: the test is wrong then. */
export function requireGroup(state: GitlabState, fullPath: string): GitlabGroup {
  const group = state.findGroup(fullPath);
  if (!group) throw new Error(`No simulated group ${fullPath}.`);
  return group;
}

/** Finds a user by name. @throws Error when there is none: the test is wrong then. */
export function requireUser(state: GitlabState, username: string): GitlabUser {
  const user = state.findUser(username);
  if (!user) throw new Error(`No simulated user ${username}.`);
  return user;
}
