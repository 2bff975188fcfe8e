/** What includes what, on the page of PATs and in Entra alike (`providers/azure-devops.md` §2c). */
const includes: Readonly<Record<string, readonly string[]>> = {
  'vso.code_full': ['vso.code_manage'],
  'vso.code_manage': ['vso.code_write'],
  'vso.code_write': ['vso.code'],
  'vso.code': ['vso.hooks_write'],
  'vso.build_execute': ['vso.build'],
  'vso.build': ['vso.hooks_write'],
  'vso.work_write': ['vso.work'],
  'vso.work': ['vso.hooks_write'],
  'vso.hooks_write': ['vso.hooks'],
  'vso.hooks': ['vso.profile'],
  'vso.project_manage': ['vso.project_write'],
  'vso.project_write': ['vso.project'],
  'vso.pats_manage': ['vso.pats'],
  'vso.profile': [],
  'vso.project': [],
  'vso.pats': [],
  'vso.packaging': [],
  'vso.graph': [],
  'vso.identity': [],
  'vso.auditlog': [],
  'vso.tokens': [],
  'vso.tokenadministration': [],
  'vso.security_manage': [],
};

/** Everything that the user can do: a PAT with full access, and an Entra token without limits. */
const everything = ['app_token', 'user_impersonation'];

/** All that Azure DevOps has in Entra. */
export function listScopes(): readonly string[] {
  return [...Object.keys(includes), 'user_impersonation'];
}

export function isScope(scope: string): boolean {
  return scope in includes || everything.includes(scope);
}

/** The PAT page offers neither those of the PAT API nor Entra's word for everything. */
export function isPatScope(scope: string): boolean {
  return isScope(scope) && scope !== 'user_impersonation' && !scope.startsWith('vso.pats');
}

/** Whether one of the wanted scopes was granted; wanting none is always granted. */
export function isGranted(granted: readonly string[], wanted: readonly string[]): boolean {
  if (wanted.length === 0 || everything.some((scope) => granted.includes(scope))) return true;
  const reached = new Set<string>();
  const open = [...granted];
  for (let scope = open.pop(); scope !== undefined; scope = open.pop()) {
    if (reached.has(scope)) continue;
    reached.add(scope);
    open.push(...(includes[scope] ?? []));
  }
  return wanted.some((scope) => reached.has(scope));
}
