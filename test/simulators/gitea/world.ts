import { createGiteaState, requireRepository } from './state.ts';
import type { CollaboratorRole, GiteaState, OrganizationRole, Visibility } from './state.ts';

export interface GiteaWorld {
  readonly users?: readonly UserSpec[];
  readonly organizations?: readonly OrganizationSpec[];
  readonly repositories?: readonly RepositorySpec[];
}

interface UserSpec {
  readonly login: string;
  readonly fullName?: string;
  /** Site admin. */
  readonly admin?: boolean;
  /** Default: a fixed word that is no secret; `null` for an account without one. */
  readonly password?: string | null;
  /** The one-time password that a login by password then needs. */
  readonly otp?: string;
}

interface OrganizationSpec {
  readonly name: string;
  readonly visibility?: Visibility;
  /** Login to role. */
  readonly members: Readonly<Record<string, OrganizationRole>>;
}

interface RepositorySpec {
  readonly owner: string;
  /** With `count` the stem: `-0001` and so on are added. */
  readonly name: string;
  readonly count?: number;
  readonly private?: boolean;
  readonly archived?: boolean;
  /** Default: whether there are no files and it is said to be. */
  readonly empty?: boolean;
  readonly mirror?: boolean;
  /** Login to role. */
  readonly collaborators?: Readonly<Record<string, CollaboratorRole>>;
  readonly files?: Readonly<Record<string, string>>;
}

/** What most tests need: two users, an organization, five repositories of every sort. */
export const smallWorld: GiteaWorld = {
  users: [{ login: 'ada', fullName: 'Ada Lovelace' }, { login: 'bob' }, { login: 'root', admin: true }],
  organizations: [{ name: 'acme', members: { ada: 'owner', bob: 'read' } }],
  repositories: [
    { owner: 'ada', name: 'site' },
    { owner: 'ada', name: 'notes', private: true },
    { owner: 'acme', name: 'api', private: true },
    { owner: 'acme', name: 'old', private: true, archived: true },
    { owner: 'bob', name: 'tools', collaborators: { ada: 'write' } },
  ],
};

/**
 * Builds the contents of a server; 10,000 repositories take well under a second.
 *
 * @throws Error when a role or repository names somebody unknown.
 */
export function createGiteaWorld(world: GiteaWorld): GiteaState {
  const state = createGiteaState();
  for (const user of world.users ?? []) {
    const id = state.nextId('owner');
    state.owners.set(id, {
      kind: 'user',
      id,
      login: user.login,
      fullName: user.fullName ?? '',
      isAdmin: user.admin ?? false,
      password: user.password === undefined ? `canary-password-of-${user.login}` : user.password,
      otp: user.otp ?? null,
      createdAt: new Date(),
    });
  }
  state.reindex();
  for (const organization of world.organizations ?? []) {
    const id = state.nextId('owner');
    state.owners.set(id, {
      kind: 'organization',
      id,
      login: organization.name,
      fullName: '',
      visibility: organization.visibility ?? 'public',
      members: resolveLogins(state, organization.members),
      createdAt: new Date(),
    });
  }
  state.reindex();
  for (const repository of world.repositories ?? []) addRepository(state, repository);
  return state;
}

/** Adds one repository, or `count` of them. */
export function addRepository(state: GiteaState, spec: RepositorySpec): void {
  const owner = state.findOwner(spec.owner);
  if (!owner) throw new Error(`No simulated owner ${spec.owner}.`);
  const names =
    spec.count === undefined
      ? [spec.name]
      : Array.from(
          { length: spec.count },
          (_, index) => `${spec.name}-${String(index + 1).padStart(4, '0')}`,
        );
  const collaborators = resolveLogins(state, spec.collaborators ?? {});
  for (const name of names) {
    const id = state.nextId('repository');
    state.repositories.set(id, {
      id,
      owner,
      name,
      private: spec.private ?? false,
      archived: spec.archived ?? false,
      empty: spec.empty ?? false,
      mirror: spec.mirror ?? false,
      defaultBranch: 'main',
      collaborators: new Map(collaborators),
      files: spec.files ?? { 'README.md': `# ${name}\n` },
      createdAt: new Date(),
    });
  }
  state.reindex();
}

/** Renames or moves a repository; its old name then redirects. */
export function renameRepository(state: GiteaState, from: string, to: string): void {
  const repository = requireRepository(state, from);
  const [ownerLogin = '', name = ''] = to.split('/');
  const owner = state.findOwner(ownerLogin);
  if (!owner) throw new Error(`No simulated owner ${ownerLogin}.`);
  state.repositoryRedirects.set(from.toLowerCase(), repository.id);
  repository.owner = owner;
  repository.name = name;
  state.reindex();
}

/** Renames a user or an organization; the old name then redirects. */
export function renameOwner(state: GiteaState, from: string, to: string): void {
  const owner = state.findOwner(from);
  if (!owner) throw new Error(`No simulated owner ${from}.`);
  state.ownerRedirects.set(from.toLowerCase(), owner.id);
  owner.login = to;
  state.reindex();
}

function resolveLogins<Role>(state: GiteaState, roles: Readonly<Record<string, Role>>): Map<number, Role> {
  return new Map(
    Object.entries(roles).map(([login, role]) => {
      const user = state.findOwner(login);
      if (user?.kind !== 'user') throw new Error(`No simulated user ${login}.`);
      return [user.id, role];
    }),
  );
}
