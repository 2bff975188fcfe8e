import {
  createAzureDevopsState,
  requireOrganization,
  requireUser,
  zeroGuid,
  type AzureDevopsOrganization,
  type AzureDevopsProject,
  type AzureDevopsState,
  type ProjectRole,
  type ProjectState,
} from './state.ts';

export interface AzureDevopsWorld {
  readonly users?: readonly UserSpec[];
  readonly organizations?: readonly OrganizationSpec[];
}

interface UserSpec {
  readonly login: string;
  /** Default `user`. */
  readonly kind?: 'user' | 'servicePrincipal';
  readonly displayName?: string;
  /** The name of the Entra tenant; null for a personal Microsoft account. */
  readonly tenant: string | null;
}

interface OrganizationSpec {
  readonly name: string;
  /** As of users; null for one that is backed by personal Microsoft accounts. */
  readonly tenant: string | null;
  /** By login. */
  readonly members: Readonly<Record<string, 'administrator' | 'member'>>;
  /** Members who never opened it in a browser. */
  readonly notMaterialized?: readonly string[];
  readonly answersAnonymous?: boolean;
  readonly projects?: readonly ProjectSpec[];
}

interface ProjectSpec {
  /** With `count` the stem: ` 0001` and so on are added. */
  readonly name: string;
  readonly count?: number;
  /** Default `wellFormed`. */
  readonly state?: ProjectState;
  readonly public?: boolean;
  /** By login, for those who are no administrators of the organization. */
  readonly roles?: Readonly<Record<string, ProjectRole>>;
  /** Bits of the ServiceHooks namespace by login: view 1, edit 2, delete 4, publish 8. */
  readonly hookRights?: Readonly<Record<string, number>>;
  readonly repositories?: readonly RepositorySpec[];
}

interface RepositorySpec {
  /** With `count` the stem: `-0001` and so on are added. */
  readonly name: string;
  readonly count?: number;
  readonly empty?: boolean;
  readonly disabled?: boolean;
  /** As wikis are. */
  readonly hidden?: boolean;
  readonly files?: Readonly<Record<string, string>>;
}

/** What most tests need: two tenants and none, names with spaces and other letters, every state. */
export const smallWorld: AzureDevopsWorld = {
  users: [
    { login: 'ada', displayName: 'Ada Lovelace', tenant: 'acme' },
    { login: 'bob', tenant: 'acme' },
    { login: 'zoe', tenant: 'acme' },
    { login: 'ci', kind: 'servicePrincipal', displayName: 'Build robot', tenant: 'acme' },
    { login: 'eve', tenant: 'others' },
    { login: 'mia', tenant: null },
  ],
  organizations: [
    {
      name: 'acme',
      tenant: 'acme',
      members: { ada: 'administrator', bob: 'member', zoe: 'member', ci: 'member' },
      notMaterialized: ['zoe'],
      projects: [
        {
          name: 'Platform',
          roles: { bob: 'contributor', ci: 'contributor' },
          repositories: [
            { name: 'api' },
            { name: 'gateway' },
            { name: 'Platform' },
            { name: 'empty', empty: true },
            { name: 'old', disabled: true },
            { name: 'Platform.wiki', hidden: true },
          ],
        },
        {
          name: 'Straße Süd',
          roles: { bob: 'reader' },
          repositories: [{ name: 'api' }, { name: 'werk zeug' }],
        },
        { name: 'Secret plans', repositories: [{ name: 'plan' }] },
        { name: 'Versions of old' },
        { name: 'Going', state: 'deleting', repositories: [{ name: 'gone' }] },
      ],
    },
    {
      name: 'acme-labs',
      tenant: 'acme',
      members: { ada: 'member' },
      projects: [
        { name: 'Lab', roles: { ada: 'contributor' }, repositories: [{ name: 'Lab' }, { name: 'probe' }] },
      ],
    },
    {
      name: 'others',
      tenant: 'others',
      members: { eve: 'administrator' },
      projects: [{ name: 'Tools', repositories: [{ name: 'hammer' }] }],
    },
    {
      name: 'homebrew',
      tenant: null,
      members: { mia: 'administrator' },
      answersAnonymous: true,
      projects: [{ name: 'Beer', public: true, repositories: [{ name: 'ale' }] }],
    },
  ],
};

/**
 * Builds the contents of a server; 10,000 repositories take well under a second.
 *
 * @throws Error when something names somebody unknown.
 */
export function createAzureDevopsWorld(world: AzureDevopsWorld): AzureDevopsState {
  const state = createAzureDevopsState();
  for (const user of world.users ?? []) addUser(state, user);
  for (const organization of world.organizations ?? []) addOrganization(state, organization);
  return state;
}

function toTenant(state: AzureDevopsState, name: string | null): string {
  return name === null ? zeroGuid : state.makeGuid('tenant', name);
}

function addUser(
  state: AzureDevopsState,
  { login, kind = 'user', displayName = login, tenant }: UserSpec,
): void {
  const objectId = state.makeGuid('object', login);
  state.users.push({
    kind,
    id: state.makeGuid('user', login),
    login,
    displayName,
    account: kind === 'user' ? `${login}@${tenant ?? 'outlook'}.test` : objectId,
    objectId,
    tenant: toTenant(state, tenant),
  });
}

function addOrganization(state: AzureDevopsState, spec: OrganizationSpec): void {
  const absent = spec.notMaterialized ?? [];
  const members = Object.entries(spec.members).map(
    ([login, role]) =>
      [requireUser(state, login).id, { role, materialized: !absent.includes(login) }] as const,
  );
  const organization: AzureDevopsOrganization = {
    id: state.makeGuid('organization', spec.name),
    name: spec.name,
    tenant: toTenant(state, spec.tenant),
    members: new Map(members),
    projects: [],
    answersAnonymous: spec.answersAnonymous ?? false,
    policies: { allowsCreation: true, allowsFullScope: true, maxLifespanDays: 365 },
  };
  state.organizations.push(organization);
  for (const project of spec.projects ?? []) addProject(state, spec.name, project);
}

/** Adds one project, or `count` of them. */
export function addProject(state: AzureDevopsState, organizationName: string, spec: ProjectSpec): void {
  const organization = requireOrganization(state, organizationName);
  for (const name of toNames(spec.name, ' ', spec.count)) {
    const project: AzureDevopsProject = {
      id: state.makeGuid('project', organizationName, name),
      name,
      state: spec.state ?? 'wellFormed',
      isPublic: spec.public ?? false,
      organization,
      roles: byUser(state, spec.roles ?? {}),
      hookRights: byUser(state, spec.hookRights ?? {}),
      repositories: [],
    };
    organization.projects.push(project);
    for (const repository of spec.repositories ?? []) addRepository(state, project, repository);
  }
}

/** Adds one repository, or `count` of them. */
export function addRepository(
  state: AzureDevopsState,
  project: AzureDevopsProject,
  spec: RepositorySpec,
): void {
  for (const name of toNames(spec.name, '-', spec.count)) {
    project.repositories.push({
      id: state.nextId(),
      guid: state.makeGuid('repository', project.id, name),
      name,
      project,
      empty: spec.empty ?? false,
      isDisabled: spec.disabled ?? false,
      isHidden: spec.hidden ?? false,
      files: spec.files ?? { 'README.md': `# ${name}\n` },
    });
  }
}

function toNames(stem: string, separator: string, count: number | undefined): readonly string[] {
  if (count === undefined) return [stem];
  return Array.from(
    { length: count },
    (_, index) => `${stem}${separator}${String(index + 1).padStart(4, '0')}`,
  );
}

function byUser<Value>(state: AzureDevopsState, values: Readonly<Record<string, Value>>): Map<string, Value> {
  return new Map(Object.entries(values).map(([login, value]) => [requireUser(state, login).id, value]));
}
