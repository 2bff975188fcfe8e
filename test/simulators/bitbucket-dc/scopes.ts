import type { CredentialLimits } from './call.ts';
import { levels, type Level } from './state.ts';

/** What OAuth 2.0 knows (`providers/bitbucket-data-center.md` §2b), each with all that it includes. */
const included: Readonly<Record<string, readonly string[]>> = {
  PUBLIC_REPOS: [],
  ACCOUNT_WRITE: [],
  REPO_READ: ['PUBLIC_REPOS'],
  REPO_WRITE: ['REPO_READ'],
  REPO_ADMIN: ['REPO_WRITE'],
  PROJECT_ADMIN: ['REPO_ADMIN'],
  ADMIN_WRITE: ['PROJECT_ADMIN', 'ACCOUNT_WRITE'],
  SYSTEM_ADMIN: ['ADMIN_WRITE'],
};

export const oauthScopes: readonly string[] = Object.keys(included);

/** The scopes and all that they include. */
export function expandScopes(scopes: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (scope: string) => {
    found.add(scope);
    for (const below of included[scope] ?? []) visit(below);
  };
  scopes.forEach(visit);
  return found;
}

export function limitsOfScopes(scopes: readonly string[]): CredentialLimits {
  const all = expandScopes(scopes);
  const repository: Level = all.has('REPO_ADMIN')
    ? levels.admin
    : all.has('REPO_WRITE')
      ? levels.write
      : all.has('REPO_READ')
        ? levels.read
        : levels.none;
  const project: Level = all.has('PROJECT_ADMIN')
    ? levels.admin
    : all.has('REPO_READ')
      ? levels.read
      : levels.none;
  return {
    repository,
    project,
    account: all.has('ACCOUNT_WRITE'),
    administration: all.has('SYSTEM_ADMIN'),
  };
}
