import { AuthError, ForbiddenError, UnsupportedError, UsageError, type GitlinkError } from '../../errors.ts';
import type { HostClient } from '../../http/host-client.ts';
import type { OAuthSupport, SignInPlace } from '../oauth-support.ts';
import { cloudHost, toGrantsUrl, toLoginBase, toOrganizationUrl, toRegistrationsUrl } from './pages.ts';
import { findSignInPlace } from './recognise.ts';
import { servicePrincipalKind, toEntraScopes } from './scopes.ts';

/** The directory of whoever signs in, for organizations that name none. */
const anyTenant = 'organizations';

/**
 * Signing in at Entra, in the tenant of the organization: people may be at home in another. An old refresh token
 * stays good when it was exchanged for a new one, so neither a race nor a lost answer costs the sign-in.
 *
 * Entra takes any port with `http://localhost`, and knows no other way back to a program.
 *
 * @see https://learn.microsoft.com/azure/devops/integrate/get-started/authentication/entra-oauth
 * @see https://learn.microsoft.com/entra/identity-platform/refresh-tokens
 */
export const oauth: OAuthSupport = {
  redirect: { host: 'localhost', path: '/callback', port: null },
  redirectAdvice:
    'It belongs to the platform "Mobile and desktop applications", not to "Web" or "Single-page application".',
  clientAuthentication: 'post',
  refresh: {
    // The other two: a policy wants the person to be there.
    spent: [{ error: 'invalid_grant' }, { error: 'interaction_required' }, { error: 'consent_required' }],
    secondTryAfterMs: null,
    forgivesLostAnswer: true,
    parameters: {},
  },
  toEndpoints: ({ host, tenant }) => {
    const base = `${toLoginBase(host)}/${encodeURIComponent(tenant ?? anyTenant)}/oauth2/v2.0`;
    return {
      authorization: `${base}/authorize`,
      token: `${base}/token`,
      device: `${base}/devicecode`,
      // Entra ends all sign-ins of a person at once, or none.
      revocation: null,
    };
  },
  verificationOrigins: (host) =>
    host === cloudHost
      ? [
          'https://microsoft.com',
          'https://www.microsoft.com',
          'https://login.microsoft.com',
          'https://login.microsoftonline.com',
        ]
      : [new URL(host).origin],
  isOffered,
  toScopes: toEntraScopes,
  hasConstantScopes: false,
  clientCredentials: { scope: '499b84ac-1321-427f-aa17-267ca6975798/.default', kind: servicePrincipalKind },
  explainRefusal: (host, failure) => explainRefusal(host, failure.description ?? ''),
  registration: (host, redirectUri) => ({
    url: toRegistrationsUrl(host),
    fields: [
      ['Name', 'gitlink'],
      ['Supported account types', 'Accounts in any organizational directory'],
      ['Redirect URI, platform', 'Public client/native (mobile & desktop)'],
      ['Redirect URI', redirectUri],
      ['Authentication > Allow public client flows', 'Yes'],
      [
        'API permissions > Azure DevOps, delegated',
        'vso.code_write (only to read: vso.code); to rotate tokens also vso.pats_manage',
      ],
    ],
  }),
  grantsPage: toGrantsUrl,
};

/** @throws UnsupportedError for an organization that only has personal Microsoft accounts. */
async function isOffered(web: HostClient, { host, organization, tenant }: SignInPlace): Promise<boolean> {
  if (tenant || !organization) return tenant !== null || host === cloudHost;
  const place = await findSignInPlace(web, organization);
  if (place === 'personal') {
    throw new UnsupportedError(
      `${toOrganizationUrl(host, organization)} belongs to personal Microsoft accounts, with which programs cannot sign in to Azure DevOps.`,
      { hint: 'Link it with a token: --method token' },
    );
  }
  return place !== null;
}

/** Entra's own number of what went wrong, which stands at the beginning of its words. */
type Explanation = (host: string, said: string) => GitlinkError;

const administratorHint =
  'Ask an administrator of the tenant to consent, or link the organization with a token: --method token';

const explanations: Readonly<Record<string, Explanation>> = {
  50011: () =>
    new UsageError('The client has another redirect registered at Entra.', {
      hint: 'Register http://localhost/callback for the platform "Mobile and desktop applications".',
    }),
  50020: (host) =>
    new AuthError('This account is no member of the tenant that the organization belongs to.', {
      hint: `Choose the account that opens ${host} in a browser, or have yourself invited to the tenant.`,
    }),
  50105: () =>
    new ForbiddenError('Entra lets only some people use this client, and this account is not among them.', {
      hint: administratorHint,
    }),
  53003: () =>
    new ForbiddenError('A policy of the tenant (Conditional Access) refuses this sign-in.', {
      hint: 'It may want a certain network or device, or forbid signing in by a code: try --method oauth, or a token: --method token',
    }),
  65001: () =>
    new ForbiddenError('Nobody has allowed this client to use Azure DevOps for this account yet.', {
      hint: `Sign in with a browser and agree on its page. Where that is not possible: ${administratorHint.toLowerCase()}`,
    }),
  65004: () => new AuthError('The sign-in was not allowed on the page.', { hint: 'Run the command again.' }),
  90002: () => createTenantError(),
  90094: () =>
    new ForbiddenError('The tenant wants an administrator to allow this client.', {
      hint: administratorHint,
    }),
  500011: () =>
    new ForbiddenError('This tenant does not know Azure DevOps.', {
      hint: 'Name the organization, so that the sign-in is made at its tenant: --organization',
    }),
  700016: () =>
    new UsageError('Entra does not know this client in the tenant of the organization.', {
      hint: 'Register it for accounts in any organizational directory, or in that tenant; then gitlink client add.',
    }),
  900021: () => createTenantError(),
  7000218: () =>
    new UsageError('Entra takes this client for one with a secret.', {
      hint: 'Allow public client flows on the page of the registration (Authentication > Allow public client flows: Yes).',
    }),
};

function createTenantError(): UsageError {
  return new UsageError('There is no such tenant at Entra.', {
    hint: 'The organization may belong to personal Microsoft accounts: link it with a token, --method token',
  });
}

function explainRefusal(host: string, description: string): GitlinkError | null {
  const number = /\bAADSTS(\d{5,7})\b/.exec(description)?.[1];
  return (number !== undefined && explanations[number]?.(host, description)) || null;
}
