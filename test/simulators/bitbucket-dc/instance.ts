import type { PlainAnswer, Route } from '../routes.ts';
import { authenticate } from './authenticate.ts';
import { answerAbsent, refusePermission, requireActor, type Call, type DcContext } from './call.ts';
import type { Api } from './server.ts';

/** What a server tells of itself (`providers/bitbucket-data-center.md` §1). */
export function listInstanceRoutes(context: DcContext, api: Api): Route[] {
  return [
    {
      method: 'GET',
      template: '/rest/api/{api}/application-properties',
      handle: api(describeInstance),
    },
    {
      method: 'GET',
      template: '/rest/authconfig/{api}/login-options',
      handle: api(() => ({
        status: 200,
        json: {
          size: 1,
          limit: 25,
          start: 0,
          isLastPage: true,
          results: [{ id: 0, type: 'LOGIN_FORM', loginLink: null, buttonText: null }],
        },
      })),
    },
    {
      // The way to ask whether there is OAuth 2.0: a stranger is 401 where there is.
      method: 'GET',
      template: '/rest/oauth2/{api}/client',
      undescribed: true,
      handle: context.behaviour.hasOAuth ? api(listClients) : answerAbsent,
    },
    { method: 'GET', template: '/rest/api/{api}/admin/rate-limit/settings', handle: api(showRateLimit) },
    {
      // Where tokens no longer count it answers as to a stranger: with nothing.
      method: 'GET',
      template: '/plugins/servlet/applinks/whoami',
      undescribed: true,
      handle: (request) => ({ status: 200, text: authenticate(context, request, 'page')?.user.name ?? '' }),
    },
  ];
}

function describeInstance({ behaviour }: Call): PlainAnswer {
  const [major = '0', minor = '0', patch = '0'] = behaviour.version.split('.');
  const buildNumber = `${Number(major)}${minor.padStart(3, '0')}${patch.padStart(3, '0')}`;
  return {
    status: 200,
    json: { version: behaviour.version, buildNumber, buildDate: '1727746800000', displayName: 'Bitbucket' },
  };
}

function listClients(call: Call): PlainAnswer {
  requireSystemAdmin(call);
  return { status: 200, json: [] };
}

function showRateLimit(call: Call): PlainAnswer {
  requireSystemAdmin(call);
  const { rateLimit } = call.settings;
  const bucket = { capacity: rateLimit?.capacity ?? 60, fillRate: rateLimit?.fillRate ?? 5 };
  return { status: 200, json: { enabled: rateLimit !== null, defaultSettings: bucket } };
}

/** HTTP access tokens never pass, whoever's they are. */
function requireSystemAdmin(call: Call): void {
  const { user, limits } = requireActor(call);
  if (!user.isSystemAdmin || !limits.administration) throw refusePermission();
}
