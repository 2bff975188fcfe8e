import type { Capability, ScopeComparison } from '../provider.ts';

/**
 * What each capability needs, in both of Bitbucket's languages: the classic names of sign-ins and access tokens, and
 * those of API tokens, which end in `:bitbucket`. A credential is judged in the one that it speaks. Roles come on
 * top: administrator of the repository for its webhooks, of the workspace for those of a workspace.
 *
 * To make a webhook takes the right to read what it tells about.
 */
export const scopes: Readonly<Partial<Record<Capability, readonly string[]>>> = {
  identity: ['account', 'read:user:bitbucket'],
  list: ['account', 'repository', 'read:workspace:bitbucket', 'read:repository:bitbucket'],
  namespaces: ['account', 'project', 'read:workspace:bitbucket', 'read:project:bitbucket'],
  clone: ['repository', 'read:repository:bitbucket'],
  push: ['repository:write', 'read:repository:bitbucket', 'write:repository:bitbucket'],
  webhooks: webhookScopes(),
  'namespace-webhooks': webhookScopes(),
};

function webhookScopes(): readonly string[] {
  const ofApiTokens = [
    'read:webhook',
    'write:webhook',
    'delete:webhook',
    'read:repository',
    'read:pullrequest',
  ];
  return ['webhook', 'repository', 'pullrequest', ...ofApiTokens.map((scope) => `${scope}:bitbucket`)];
}

/** What a classic scope includes beside itself. Those of administrators and of API tokens include nothing. */
const included: Readonly<Record<string, readonly string[]>> = {
  'repository:write': ['repository'],
  pullrequest: ['repository'],
  'pullrequest:write': ['pullrequest', 'repository', 'repository:write'],
  project: ['repository'],
  'issue:write': ['issue'],
  'snippet:write': ['snippet'],
};

/** What access tokens cannot be given, or can do nothing with: they act for no person. */
const impossible: Readonly<Record<string, readonly string[]>> = {
  'access-token': ['account', 'project'],
  'repository-access-token': ['account', 'project'],
  'project-access-token': ['account'],
  'workspace-access-token': ['account'],
};

function isApiTokenScope(scope: string): boolean {
  return scope.endsWith(':bitbucket');
}

/**
 * Compares in the language of what was granted; where nothing was, in both.
 *
 * @param credentialKind - Leaves out what such a credential can never be given.
 */
export function compareScopes(
  granted: readonly string[],
  needed: readonly string[],
  credentialKind?: string,
): ScopeComparison {
  const isApiToken = granted.some(isApiTokenScope);
  const concerns = (scope: string): boolean =>
    (granted.length === 0 || isApiTokenScope(scope) === isApiToken) &&
    !impossible[credentialKind ?? '']?.includes(scope);
  const isCovered = (scope: string, by: readonly string[]): boolean =>
    by.some((other) => other === scope || included[other]?.includes(scope));
  return {
    missing: toUnique(needed.filter((scope) => concerns(scope) && !isCovered(scope, granted))),
    excess: toUnique(granted.filter((grant) => !isCovered(grant, needed))),
  };
}

/** The least scopes for a link that is wanted for something, in one of the two languages. */
export function toLeastScopes(
  capabilities: readonly Capability[],
  language: 'classic' | 'apiToken',
): readonly string[] {
  const needed = (['identity', 'list', 'namespaces', ...capabilities] as const).flatMap(
    (name) => scopes[name] ?? [],
  );
  return toUnique(needed.filter((scope) => isApiTokenScope(scope) === (language === 'apiToken')));
}

/** Reads a list of scopes such as `repository, webhook`; null where there is none. */
export function parseScopes(header: string | null | undefined): readonly string[] | null {
  if (header === null || header === undefined) return null;
  return toUnique(header.split(/[\s,]+/).filter((scope) => scope !== ''));
}

function toUnique(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
