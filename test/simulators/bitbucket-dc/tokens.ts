import type { PlainAnswer, Route } from '../routes.ts';
import { levelInProject, levelInRepository, requireOpenSettings, requireWritable } from './access.ts';
import { isTexts, readBody, type Fields } from './body.ts';
import { refuse, refuseField, refuseNotFound, refusePermission, requireActor, type Call } from './call.ts';
import { answerPage } from './paging.ts';
import type { Api } from './server.ts';
import { levels } from './state.ts';
import {
  dayMs,
  insertToken,
  judgePermissions,
  tokensOf,
  type DcToken,
  type TokenPlace,
} from './token-state.ts';
import { toUserJson } from './users.ts';

/** HTTP access tokens by API: for passwords and OAuth, never for tokens (`providers/bitbucket-data-center.md` §2a). */
export function listTokenRoutes(api: Api): Route[] {
  const owners: readonly (readonly [string, (call: Call) => TokenPlace])[] = [
    ['/rest/access-tokens/{api}/users/{userSlug}', findUserPlace],
    ['/rest/access-tokens/{api}/projects/{projectKey}/repos/{repositorySlug}', findRepositoryPlace],
    ['/rest/access-tokens/{api}/projects/{projectKey}', findProjectPlace],
  ];
  return owners.flatMap(([path, findPlace]): Route[] => {
    const route = (
      method: string,
      template: string,
      handle: (call: Call, place: TokenPlace) => PlainAnswer,
    ) => ({
      method,
      template,
      handle: api((call) => handle(call, findPlace(call))),
    });
    return [
      route('GET', path, list),
      route('PUT', path, create),
      route('GET', `${path}/{tokenId}`, read),
      route('POST', `${path}/{tokenId}`, edit),
      route('DELETE', `${path}/{tokenId}`, remove),
    ];
  });
}

/** A token manages no tokens, itself only where that is set. */
function isOwnRecord(call: Call): boolean {
  const { settings, actor, request } = call;
  return settings.tokensReachThemselves && actor?.token?.id === request.params['tokenId'];
}

function findUserPlace(call: Call): TokenPlace {
  const actor = requireActor(call);
  const { userSlug = '' } = call.request.params;
  const user = call.state.findUserBySlug(userSlug);
  if (!user) throw refuseNotFound(`User ${userSlug}`);
  const isAllowed = actor.user === user || (actor.user.isSystemAdmin && actor.limits.administration);
  if (isOwnRecord(call) || (isAllowed && actor.limits.account)) return { kind: 'user', user };
  throw refusePermission();
}

function findProjectPlace(call: Call): TokenPlace {
  const actor = requireActor(call);
  const { projectKey = '' } = call.request.params;
  const project = call.state.findProject(projectKey);
  if (!project || levelInProject(call, project) === levels.none)
    throw refuseNotFound(`Project ${projectKey}`);
  requireLicence(call);
  const isAllowed = !actor.token && levelInProject(call, project) >= levels.admin;
  if (isOwnRecord(call) || isAllowed) return { kind: 'project', project };
  throw refusePermission();
}

function findRepositoryPlace(call: Call): TokenPlace {
  const actor = requireActor(call);
  const { projectKey = '', repositorySlug = '' } = call.request.params;
  const repository = call.state.findRepository(projectKey, repositorySlug);
  if (!repository || levelInRepository(call, repository) === levels.none) {
    throw refuseNotFound(`Repository ${projectKey}/${repositorySlug}`);
  }
  requireLicence(call);
  const isAllowed = !actor.token && levelInRepository(call, repository) >= levels.admin;
  if (!isOwnRecord(call) && !isAllowed) throw refusePermission();
  if (!actor.token) requireOpenSettings(call, repository);
  return { kind: 'repository', repository };
}

function requireLicence({ settings }: Call): void {
  if (!settings.hasDataCenterLicence) {
    throw refuse(403, 'Project and repository HTTP access tokens need a Data Center licence.');
  }
}

function list(call: Call, place: TokenPlace): PlainAnswer {
  return answerPage(call, tokensOf(call.state, place), (token) => toTokenJson(call, token));
}

function read(call: Call, place: TokenPlace): PlainAnswer {
  return { status: 200, json: toTokenJson(call, requireToken(call, place)) };
}

function create(call: Call, place: TokenPlace): PlainAnswer {
  requireWritable(call);
  const { settings, state } = call;
  const fields = readBody(call);
  const { name, permissions } = readDetails(fields, place);
  if (tokensOf(state, place).length >= settings.maxTokensPerOwner) {
    throw refuse(
      400,
      `The maximum number of HTTP access tokens (${settings.maxTokensPerOwner}) has been reached.`,
    );
  }
  const now = call.now();
  const days = readExpiryDays(call, fields);
  const expiresAt = days === null ? null : now + days * dayMs;
  const token = insertToken(state, {
    place,
    name,
    permissions,
    createdAt: now,
    expiresAt,
    shape: 'prefixed',
  });
  return { status: 200, json: { ...toTokenJson(call, token), token: token.secret } };
}

function edit(call: Call, place: TokenPlace): PlainAnswer {
  requireWritable(call);
  const token = requireToken(call, place);
  const fields = readBody(call);
  if (fields['expiryDays'] !== undefined) {
    throw refuseField('expiryDays', 'The expiry of an HTTP access token cannot be changed.');
  }
  Object.assign(token, readDetails(fields, place));
  return { status: 200, json: toTokenJson(call, token) };
}

function remove(call: Call, place: TokenPlace): PlainAnswer {
  requireWritable(call);
  call.state.tokens.delete(requireToken(call, place).secret);
  return { status: 204 };
}

function requireToken({ state, request }: Call, place: TokenPlace): DcToken {
  const { tokenId = '' } = request.params;
  const token = tokensOf(state, place).find(({ id }) => id === tokenId);
  if (!token) throw refuseNotFound(`AccessToken ${tokenId}`);
  return token;
}

function readDetails(fields: Fields, { kind }: TokenPlace): Pick<DcToken, 'name' | 'permissions'> {
  const { name, permissions } = fields;
  if (typeof name !== 'string' || name.trim() === '' || name.length > 255) {
    throw refuseField('name', 'The name should be between 1 and 255 characters.');
  }
  if (!isTexts(permissions)) throw refuseField('permissions', 'Permissions must be specified.');
  const problem = judgePermissions(kind, permissions);
  if (problem !== null) throw refuseField('permissions', problem);
  return { name, permissions };
}

function readExpiryDays({ settings }: Call, fields: Fields): number | null {
  const days = fields['expiryDays'];
  if (days === undefined) {
    if (settings.expiryRequired) throw refuseField('expiryDays', 'HTTP access tokens must have an expiry.');
    return null;
  }
  if (!Number.isInteger(days) || Number(days) < 1 || Number(days) > (settings.maxExpiryDays ?? Infinity)) {
    throw refuseField('expiryDays', 'The expiry is out of range.');
  }
  return Number(days);
}

function toTokenJson(call: Call, token: DcToken) {
  return {
    id: token.id,
    createdDate: token.createdAt,
    ...(token.expiresAt === null ? {} : { expiryDate: token.expiresAt }),
    ...(token.lastAuthenticatedAt === null ? {} : { lastAuthenticated: token.lastAuthenticatedAt }),
    name: token.name,
    permissions: token.permissions,
    user: toUserJson(call, token.user),
  };
}
