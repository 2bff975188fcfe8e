import { createHash } from 'node:crypto';
import type { PlainAnswer, Route } from '../routes.ts';
import {
  answerAbsent,
  refuse,
  refuseForbidden,
  refuseNotFound,
  type Call,
  type GitlabContext,
} from './call.ts';
import { answerPage } from './paging.ts';
import { pagingParameters, readBody, readQuery } from './parameters.ts';
import { oauthScopes } from './scopes.ts';
import type { Api } from './server.ts';
import { requireUser, type GitlabState, type GitlabUser } from './state.ts';

/** A registered OAuth client. */
export interface GitlabApplication {
  readonly id: number;
  /** The client id. */
  readonly applicationId: string;
  readonly secret: string;
  readonly name: string;
  readonly owner: GitlabUser;
  readonly redirectUris: readonly string[];
  readonly scopes: readonly string[];
  readonly confidential: boolean;
}

export interface NewApplication {
  /** Default ada. */
  readonly user?: string;
  readonly name?: string;
  /** Default `http://127.0.0.1/callback`. */
  readonly redirectUris?: readonly string[];
  /** Default: what the fact sheet says to register. */
  readonly scopes?: readonly string[];
  /** Default false, unlike the API's. */
  readonly confidential?: boolean;
}

/** Registers a client as a person does on the page for it. */
export function addApplication(state: GitlabState, spec: NewApplication): GitlabApplication {
  const id = state.nextId('application');
  const digest = (text: string) =>
    createHash('sha256').update(`gitlink simulator canary ${text} ${state.number} ${id}`).digest('hex');
  const application: GitlabApplication = {
    id,
    applicationId: digest('client'),
    secret: `${['gl', 'oas-'].join('')}canary${digest('client secret').slice(6)}`,
    name: spec.name ?? 'gitlink',
    owner: requireUser(state, spec.user ?? 'ada'),
    redirectUris: spec.redirectUris ?? ['http://127.0.0.1/callback'],
    scopes: spec.scopes ?? ['api', 'read_api', 'read_user', 'read_repository', 'write_repository', 'openid'],
    confidential: spec.confidential ?? false,
  };
  state.applications.set(application.applicationId, application);
  return application;
}

/** Applications of a user by API: since 19.0, and not on gitlab.com (`providers/gitlab.md` §2.4). */
export function listApplicationRoutes(context: GitlabContext, api: Api): Route[] {
  const path = '/api/v4/user/applications';
  const route = (
    method: string,
    template: string,
    action: string,
    handle: (call: Call) => PlainAnswer | Promise<PlainAnswer>,
  ): Route => {
    const need = {
      scopes: method === 'GET' ? ['api', 'read_api'] : ['api'],
      permission: `${action}_oauth_application`,
      boundary: 'user',
    } as const;
    const handleHere = api(need, handle);
    return {
      method,
      template,
      handle: (request) =>
        context.settings.isGitlabCom || !context.behaviour.hasUserApplications
          ? answerAbsent()
          : handleHere(request),
    };
  };
  return [
    route('POST', path, 'create', create),
    route('GET', path, 'read', list),
    route('GET', `${path}/{id}`, 'read', read),
    route('DELETE', `${path}/{id}`, 'delete', remove),
  ];
}

function create(call: Call): PlainAnswer {
  const values = readBody(call, {
    name: 'string!',
    redirect_uri: 'string!',
    scopes: 'string!',
    confidential: 'boolean',
  });
  const { user } = call.actor;
  if (user.kind !== 'human') throw refuseForbidden();
  const scopes = String(values['scopes']).split(' ').filter(Boolean);
  if (scopes.length === 0) throw refuse(400, { scopes: ["can't be blank"] });
  if (scopes.some((scope) => !oauthScopes.includes(scope))) {
    throw refuse(400, { scopes: ["doesn't match configured on the server."] });
  }
  const redirectUris = String(values['redirect_uri']).split(/\s+/).filter(Boolean);
  const problem = redirectUris.map(judgeRedirect).find((judgement) => judgement !== null);
  if (problem !== undefined) throw refuse(400, { redirect_uri: [problem] });
  const application = addApplication(call.state, {
    user: user.username,
    name: String(values['name']),
    redirectUris,
    scopes,
    confidential: values['confidential'] !== false,
  });
  return { status: 201, json: { ...toJson(application), secret: application.secret } };
}

/** Plain http and schemes of programs are fine; those that run something are not. */
function judgeRedirect(uri: string): string | null {
  if (!URL.canParse(uri)) return 'must be an absolute URI.';
  if (/^(data|vbscript|javascript):/i.test(uri)) return 'is forbidden by the server.';
  return uri.includes('#') ? 'cannot contain a fragment.' : null;
}

function list(call: Call): PlainAnswer {
  const values = readQuery(call, pagingParameters);
  const mine = [...call.state.applications.values()].filter(({ owner }) => owner === call.actor.user);
  return answerPage(call, values, mine, { toJson });
}

function read(call: Call): PlainAnswer {
  readQuery(call, {});
  return { status: 200, json: toJson(requireOwn(call)) };
}

/** Ends every sign-in that was made with it. */
async function remove(call: Call): Promise<PlainAnswer> {
  readBody(call, {});
  const application = requireOwn(call);
  call.state.applications.delete(application.applicationId);
  await call.grants.endAllOf(application.applicationId);
  return { status: 204 };
}

function requireOwn(call: Call): GitlabApplication {
  const id = Number(call.request.params['id']);
  const application = [...call.state.applications.values()].find((candidate) => candidate.id === id);
  if (!application) throw refuseNotFound('Application');
  if (application.owner !== call.actor.user) throw refuseForbidden();
  return application;
}

function toJson(application: GitlabApplication) {
  return {
    id: application.id,
    application_id: application.applicationId,
    application_name: application.name,
    callback_url: application.redirectUris.join('\n'),
    confidential: application.confidential,
    scopes: application.scopes,
  };
}
