import { createHash } from 'node:crypto';
import type { AzureDevopsSubscription } from './hook-state.ts';
import type { AzureDevopsToken } from './token-state.ts';

/** What stands for the tenant of organizations that are backed by personal Microsoft accounts. */
export const zeroGuid = '00000000-0000-0000-0000-000000000000';

export type ProjectRole = 'administrator' | 'contributor' | 'reader';
export type ProjectState = 'wellFormed' | 'new' | 'createPending' | 'deleting' | 'deleted';

export interface AzureDevopsUser {
  readonly kind: 'user' | 'servicePrincipal';
  /** The id of the identity, also of the profile. */
  readonly id: string;
  readonly login: string;
  readonly displayName: string;
  /** As `ada@acme.test`; the object id for service principals. */
  readonly account: string;
  /** Entra's id of whoever it is, `oid` in tokens. */
  readonly objectId: string;
  /** {@link zeroGuid} for personal Microsoft accounts. */
  readonly tenant: string;
}

interface Membership {
  readonly role: 'administrator' | 'member';
  /** Whether the user ever opened the organization in a browser. */
  materialized: boolean;
}

/** What an administrator of the organization or the tenant set for tokens. */
export interface TokenPolicies {
  allowsCreation: boolean;
  allowsFullScope: boolean;
  /** In days. */
  maxLifespanDays: number;
}

/** On Server: a collection. */
export interface AzureDevopsOrganization {
  readonly id: string;
  name: string;
  /** {@link zeroGuid} without Entra. */
  readonly tenant: string;
  /** By the id of the user. */
  readonly members: Map<string, Membership>;
  readonly projects: AzureDevopsProject[];
  /** Whether `connectionData` answers nobody in particular, as where public projects are allowed. */
  answersAnonymous: boolean;
  readonly policies: TokenPolicies;
}

export interface AzureDevopsProject {
  readonly id: string;
  name: string;
  state: ProjectState;
  isPublic: boolean;
  readonly organization: AzureDevopsOrganization;
  /** By the id of the user. */
  readonly roles: Map<string, ProjectRole>;
  /** Bits of the ServiceHooks namespace beside what the role gives, by the id of the user. */
  readonly hookRights: Map<string, number>;
  readonly repositories: AzureDevopsRepository[];
}

export interface AzureDevopsRepository {
  /** Where git keeps it. */
  readonly id: number;
  readonly guid: string;
  name: string;
  project: AzureDevopsProject;
  empty: boolean;
  isDisabled: boolean;
  /** As wikis are. */
  readonly isHidden: boolean;
  /** What the first commit holds once git asks for it. */
  readonly files: Readonly<Record<string, string>>;
}

/** Everything that one simulated server knows. Mutable: handlers and tests change it. */
export interface AzureDevopsState {
  /** Tells the servers of this process apart. */
  readonly number: number;
  readonly users: AzureDevopsUser[];
  readonly organizations: AzureDevopsOrganization[];
  /** By the secret. */
  readonly tokens: Map<string, AzureDevopsToken>;
  /** In the order in which they were made. */
  readonly subscriptions: AzureDevopsSubscription[];
  nextId(): number;
  /** An id that is the same for the same words in one server. */
  makeGuid(...words: readonly (string | number)[]): string;
  findUser(login: string): AzureDevopsUser | undefined;
  findOrganization(name: string): AzureDevopsOrganization | undefined;
}

let states = 0;

/** Builds an empty server. */
export function createAzureDevopsState(): AzureDevopsState {
  let lastId = 0;
  states += 1;
  const number = states;
  const state: AzureDevopsState = {
    number,
    users: [],
    organizations: [],
    tokens: new Map(),
    subscriptions: [],
    nextId: () => (lastId += 1),
    makeGuid: (...words) => toGuid(`gitlink simulator canary ${number} ${words.join(' ')}`),
    findUser: (login) => state.users.find((user) => user.login === login),
    findOrganization: (name) => state.organizations.find((one) => isSameName(one.name, name)),
  };
  return state;
}

/** Names of organizations, projects and repositories do not tell `Acme` from `acme`. */
export function isSameName(left: string, right: string): boolean {
  return left.toLowerCase() === right.toLowerCase();
}

function toGuid(text: string): string {
  const hex = createHash('sha1').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

export function isGuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}

/** @throws Error when there is none: the test is wrong then. */
export function requireUser(state: AzureDevopsState, login: string): AzureDevopsUser {
  const user = state.findUser(login);
  if (!user) throw new Error(`No simulated user ${login}.`);
  return user;
}

/** @throws Error when there is none: the test is wrong then. */
export function requireOrganization(state: AzureDevopsState, name: string): AzureDevopsOrganization {
  const organization = state.findOrganization(name);
  if (!organization) throw new Error(`No simulated organization ${name}.`);
  return organization;
}

/** By name or id. */
export function findProject(
  { projects }: AzureDevopsOrganization,
  nameOrId: string,
): AzureDevopsProject | undefined {
  return projects.find(({ id, name }) => id === nameOrId.toLowerCase() || isSameName(name, nameOrId));
}

/** By name or id. */
export function findRepository(
  { repositories }: AzureDevopsProject,
  nameOrId: string,
): AzureDevopsRepository | undefined {
  return repositories.find(({ guid, name }) => guid === nameOrId.toLowerCase() || isSameName(name, nameOrId));
}

/** @throws Error when there is none: the test is wrong then. */
export function requireProject(state: AzureDevopsState, path: string): AzureDevopsProject {
  const [organization = '', name = ''] = path.split('/');
  const project = findProject(requireOrganization(state, organization), name);
  if (!project) throw new Error(`No simulated project ${path}.`);
  return project;
}

/** @param path - As `acme/Platform/api`. @throws Error when there is none: the test is wrong then. */
export function requireRepository(state: AzureDevopsState, path: string): AzureDevopsRepository {
  const repository = findRepository(requireProject(state, path), path.split('/')[2] ?? '');
  if (!repository) throw new Error(`No simulated repository ${path}.`);
  return repository;
}
