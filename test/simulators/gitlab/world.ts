import { createGitlabState, requireGroup, requireProject, requireUser } from './state.ts';
import type { AccessLevel, GitlabGroup, GitlabState, GitlabUser, Visibility } from './state.ts';

export interface GitlabWorld {
  readonly users?: readonly UserSpec[];
  readonly groups?: readonly GroupSpec[];
  readonly projects?: readonly ProjectSpec[];
}

interface UserSpec {
  readonly username: string;
  readonly name?: string;
  readonly admin?: boolean;
  readonly kind?: 'human' | 'serviceAccount';
  readonly blocked?: boolean;
}

type Members = Readonly<Record<string, AccessLevel>>;

interface GroupSpec {
  /** Full path; the group above must come before. */
  readonly path: string;
  readonly visibility?: Visibility;
  readonly members?: Members;
}

interface ProjectSpec {
  /** The full path; with `count` the stem: `-0001` and so on are added. */
  readonly path: string;
  readonly count?: number;
  /** Default `private`. */
  readonly visibility?: Visibility;
  readonly archived?: boolean;
  readonly empty?: boolean;
  readonly deletionDate?: string;
  readonly members?: Members;
  /** Full path of a group to the most that its members may. */
  readonly sharedWith?: Readonly<Record<string, AccessLevel>>;
  readonly files?: Readonly<Record<string, string>>;
}

/** What most tests need: nested groups, every role, and a project of every sort. */
export const smallWorld: GitlabWorld = {
  users: [
    { username: 'ada', name: 'Ada Lovelace' },
    { username: 'bob' },
    { username: 'root', admin: true },
    { username: 'service_account_group_31_canary', name: 'Deployer', kind: 'serviceAccount' },
  ],
  groups: [
    { path: 'acme', members: { ada: 50, bob: 20, service_account_group_31_canary: 40 } },
    { path: 'acme/platform' },
    { path: 'acme/platform/tools' },
    { path: 'others', members: { bob: 50, ada: 30 } },
  ],
  projects: [
    { path: 'ada/site', visibility: 'public' },
    { path: 'ada/notes' },
    { path: 'acme/api' },
    { path: 'acme/platform/tools/cli' },
    { path: 'acme/platform/empty', empty: true },
    { path: 'acme/old', archived: true },
    { path: 'acme/doomed', deletionDate: '2030-01-01' },
    { path: 'others/shared', sharedWith: { acme: 40 } },
    { path: 'others/tool' },
    { path: 'bob/secret' },
  ],
};

/**
 * Builds the contents of a server; 10,000 projects take well under a second.
 *
 * @throws Error when a role or project names somebody unknown.
 */
export function createGitlabWorld(world: GitlabWorld): GitlabState {
  const state = createGitlabState();
  for (const user of world.users ?? []) addUser(state, user);
  state.reindex();
  for (const group of world.groups ?? []) addGroup(state, group);
  for (const project of world.projects ?? []) addProject(state, project);
  return state;
}

function addUser(state: GitlabState, spec: UserSpec): void {
  const id = state.nextId('user');
  const kind = spec.kind ?? 'human';
  state.users.set(id, {
    kind,
    id,
    username: spec.username,
    name: spec.name ?? spec.username,
    state: spec.blocked ? 'blocked' : 'active',
    isAdmin: spec.admin ?? false,
    namespaceId: kind === 'human' ? state.nextId('namespace') : null,
    createdAt: new Date(),
  });
}

function addGroup(state: GitlabState, spec: GroupSpec): void {
  const { parent, name } = splitPath(spec.path);
  const id = state.nextId('namespace');
  state.groups.set(id, {
    id,
    path: name,
    name,
    parent: parent === '' ? null : requireGroup(state, parent),
    visibility: spec.visibility ?? 'private',
    members: resolveMembers(state, spec.members),
    createdAt: new Date(),
  });
  state.reindex();
}

/** Adds one project, or `count` of them. */
export function addProject(state: GitlabState, spec: ProjectSpec): void {
  const { parent, name } = splitPath(spec.path);
  const owner = requireOwner(state, parent);
  const members = resolveMembers(state, spec.members);
  const shares = Object.entries(spec.sharedWith ?? {}).map(([path, level]) => ({
    group: requireGroup(state, path),
    level,
  }));
  for (const path of toNames(name, spec.count)) {
    const id = state.nextId('project');
    state.projects.set(id, {
      id,
      path,
      name: path,
      owner,
      visibility: spec.visibility ?? 'private',
      archived: spec.archived ?? false,
      empty: spec.empty ?? false,
      deletionDate: spec.deletionDate ?? null,
      members: new Map(members),
      shares,
      files: spec.files ?? { 'README.md': `# ${path}\n` },
      createdAt: new Date(),
    });
  }
  state.reindex();
}

function toNames(name: string, count: number | undefined): readonly string[] {
  if (count === undefined) return [name];
  return Array.from({ length: count }, (_, index) => `${name}-${String(index + 1).padStart(4, '0')}`);
}

/** Renames or moves a project; its old path then redirects. */
export function renameProject(state: GitlabState, from: string, to: string): void {
  const project = requireProject(state, from);
  const { parent, name } = splitPath(to);
  state.projectRedirects.set(from.toLowerCase(), project.id);
  project.owner = requireOwner(state, parent);
  project.path = name;
  state.reindex();
}

function requireOwner(state: GitlabState, path: string): GitlabGroup | GitlabUser {
  return path.includes('/') || !state.findUser(path) ? requireGroup(state, path) : requireUser(state, path);
}

function splitPath(path: string): { readonly parent: string; readonly name: string } {
  const slash = path.lastIndexOf('/');
  return { parent: path.slice(0, Math.max(slash, 0)), name: path.slice(slash + 1) };
}

function resolveMembers(state: GitlabState, members: Members = {}): Map<number, AccessLevel> {
  return new Map(
    Object.entries(members).map(([username, level]) => [requireUser(state, username).id, level]),
  );
}
