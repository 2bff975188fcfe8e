import type { AzureDevopsSimulator } from './server.ts';
import { requireOrganization } from './state.ts';
import type { NewPat } from './token-state.ts';

const dayMs = 86_400_000;

/** Fills a simulator with what there is to try by hand, and says it. */
export function describeContents({ oauth, state, ...simulator }: AzureDevopsSimulator): string {
  const addToken = (token: NewPat) => simulator.addToken(token);
  const tokens = [
    ['everything gitlink may want', addToken({ scopes: ['vso.code_write'] })],
    ['for reading only', addToken({ scopes: ['vso.code'] })],
    ['of before July 2024, for everything', addToken({ scopes: ['app_token'], shape: 'old' })],
    ['ends in a week', addToken({ expiresAt: Date.now() + 7 * dayMs })],
    ['cannot see code', addToken({ scopes: ['vso.project'] })],
    ['of the organization acme-labs', addToken({ organization: 'acme-labs' })],
  ] as const;
  const tokenLines = tokens.map(([what, token]) => `  ${token.secret}  ${what}: ${token.scopes.join(' ')}`);
  const organizations = state.organizations.map(({ name }) => name).join(', ');
  const { clientId } = oauth.addApplication();
  const robot = oauth.addApplication({ confidential: true, servicePrincipal: 'ci' });
  const { tenant } = requireOrganization(state, 'acme');
  return `Organizations: ${organizations}

PATs of ada for acme
${tokenLines.join('\n')}

To sign in as ada with the browser or a code
  --client-id ${clientId}

A service principal of the tenant ${tenant}
  --client-id ${robot.clientId}, its secret ${robot.secret ?? ''}
`;
}
