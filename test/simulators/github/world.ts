import { createGithubState, requireAccount, requireRepository, requireUser } from './state.ts';
import type { GithubOrganization, GithubState, OrganizationPolicy, OrganizationRole, Role } from './state.ts';

export interface GithubWorld {
  readonly users?: readonly UserSpec[];
  readonly organizations?: readonly OrganizationSpec[];
  readonly repositories?: readonly RepositorySpec[];
}

interface UserSpec {
  readonly login: string;
  readonly name?: string;
  readonly siteAdmin?: boolean;
}

interface OrganizationSpec {
  readonly login: string;
  readonly members?: Readonly<Record<string, OrganizationRole>>;
  /** Default `pull`. */
  readonly baseRole?: Role | null;
  readonly policy?: Partial<OrganizationPolicy>;
}

interface RepositorySpec {
  /** `owner/name`; with `count` the stem: `-0001` and so on are added. */
  readonly path: string;
  readonly count?: number;
  /** Default true. */
  readonly private?: boolean;
  readonly archived?: boolean;
  readonly empty?: boolean;
  readonly collaborators?: Readonly<Record<string, Role>>;
  readonly files?: Readonly<Record<string, string>>;
}

/** What most tests need: every role, and a repository of every sort. */
export const smallWorld: GithubWorld = {
  users: [
    { login: 'ada', name: 'Ada Lovelace' },
    { login: 'bob' },
    { login: 'carol' },
    { login: 'root', siteAdmin: true },
  ],
  organizations: [
    { login: 'acme', members: { ada: 'admin', bob: 'member' } },
    { login: 'others', members: { bob: 'admin', ada: 'member' } },
  ],
  repositories: [
    { path: 'ada/site', private: false },
    { path: 'ada/notes' },
    { path: 'acme/api', collaborators: { bob: 'push' } },
    { path: 'acme/web' },
    { path: 'acme/handbook', private: false },
    { path: 'acme/empty', empty: true },
    { path: 'acme/legacy', archived: true },
    { path: 'others/tool', collaborators: { ada: 'push' } },
    { path: 'bob/shared', collaborators: { ada: 'admin' } },
    { path: 'bob/secret' },
  ],
};

/** Builds a server's contents. @throws Error for a name that is not there: the test is wrong then. */
export function createGithubWorld(world: GithubWorld): GithubState {
  const state = createGithubState();
  for (const spec of world.users ?? []) {
    const id = state.nextId('account');
    state.accounts.set(id, {
      kind: 'user',
      id,
      login: spec.login,
      name: spec.name ?? null,
      isSiteAdmin: spec.siteAdmin ?? false,
      isSuspended: false,
      createdAt: new Date(),
    });
  }
  state.reindex();
  for (const spec of world.organizations ?? []) addOrganization(state, spec);
  for (const spec of world.repositories ?? []) addRepositories(state, spec);
  return state;
}

function addOrganization(state: GithubState, spec: OrganizationSpec): void {
  const id = state.nextId('account');
  const organization: GithubOrganization = {
    kind: 'organization',
    id,
    login: spec.login,
    name: null,
    members: byUserId(state, spec.members),
    baseRole: spec.baseRole === undefined ? 'pull' : spec.baseRole,
    policy: {
      approvesFineGrained: false,
      restrictsOAuthApps: false,
      enforcesSaml: false,
      blocksAddress: false,
      blocksClassicTokens: false,
      ...spec.policy,
    },
    createdAt: new Date(),
  };
  state.accounts.set(id, organization);
  state.reindex();
}

function addRepositories(state: GithubState, spec: RepositorySpec): void {
  const [login = '', name = ''] = spec.path.split('/');
  const owner = requireAccount(state, login);
  for (const single of toNames(name, spec.count)) {
    const id = state.nextId('repository');
    state.repositories.set(id, {
      id,
      name: single,
      owner,
      isPrivate: spec.private ?? true,
      archived: spec.archived ?? false,
      empty: spec.empty ?? false,
      collaborators: byUserId(state, spec.collaborators),
      files: spec.files ?? { 'README.md': `# ${single}\n` },
      createdAt: new Date(),
    });
  }
  state.reindex();
}

function toNames(name: string, count: number | undefined): readonly string[] {
  if (count === undefined) return [name];
  return Array.from({ length: count }, (_, index) => `${name}-${String(index + 1).padStart(4, '0')}`);
}

function byUserId<Value>(
  state: GithubState,
  values: Readonly<Record<string, Value>> = {},
): Map<number, Value> {
  return new Map(Object.entries(values).map(([login, value]) => [requireUser(state, login).id, value]));
}

/** Renames or transfers a repository; its old name then redirects. */
export function renameRepository(state: GithubState, from: string, to: string): void {
  const repository = requireRepository(state, from);
  const [login = '', name = ''] = to.split('/');
  state.renamed.set(from.toLowerCase(), repository.id);
  repository.owner = requireAccount(state, login);
  repository.name = name;
  state.reindex();
}
