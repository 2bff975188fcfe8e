import type { PlainAnswer, Route } from '../routes.ts';
import {
  readJson,
  refuse,
  refuseNotFound,
  rejectPublicOnly,
  requireActor,
  requireScopes,
  type Call,
  type GiteaHandler,
} from './call.ts';
import {
  addApplication,
  deleteApplication,
  makeClientSecret,
  type GiteaApplication,
  type NewApplication,
} from './oauth-state.ts';
import { answerPage } from './paging.ts';
import type { GiteaUser } from './state.ts';
import { toTime } from './times.ts';

/** The OAuth clients that a user registered (`providers/gitea.md` §2a). They can be made where OAuth is off, too. */
export function listApplicationRoutes(api: (handler: GiteaHandler) => Route['handle']): Route[] {
  const path = '/api/v1/user/applications/oauth2';
  return [
    { method: 'GET', template: path, handle: api(list) },
    { method: 'POST', template: path, handle: api(create) },
    { method: 'GET', template: `${path}/{id}`, handle: api(read) },
    { method: 'PATCH', template: `${path}/{id}`, handle: api(change) },
    { method: 'DELETE', template: `${path}/{id}`, handle: api(remove) },
  ];
}

function list(call: Call): PlainAnswer {
  const user = requireUser(call);
  const own = [...call.state.oauth.applications.values()].filter(({ owner }) => owner === user);
  return answerPage(call, own, (application) => toJson(call, application, ''), { hasLink: false });
}

function create(call: Call): PlainAnswer {
  const user = requireUser(call);
  const application = addApplication(call.state, { owner: user.login, ...readWish(call) });
  return { status: 201, json: toJson(call, application, application.clientSecret) };
}

function read(call: Call): PlainAnswer {
  return { status: 200, json: toJson(call, requireOwn(call), '') };
}

/** Replaces every field, and makes a new secret each time. */
function change(call: Call): PlainAnswer {
  const application = requireOwn(call);
  Object.assign(application, readWish(call), { clientSecret: makeClientSecret() });
  return { status: 200, json: toJson(call, application, application.clientSecret) };
}

function remove(call: Call): PlainAnswer {
  deleteApplication(call.state, requireOwn(call));
  return { status: 204 };
}

function requireUser(call: Call): GiteaUser {
  requireScopes(call, 'user');
  rejectPublicOnly(call);
  return requireActor(call).user;
}

/** Another user's is not there. @throws Refusal 404 */
function requireOwn(call: Call): GiteaApplication {
  const user = requireUser(call);
  const application = call.state.oauth.applications.get(Number(call.request.params['id']));
  if (application?.owner === user) return application;
  throw refuseNotFound(call);
}

function readWish(call: Call): Required<Omit<NewApplication, 'owner'>> {
  const body = readJson(call, {
    name: 'string',
    redirect_uris: 'strings',
    confidential_client: 'boolean',
    skip_secondary_authorization: 'boolean',
  });
  const { name, redirect_uris: redirectUris } = body;
  if (typeof name !== 'string' || name === '') throw refuse(call, 422, '[Name]: Required');
  return {
    name,
    redirectUris: Array.isArray(redirectUris) ? redirectUris.map(String) : [],
    confidential: body['confidential_client'] === true,
    skipsConsent: call.behaviour.hasSkippedConsent && body['skip_secondary_authorization'] === true,
  };
}

function toJson({ behaviour }: Call, application: GiteaApplication, secret: string) {
  return {
    id: application.id,
    name: application.name,
    client_id: application.clientId,
    client_secret: secret,
    confidential_client: application.confidential,
    ...(behaviour.hasSkippedConsent ? { skip_secondary_authorization: application.skipsConsent } : {}),
    redirect_uris: application.redirectUris,
    created: toTime(application.createdAt),
  };
}
