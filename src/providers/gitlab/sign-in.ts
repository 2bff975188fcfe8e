import { ForbiddenError } from '../../errors.ts';
import { isAnswer } from '../../http/host-answer-error.ts';
import { route } from '../../http/route.ts';
import { narrow } from '../narrow.ts';
import type { CreatedClient, OAuthSupport } from '../oauth-support.ts';
import type { HostAccess } from '../provider.ts';
import * as schemas from './schemas.ts';
import { toLeastScopes } from './scopes.ts';
import { toGrantsUrl } from './tokens.ts';

/** What a client may ask for at most; each sign-in asks for less. */
const clientScopes = 'api read_api read_user read_repository write_repository';

/**
 * Signing in at GitLab. Its refresh tokens work once and end the access token with them, and its read replicas may
 * not know a new one yet, so that the first `invalid_grant` may be wrong (gitlab#599181).
 *
 * The documentation wants `redirect_uri` with a refresh, the server does not, and the port of then is not known
 * later: it is left out.
 *
 * @see https://docs.gitlab.com/api/oauth2/
 */
export const oauth: OAuthSupport = {
  redirect: { host: '127.0.0.1', path: '/callback', port: null },
  clientAuthentication: 'post',
  refresh: {
    spent: [{ error: 'invalid_grant' }],
    secondTryAfterMs: 2_000,
    forgivesLostAnswer: false,
    parameters: {},
  },
  toEndpoints: ({ host }) => ({
    authorization: `${host}/oauth/authorize`,
    token: `${host}/oauth/token`,
    device: `${host}/oauth/authorize_device`,
    revocation: `${host}/oauth/revoke`,
  }),
  toScopes: toLeastScopes,
  hasConstantScopes: false,
  registration: (host, redirectUri) => ({
    url: toGrantsUrl(host),
    fields: [
      ['Name', 'gitlink'],
      ['Redirect URI', redirectUri],
      ['Confidential', 'no'],
      ['Scopes', clientScopes.replaceAll(' ', ', ')],
    ],
  }),
  createClient,
  deleteClient,
  grantsPage: toGrantsUrl,
};

/** Since GitLab 19.0, where an account may have applications of its own. */
async function createClient(
  { http, host }: HostAccess,
  { name, redirectUri }: { name: string; redirectUri: string },
): Promise<CreatedClient | null> {
  const json = { name, redirect_uri: redirectUri, scopes: clientScopes, confidential: false };
  try {
    const { status, body } = await http.request({
      method: 'POST',
      route: route`/user/applications`,
      json,
      accept: [404],
    });
    if (status === 404) return null;
    const made = narrow(schemas.application, body, 'the application');
    // The secret that it got all the same is nothing that a public client has to prove itself with.
    return { id: made.application_id, secret: null, registrationId: String(made.id) };
  } catch (error) {
    if (!isAnswer(error, 403)) throw error;
    throw new ForbiddenError(`This credential may not register an application at ${host}.`, {
      cause: error,
      hint: 'That takes a personal access token with the scope api.',
    });
  }
}

async function deleteClient({ http }: HostAccess, registrationId: string): Promise<'removed' | 'gone'> {
  const { status } = await http.request({
    method: 'DELETE',
    route: route`/user/applications/${registrationId}`,
    accept: [404],
  });
  return status === 404 ? 'gone' : 'removed';
}
