import { createHash } from 'node:crypto';
import type { PlainAnswer, Route, SimulatorRequest } from '../routes.ts';
import { toSimpleUser } from './account-json.ts';
import { toInstallationJson } from './app-json.ts';
import { findInstallation, listReached } from './app-state.ts';
import { choosePermissions, chooseRepositories } from './app-tokens.ts';
import { Refusal, readBody, refuse, refuseCredentials, refuseInvalid, refuseNotFound } from './call.ts';
import type { Call, GithubContext, Need } from './call.ts';
import { checkManners } from './manners.ts';
import type { OAuthClient } from './oauth-state.ts';
import { endGrant } from './oauth-tokens.ts';
import { isAlive, storeToken, type GithubToken } from './token-state.ts';

type ClientHandler = (call: Call, client: OAuthClient, token: GithubToken) => PlainAnswer;

/** What a client asks about its tokens, by its own credentials (`providers/github.md` §3, §7). */
export function listApplicationRoutes(context: GithubContext): Route[] {
  const path = '/applications/{client_id}';
  const page = (anchor: string): Need => ({ who: 'anyone', page: `apps/oauth-applications#${anchor}` });
  const route = (method: string, part: string, anchor: string, handler: ClientHandler): Route => ({
    method,
    template: `${path}/${part}`,
    handle: (request) => asClient(context, request, page(anchor), handler),
  });
  return [
    route('POST', 'token', 'check-a-token', (call, _, token) => ({
      status: 200,
      json: toAuthorization(call, token),
    })),
    route('PATCH', 'token', 'reset-a-token', reset),
    route('DELETE', 'token', 'delete-an-app-token', (_, __, token) => {
      token.revoked = true;
      return { status: 204 };
    }),
    route('DELETE', 'grant', 'delete-an-app-authorization', (call, _, token) => {
      if (token.grant) endGrant(call, token.grant);
      return { status: 204 };
    }),
    route('POST', 'token/scoped', 'create-a-scoped-access-token', narrow),
  ];
}

function asClient(
  context: GithubContext,
  request: SimulatorRequest,
  need: Need,
  handler: ClientHandler,
): PlainAnswer {
  const call: Call = { ...context, request, need, actor: { kind: 'nobody' } };
  try {
    checkManners(request, context.flavour);
    const { authorization, params } = request;
    if (authorization?.scheme !== 'basic') throw refuse(401, 'Requires authentication', { page: need.page });
    const client = context.state.oauth.clients.get(authorization.username);
    if (client?.clientSecret !== authorization.password) throw refuseCredentials();
    if (client.clientId !== params['client_id']) throw refuseNotFound(call);
    const secret = readBody(call)['access_token'];
    if (typeof secret !== 'string')
      throw refuseInvalid(call, [{ field: 'access_token', code: 'missing_field' }]);
    const token = context.state.tokens.get(secret);
    if (token?.client !== client || !isAlive(token, context.now())) throw refuseNotFound(call);
    return handler(call, client, token);
  } catch (error) {
    if (error instanceof Refusal) return error.answer;
    throw error;
  }
}

/** The old one dies at once. */
function reset(call: Call, client: OAuthClient, token: GithubToken): PlainAnswer {
  token.revoked = true;
  const { kind, name, user, scopes, grant, repositories, permissions, expiresAt } = token;
  const made = storeToken(call.state, call.now(), {
    ...{ kind, name, user, scopes, grant, repositories, permissions, expiresAt, client },
  });
  for (const refresh of call.state.oauth.refreshTokens.values()) {
    if (refresh.accessSecret === token.secret) Object.assign(refresh, { accessSecret: made.secret });
  }
  return { status: 200, json: { ...toAuthorization(call, made), token: made.secret } };
}

/** For the tokens of GitHub Apps: a part of one account's repositories and permissions. */
function narrow(call: Call, client: OAuthClient, token: GithubToken): PlainAnswer {
  const body = readBody(call);
  const { target, target_id: id } = body;
  const account =
    typeof target === 'string' ? call.state.findAccount(target) : call.state.accounts.get(Number(id));
  if (!client.app || !account) throw refuseInvalid(call, [{ field: 'target', code: 'missing_field' }]);
  const installation = findInstallation(call.state, client.app, account);
  if (!installation) throw refuseNotFound(call);
  const chosen = chooseRepositories(call, listReached(call.state, installation), body);
  const reached = chosen ?? listReached(call.state, installation);
  const made = storeToken(call.state, call.now(), {
    kind: 'userAccess',
    name: `${token.name}, narrowed`,
    user: token.user,
    client,
    grant: token.grant,
    expiresAt: token.expiresAt,
    repositories: new Set(reached.map((repository) => repository.id)),
    permissions: choosePermissions(call, installation.permissions, body['permissions']),
  });
  const json = { ...toAuthorization(call, made), token: made.secret };
  return { status: 200, json: { ...json, installation: toInstallationJson(call, installation) } };
}

/** `authorization`: never the token itself, but where it is new. */
function toAuthorization(call: Call, token: GithubToken) {
  const { client, user } = token;
  return {
    id: token.id,
    url: `${call.apiUrl()}/authorizations/${token.id}`,
    app: { client_id: client?.clientId, name: client?.name, url: 'https://gitlink.example' },
    token: '',
    hashed_token: createHash('sha256').update(token.secret).digest('hex'),
    token_last_eight: token.secret.slice(-8),
    note: null,
    note_url: null,
    fingerprint: null,
    scopes: token.scopes,
    created_at: token.createdAt.toISOString(),
    updated_at: token.createdAt.toISOString(),
    expires_at: token.expiresAt?.toISOString() ?? null,
    user: user && toSimpleUser(call, user),
  };
}
