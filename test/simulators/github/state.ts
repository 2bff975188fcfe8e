import type { GithubApp, Installation, InstallationRequest } from './app-state.ts';
import type { GithubHook } from './hook-state.ts';
import type { OAuthState } from './oauth-state.ts';
import { createOAuthState } from './oauth-state.ts';
import type { GithubToken } from './token-state.ts';

/** What a person may do in a repository, from the least to the most. */
export type Role = 'pull' | 'triage' | 'push' | 'maintain' | 'admin';

export interface GithubUser {
  readonly kind: 'user';
  readonly id: number;
  login: string;
  readonly name: string | null;
  readonly isSiteAdmin: boolean;
  isSuspended: boolean;
  readonly createdAt: Date;
}

/** What an organization demands of those who come with a token. Mutable. */
export interface OrganizationPolicy {
  /** Fine-grained tokens of people who are no owners wait for an owner. */
  approvesFineGrained: boolean;
  /** Only OAuth Apps that an owner approved. */
  restrictsOAuthApps: boolean;
  /** Classic and OAuth tokens must be authorised for its single sign-on. */
  enforcesSaml: boolean;
  /** No address of the caller's is on its allow list. */
  blocksAddress: boolean;
  blocksClassicTokens: boolean;
}

export interface GithubOrganization {
  readonly kind: 'organization';
  readonly id: number;
  login: string;
  readonly name: string | null;
  /** By the id of the user. */
  readonly members: Map<number, OrganizationRole>;
  /** What every member may do in each repository; null for nothing. */
  baseRole: Role | null;
  readonly policy: OrganizationPolicy;
  readonly createdAt: Date;
}

export type OrganizationRole = 'admin' | 'member';
export type GithubAccount = GithubUser | GithubOrganization;

export interface GithubRepository {
  readonly id: number;
  name: string;
  owner: GithubAccount;
  isPrivate: boolean;
  archived: boolean;
  empty: boolean;
  /** By the id of the user, beside what the organization gives. */
  readonly collaborators: Map<number, Role>;
  /** What the first commit holds once git asks for it. */
  readonly files: Readonly<Record<string, string>>;
  readonly createdAt: Date;
}

type Counted = 'account' | 'repository' | 'token' | 'hook' | 'delivery' | 'app' | 'installation' | 'request';

/** Everything that one simulated server knows. Mutable: handlers and tests change it. */
export interface GithubState {
  /** Users and organizations by id. */
  readonly accounts: Map<number, GithubAccount>;
  readonly repositories: Map<number, GithubRepository>;
  /** By the secret; revoked and expired ones stay. */
  readonly tokens: Map<string, GithubToken>;
  /** By place, as `repository 7`, in the order in which they were made. */
  readonly hooks: Map<string, GithubHook[]>;
  readonly apps: Map<number, GithubApp>;
  readonly installations: Map<number, Installation>;
  readonly installationRequests: Map<number, InstallationRequest>;
  readonly oauth: OAuthState;
  /** Old full name in lower case to the id of the repository. */
  readonly renamed: Map<string, number>;
  findAccount(login: string): GithubAccount | undefined;
  findRepository(fullName: string): GithubRepository | undefined;
  /** By id, kept until {@link GithubState.reindex}. */
  listRepositories(): readonly GithubRepository[];
  nextId(kind: Counted): number;
  /** To be called after any change of accounts, repositories or their names. */
  reindex(): void;
}

/**
 * Builds an empty server. Ids begin at the same numbers in every simulator, so that what one host said shows when it
 * is used at another.
 */
export function createGithubState(): GithubState {
  const next: Record<Counted, number> = {
    account: 500,
    repository: 4700,
    token: 9000,
    hook: 80,
    delivery: 70_000,
    app: 1200,
    installation: 33_000,
    request: 25,
  };
  let accountsByLogin: Map<string, GithubAccount> | undefined;
  let repositoriesByName: Map<string, GithubRepository> | undefined;
  let repositories: readonly GithubRepository[] | undefined;
  const state: GithubState = {
    accounts: new Map(),
    repositories: new Map(),
    tokens: new Map(),
    hooks: new Map(),
    apps: new Map(),
    installations: new Map(),
    installationRequests: new Map(),
    oauth: createOAuthState(),
    renamed: new Map(),
    findAccount: (login) => {
      accountsByLogin ??= indexBy(state.accounts, (account) => account.login);
      return accountsByLogin.get(login.toLowerCase());
    },
    findRepository: (fullName) => {
      repositoriesByName ??= indexBy(state.repositories, fullNameOf);
      return repositoriesByName.get(fullName.toLowerCase());
    },
    listRepositories: () => {
      repositories ??= [...state.repositories.values()].sort((left, right) => left.id - right.id);
      return repositories;
    },
    nextId: (kind) => (next[kind] += 1),
    reindex: () => {
      accountsByLogin = undefined;
      repositoriesByName = undefined;
      repositories = undefined;
    },
  };
  return state;
}

function indexBy<Item>(items: ReadonlyMap<number, Item>, nameOf: (item: Item) => string): Map<string, Item> {
  return new Map([...items.values()].map((item) => [nameOf(item).toLowerCase(), item]));
}

export function fullNameOf(repository: GithubRepository): string {
  return `${repository.owner.login}/${repository.name}`;
}

/** Finds a repository by its full name. @throws Error when there is none: the test is wrong then. */
export function requireRepository(state: GithubState, fullName: string): GithubRepository {
  const repository = state.findRepository(fullName);
  if (!repository) throw new Error(`No simulated repository ${fullName}.`);
  return repository;
}

/** Finds a user or an organization by login. @throws Error when there is none: the test is wrong then. */
export function requireAccount(state: GithubState, login: string): GithubAccount {
  const account = state.findAccount(login);
  if (!account) throw new Error(`No simulated account ${login}.`);
  return account;
}

/** Finds a user by login. @throws Error when there is none: the test is wrong then. */
export function requireUser(state: GithubState, login: string): GithubUser {
  const account = requireAccount(state, login);
  if (account.kind !== 'user') throw new Error(`The simulated ${login} is no user.`);
  return account;
}

/** Finds an organization by login. @throws Error when there is none: the test is wrong then. */
export function requireOrganization(state: GithubState, login: string): GithubOrganization {
  const account = requireAccount(state, login);
  if (account.kind !== 'organization') throw new Error(`The simulated ${login} is no organization.`);
  return account;
}
