import type { Route } from '../routes.ts';
import type { Api, GithubContext } from './call.ts';
import type { Limits } from './limits.ts';

/** What the service says of itself (`providers/github.md` §1.2, §3, §9). */
export function listInstanceRoutes(context: GithubContext, limits: Limits, api: Api): Route[] {
  const isServer = context.flavour === 'enterprise-server';
  return [
    {
      method: 'GET',
      template: '/meta',
      handle: api({ who: 'anyone', page: 'meta/meta#get-github-meta-information' }, ({ settings }) => ({
        status: 200,
        json: {
          verifiable_password_authentication: false,
          ...(isServer ? { installed_version: settings.installedVersion } : { hooks: ['192.0.2.0/24'] }),
        },
      })),
    },
    {
      method: 'GET',
      template: '/rate_limit',
      handle: api({ who: 'anyone', page: 'rate-limit/rate-limit' }, (call) => {
        // An Enterprise Server without limits has nothing to tell.
        if (!call.settings.hasRateLimits) {
          return { status: 404, json: { message: 'Rate limiting is not enabled.' } };
        }
        const resources = limits.describe(call, call.actor);
        return { status: 200, json: { resources, rate: resources['core'] } };
      }),
    },
    {
      method: 'GET',
      template: '/',
      undescribed: true,
      handle: api({ who: 'anyone', page: 'meta/meta#github-api-root' }, ({ apiUrl }) => ({
        status: 200,
        json: {
          current_user_url: `${apiUrl()}/user`,
          repository_url: `${apiUrl()}/repos/{owner}/{repo}`,
          user_repositories_url: `${apiUrl()}/user/repos{?type,page,per_page,sort}`,
        },
      })),
    },
  ];
}
