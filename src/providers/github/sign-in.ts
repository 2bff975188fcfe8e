import { AuthError, ForbiddenError, UsageError } from '../../errors.ts';
import type { OAuthSupport } from '../oauth-support.ts';
import { toGrantsUrl } from './pages.ts';
import { endSignIn } from './revocation.ts';
import { toLeastScopes } from './scopes.ts';

/**
 * Signing in by an OAuth App, or by a GitHub App, which passes over scopes. The client's secret is wanted with PKCE,
 * too; only signing in by a code does without. Errors come as answers with the status 200.
 *
 * `offline_access` makes tokens of an OAuth App end after eight hours and be renewed; servers of companies may not
 * know it. A refresh token works once and ends the access token with it.
 *
 * @see https://docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
 * @see https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens
 */
export const oauth: OAuthSupport = {
  redirect: { host: '127.0.0.1', path: '/callback', port: null },
  isDeviceFlowSecretFree: true,
  clientAuthentication: 'post',
  refresh: {
    spent: [{ error: 'bad_refresh_token' }],
    secondTryAfterMs: null,
    forgivesLostAnswer: false,
    parameters: {},
  },
  toEndpoints: ({ host }) => ({
    authorization: `${host}/login/oauth/authorize`,
    token: `${host}/login/oauth/access_token`,
    device: `${host}/login/device/code`,
    revocation: null,
  }),
  toScopes: (capabilities) => [...toLeastScopes(capabilities), 'offline_access'].sort(),
  hasConstantScopes: false,
  explainRefusal: (host, { error }) => {
    const hint = `Look at its settings: ${host}/settings/developers`;
    switch (error) {
      case 'redirect_uri_mismatch':
        return new UsageError(`The client at ${host} is registered with another callback URL.`, {
          hint: `It has to be http://127.0.0.1/callback, without a port and a slash at its end. ${hint}`,
        });
      case 'application_suspended':
        return new ForbiddenError(`${host} has suspended this client.`, { hint });
      case 'incorrect_client_credentials':
        return new AuthError(`${host} does not know this client, or not with this secret.`, {
          hint: `An App's number is not its client id. ${hint}`,
        });
      case 'device_flow_disabled':
        return new ForbiddenError(`This client may not sign people in by a code.`, {
          hint: `Its owner has to tick "Enable Device Flow", or sign in with a browser: --method oauth. ${hint}`,
        });
      case 'unverified_user_email':
        return new ForbiddenError(`${host} wants you to confirm your e-mail address first.`, {
          hint: `${host}/settings/emails`,
        });
      default:
        return null;
    }
  },
  registration: (host, redirectUri) => ({
    url: `${host}/settings/applications/new`,
    fields: [
      ['Application name', 'gitlink'],
      ['Homepage URL', host],
      ['Authorization callback URL', redirectUri],
      ['Enable Device Flow', 'ticked'],
      ['Client secrets', 'Generate a new client secret, which is shown once'],
    ],
  }),
  endSignIn,
  grantsPage: toGrantsUrl,
};
