import type { Capability, ScopeComparison } from '../provider.ts';

/**
 * What each capability needs. Permissions of tokens and scopes of sign-ins have the same names, but for
 * `PROJECT_READ`, which sign-ins do not have and tokens of repositories cannot have: whoever reads a repository
 * sees its project, so it is needed for nothing. Nobody needs a permission to be known by name. Administration is
 * out of reach of every token.
 *
 * @see https://confluence.atlassian.com/bitbucketserver/http-access-tokens-939515499.html
 */
export const scopes: Readonly<Partial<Record<Capability, readonly string[]>>> = {
  identity: [],
  list: ['REPO_READ'],
  namespaces: ['REPO_READ'],
  clone: ['REPO_READ'],
  push: ['REPO_WRITE'],
  webhooks: ['REPO_ADMIN'],
  'namespace-webhooks': ['PROJECT_ADMIN', 'REPO_ADMIN'],
};

/** From the highest to the lowest; each includes those after it. */
export const repositoryLevels = ['REPO_ADMIN', 'REPO_WRITE', 'REPO_READ'] as const;
export const projectLevels = ['PROJECT_ADMIN', 'PROJECT_WRITE', 'PROJECT_READ'] as const;

/** A token's power over repositories is never less than that over projects. */
const included: Readonly<Record<string, readonly string[]>> = {
  SYSTEM_ADMIN: ['ADMIN_WRITE', ...projectLevels, ...repositoryLevels],
  ADMIN_WRITE: [...projectLevels, ...repositoryLevels],
  PROJECT_ADMIN: ['PROJECT_WRITE', 'PROJECT_READ', ...repositoryLevels],
  PROJECT_WRITE: ['PROJECT_READ', 'REPO_WRITE', 'REPO_READ'],
  PROJECT_READ: ['REPO_READ'],
  REPO_ADMIN: ['REPO_WRITE', 'REPO_READ', 'PUBLIC_REPOS'],
  REPO_WRITE: ['REPO_READ', 'PUBLIC_REPOS'],
  REPO_READ: ['PUBLIC_REPOS'],
};

/** What is no power beyond that of reading repositories. */
const harmless = ['PROJECT_READ', 'PUBLIC_REPOS'];

export function compareScopes(granted: readonly string[], needed: readonly string[]): ScopeComparison {
  return {
    missing: toUnique(needed.filter((scope) => !isCovered(scope, granted))),
    excess: toUnique(granted.filter((grant) => !harmless.includes(grant) && !isCovered(grant, needed))),
  };
}

/** The least scopes for a link that is wanted for something. */
export function toLeastScopes(capabilities: readonly Capability[]): readonly string[] {
  const wanted = toUnique((['list', ...capabilities] as const).flatMap((name) => scopes[name] ?? []));
  return wanted.filter((scope) => !wanted.some((other) => included[other]?.includes(scope)));
}

function isCovered(scope: string, by: readonly string[]): boolean {
  return by.some((other) => other === scope || included[other]?.includes(scope));
}

function toUnique(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
