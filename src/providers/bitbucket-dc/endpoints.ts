import { ForbiddenError } from '../../errors.ts';
import { isAnswer, type HostAnswerError } from '../../http/host-answer-error.ts';
import type { HostClient, HostRequest, HostResponse, Route } from '../../http/host-client.ts';
import { followLinkPages } from '../../http/paging.ts';
import { route } from '../../http/route.ts';
import { createHiddenError } from '../hidden-error.ts';
import { narrow } from '../narrow.ts';
import type { HostAccess, Repository } from '../provider.ts';
import type { WebhookPlace } from '../webhook-support.ts';
import { send, sendKnown } from './ask.ts';
import { toNamespace } from './convert.ts';
import * as schemas from './schemas.ts';
import type * as v from 'valibot';

/** Servers cut it to what their administrator allows, and say where the next page begins. */
const pageSize = 1_000;

/** A repository that was moved answers with a redirect to where it is now. */
const moved = [301, 302, 307, 308];

type Query = NonNullable<HostRequest['query']>;

/**
 * Reads a list. Rows that the account may not see leave gaps, so only the host knows where the next page begins.
 *
 * @see https://developer.atlassian.com/server/bitbucket/rest/v906/intro/
 */
export async function* list<Schema extends v.GenericSchema>(
  access: HostAccess,
  listRoute: Route,
  item: Schema,
  what: string,
  { query = {}, http = access.http }: { readonly query?: Query; readonly http?: HostClient } = {},
): AsyncGenerator<v.InferOutput<Schema>, void, undefined> {
  const page = schemas.page(item);
  const read = ({ body }: HostResponse) => narrow(page, body, what);
  // Refusals of every page are understood as those of any other request.
  const client = { base: http.base, request: (request: HostRequest) => sendKnown(access, request, http) };
  const pages = followLinkPages(
    client,
    { method: 'GET', route: listRoute, query: { ...query, limit: pageSize } },
    {
      countItems: (response) => read(response).values.length,
      findNext(response) {
        const { isLastPage, nextPageStart } = read(response);
        if (isLastPage !== false || nextPageStart == null) return null;
        return toAddress(http.base, listRoute, { ...query, limit: pageSize, start: nextPageStart });
      },
    },
  );
  for await (const response of pages) yield* read(response).values;
}

function toAddress(base: string, { path }: Route, query: Query): string {
  const pairs = Object.entries(query).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, String(value)]],
  );
  return `${base}${path}?${new URLSearchParams(pairs).toString()}`;
}

/** Repositories that the account was given a permission for; archived ones are left out unless they are asked for. */
export function listRepositories(
  access: HostAccess,
  permission: string,
  query: Query = {},
): AsyncGenerator<schemas.Repository, void, undefined> {
  return list(access, route`/repos`, schemas.repository, 'the repositories', {
    query: { permission, archived: 'ALL', ...query },
  });
}

/** @param permission - Null also for projects that everybody may see. */
export function listProjects(
  access: HostAccess,
  permission: string | null,
): AsyncGenerator<schemas.Project, void, undefined> {
  const query = permission === null ? {} : { permission };
  return list(access, route`/projects`, schemas.project, 'the projects', { query });
}

/**
 * Finds a person by name. The host's filter finds parts of names and of addresses, too.
 *
 * @returns null where there is no such person, or the account may not look.
 */
export async function findUser(access: HostAccess, name: string): Promise<schemas.User | null> {
  const users = list(access, route`/users`, schemas.user, 'the users', { query: { filter: name } });
  try {
    for await (const user of users) if (user.name === name) return user;
  } catch (error) {
    if (!(error instanceof ForbiddenError)) throw error;
  }
  return null;
}

/** @returns null where there is no such repository, or the account may not see it. */
export async function findRepository(
  access: HostAccess,
  namespace: string,
  slug: string,
): Promise<schemas.Repository | null> {
  try {
    const { status, body } = await send(access, {
      method: 'GET',
      route: route`/projects/${namespace}/repos/${slug}`,
      accept: [404],
    });
    return status === 404 ? null : narrow(schemas.repository, body, 'the repository');
  } catch (error) {
    if (error instanceof ForbiddenError) return null;
    throw error;
  }
}

export async function listHooks(access: HostAccess, place: WebhookPlace): Promise<readonly schemas.Hook[]> {
  try {
    return await listHooksAt(access, place);
  } catch (error) {
    if (place.level === 'namespace' && isAnswer(error, 404)) {
      await assertSeesProject(access, place.namespace);
      throw new ForbiddenError('this Bitbucket has no webhooks of projects, which came with 8.8', {
        hint: 'Use --at repositories',
      });
    }
    return listHooksAt(access, await locate(access, place, error));
  }
}

async function listHooksAt(access: HostAccess, place: WebhookPlace): Promise<readonly schemas.Hook[]> {
  const found: schemas.Hook[] = [];
  for await (const hook of list(access, toHooksRoute(place), schemas.hook, 'the webhooks')) found.push(hook);
  return found;
}

/** Sent once: after a lost answer there may be one that nobody knows. */
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
  const toRoute = (at: WebhookPlace) => toHookRoute(at, hookId);
  const { body } = await sendToPlace(access, place, { method: 'PUT', json }, toRoute);
  return narrow(schemas.hook, body, 'the webhook');
}

/** @throws ForbiddenError when nobody can say whether the hook is still there. */
export async function deleteHook(
  access: HostAccess,
  place: WebhookPlace,
  hookId: string,
): Promise<'removed' | 'gone'> {
  try {
    await sendToPlace(access, place, { method: 'DELETE' }, (at) => toHookRoute(at, hookId));
    return 'removed';
  } catch (error) {
    if (!isAnswer(error, 404)) throw error;
    if (place.level === 'namespace') await assertSeesProject(access, place.namespace);
    return 'gone';
  }
}

/** @returns null where there is no such hook. */
export async function findHook(
  access: HostAccess,
  place: WebhookPlace,
  hookId: string,
): Promise<schemas.Hook | null> {
  const { status, body } = await send(access, {
    method: 'GET',
    route: toHookRoute(place, hookId),
    accept: [404],
  });
  return status === 404 ? null : narrow(schemas.hook, body, 'the webhook');
}

/** Has the host send a ping and wait for the receiver's answer. */
export async function testHook(
  access: HostAccess,
  place: WebhookPlace,
  hook: schemas.Hook,
): Promise<HostResponse> {
  return send(access, {
    method: 'POST',
    route: route`${toHooksRoute(place)}/test`,
    query: { webhookId: hook.id, url: hook.url, sslVerificationRequired: hook.sslVerificationRequired },
  });
}

/**
 * The newest delivery of a hook; null where there was none.
 *
 * @param event - Of this event alone; default: of any.
 */
export async function fetchLatest(
  access: HostAccess,
  place: WebhookPlace,
  hookId: number,
  event?: string,
): Promise<v.InferOutput<typeof schemas.invocation> | null> {
  const { status, body } = await send(access, {
    method: 'GET',
    route: route`${toHooksRoute(place)}/${hookId}/latest`,
    query: { event },
    accept: [404],
  });
  return status === 200 ? narrow(schemas.invocation, body, 'the delivery') : null;
}

function toHooksRoute(place: WebhookPlace): Route {
  if (place.level === 'namespace') return route`/projects/${place.namespace}/webhooks`;
  const { namespace, fullName } = place.repository;
  return route`/projects/${namespace}/repos/${fullName.slice(namespace.length + 1)}/webhooks`;
}

function toHookRoute(place: WebhookPlace, hookId: string): Route {
  return route`${toHooksRoute(place)}/${hookId}`;
}

/** Sends a change to where the repository is now; a redirect of one is not followed, because it may become a GET. */
async function sendToPlace(
  access: HostAccess,
  place: WebhookPlace,
  request: Omit<HostRequest, 'route'>,
  toRoute: (place: WebhookPlace) => Route,
): Promise<HostResponse> {
  let missing: HostAnswerError | null = null;
  try {
    const answer = await send(access, { ...request, route: toRoute(place), accept: moved });
    if (!moved.includes(answer.status)) return answer;
  } catch (error) {
    if (!isAnswer(error, 404)) throw error;
    missing = error;
  }
  return send(access, { ...request, route: toRoute(await locate(access, place, missing)) });
}

/**
 * Finds where a repository is now: its old address may lead to the new one; otherwise its id tells.
 *
 * @param error - What came of the old address; null for a redirect.
 * @throws the error, where it says nothing of the repository or that is still where it was.
 * @throws ForbiddenError when there is no such repository, or the account may not see it.
 */
async function locate(access: HostAccess, place: WebhookPlace, error: unknown): Promise<WebhookPlace> {
  if (place.level !== 'repository' || (error !== null && !isAnswer(error, 404))) throw error;
  const { repository } = place;
  const found = await findById(access, repository);
  if (found === null) throw createHiddenError(repository.fullName);
  const namespace = toNamespace(found.project);
  const fullName = `${namespace}/${found.slug}`;
  if (fullName === repository.fullName && error !== null) throw error;
  return { level: 'repository', repository: { ...repository, namespace, fullName } };
}

async function findById(access: HostAccess, known: Repository): Promise<schemas.Repository | null> {
  const { id, namespace, fullName } = known;
  const there = await findRepository(access, namespace, fullName.slice(namespace.length + 1));
  if (String(there?.id) === id) return there;
  for await (const found of listRepositories(access, 'REPO_READ')) if (String(found.id) === id) return found;
  return null;
}

async function assertSeesProject(access: HostAccess, key: string): Promise<void> {
  const { status } = await send(access, { method: 'GET', route: route`/projects/${key}`, accept: [404] });
  if (status === 404) throw createHiddenError(key);
}
