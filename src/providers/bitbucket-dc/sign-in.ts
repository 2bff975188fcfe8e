import { ForbiddenError } from '../../errors.ts';
import type { HostClient } from '../../http/host-client.ts';
import { route } from '../../http/route.ts';
import type { OAuthSupport } from '../oauth-support.ts';
import { toClientsUrl, toGrantsUrl } from './pages.ts';
import { toLeastScopes } from './scopes.ts';

const tokenHint = 'Link with a token instead: gitlink link bitbucket-dc --method token';
const redirectAdvice = `Most servers demand HTTPS there. ${tokenHint}`;

/**
 * Signing in at Bitbucket Data Center, where an administrator has registered a client. Servers take a redirect to
 * http only when they were started so, and authorization codes live ten seconds.
 *
 * @see https://confluence.atlassian.com/bitbucketserver/bitbucket-oauth-2-0-provider-api-1108483661.html
 */
export const oauth: OAuthSupport = {
  redirect: { host: '127.0.0.1', path: '/callback', port: 34_119 },
  redirectAdvice,
  clientAuthentication: 'post',
  refresh: {
    spent: [{ error: 'invalid_grant' }],
    secondTryAfterMs: null,
    forgivesLostAnswer: false,
    parameters: {},
    repeatsRedirect: true,
  },
  toEndpoints: ({ host }) => ({
    authorization: `${host}/rest/oauth2/latest/authorize`,
    token: `${host}/rest/oauth2/latest/token`,
    device: null,
    // Documented nowhere, but there: Atlassian's products share this part.
    revocation: `${host}/rest/oauth2/latest/revoke`,
  }),
  isOffered,
  toScopes: toLeastScopes,
  hasConstantScopes: false,
  explainRefusal: (host, { error, description }) =>
    /redirect/i.test(description ?? '') || error === 'invalid_redirect_uri'
      ? new ForbiddenError(
          `${host} does not let this client come back to this machine: ${description ?? error}`,
          {
            hint: redirectAdvice,
          },
        )
      : null,
  registration: (host, redirectUri) => ({
    url: toClientsUrl(host),
    fields: [
      ['Application type', 'External application, incoming'],
      ['Name', 'gitlink'],
      ['Redirect URL', redirectUri],
      ['Application permissions', 'Projects: Admin, Repositories: Admin'],
      ['If HTTPS is demanded', `nothing helps but the server's settings. ${tokenHint}`],
    ],
  }),
  grantsPage: toGrantsUrl,
};

/** The API of clients refuses strangers where there is one (7.20). */
async function isOffered(web: HostClient): Promise<boolean> {
  const { status } = await web.request({
    method: 'GET',
    route: route`/rest/oauth2/1.0/client`,
    accept: [401, 403, 404],
  });
  return status !== 404;
}
