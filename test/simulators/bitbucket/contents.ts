import type { BitbucketSimulator } from './server.ts';
import type { NewToken } from './token-state.ts';

/** Fills a simulator with what there is to try by hand, and says it. */
export function describeContents({ oauth, state, ...simulator }: BitbucketSimulator): string {
  const addToken = (token: NewToken) => simulator.addToken(token);
  const reading = ['user', 'workspace', 'project', 'repository', 'pullrequest', 'webhook'];
  const scopes = [
    ...reading.map((name) => `read:${name}`),
    'write:repository',
    'write:webhook',
    'delete:webhook',
  ];
  const forEverything = scopes.map((scope) => `${scope}:bitbucket`);
  const forGit = ['read:repository:bitbucket', 'write:repository:bitbucket'];
  const ofPlaces = ['repository:write', 'pullrequest', 'webhook'];
  const tokens = [
    ['everything gitlink may want', addToken({ kind: 'api', scopes: forEverything })],
    ['git alone', addToken({ kind: 'api', scopes: forGit })],
    ['everything, in acme alone', addToken({ kind: 'api', scopes: forEverything, workspaceLimit: 'acme' })],
    ['of the repository acme/api', addToken({ kind: 'repository', resource: 'acme/api', scopes: ofPlaces })],
    ['of the project acme/API', addToken({ kind: 'project', resource: 'acme/API', scopes: ofPlaces })],
    ['of the workspace acme', addToken({ kind: 'workspace', resource: 'acme', scopes: ofPlaces })],
    ['an app password, which is dead', addToken({ kind: 'appPassword' })],
  ] as const;
  const tokenLines = tokens.map(([what, token]) => `  ${token.secret}  ${what}: ${token.scopes.join(' ')}`);
  const { key, secret, callbackUrl } = oauth.addApplication();
  const email = state.findUser('ada')?.email ?? '';
  return `API tokens of ada go with --email ${email}
${tokenLines.join('\n')}

To sign in as ada with the browser
  --client-id ${key}, its secret ${secret}, coming back to ${String(callbackUrl)}
`;
}
