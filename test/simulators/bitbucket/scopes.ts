/** What a route demands: by the classic names of OAuth and access tokens, and by those of API tokens. */
export interface Need {
  readonly classic: readonly string[];
  readonly api: readonly string[];
}

export const nothing: Need = { classic: [], api: [] };

/** Direct implications of classic scopes (`providers/bitbucket.md` §2a); the admin scopes imply nothing. */
const implied: Readonly<Record<string, readonly string[]>> = {
  'repository:write': ['repository'],
  pullrequest: ['repository'],
  'pullrequest:write': ['pullrequest', 'repository:write'],
  project: ['repository'],
  'issue:write': ['issue'],
  'snippet:write': ['snippet'],
};

const ofRepositories = [
  'repository',
  'repository:write',
  'repository:admin',
  'repository:delete',
  'pullrequest',
  'pullrequest:write',
  'webhook',
  'pipeline',
  'pipeline:write',
  'pipeline:variable',
  'runner',
  'runner:write',
];

/** What each kind of token may be given. */
export const scopesOf: Readonly<
  Record<'repository' | 'project' | 'workspace' | 'consumer', readonly string[]>
> = {
  repository: ofRepositories,
  project: [...ofRepositories, 'project'],
  workspace: [...ofRepositories, 'project', 'project:admin', 'account'],
  consumer: [
    ...ofRepositories,
    'project',
    'project:admin',
    'account',
    'account:write',
    'email',
    'team',
    'team:write',
    'issue',
    'issue:write',
    'wiki',
    'snippet',
    'snippet:write',
    'test',
    'test:write',
  ],
};

const apiScope =
  /^(read|write|admin|delete):(repository|pullrequest|project|workspace|user|pipeline|runner|issue|webhook|snippet|ssh-key|gpg-key|permission):bitbucket$/;

export function isApiScope(scope: string): boolean {
  return apiScope.test(scope);
}

/** Classic scopes with all that they imply. */
export function expandScopes(scopes: readonly string[]): ReadonlySet<string> {
  const all = new Set(scopes);
  // A set's iteration also visits what is added on the way.
  for (const scope of all) for (const below of implied[scope] ?? []) all.add(below);
  return all;
}

/** What of a need is not granted. The scopes of API tokens imply nothing. */
export function findMissing(
  { kind, scopes }: { readonly kind: string; readonly scopes: readonly string[] },
  need: Need,
): readonly string[] {
  const granted = expandScopes(scopes);
  return (kind === 'api' ? need.api : need.classic).filter((scope) => !granted.has(scope));
}
