import type { GitlabSimulator } from './server.ts';
import type { NewToken } from './token-state.ts';

/** Fills a simulator with what there is to try by hand, and says it. */
export function describeContents(simulator: GitlabSimulator): string {
  const { oauth, state } = simulator;
  const addToken = (token: NewToken) => simulator.addToken(token);
  const bot = state.findUser('service_account_group_31_canary')?.username ?? '';
  const tokens = [
    ['everything gitlink may want', addToken({ scopes: ['api', 'write_repository'] })],
    ['for reading only', addToken({ scopes: ['read_api', 'read_repository', 'self_rotate'] })],
    ['git alone, and cannot even say who it is', addToken({ scopes: ['write_repository', 'self_rotate'] })],
    ['ends in a week', addToken({ scopes: ['api'], expiresAt: dayIn(7) })],
    ['new shape', addToken({ scopes: ['api'], shape: 'routable' })],
    ['of the project acme/api', addToken({ kind: 'project', resource: 'acme/api', scopes: ['api'] })],
    ['of the group acme', addToken({ kind: 'group', resource: 'acme', scopes: ['api'], accessLevel: 50 })],
    ['of a service account', addToken({ kind: 'serviceAccount', user: bot, scopes: ['api'] })],
    [
      'to deploy acme/api (--username ci --repo acme/api)',
      addToken({
        kind: 'deploy',
        resource: 'acme/api',
        scopes: ['read_repository'],
        deployUsername: 'ci',
      }),
    ],
  ] as const;
  const tokenLines = tokens.map(([what, { secret, scopes }]) => `  ${secret}  ${what}: ${scopes.join(' ')}`);
  const { applicationId } = oauth.addApplication();
  return `Tokens\n${tokenLines.join('\n')}\n\nTo sign in as ada with the browser or a code\n  --client-id ${applicationId}\n`;
}

function dayIn(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
}
