import type { BitbucketDcSimulator } from './server.ts';
import type { NewToken } from './token-state.ts';

/** Tokens, people and a client of a new server, for whoever tries it by hand. */
export function describeContents(simulator: BitbucketDcSimulator): string {
  const tokens: readonly (readonly [string, NewToken])[] = [
    ['everything gitlink may want', {}],
    ['for reading only', { permissions: ['PROJECT_READ', 'REPO_READ'] }],
    ['ends in a week', { expiryDays: 7 }],
    ['from before tokens had a prefix', { shape: 'legacy' }],
    ['of Grace, whose name is no slug', { user: 'Grace@acme.test' }],
    ['of the project ACME', { kind: 'project', resource: 'ACME' }],
    ['of the repository ACME/api', { kind: 'repository', resource: 'ACME/api' }],
  ];
  const tokenLines = tokens.map(([what, token]) => `  ${simulator.addToken(token).secret}  ${what}`);
  const people = [...simulator.state.users.values()].filter(({ type }) => type === 'NORMAL');
  const userLines = people.map(
    ({ name, password, isSystemAdmin }) =>
      `  ${name}${isSystemAdmin ? ' (system admin)' : ''}, password ${password ?? 'none'}`,
  );
  const { clientId, clientSecret } = simulator.oauth.addApplication();
  return `Tokens\n${tokenLines.join('\n')}\n\nUsers\n${userLines.join('\n')}\n
To sign in as ada with the browser
  --client-id ${clientId}, with the secret ${clientSecret}\n`;
}
