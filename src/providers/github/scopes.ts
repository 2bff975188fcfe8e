import { installationKind, type Capability, type ScopeComparison, type ScopeTable } from '../provider.ts';
import { fineGrainedKind } from './kinds.ts';

/**
 * What each capability needs of a classic token or the sign-in of an OAuth App. Roles come on top: admin of a
 * repository for its webhooks, owner of an organization for its.
 *
 * @see https://docs.github.com/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps
 */
export const scopes: ScopeTable = {
  identity: [],
  list: ['repo'],
  namespaces: ['read:org'],
  clone: ['repo'],
  push: ['repo'],
  webhooks: ['admin:repo_hook'],
  'namespace-webhooks': ['admin:org_hook'],
  admin: ['admin:org'],
};

/** The same in permissions, which fine-grained tokens and Apps have. They belong to one account, so none to list those. */
const permissions: ScopeTable = {
  identity: [],
  list: ['metadata:read'],
  namespaces: [],
  clone: ['contents:read'],
  push: ['contents:write'],
  webhooks: ['repository_hooks:write'],
  'namespace-webhooks': ['organization_hooks:write'],
  admin: ['organization_administration:read'],
};

export function scopesOf(credentialKind: string): ScopeTable | null {
  return [fineGrainedKind, installationKind].includes(credentialKind) ? permissions : null;
}

const repositoryHooks = ['admin:repo_hook', 'write:repo_hook', 'read:repo_hook'];

/** What a scope includes beside itself. */
const included: Readonly<Record<string, readonly string[]>> = {
  repo: [
    'public_repo',
    'repo:status',
    'repo:invite',
    'repo_deployment',
    'security_events',
    ...repositoryHooks,
  ],
  'admin:repo_hook': repositoryHooks.slice(1),
  'write:repo_hook': repositoryHooks.slice(2),
  'admin:org': ['write:org', 'read:org'],
  'write:org': ['read:org'],
  user: ['read:user', 'user:email', 'user:follow'],
};

/**
 * Says that tokens shall end and be renewed, and lets nobody do anything. Every App may read metadata; to be told of
 * pull requests and comments by its webhook it has to be allowed to read them.
 */
const harmless = ['offline_access', 'metadata:read', 'pull_requests:read', 'issues:read'];

const levels = ['read', 'write', 'admin'];

/** A permission such as `contents:write`; scopes that look alike have their level first. */
function parsePermission(name: string): { readonly subject: string; readonly level: number } | null {
  const [, subject, level] = /^([a-z_]+):(read|write|admin)$/.exec(name) ?? [];
  return subject === undefined || level === undefined ? null : { subject, level: levels.indexOf(level) };
}

function includes(scope: string, other: string): boolean {
  if (scope === other || included[scope]?.includes(other) === true) return true;
  const [mine, theirs] = [parsePermission(scope), parsePermission(other)];
  return mine !== null && theirs !== null && mine.subject === theirs.subject && mine.level >= theirs.level;
}

/**
 * Compares scopes with scopes and permissions with permissions. The sign-in of a GitHub App has permissions and is
 * measured by the scopes that sign-ins have: then nothing can be said.
 */
export function compareScopes(granted: readonly string[], needed: readonly string[]): ScopeComparison {
  const isPermission = (name: string): boolean => parsePermission(name) !== null;
  const isComparable =
    granted.length === 0 || needed.length === 0 || granted.some(isPermission) === needed.some(isPermission);
  if (!isComparable) return { missing: [], excess: [] };
  const isCovered = (scope: string, by: readonly string[]): boolean =>
    by.some((other) => includes(other, scope));
  return {
    missing: toUnique(needed.filter((scope) => !isCovered(scope, granted))),
    excess: toUnique(granted.filter((grant) => !harmless.includes(grant) && !isCovered(grant, needed))),
  };
}

/** The least scopes, or permissions, for a link that is wanted for something. */
export function toLeastScopes(
  capabilities: readonly Capability[],
  language: 'scopes' | 'permissions' = 'scopes',
): readonly string[] {
  const table = language === 'scopes' ? scopes : permissions;
  const wanted = toUnique(
    (['identity', 'list', 'namespaces', ...capabilities] as const).flatMap((name) => table[name] ?? []),
  );
  return wanted.filter((scope) => !wanted.some((other) => other !== scope && includes(other, scope)));
}

/** Reads a list of scopes such as `repo, read:org`; null where there is none. */
export function parseScopes(header: string | null): readonly string[] | null {
  if (header === null) return null;
  return toUnique(header.split(/[\s,]+/).filter((scope) => scope !== ''));
}

/** Permissions as `contents:write`, sorted. */
export function toPermissionNames(found: Readonly<Record<string, string>> | null | undefined): string[] {
  return Object.entries(found ?? {})
    .map(([name, level]) => `${name}:${level}`)
    .sort();
}

function toUnique(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
