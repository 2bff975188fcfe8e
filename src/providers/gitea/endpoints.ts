import { isAnswer } from '../../http/host-answer-error.ts';
import type { HostClient, HostRequest, HostResponse, Route } from '../../http/host-client.ts';
import { fetchCountedPages, type CountedPage } from '../../http/paging.ts';
import { route } from '../../http/route.ts';
import { Secret } from '../../secret.ts';
import { createHiddenError } from '../hidden-error.ts';
import { narrow } from '../narrow.ts';
import type { ClientIdentity, CreatedClient } from '../oauth-support.ts';
import type { Account, HostAccess, Repository } from '../provider.ts';
import type { WebhookPlace } from '../webhook-support.ts';
import { pacing } from './pacing.ts';
import * as schemas from './schemas.ts';
import * as v from 'valibot';

/** Bigger pages are silently cut to the server's `MAX_RESPONSE_ITEMS`, 50 by default. */
const pageSize = 50;

/** The version, or null from a server that tells it only to those who signed in. */
export async function fetchVersion(anonymous: HostClient): Promise<HostResponse> {
  return anonymous.request({ method: 'GET', route: route`/version`, accept: [401, 403, 404, 410] });
}

export async function fetchUser(http: HostClient): Promise<Account> {
  const { body } = await http.request({ method: 'GET', route: route`/user` });
  const user = narrow(schemas.user, body, 'the account');
  return { login: user.login, kind: 'user', id: String(user.id) };
}

/** @returns null where the server has no such route, or the credential is no personal access token. */
export async function fetchOwnToken(
  http: HostClient,
): Promise<v.InferOutput<typeof schemas.ownToken> | null> {
  const { status, body } = await http.request({ method: 'GET', route: route`/token`, accept: [403, 404] });
  return status === 200 ? narrow(schemas.ownToken, body, 'the token') : null;
}

/** @returns whether the server has the route and the token is gone. */
export async function deleteOwnToken(http: HostClient): Promise<boolean> {
  const { status } = await http.request({ method: 'DELETE', route: route`/token`, accept: [403, 404] });
  return status === 204;
}

/**
 * Finds the credential among the tokens of its owner by its last eight characters.
 *
 * @returns null where the credential may not list them, or several end alike.
 */
export async function findListedToken(
  access: HostAccess,
  login: string,
  authorization: HostRequest['authorization'],
): Promise<v.InferOutput<typeof schemas.listedToken> | null> {
  const found: v.InferOutput<typeof schemas.listedToken>[] = [];
  for await (const token of list(access.http, route`/users/${login}/tokens`, schemas.listedToken, 'tokens', {
    ...(authorization ? { authorization } : {}),
    accept: [401, 403, 404],
  })) {
    if (access.credential.token.endsWith(token.token_last_eight)) found.push(token);
  }
  return found.length === 1 && found[0] ? found[0] : null;
}

/** @returns the status: 204 done, 401 or 403 not allowed, 404 not there. */
export async function deleteListedToken(
  access: HostAccess,
  login: string,
  tokenId: number,
  authorization: HostRequest['authorization'],
): Promise<number> {
  const { status } = await access.http.request({
    method: 'DELETE',
    route: route`/users/${login}/tokens/${tokenId}`,
    ...(authorization ? { authorization } : {}),
    accept: [401, 403, 404],
  });
  return status;
}

/**
 * Makes a token. Sent once: after a lost answer there may be one that nobody knows.
 *
 * @param authorization - The login with a token as its password; the server takes nothing else of a token.
 */
export async function createToken(
  access: HostAccess,
  login: string,
  wish: { readonly name: string; readonly scopes: readonly string[] },
  authorization: HostRequest['authorization'],
): Promise<Secret | 'refused' | 'nameTaken'> {
  try {
    const { status, body } = await access.http.request({
      method: 'POST',
      route: route`/users/${login}/tokens`,
      json: wish,
      ...(authorization ? { authorization } : {}),
      repeat: 'never',
      accept: [401, 403],
    });
    if (status === 401 || status === 403) return 'refused';
    return new Secret(narrow(schemas.madeToken, body, 'the new token').sha1);
  } catch (error) {
    if (isAnswer(error, 400) && error.hostMessage?.includes('name has been used')) return 'nameTaken';
    throw error;
  }
}

/** Registers a public client. Sent once. */
export async function createApplication(
  access: HostAccess,
  wish: { readonly name: string; readonly redirectUri: string },
): Promise<CreatedClient> {
  const { body } = await access.http.request({
    method: 'POST',
    route: route`/user/applications/oauth2`,
    json: { name: wish.name, redirect_uris: [wish.redirectUri], confidential_client: false },
    repeat: 'never',
  });
  const made = narrow(schemas.application, body, 'the client');
  return {
    id: made.client_id,
    secret: made.client_secret ? new Secret(made.client_secret) : null,
    registrationId: String(made.id),
  };
}

/** @returns false where the account has no such client. */
export async function deleteApplication(access: HostAccess, id: string): Promise<boolean> {
  const { status } = await access.http.request({
    method: 'DELETE',
    route: route`/user/applications/oauth2/${id}`,
    accept: [404],
  });
  return status !== 404;
}

/**
 * Asks for the scope string of a sign-in (RFC 7662). The server wants the client's secret, which it gives to
 * public clients too.
 *
 * @returns null where the server does not tell: the secret is wrong, or the sign-in has ended.
 */
export async function fetchSignInScope(
  access: HostAccess,
  { id, secret }: ClientIdentity,
): Promise<string | null> {
  if (secret === null) return null;
  const web = await access.openBase(access.host);
  const { status, body } = await web.request({
    method: 'POST',
    route: route`/login/oauth/introspect`,
    form: { token: access.credential.token },
    authorization: { scheme: 'Basic', username: id, secret },
    // It changes nothing.
    repeat: 'safe',
    accept: [400, 401, 403, 404],
  });
  if (status !== 200) return null;
  const { active, scope } = narrow(schemas.introspection, body, 'the sign-in');
  return active ? (scope ?? '') : null;
}

/** Whether the server signs people in for other programs: without, it has no discovery document. */
export async function isOAuthOffered(web: HostClient): Promise<boolean> {
  const { status } = await web.request({
    method: 'GET',
    route: route`/.well-known/openid-configuration`,
    accept: [404],
  });
  return status !== 404;
}

export async function* listOrganizations(http: HostClient): AsyncIterable<string> {
  for await (const found of list(http, route`/user/orgs`, schemas.organization, 'organizations')) {
    const name = found.username ?? found.name;
    if (name) yield name;
  }
}

/** Own repositories, those of organizations, and those shared with the account. */
export function listOwnRepositories(http: HostClient): AsyncIterable<schemas.Repository> {
  return list(http, route`/user/repos`, schemas.repository, 'repositories');
}

export async function findRepository(
  http: HostClient,
  owner: string,
  name: string,
): Promise<schemas.Repository | null> {
  const { status, body } = await http.request({
    method: 'GET',
    route: route`/repos/${owner}/${name}`,
    accept: [404],
  });
  return status === 404 ? null : narrow(schemas.repository, body, 'the repository');
}

export function listHooks(access: HostAccess, place: WebhookPlace): AsyncIterable<schemas.Hook> {
  return list(access.http, toHooksRoute(place), schemas.hook, 'webhooks');
}

export async function createHook(
  access: HostAccess,
  place: WebhookPlace,
  json: Readonly<Record<string, unknown>>,
): Promise<schemas.Hook> {
  const { body } = await sendToPlace(access, place, { method: 'POST', json }, toHooksRoute);
  return narrow(schemas.hook, body, 'the webhook');
}

export async function editHook(
  access: HostAccess,
  place: WebhookPlace,
  hookId: string,
  json: Readonly<Record<string, unknown>>,
): Promise<schemas.Hook> {
  const toRoute = (at: WebhookPlace): Route => toHookRoute(at, hookId);
  const { body } = await sendToPlace(access, place, { method: 'PATCH', json }, toRoute);
  return narrow(schemas.hook, body, 'the webhook');
}

/**
 * A 404 may also mean that the account no longer sees the repository, or that its old name belongs to another
 * one by now; the repository's id tells.
 *
 * @throws ForbiddenError when nobody can say whether the hook is still there.
 */
export async function deleteHook(
  access: HostAccess,
  place: WebhookPlace,
  hookId: string,
): Promise<'removed' | 'gone'> {
  const toRoute = (at: WebhookPlace): Route => toHookRoute(at, hookId);
  const { status } = await sendToPlace(access, place, { method: 'DELETE', accept: [404] }, toRoute);
  if (status !== 404) return 'removed';
  if (place.level !== 'repository') return 'gone';
  const repository = await locateRepository(access, place.repository);
  if (repository.fullName === place.repository.fullName) return 'gone';
  const there = toRoute({ level: 'repository', repository });
  const answer = await access.http.request({ method: 'DELETE', route: there, accept: [404] });
  return answer.status === 404 ? 'gone' : 'removed';
}

/**
 * Finds where a repository is now, by its id.
 *
 * @throws ForbiddenError when there is no such repository, or the account may not see it.
 */
async function locateRepository(access: HostAccess, known: Repository): Promise<Repository> {
  const { status, body } = await access.http.request({
    method: 'GET',
    route: route`/repositories/${known.id}`,
    accept: [404],
  });
  if (status === 404) throw createHiddenError(known.fullName);
  const { full_name: fullName, owner } = narrow(schemas.repository, body, 'the repository');
  return { ...known, fullName, namespace: owner.login };
}

export async function testHook(access: HostAccess, place: WebhookPlace, hookId: string): Promise<void> {
  const toRoute = (at: WebhookPlace): Route => route`${toHookRoute(at, hookId)}/tests`;
  await sendToPlace(access, place, { method: 'POST' }, toRoute);
}

function toHooksRoute(place: WebhookPlace): Route {
  if (place.level === 'namespace') return route`/orgs/${place.namespace}/hooks`;
  const { namespace, fullName } = place.repository;
  return route`/repos/${namespace}/${fullName.slice(namespace.length + 1)}/hooks`;
}

function toHookRoute(place: WebhookPlace, hookId: string): Route {
  return route`${toHooksRoute(place)}/${hookId}`;
}

/**
 * Sends a change to a repository or organization. A renamed repository answers every method with a redirect;
 * following it would turn a POST into a GET, so the new name is asked for by id and the change sent there.
 */
async function sendToPlace(
  access: HostAccess,
  place: WebhookPlace,
  request: Omit<HostRequest, 'route'>,
  toRoute: (place: WebhookPlace) => Route,
): Promise<HostResponse> {
  const moved = [301, 307];
  const accept = [...(request.accept ?? []), ...moved];
  const answer = await access.http.request({ ...request, route: toRoute(place), accept });
  if (!moved.includes(answer.status) || place.level !== 'repository') return answer;
  const repository = await locateRepository(access, place.repository);
  return access.http.request({ ...request, route: toRoute({ level: 'repository', repository }) });
}

async function* list<Schema extends v.GenericSchema>(
  http: HostClient,
  listRoute: Route,
  schema: Schema,
  what: string,
  options: Pick<HostRequest, 'authorization' | 'accept'> = {},
): AsyncIterable<v.InferOutput<Schema>> {
  const items = v.array(schema);
  async function fetchPage(page: number): Promise<CountedPage<v.InferOutput<Schema>>> {
    const query = { page, limit: pageSize };
    const { status, headers, body } = await http.request({
      method: 'GET',
      route: listRoute,
      query,
      ...options,
    });
    if (status !== 200) return { items: [], totalCount: 0 };
    const count = Number(headers.get('x-total-count') ?? Number.NaN);
    return {
      items: narrow(items, body, what),
      totalCount: Number.isSafeInteger(count) && count >= 0 ? count : null,
    };
  }
  yield* fetchCountedPages(fetchPage, pageSize, pacing.concurrency);
}
