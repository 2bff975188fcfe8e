import { signInKind, type Capability, type ScopeComparison, type ScopeTable } from '../provider.ts';

/** Azure DevOps in Entra, whose scopes are named by it. */
const resource = '499b84ac-1321-427f-aa17-267ca6975798/';

/** A token of Entra that another program obtained and a person pasted: gitlink cannot renew it. */
export const entraTokenKind = 'entra-token';

/** A token that an application got for itself. Its rights come from its membership, not from scopes. */
export const servicePrincipalKind = 'service-principal-token';

/** Whether a credential is a token of Entra, as against one of the organization's own. */
export function isEntraKind(credentialKind: string): boolean {
  return [signInKind, entraTokenKind, servicePrincipalKind].includes(credentialKind);
}

/**
 * What each capability needs. Who may see and change webhooks is decided by permissions in the project, not by scopes.
 *
 * @see https://learn.microsoft.com/azure/devops/integrate/get-started/authentication/oauth#scopes
 */
export const scopes: ScopeTable = {
  identity: [],
  list: ['vso.code'],
  namespaces: ['vso.profile'],
  clone: ['vso.code'],
  push: ['vso.code_write'],
  webhooks: ['vso.code'],
  'namespace-webhooks': ['vso.code'],
};

/** Tokens are managed by people who signed in; no personal access token may. */
const entraScopes: ScopeTable = { ...scopes, admin: ['vso.pats_manage'] };

export function scopesOf(credentialKind: string): ScopeTable | null {
  return isEntraKind(credentialKind) ? entraScopes : null;
}

/** What a scope includes beside itself, directly. */
const included: Readonly<Record<string, string>> = {
  'vso.code_full': 'vso.code_manage',
  'vso.code_manage': 'vso.code_write',
  'vso.code_write': 'vso.code',
  'vso.code': 'vso.hooks_write',
  'vso.build_execute': 'vso.build',
  'vso.build': 'vso.hooks_write',
  'vso.work_full': 'vso.work_write',
  'vso.work_write': 'vso.work',
  'vso.work': 'vso.hooks_write',
  'vso.hooks_write': 'vso.hooks',
  'vso.hooks': 'vso.profile',
  'vso.project_manage': 'vso.project_write',
  'vso.project_write': 'vso.project',
  'vso.pats_manage': 'vso.pats',
};

/** Everything that the person may do: of a token with full access, and of a sign-in without limits. */
const everything = ['app_token', 'user_impersonation', '.default'];

/** What Entra adds to a sign-in, which is no power over anything. */
const harmless = ['offline_access', 'openid', 'profile', 'email'];

/** @param granted - In either form: `vso.code`, and Entra's with the resource before it. */
export function compareScopes(granted: readonly string[], needed: readonly string[]): ScopeComparison {
  return {
    missing: toUnique(needed.filter((scope) => !isCovered(scope, granted))),
    excess: toUnique(granted.filter((scope) => !harmless.includes(scope) && !isCovered(scope, needed))),
  };
}

function isCovered(scope: string, by: readonly string[]): boolean {
  const wanted = toPlainScope(scope);
  return by.map(toPlainScope).some((other) => everything.includes(other) || includes(other, wanted));
}

function includes(scope: string | undefined, wanted: string): boolean {
  return scope !== undefined && (scope === wanted || includes(included[scope], wanted));
}

function toPlainScope(scope: string): string {
  return scope.startsWith(resource) ? scope.slice(resource.length) : scope;
}

/** The least scopes for a link that is wanted for something. */
export function toLeastScopes(capabilities: readonly Capability[]): readonly string[] {
  const wanted = toUnique(
    (['list', 'namespaces', ...capabilities] as const).flatMap((name) => entraScopes[name] ?? []),
  );
  return wanted.filter((scope) => !wanted.some((other) => other !== scope && includes(other, scope)));
}

/** The same in Entra's form, with what makes the sign-in last. */
export function toEntraScopes(capabilities: readonly Capability[]): readonly string[] {
  return [...toLeastScopes(capabilities).map((scope) => resource + scope), 'offline_access'];
}

function toUnique(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
