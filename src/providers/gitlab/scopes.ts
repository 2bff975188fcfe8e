import type { Capability, ScopeComparison } from '../provider.ts';

/**
 * What each capability needs. Roles in projects and groups come on top: Maintainer for webhooks, Owner for those
 * of groups.
 *
 * @see https://docs.gitlab.com/security/tokens/access_token_scopes/
 */
export const scopes: Readonly<Partial<Record<Capability, readonly string[]>>> = {
  identity: ['read_user'],
  list: ['read_api'],
  namespaces: ['read_api'],
  clone: ['read_repository'],
  push: ['write_repository'],
  webhooks: ['api'],
  'namespace-webhooks': ['api'],
  admin: ['api'],
};

/**
 * What a scope includes beside itself. That `api` opens git too is documented for people's tokens only; for
 * project and group tokens the documentation asks for `write_repository` beside it.
 */
const included: Readonly<Record<string, readonly string[]>> = {
  api: ['read_api', 'read_user', 'read_repository', 'write_repository', 'self_rotate'],
  read_api: ['read_user', 'read_repository'],
  write_repository: ['read_repository'],
};

/** Lets a token do nothing but replace itself, which is no power over anything. */
const harmless = 'self_rotate';

export function compareScopes(granted: readonly string[], needed: readonly string[]): ScopeComparison {
  const isCovered = (scope: string, by: readonly string[]): boolean =>
    by.some((other) => other === scope || included[other]?.includes(scope));
  return {
    missing: toUnique(needed.filter((scope) => !isCovered(scope, granted))),
    excess: toUnique(granted.filter((grant) => grant !== harmless && !isCovered(grant, needed))),
  };
}

/**
 * The least scopes for a link that is wanted for something. Git's own stay beside `api`, so that the same list
 * serves project and group tokens.
 */
export function toLeastScopes(capabilities: readonly Capability[]): readonly string[] {
  const wanted = toUnique(
    (['identity', 'list', 'namespaces', ...capabilities] as const).flatMap((name) => scopes[name] ?? []),
  );
  const isNeeded = (scope: string): boolean =>
    !wanted.some((other) => {
      const isGit = scope.endsWith('_repository') && !other.endsWith('_repository');
      return other !== scope && !isGit && included[other]?.includes(scope);
    });
  return wanted.filter(isNeeded);
}

function toUnique(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
