import type { PlainAnswer, Route } from '../routes.ts';
import { requireOwnerOfPath } from './access.ts';
import { isRecord, readJson, refuse, refuseNotFound, requireActor, requireScopes } from './call.ts';
import type { Call, GiteaHandler } from './call.ts';
import { answerPage } from './paging.ts';
import { hasScope, normalizeScopes, type ScopeCategory, type ScopeLevel } from './scopes.ts';
import { fullNameOf, insertToken, type GiteaToken, type GiteaUser } from './state.ts';
import { toTime } from './times.ts';
import type { GiteaBehaviour } from './behaviour.ts';

/** Personal access tokens by API, and who may call it (`providers/gitea.md` §2b). */
export function listTokenRoutes(
  behaviour: GiteaBehaviour,
  api: (handler: GiteaHandler) => Route['handle'],
): Route[] {
  const own: Route[] = [
    { method: 'GET', template: '/api/v1/token', handle: api(readOwn) },
    { method: 'DELETE', template: '/api/v1/token', handle: api(deleteOwn) },
  ];
  const path = '/api/v1/users/{username}/tokens';
  // Asking for `/token` on a version without it is how gitlink finds out, hence no unknown route.
  const absent = own.map((route) => ({ ...route, handle: api(refuseAbsent), undescribed: true }));
  return [
    ...(behaviour.hasTokenEndpoint ? own : absent),
    { method: 'GET', template: path, handle: api(list) },
    { method: 'POST', template: path, handle: api(create) },
    { method: 'DELETE', template: `${path}/{id}`, handle: api(remove) },
  ];
}

function refuseAbsent(call: Call): PlainAnswer {
  throw refuseNotFound(call);
}

/** The token of the header as it was sent: Basic does not count, and OAuth tokens are not in this table. */
function requireOwnToken(call: Call): GiteaToken {
  const actor = requireActor(call);
  if (!actor.token || actor.isBasic || actor.token.kind !== 'pat')
    throw refuse(call, 404, 'invalid access token');
  return actor.token;
}

function readOwn(call: Call): PlainAnswer {
  const token = requireOwnToken(call);
  return {
    status: 200,
    json: {
      id: token.id,
      name: token.name,
      scopes: token.scopes,
      created_at: toTime(token.createdAt),
      last_used_at: toTime(token.lastUsedAt ?? token.createdAt),
      user: { id: token.user.id, login: token.user.login },
    },
  };
}

function deleteOwn(call: Call): PlainAnswer {
  call.state.tokens.delete(requireOwnToken(call).secret);
  return { status: 204 };
}

function list(call: Call): PlainAnswer {
  requireScopes(call, 'user');
  const user = requireSelfOrAdmin(call);
  if (call.behaviour.listsTokensOnlyByBasic && !call.actor?.isBasic) throw refuse(call, 401, 'auth required');
  return answerPage(call, tokensOf(call, user), (token) => toTokenJson(call, token, ''), { hasLink: false });
}

function create(call: Call): PlainAnswer {
  requireScopes(call, 'user');
  const user = requireSelfOrAdmin(call);
  requirePasswordOrBasic(call);
  const body = readJson(call, { name: 'string', scopes: 'strings', repositories: 'records' });
  const name = typeof body['name'] === 'string' ? body['name'] : '';
  if (name === '') throw refuse(call, 422, '[Name]: Required');
  if (tokensOf(call, user).some((token) => token.name === name)) {
    throw refuse(call, 400, 'access token name has been used already');
  }
  const asked = Array.isArray(body['scopes']) ? body['scopes'].map(String) : [];
  const scopes = normalizeScopes(asked);
  if ('invalid' in scopes) {
    throw refuse(
      call,
      400,
      `invalid access token scope provided: invalid access token scope: ${scopes.invalid}`,
    );
  }
  if (scopes.length === 0) throw refuse(call, 400, 'access token must have a scope');
  refuseBroaderScopes(call, scopes);
  const token = insertToken(call.state, {
    id: call.state.nextId('token'),
    kind: 'pat',
    user,
    name,
    scopes,
    repositories: readRepositories(call, body['repositories'], scopes),
  });
  return { status: 201, json: toTokenJson(call, token, token.secret) };
}

/** A token that makes a token cannot give what it does not have, where the version cares. */
function refuseBroaderScopes(call: Call, scopes: readonly string[]): void {
  const parent = call.actor?.token;
  if (!parent || !call.behaviour.limitsMintedScopes) return;
  const isBroader = scopes.some((scope) => {
    if (scope === 'public-only') return false;
    if (scope === 'all') return !parent.scopes.includes('all');
    const [level, category] = scope.split(':') as [ScopeLevel, ScopeCategory];
    return !hasScope(parent.scopes, level, category);
  });
  if (isBroader) {
    throw refuse(
      call,
      403,
      'cannot create an access token with a broader scope than the authenticating token',
    );
  }
}

function readRepositories(call: Call, value: unknown, scopes: readonly string[]): readonly number[] | null {
  if (!Array.isArray(value) || value.length === 0) return null;
  if (!call.behaviour.hasRepositoryTokens) {
    call.request.recordFailure('a repository-specific token asked of a server that has none');
    return null;
  }
  if (!scopes.every((scope) => /^(read|write):(repository|issue)$/.test(scope))) {
    throw refuse(call, 400, 'repository-specific access tokens can only have repository and issue scopes');
  }
  return value.filter(isRecord).map((item) => {
    const repository = call.state.findRepository(String(item['owner']), String(item['name']));
    if (!repository) throw refuseNotFound(call);
    return repository.id;
  });
}

function remove(call: Call): PlainAnswer {
  requireScopes(call, 'user');
  const user = requireSelfOrAdmin(call);
  requirePasswordOrBasic(call);
  const { id = '' } = call.request.params;
  const tokens = tokensOf(call, user);
  const matches = tokens.filter((token) => (Number(id) > 0 ? token.id === Number(id) : token.name === id));
  if (matches.length > 1) throw refuse(call, 422, `multiple matches for token name '${id}'`);
  const [token] = matches;
  if (!token) throw refuseNotFound(call, Number(id) > 0 ? 'access token not found' : undefined);
  call.state.tokens.delete(token.secret);
  return { status: 204 };
}

function requireSelfOrAdmin(call: Call): GiteaUser {
  const owner = requireOwnerOfPath(call);
  const user = call.actor?.user;
  if (owner.kind === 'user' && user && (owner === user || user.isAdmin)) return owner;
  throw refuse(call, 403, 'doer should be the site admin or be same as the contextUser');
}

/** Gitea takes a login by password or a token inside Basic; Forgejo 12 and newer a password only. */
function requirePasswordOrBasic(call: Call): void {
  if (!call.actor?.isBasic) throw refuse(call, 401, 'auth required');
  if (call.actor.token && !call.behaviour.takesTokenAsBasic)
    throw refuse(call, 401, 'auth method not allowed');
}

function tokensOf(call: Call, user: GiteaUser): readonly GiteaToken[] {
  return [...call.state.tokens.values()].filter((token) => token.user === user && token.kind === 'pat');
}

function toTokenJson(call: Call, token: GiteaToken, secret: string) {
  return {
    id: token.id,
    name: token.name,
    sha1: secret,
    token_last_eight: token.secret.slice(-8),
    scopes: token.scopes,
    created_at: toTime(token.createdAt),
    last_used_at: toTime(token.lastUsedAt ?? token.createdAt),
    ...(call.behaviour.hasRepositoryTokens ? { repositories: toRepositoriesJson(call, token) } : {}),
  };
}

function toRepositoriesJson({ state }: Call, token: GiteaToken) {
  if (!token.repositories) return null;
  return token.repositories.map((id) => {
    const repository = state.repositories.get(id);
    return {
      id,
      name: repository?.name ?? '',
      owner: repository?.owner.login ?? '',
      full_name: repository ? fullNameOf(repository) : '',
    };
  });
}
