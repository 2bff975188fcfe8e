import type { Capability, ScopeComparison } from '../provider.ts';

/** What each capability needs; a write scope includes its read scope. */
export const scopes: Readonly<Partial<Record<Capability, readonly string[]>>> = {
  identity: ['read:user'],
  list: ['read:user', 'read:repository'],
  namespaces: ['read:user', 'read:organization'],
  clone: ['read:repository'],
  push: ['write:repository'],
  webhooks: ['write:repository'],
  'namespace-webhooks': ['write:organization'],
  admin: ['read:admin'],
};

export function compareScopes(granted: readonly string[], needed: readonly string[]): ScopeComparison {
  const missing = needed.filter((scope) => !granted.some((grant) => includes(grant, scope)));
  const excess = granted.filter(
    (grant) => grant !== 'public-only' && !needed.some((scope) => includes(scope, grant)),
  );
  return { missing: unique(missing), excess: unique(excess) };
}

function includes(grant: string, scope: string): boolean {
  return grant === scope || grant === 'all' || grant === scope.replace(/^read:/, 'write:');
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}

/**
 * Reads the granted scopes out of the refusal of a token that lacks one. The wording is no API: Gitea since
 * 1.23 names what was granted, Forgejo only what was needed.
 *
 * @returns null where the text does not tell.
 */
export function readGrantedScopes(message: string): readonly string[] | null {
  const match = /token scope=([a-z:,-]+)/.exec(message);
  return match?.[1] ? match[1].split(',').sort() : null;
}

const openIdScopes = ['openid', 'profile', 'email', 'groups'];
const scopeName =
  /^(?:all|public-only|(?:read|write):(?:activitypub|admin|issue|misc|notification|organization|package|repository|user))$/;

/**
 * Reads what the scope string of a sign-in lets it do. Both products grant everything for a string that limits
 * nothing, such as an empty one; Gitea does so for one with a single name that it does not know, Forgejo leaves
 * such a name out. Commas separate at Gitea alone.
 *
 * @see `services/oauth2_provider/access_token.go` of both
 */
export function readSignInScopes(flavour: 'gitea' | 'forgejo', scope: string): readonly string[] {
  const asked = scope.split(' ').filter((name) => name !== '' && !openIdScopes.includes(name));
  const names = flavour === 'gitea' ? asked.flatMap((name) => name.split(',')).filter(Boolean) : asked;
  const known = names.filter((name) => scopeName.test(name));
  const isUnlimited = known.length === 0 || (flavour === 'gitea' && known.length < names.length);
  return isUnlimited ? ['all'] : unique(known);
}

/** Whether a 403 says that a scope is missing, which a valid token alone is told. */
export function isMissingScope(message: string): boolean {
  return message.includes('required scope');
}
