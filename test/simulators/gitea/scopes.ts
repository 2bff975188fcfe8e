/** The order is the servers' own: normalised scope lists are written in it. */
const scopeCategories = [
  'activitypub',
  'admin',
  'misc',
  'notification',
  'organization',
  'package',
  'issue',
  'repository',
  'user',
] as const;

export type ScopeCategory = (typeof scopeCategories)[number];
export type ScopeLevel = 'read' | 'write';

/**
 * Brings scopes into the form that the servers keep: no doubles, no `read` beside `write`, `all` for everything.
 *
 * @returns the first name that is not a scope, instead, if there is one.
 */
export function normalizeScopes(scopes: readonly string[]): readonly string[] | { readonly invalid: string } {
  const invalid = scopes.find((scope) => scope !== '' && !isScope(scope));
  if (invalid !== undefined) return { invalid };
  const restriction = scopes.includes('public-only') ? ['public-only'] : [];
  if (scopeCategories.every((category) => hasScope(scopes, 'write', category)))
    return [...restriction, 'all'];
  const granted = scopeCategories.flatMap((category) => {
    if (hasScope(scopes, 'write', category)) return [`write:${category}`];
    return hasScope(scopes, 'read', category) ? [`read:${category}`] : [];
  });
  return [...restriction, ...granted];
}

function isScope(scope: string): boolean {
  if (scope === 'all' || scope === 'public-only') return true;
  const [level, category] = scope.split(':');
  return (level === 'read' || level === 'write') && scopeCategories.some((known) => known === category);
}

/** Whether scopes include one; `write` includes `read`, `all` includes everything. */
export function hasScope(scopes: readonly string[], level: ScopeLevel, category: ScopeCategory): boolean {
  return (
    scopes.includes('all') ||
    scopes.includes(`write:${category}`) ||
    (level === 'read' && scopes.includes(`read:${category}`))
  );
}
