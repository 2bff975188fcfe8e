import {
  createBitbucketState,
  requireProject,
  requireRepository,
  requireUser,
  requireWorkspace,
  fullNameOf,
} from './state.ts';
import type {
  BitbucketState,
  BitbucketUser,
  BitbucketWorkspace,
  RepositoryRole,
  WorkspaceRole,
} from './state.ts';

export interface BitbucketWorld {
  readonly users?: readonly UserSpec[];
  readonly workspaces?: readonly WorkspaceSpec[];
  readonly repositories?: readonly RepositorySpec[];
}

/** Everybody has a personal workspace, named like the user, with the one project `HOME`. */
interface UserSpec {
  readonly username: string;
  readonly displayName?: string;
  /** Default: `<username>@acme.test`. */
  readonly email?: string;
}

interface WorkspaceSpec {
  readonly slug: string;
  readonly members: Readonly<Record<string, WorkspaceRole>>;
  readonly projects: readonly { readonly key: string; readonly private?: boolean }[];
}

interface RepositorySpec {
  /** As `acme/api`; with `count` the stem: `-0001` and so on are added. */
  readonly path: string;
  readonly count?: number;
  /** Default: the first project of the workspace. */
  readonly project?: string;
  /** Default true. */
  readonly private?: boolean;
  readonly empty?: boolean;
  /** Username to role, beside what members of the workspace may. */
  readonly roles?: Readonly<Record<string, RepositoryRole>>;
  readonly files?: Readonly<Record<string, string>>;
}

/** What most tests need: every role, two projects, what is private, public, empty and somebody else's. */
export const smallWorld: BitbucketWorld = {
  users: [{ username: 'ada', displayName: 'Ada Lovelace' }, { username: 'bob' }],
  workspaces: [
    {
      slug: 'acme',
      members: { ada: 'owner', bob: 'member' },
      projects: [{ key: 'API' }, { key: 'WEB', private: false }],
    },
    { slug: 'others', members: { bob: 'owner', ada: 'member' }, projects: [{ key: 'MISC', private: false }] },
  ],
  repositories: [
    { path: 'ada/site', private: false },
    { path: 'ada/notes' },
    { path: 'acme/api', project: 'API', roles: { bob: 'read' } },
    { path: 'acme/gateway', project: 'API' },
    { path: 'acme/site', project: 'WEB', private: false },
    { path: 'acme/old', project: 'WEB' },
    { path: 'acme/empty', project: 'WEB', empty: true },
    { path: 'others/tool', roles: { ada: 'read' } },
    { path: 'others/docs', roles: { ada: 'read' } },
    { path: 'others/pen', roles: { ada: 'write' } },
    { path: 'others/public', private: false },
    { path: 'others/hidden' },
    { path: 'bob/secret' },
  ],
};

/**
 * Builds the contents of a server; 10,000 repositories take well under a second.
 *
 * @throws Error when a role or repository names somebody unknown.
 */
export function createBitbucketWorld(world: BitbucketWorld): BitbucketState {
  const state = createBitbucketState();
  for (const user of world.users ?? []) addUser(state, user);
  for (const workspace of world.workspaces ?? []) addWorkspace(state, workspace);
  for (const repository of world.repositories ?? []) addRepository(state, repository);
  return state;
}

function addUser(state: BitbucketState, { username, displayName, email }: UserSpec): void {
  const id = state.nextId();
  state.users.set(id, {
    kind: 'user',
    id,
    uuid: state.makeUuid('user', id),
    accountId: `557058:${state.makeUuid('account', id).slice(1, -1)}`,
    username,
    displayName: displayName ?? username,
    email: email ?? `${username}@acme.test`,
    createdAt: new Date(),
  });
  const home = {
    slug: username,
    members: { [username]: 'owner' },
    projects: [{ key: 'HOME', private: false }],
  } as const;
  addWorkspace(state, home, requireUser(state, username));
}

function addWorkspace(
  state: BitbucketState,
  { slug, members, projects }: WorkspaceSpec,
  personOf: BitbucketUser | null = null,
): void {
  const id = state.nextId();
  const workspace: BitbucketWorkspace = {
    id,
    uuid: state.makeUuid('workspace', id),
    slug,
    name: slug,
    personOf,
    members: resolveRoles(state, members),
    projects: new Map(),
    createdAt: new Date(),
  };
  for (const { key, private: isPrivate = true } of projects) {
    const uuid = state.makeUuid('project', id, key);
    workspace.projects.set(key, { uuid, key, name: `Project ${key}`, isPrivate, workspace });
  }
  state.workspaces.set(id, workspace);
}

/** Adds one repository, or `count` of them. */
export function addRepository(state: BitbucketState, spec: RepositorySpec): void {
  const [workspaceSlug = '', stem = ''] = spec.path.split('/');
  const workspace = requireWorkspace(state, workspaceSlug);
  const [firstKey = ''] = workspace.projects.keys();
  const project = requireProject(state, `${workspaceSlug}/${spec.project ?? firstKey}`);
  const roles = resolveRoles(state, spec.roles ?? {});
  for (const slug of toSlugs(stem, spec.count)) {
    const id = state.nextId();
    state.repositories.set(id, {
      id,
      uuid: state.makeUuid('repository', id),
      slug,
      workspace,
      project,
      isPrivate: spec.private ?? true,
      empty: spec.empty ?? false,
      roles: new Map(roles),
      files: spec.files ?? { 'README.md': `# ${slug}\n` },
      createdAt: new Date(),
    });
  }
  state.reindex();
}

function toSlugs(stem: string, count: number | undefined): readonly string[] {
  if (count === undefined) return [stem];
  return Array.from({ length: count }, (_, index) => `${stem}-${String(index + 1).padStart(4, '0')}`);
}

/** Renames a repository, or moves it to another workspace; its old name then redirects. */
export function renameRepository(state: BitbucketState, from: string, to: string): void {
  const repository = requireRepository(state, from);
  const [workspaceSlug = '', slug = ''] = to.split('/');
  const workspace = requireWorkspace(state, workspaceSlug);
  state.redirects.set(fullNameOf(repository), repository.id);
  if (workspace !== repository.workspace) {
    const [project] = workspace.projects.values();
    if (!project) throw new Error(`No project in ${workspaceSlug}.`);
    repository.project = project;
    // Its access tokens die when a repository leaves the workspace.
    for (const token of state.tokens.values()) if (token.resource === repository) token.revoked = true;
  }
  repository.workspace = workspace;
  repository.slug = slug;
  state.reindex();
}

function resolveRoles<Role>(state: BitbucketState, roles: Readonly<Record<string, Role>>): Map<number, Role> {
  return new Map(Object.entries(roles).map(([username, role]) => [requireUser(state, username).id, role]));
}
