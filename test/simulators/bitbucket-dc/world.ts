import { createDcState, levels, requireProject, requireRepository, requireUser } from './state.ts';
import type { DcState, DcUser, Level } from './state.ts';

export interface DcWorld {
  readonly users?: readonly UserSpec[];
  readonly projects?: readonly ProjectSpec[];
  readonly repositories?: readonly RepositorySpec[];
}

interface UserSpec {
  readonly name: string;
  readonly displayName?: string;
  readonly systemAdmin?: boolean;
  /** Default: a fixed word that is no secret. */
  readonly password?: string | null;
}

/** User name to what they may do. */
type Members = Readonly<Record<string, 'read' | 'write' | 'admin'>>;

interface ProjectSpec {
  /** `~slug` for the personal project of a user, who is its admin. */
  readonly key: string;
  readonly name?: string;
  readonly public?: boolean;
  readonly restrictsSettings?: boolean;
  readonly members?: Members;
}

interface RepositorySpec {
  /** `KEY/slug`; with `count` the stem: `-0001` and so on are added. */
  readonly path: string;
  readonly count?: number;
  /** Readable for everybody. Default false. */
  readonly public?: boolean;
  readonly archived?: boolean;
  readonly empty?: boolean;
  readonly members?: Members;
  readonly files?: Readonly<Record<string, string>>;
}

/** What most tests need: every role, a name that is not its slug, and a repository of every sort. */
export const smallWorld: DcWorld = {
  users: [
    { name: 'ada', displayName: 'Ada Lovelace' },
    { name: 'bob' },
    { name: 'Grace@acme.test', displayName: 'Grace Hopper' },
    { name: 'root', systemAdmin: true },
  ],
  projects: [
    { key: 'ACME', members: { ada: 'admin', bob: 'read', 'Grace@acme.test': 'write' } },
    { key: 'WEB', members: { bob: 'admin', ada: 'write' } },
    { key: 'VAULT', members: { bob: 'admin' } },
    { key: '~ada' },
  ],
  repositories: [
    { path: 'ACME/api' },
    { path: 'ACME/old', archived: true },
    { path: 'ACME/empty', empty: true },
    { path: 'VAULT/secret' },
    { path: 'VAULT/handbook', public: true },
    { path: 'WEB/shop' },
    { path: 'WEB/tools', members: { ada: 'admin' } },
    { path: '~ada/notes' },
  ],
};

/**
 * Builds the contents of a server; 10,000 repositories take well under a second.
 *
 * @throws Error when a role or repository names somebody unknown.
 */
export function createDcWorld(world: DcWorld): DcState {
  const state = createDcState();
  for (const spec of world.users ?? []) addUser(state, spec);
  state.reindex();
  for (const spec of world.projects ?? []) addProject(state, spec);
  state.reindex();
  for (const spec of world.repositories ?? []) addRepositories(state, spec);
  state.reindex();
  return state;
}

function addUser(state: DcState, spec: UserSpec): void {
  const id = state.nextId('user');
  state.users.set(id, {
    id,
    name: spec.name,
    slug: toSlug(spec.name),
    displayName: spec.displayName ?? spec.name,
    emailAddress: spec.name.includes('@') ? spec.name.toLowerCase() : `${spec.name}@example.test`,
    password: spec.password === undefined ? `canary-password-of-${spec.name}` : spec.password,
    type: 'NORMAL',
    isSystemAdmin: spec.systemAdmin ?? false,
    active: true,
    failedLogins: 0,
  });
}

/** Small letters, and `_` for what an address should not hold. */
export function toSlug(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9._-]/g, '_');
}

function addProject(state: DcState, spec: ProjectSpec): void {
  const id = state.nextId('project');
  const owner = spec.key.startsWith('~') ? state.findUserBySlug(spec.key.slice(1)) : null;
  if (owner === undefined) throw new Error(`No simulated user for the project ${spec.key}.`);
  state.projects.set(id, {
    id,
    key: spec.key,
    name: spec.name ?? (owner?.displayName || `${spec.key.charAt(0)}${spec.key.slice(1).toLowerCase()}`),
    owner,
    public: spec.public ?? false,
    restrictsSettings: spec.restrictsSettings ?? false,
    members: resolveMembers(state, spec.members ?? {}),
  });
}

/** Adds one repository, or `count` of them. */
function addRepositories(state: DcState, spec: RepositorySpec): void {
  const [key = '', stem = ''] = spec.path.split('/');
  const project = requireProject(state, key);
  const slugs =
    spec.count === undefined
      ? [stem]
      : Array.from({ length: spec.count }, (_, index) => `${stem}-${String(index + 1).padStart(4, '0')}`);
  const members = resolveMembers(state, spec.members ?? {});
  for (const slug of slugs) {
    const id = state.nextId('repository');
    state.repositories.set(id, {
      id,
      project,
      slug,
      name: slug,
      public: spec.public ?? false,
      archived: spec.archived ?? false,
      empty: spec.empty ?? false,
      members: new Map(members),
      files: spec.files ?? { 'README.md': `# ${slug}\n` },
    });
  }
}

/** Renames or moves a repository: its old address is gone, its id stays. */
export function renameRepository(state: DcState, from: string, to: string): void {
  const repository = requireRepository(state, from);
  const [key = '', slug = ''] = to.split('/');
  repository.project = requireProject(state, key);
  repository.slug = slug;
  state.reindex();
}

/** The user behind the tokens of a project (kind 1) or repository (kind 2), made when it is first needed. */
export function findServiceUser(state: DcState, kind: 1 | 2, placeId: number, placeName: string): DcUser {
  const name = `access-token-user/${kind}/${placeId}`;
  const known = state.findUser(name);
  if (known) return known;
  const id = state.nextId('user');
  const user: DcUser = {
    id,
    name,
    slug: toSlug(name),
    displayName: `Access Token User - ${placeName}`,
    emailAddress: null,
    password: null,
    type: 'SERVICE',
    isSystemAdmin: false,
    active: true,
    failedLogins: 0,
  };
  state.users.set(id, user);
  state.reindex();
  return user;
}

function resolveMembers(state: DcState, members: Members): Map<number, Level> {
  return new Map(
    Object.entries(members).map(([name, level]) => [requireUser(state, name).id, levels[level]]),
  );
}
