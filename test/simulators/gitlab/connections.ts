import type { PlainAnswer, Route } from '../routes.ts';
import { requireGroup, requireProject } from './access.ts';
import { answerAbsent, type Call, type GitlabContext } from './call.ts';
import { needOf } from './hooks.ts';
import { answerPage } from './paging.ts';
import { pagingParameters, readQuery } from './parameters.ts';
import type { Api } from './server.ts';
import { isGroup, type GitlabGroup, type GitlabProject, type GitlabUser } from './state.ts';
import { isExpired, type GitlabToken } from './token-state.ts';

type Place = GitlabProject | GitlabGroup;

/** What an owner sees of what others connected to a group and its projects (`providers/gitlab.md` §7). */
export function listConnectionRoutes({ behaviour }: GitlabContext, api: Api): Route[] {
  const read = needOf('GET', 'read_resource_access_token');
  const route = (template: string, handle: (call: Call) => PlainAnswer): Route => ({
    method: 'GET',
    template: `/api/v4${template}`,
    handle: api(read, handle),
  });
  const account = '/groups/{id}/service_accounts';
  return [
    route('/groups/{id}/access_tokens', (call) => listTokens(call, requireGroup(call, 50))),
    route('/projects/{id}/access_tokens', (call) => listTokens(call, requireProject(call, 40))),
    route('/groups/{id}/deploy_tokens', (call) => listDeployTokens(call, requireGroup(call, 50))),
    route('/projects/{id}/deploy_tokens', (call) => listDeployTokens(call, requireProject(call, 40))),
    behaviour.isEnterprise
      ? route(account, listServiceAccounts)
      : { method: 'GET', template: `/api/v4${account}`, handle: answerAbsent },
    route(`${account}/{user_id}/personal_access_tokens`, listAccountTokens),
  ];
}

function listTokens(call: Call, place: Place): PlainAnswer {
  return answerTokens(call, (token) => token.kind !== 'deploy' && token.resource === place);
}

function listAccountTokens(call: Call): PlainAnswer {
  requireGroup(call, 50);
  return answerTokens(call, ({ user }) => String(user.id) === call.request.params['user_id']);
}

function answerTokens(call: Call, isWanted: (token: GitlabToken) => boolean): PlainAnswer {
  const values = readQuery(call, { ...pagingParameters, state: ['active', 'inactive'] });
  const isActive = (token: GitlabToken): boolean => !token.revoked && !isExpired(token, call.now());
  const tokens = [...call.state.tokens.values()].filter(
    (token) => isWanted(token) && (values['state'] !== 'active' || isActive(token)),
  );
  const toJson = (token: GitlabToken): object => ({
    id: token.id,
    name: token.name,
    revoked: token.revoked,
    active: isActive(token),
    scopes: token.scopes,
    user_id: token.user.id,
    created_at: token.createdAt.toISOString(),
    last_used_at: token.lastUsedAt?.toISOString() ?? null,
    expires_at: token.expiresAt,
  });
  return answerPage(call, values, tokens, { toJson });
}

function listDeployTokens(call: Call, place: Place): PlainAnswer {
  const values = readQuery(call, { ...pagingParameters, active: 'boolean' });
  const tokens = [...call.state.tokens.values()].filter(
    ({ kind, resource }) => kind === 'deploy' && resource === place,
  );
  const toJson = (token: GitlabToken): object => ({
    id: token.id,
    name: token.name,
    username: token.deployUsername,
    expires_at: token.expiresAt === null ? null : `${token.expiresAt}T00:00:00.000Z`,
    revoked: token.revoked,
    expired: isExpired(token, call.now()),
    scopes: token.scopes,
  });
  return answerPage(call, values, tokens, { toJson });
}

function listServiceAccounts(call: Call): PlainAnswer {
  const group = requireGroup(call, 50);
  const values = readQuery(call, pagingParameters);
  const accounts = [...call.state.users.values()].filter(
    ({ id, kind }) => kind === 'serviceAccount' && isGroup(group) && group.members.has(id),
  );
  const toJson = ({ id, username, name }: GitlabUser): object => ({ id, username, name });
  return answerPage(call, values, accounts, { toJson });
}
