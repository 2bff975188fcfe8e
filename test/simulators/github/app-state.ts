import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { GithubHook } from './hook-state.ts';
import { addClient, type OAuthClient } from './oauth-state.ts';
import { requireAccount, requireRepository } from './state.ts';
import type { GithubAccount, GithubRepository, GithubState, GithubUser } from './state.ts';

export type Permissions = Readonly<Record<string, string>>;

/** A GitHub App, whoever owns it. */
export interface GithubApp {
  readonly id: number;
  readonly slug: string;
  readonly name: string;
  readonly owner: GithubAccount;
  readonly description: string | null;
  readonly externalUrl: string;
  readonly isPublic: boolean;
  /** The public half of its keys, PEM. */
  readonly publicKeys: string[];
  /** What it asks for; installations lag behind. */
  permissions: Permissions;
  events: readonly string[];
  setupUrl: string | null;
  setupOnUpdate: boolean;
  /** Who signs its users in. */
  readonly client: OAuthClient;
  /** Null for an app without a webhook. */
  hook: GithubHook | null;
  readonly createdAt: Date;
}

/** An app on an account. */
export interface Installation {
  readonly id: number;
  readonly app: GithubApp;
  readonly account: GithubAccount;
  selection: 'all' | 'selected';
  /** Ids; counts for `selected` only. */
  repositoryIds: ReadonlySet<number>;
  /** What was granted, which stays behind what the app asks for until an owner agrees. */
  permissions: Permissions;
  events: readonly string[];
  suspendedAt: Date | null;
  suspendedBy: GithubUser | null;
  readonly createdAt: Date;
  updatedAt: Date;
}

/** A member's wish that an owner has to grant. */
export interface InstallationRequest {
  readonly id: number;
  readonly app: GithubApp;
  readonly account: GithubAccount;
  readonly requester: GithubUser;
  readonly createdAt: Date;
}

export interface NewApp {
  /** Default `gitlink-canary`. */
  readonly name?: string;
  /** Login of a user or an organization. Default `ada`. */
  readonly owner?: string;
  readonly isPublic?: boolean;
  readonly description?: string | null;
  readonly externalUrl?: string;
  /** Default: what gitlink asks for. */
  readonly permissions?: Permissions;
  readonly events?: readonly string[];
  readonly setupUrl?: string | null;
  readonly setupOnUpdate?: boolean;
  readonly callbackUrls?: readonly string[];
  /** Off until the owner ticks a box. */
  readonly deviceFlow?: boolean;
}

/** An app with the secrets that are shown once. */
export interface CreatedApp {
  readonly app: GithubApp;
  /** PKCS#1, as GitHub gives it. */
  readonly pem: string;
}

const usualPermissions: Permissions = {
  metadata: 'read',
  contents: 'write',
  repository_hooks: 'write',
};

/** Registers an app as a person does. @throws Error for an owner that is not there: the test is wrong then. */
export function addApp(state: GithubState, spec: NewApp, now: number): CreatedApp {
  const owner = requireAccount(state, spec.owner ?? 'ada');
  const name = spec.name ?? 'gitlink-canary';
  const id = state.nextId('app');
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  const client = addClient(state, {
    kind: 'githubApp',
    owner: owner.login,
    name,
    callbackUrls: spec.callbackUrls ?? [],
    deviceFlow: spec.deviceFlow ?? false,
    expiresTokens: true,
  });
  const app: GithubApp = {
    id,
    slug: toSlug(name),
    name,
    owner,
    description: spec.description ?? null,
    externalUrl: spec.externalUrl ?? 'https://gitlink.example',
    isPublic: spec.isPublic ?? false,
    publicKeys: [publicKey],
    permissions: { metadata: 'read', ...(spec.permissions ?? usualPermissions) },
    events: spec.events ?? [],
    setupUrl: spec.setupUrl ?? null,
    setupOnUpdate: spec.setupOnUpdate ?? false,
    client,
    hook: null,
    createdAt: new Date(now),
  };
  client.app = app;
  state.apps.set(id, app);
  return { app, pem: privateKey };
}

export function toSlug(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
}

export function findApp(state: GithubState, slug: string): GithubApp | undefined {
  return [...state.apps.values()].find((app) => app.slug === slug.toLowerCase());
}

export function installationsOf(state: GithubState, app: GithubApp): readonly Installation[] {
  return [...state.installations.values()].filter((installation) => installation.app === app);
}

export function findInstallation(
  state: GithubState,
  app: GithubApp,
  account: GithubAccount,
): Installation | undefined {
  return installationsOf(state, app).find((installation) => installation.account === account);
}

export interface NewInstallation {
  /** The login of the account. */
  readonly account: string;
  /** Full names or names in the account; all repositories without it. */
  readonly repositories?: readonly string[];
}

/** Puts an app on an account. @throws Error for names that are not there, or when it is installed there. */
export function install(
  state: GithubState,
  app: GithubApp,
  { account: login, repositories }: NewInstallation,
  now: number,
): Installation {
  const account = requireAccount(state, login);
  if (findInstallation(state, app, account)) throw new Error(`${app.slug} is installed on ${login}.`);
  const id = state.nextId('installation');
  const installation: Installation = {
    id,
    app,
    account,
    selection: repositories ? 'selected' : 'all',
    repositoryIds: idsOf(state, account, repositories ?? []),
    permissions: app.permissions,
    events: app.events,
    suspendedAt: null,
    suspendedBy: null,
    createdAt: new Date(now),
    updatedAt: new Date(now),
  };
  state.installations.set(id, installation);
  for (const request of state.installationRequests.values()) {
    if (request.app === app && request.account === account) state.installationRequests.delete(request.id);
  }
  return installation;
}

/** Names, with or without the account, as ids. @throws Error for a repository that is not there. */
export function idsOf(
  state: GithubState,
  account: GithubAccount,
  names: readonly string[],
): ReadonlySet<number> {
  return new Set(
    names.map((name) => requireRepository(state, name.includes('/') ? name : `${account.login}/${name}`).id),
  );
}

/** Takes an app off an account; its tokens there are dead from then on. */
export function uninstall(state: GithubState, installation: Installation): void {
  state.installations.delete(installation.id);
  for (const token of state.tokens.values()) {
    if (token.installation === installation) token.revoked = true;
  }
}

/** Whether an installation reaches a repository, now that it may have changed hands or name. */
export function reaches(installation: Installation, repository: GithubRepository): boolean {
  if (repository.owner !== installation.account) return false;
  return installation.selection === 'all' || installation.repositoryIds.has(repository.id);
}

export function listReached(state: GithubState, installation: Installation): readonly GithubRepository[] {
  return state.listRepositories().filter((repository) => reaches(installation, repository));
}

export function pageOf(webUrl: string, { id, account }: Installation): string {
  const place = account.kind === 'user' ? '' : `/organizations/${account.login}`;
  return `${webUrl}${place}/settings/installations/${id}`;
}

export function makeManifestCode(): string {
  return `canary${randomBytes(17).toString('hex')}`;
}
