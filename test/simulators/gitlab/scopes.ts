/** What OAuth knows, as the live server lists it (`providers/gitlab.md` §2.1). */
export const oauthScopes: readonly string[] = [
  'api',
  'read_api',
  'read_user',
  'read_repository',
  'write_repository',
  'read_registry',
  'write_registry',
  'create_runner',
  'manage_runner',
  'k8s_proxy',
  'self_rotate',
  'ai_features',
  'mcp',
  'openid',
  'profile',
  'email',
  'sudo',
  'admin_mode',
];

const tokenScopes: readonly string[] = oauthScopes.filter(
  (scope) => !['openid', 'profile', 'email', 'mcp'].includes(scope),
);

/** Bots of projects and groups cannot hold these. */
const notForBots: readonly string[] = ['read_user', 'sudo', 'admin_mode'];

const deployScopes: readonly string[] = ['read_repository', 'write_repository', 'read_registry'];

/** The first of the scopes that a token of this kind cannot have. */
export function findImpossibleScope(kind: string, scopes: readonly string[]): string | undefined {
  const possible =
    kind === 'deploy'
      ? deployScopes
      : tokenScopes.filter((scope) => !(['project', 'group'].includes(kind) && notForBots.includes(scope)));
  return scopes.find((scope) => !possible.includes(scope));
}
