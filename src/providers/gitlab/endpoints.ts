import { UnreachableError } from '../../errors.ts';
import { HostAnswerError, isAnswer } from '../../http/host-answer-error.ts';
import type { HostClient, HostRequest, HostResponse, Route } from '../../http/host-client.ts';
import { fetchCountedPages, followLinkPages, type CountedPage } from '../../http/paging.ts';
import { route } from '../../http/route.ts';
import { createHiddenError } from '../hidden-error.ts';
import { narrow } from '../narrow.ts';
import type { HostAccess } from '../provider.ts';
import type { WebhookPlace } from '../webhook-support.ts';
import { pacing } from './pacing.ts';
import { readRefusal, type Refusal } from './refusals.ts';
import * as schemas from './schemas.ts';
import * as v from 'valibot';

/** The most that GitLab gives. */
export const pageSize = 100;

type Query = NonNullable<HostRequest['query']>;

/** Every role counts, also the least: whoever has none sees public groups and projects all the same. */
export const anyRole = { min_access_level: 10 };

/**
 * Lists the projects that the account is a member of, by ascending id. Only so can more than 50,000 be listed.
 *
 * @see https://docs.gitlab.com/api/rest/#keyset-based-pagination
 */
export async function* listMemberProjects<Schema extends v.GenericSchema>(
  http: HostClient,
  schema: Schema,
  query: Query = {},
): AsyncGenerator<readonly v.InferOutput<Schema>[], void, undefined> {
  const pages = followLinkPages(http, {
    method: 'GET',
    route: route`/projects`,
    query: {
      membership: true,
      pagination: 'keyset',
      order_by: 'id',
      sort: 'asc',
      per_page: pageSize,
      ...query,
    },
  });
  for await (const { body } of pages) yield narrow(v.array(schema), body, 'the repositories');
}

/** @returns the highest id of the projects that the account is a member of; 0 for none. */
export async function findNewestMemberProject(http: HostClient): Promise<number> {
  const query = { sort: 'desc', per_page: 1, simple: true };
  const page = await listMemberProjects(http, schemas.projectId, query).next();
  return page.done ? 0 : (page.value[0]?.id ?? 0);
}

/**
 * Lists the projects of a group and the groups below it, without those that are only shared with it.
 *
 * @returns null where there is no such group, or the account may not see it.
 */
export async function* listGroupProjects<Schema extends v.GenericSchema>(
  http: HostClient,
  group: string,
  schema: Schema,
  query: Query,
): AsyncGenerator<v.InferOutput<Schema>, 'found' | 'missing', undefined> {
  let outcome: 'found' | 'missing' = 'found';
  const request = {
    route: route`/groups/${group}/projects`,
    query: { include_subgroups: true, with_shared: false, order_by: 'id', sort: 'asc', ...query },
    accept: [404],
    onMissing: () => (outcome = 'missing'),
  };
  yield* listCounted(http, schema, 'the repositories', request);
  return outcome;
}

/** The groups in which the account has a role, with those below them. */
export function listGroups(http: HostClient): AsyncIterable<v.InferOutput<typeof schemas.group>> {
  return listCounted(http, schemas.group, 'the groups', { route: route`/groups`, query: anyRole });
}

/** Follows a renamed project to where it is now. */
export async function findProject(http: HostClient, fullName: string): Promise<schemas.Project | null> {
  const { status, body } = await http.request({
    method: 'GET',
    route: route`/projects/${fullName}`,
    accept: [404],
  });
  if (status !== 404) return narrow(schemas.project, body, 'the repository');
  if (isNotFound(readRefusal(body))) return null;
  // The slashes of the name travel encoded, which some proxies undo.
  throw new UnreachableError(`${http.base} does not understand a repository's name in an address.`, {
    hint: 'A proxy in between seems to decode %2F: Apache needs AllowEncodedSlashes NoDecode, nginx a proxy_pass without a path.',
  });
}

/** Whether GitLab looked and found nothing, as against an address that it does not know (`404 Not Found`). */
function isNotFound(refusal: Refusal | null): boolean {
  return refusal !== null && refusal.code === null && refusal.text.startsWith('404 ');
}

export function listHooks(access: HostAccess, place: WebhookPlace): AsyncIterable<schemas.Hook> {
  return listCounted(access.http, schemas.hook, 'the webhooks', { route: toHooksRoute(place), query: {} });
}

export async function createHook(
  access: HostAccess,
  place: WebhookPlace,
  json: Readonly<Record<string, unknown>>,
): Promise<schemas.Hook> {
  const { body } = await explainFault(
    access.http.request({ method: 'POST', route: toHooksRoute(place), json }),
  );
  return narrow(schemas.hook, body, 'the webhook');
}

export async function editHook(
  access: HostAccess,
  place: WebhookPlace,
  hookId: string,
  json: Readonly<Record<string, unknown>>,
): Promise<schemas.Hook> {
  const request: HostRequest = { method: 'PUT', route: toHookRoute(place, hookId), json };
  const { body } = await explainFault(access.http.request(request));
  return narrow(schemas.hook, body, 'the webhook');
}

/** GitLab gives one reason for every address that it does not deliver to. */
async function explainFault(sending: Promise<HostResponse>): Promise<HostResponse> {
  try {
    return await sending;
  } catch (error) {
    if (!isAnswer(error, 422)) throw error;
    if (!error.hostMessage?.includes('Invalid url')) throw error;
    const hostMessage =
      'Invalid url given. GitLab does not deliver to local or private addresses, nor to names that it cannot resolve, unless an administrator allows it (Admin > Settings > Network > Outbound requests)';
    const { status, method, origin, template, requestId } = error;
    throw new HostAnswerError({ status, method, origin, template, requestId, hostMessage });
  }
}

/**
 * Deletes a hook. A 404 is success only where GitLab says that it looked for the hook: it may also mean that the
 * account no longer sees the project, and the hook still delivers.
 *
 * @throws ForbiddenError when nobody can say whether the hook is still there.
 */
export async function deleteHook(
  access: HostAccess,
  place: WebhookPlace,
  hookId: string,
): Promise<'removed' | 'gone'> {
  const { status, body } = await access.http.request({
    method: 'DELETE',
    route: toHookRoute(place, hookId),
    accept: [404],
  });
  if (status !== 404) return 'removed';
  const refusal = readRefusal(body);
  const name = place.level === 'repository' ? place.repository.fullName : place.namespace;
  if (isNotFound(refusal) && !/project|group/i.test(refusal?.text ?? '')) return 'gone';
  throw createHiddenError(name);
}

/** Sends a test delivery and waits for the receiver, for 10 seconds at most. */
export async function testHook(
  access: HostAccess,
  place: WebhookPlace,
  hookId: string,
): Promise<HostResponse> {
  const test = route`${toHookRoute(place, hookId)}/test/push_events`;
  return access.http.request({ method: 'POST', route: test, accept: [404, 422, 429] });
}

/** @returns what the receiver answered last, such as `200` or `internal error`; null where nobody knows. */
export async function fetchLastDelivery(
  access: HostAccess,
  place: WebhookPlace,
  hookId: string,
): Promise<string | null> {
  const { status, body } = await access.http.request({
    method: 'GET',
    route: route`${toHookRoute(place, hookId)}/events`,
    query: { per_page: 1 },
    accept: [403, 404],
  });
  if (status !== 200) return null;
  const [event] = narrow(schemas.hookEvents, body, 'the deliveries');
  return event?.response_status == null ? null : String(event.response_status);
}

/** Projects go by their id, which survives renames; groups by their path, which is all that is known of them. */
function toHooksRoute(place: WebhookPlace): Route {
  return place.level === 'namespace'
    ? route`/groups/${place.namespace}/hooks`
    : route`/projects/${place.repository.id}/hooks`;
}

function toHookRoute(place: WebhookPlace, hookId: string): Route {
  return route`${toHooksRoute(place)}/${hookId}`;
}

interface CountedRequest extends Pick<HostRequest, 'accept'> {
  readonly route: Route;
  readonly query: Query;
  /** Told of a 404 where that is accepted. */
  readonly onMissing?: () => void;
}

async function* listCounted<Schema extends v.GenericSchema>(
  http: HostClient,
  schema: Schema,
  what: string,
  { onMissing, query, ...request }: CountedRequest,
): AsyncGenerator<v.InferOutput<Schema>, void, undefined> {
  const items = v.array(schema);
  async function fetchPage(page: number): Promise<CountedPage<v.InferOutput<Schema>>> {
    const paged = { ...query, page, per_page: pageSize };
    const { status, headers, body } = await http.request({ method: 'GET', ...request, query: paged });
    if (status === 404) {
      onMissing?.();
      return { items: [], totalCount: 0 };
    }
    // Left out beyond 10,000 items; `Number` would make an absent one 0.
    const count = Number(headers.get('x-total') ?? Number.NaN);
    return {
      items: narrow(items, body, what),
      totalCount: Number.isSafeInteger(count) && count >= 0 ? count : null,
    };
  }
  yield* fetchCountedPages(fetchPage, pageSize, pacing.concurrency);
}
