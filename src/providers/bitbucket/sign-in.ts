import { ForbiddenError, UsageError } from '../../errors.ts';
import type { OAuthSupport } from '../oauth-support.ts';
import { toGrantsUrl, toWorkspacesUrl } from './pages.ts';
import { toLeastScopes } from './scopes.ts';

/**
 * Signing in by a consumer of a workspace. Its checkboxes bound what it can ask for, its secret is needed also to
 * renew, and PKCE, which Bitbucket does not document, is sent all the same.
 *
 * A refresh token works once and ends shortly after; by the word of Atlassian's developers in some ten minutes
 * (git-credential-manager#2428), so that one whose answer was lost may be sent again at once.
 *
 * @see https://developer.atlassian.com/cloud/bitbucket/rest/intro/#oauth-2-0
 */
export const oauth: OAuthSupport = {
  redirect: { host: '127.0.0.1', path: '/callback', port: 34_119 },
  clientAuthentication: 'basic',
  refresh: {
    spent: [{ error: 'invalid_grant' }],
    secondTryAfterMs: null,
    forgivesLostAnswer: true,
    parameters: {},
  },
  toEndpoints: ({ host }) => ({
    authorization: `${host}/site/oauth2/authorize`,
    token: `${host}/site/oauth2/access_token`,
    device: null,
    revocation: null,
  }),
  toScopes: (capabilities) => toLeastScopes(capabilities, 'classic'),
  hasConstantScopes: false,
  explainRefusal: (host, { error, description }) => {
    const hint = `Change it in the settings of its workspace (OAuth consumers): ${toWorkspacesUrl(host)}`;
    if (error === 'invalid_scope') {
      return new ForbiddenError(`The consumer lacks a permission that was asked for at ${host}.`, { hint });
    }
    if (error === 'invalid_request' && /callback ur[il]/i.test(description ?? '')) {
      return new UsageError(`The consumer has no callback URL at ${host}.`, { hint });
    }
    return null;
  },
  registration: (host, redirectUri) => ({
    url: toWorkspacesUrl(host),
    fields: [
      ['Where', 'a workspace that you administer: Settings > OAuth consumers > Add consumer'],
      ['Name', 'gitlink'],
      ['Callback URL', redirectUri],
      ['This is a private consumer', 'not ticked'],
      ['Account', 'Read'],
      ['Projects', 'Read'],
      ['Repositories', 'Read (to push: Write, too)'],
      ['Pull requests', 'Read'],
      ['Webhooks', 'Read and write'],
    ],
  }),
  grantsPage: toGrantsUrl,
};
