import { ForbiddenError } from '../../errors.ts';
import type { HostRequest, HostResponse, Route } from '../../http/host-client.ts';
import { followLinkPages } from '../../http/paging.ts';
import { route } from '../../http/route.ts';
import { createHiddenError } from '../hidden-error.ts';
import { narrow } from '../narrow.ts';
import type { HostAccess } from '../provider.ts';
import type { WebhookPlace } from '../webhook-support.ts';
import { openApi } from './ask.ts';
import { RefusedError } from './refusals.ts';
import { findRepository } from './repositories.ts';
import * as schemas from './schemas.ts';
import * as v from 'valibot';

/** What GitHub answers to a change at a repository's old name. Changes are not sent on by themselves. */
const moved = [301, 302, 307, 308];

const emptyRoute: Route = { path: '', template: '' };

export async function listHooks(access: HostAccess, place: WebhookPlace): Promise<readonly schemas.Hook[]> {
  const found: schemas.Hook[] = [];
  const pages = followLinkPages(openApi(access), {
    method: 'GET',
    route: toHooksRoute(place),
    query: { per_page: 100 },
  });
  for await (const { body } of pages) found.push(...narrow(v.array(schemas.hook), body, 'the webhooks'));
  return found;
}

/**
 * Creates a hook. Sent once.
 *
 * @returns null where GitHub says that there is such a hook already.
 */
export async function createHook(
  access: HostAccess,
  place: WebhookPlace,
  json: Readonly<Record<string, unknown>>,
): Promise<schemas.Hook | null> {
  try {
    const { body } = await send(access, place, emptyRoute, { method: 'POST', json });
    return narrow(schemas.hook, body, 'the webhook');
  } catch (error) {
    const isRefused = error instanceof RefusedError && error.status === 422;
    if (isRefused && /already exists/i.test(error.hostMessage ?? '')) return null;
    throw error;
  }
}

export async function editHook(
  access: HostAccess,
  place: WebhookPlace,
  hookId: string,
  json: Readonly<Record<string, unknown>>,
): Promise<schemas.Hook> {
  const { body } = await send(access, place, route`/${hookId}`, { method: 'PATCH', json });
  return narrow(schemas.hook, body, 'the webhook');
}

/** Changes nothing but what it is given: a change of the whole hook would take the secret away. */
export async function editConfig(
  access: HostAccess,
  place: WebhookPlace,
  hookId: string,
  json: Readonly<Record<string, unknown>>,
): Promise<schemas.HookConfig> {
  const { body } = await send(access, place, route`/${hookId}/config`, { method: 'PATCH', json });
  return narrow(schemas.hookConfig, body, 'the webhook');
}

/**
 * Deletes a hook. A 404 may also mean that the account no longer sees the place, and the hook still delivers.
 *
 * @throws ForbiddenError when nobody can say whether the hook is still there.
 */
export async function deleteHook(
  access: HostAccess,
  place: WebhookPlace,
  hookId: string,
): Promise<'removed' | 'gone'> {
  const { status } = await send(access, place, route`/${hookId}`, { method: 'DELETE', accept: [404] });
  if (status !== 404) return 'removed';
  const hooks = { method: 'GET', route: toHooksRoute(place), query: { per_page: 1 }, accept: [404] } as const;
  if ((await openApi(access).request(hooks)).status !== 404) return 'gone';
  const name = place.level === 'repository' ? place.repository.fullName : place.namespace;
  throw createHiddenError(`the webhooks of ${name}`);
}

/** @returns false where the hook is gone. */
export async function pingHook(access: HostAccess, place: WebhookPlace, hookId: string): Promise<boolean> {
  const below = route`/${hookId}/pings`;
  return (await send(access, place, below, { method: 'POST', accept: [404] })).status !== 404;
}

/** The newest deliveries of a hook, the newest first; none where the hook is gone. */
export async function listDeliveries(
  access: HostAccess,
  place: WebhookPlace,
  hookId: string,
): Promise<readonly schemas.Delivery[]> {
  const { status, body } = await openApi(access).request({
    method: 'GET',
    route: route`${toHooksRoute(place)}/${hookId}/deliveries`,
    query: { per_page: 10 },
    accept: [404],
  });
  return status === 404 ? [] : narrow(v.array(schemas.delivery), body, 'the deliveries');
}

/** Sends a change, once more where the repository has another name by now. */
async function send(
  access: HostAccess,
  place: WebhookPlace,
  below: Route,
  request: Omit<HostRequest, 'route'>,
): Promise<HostResponse> {
  const api = openApi(access);
  const first = await api.request({
    ...request,
    route: route`${toHooksRoute(place)}${below}`,
    accept: [...(request.accept ?? []), ...moved],
  });
  if (!moved.includes(first.status)) return first;
  return api.request({ ...request, route: route`${toHooksRoute(await findMoved(access, place))}${below}` });
}

/** @throws ForbiddenError where the old name leads to something else. */
async function findMoved(access: HostAccess, place: WebhookPlace): Promise<WebhookPlace> {
  if (place.level === 'namespace') throw new ForbiddenError(`${place.namespace} has another name by now`);
  const { id, fullName } = place.repository;
  const repository = await findRepository(access, fullName);
  if (repository?.id === id) return { level: 'repository', repository };
  throw new ForbiddenError(`${fullName} is another repository by now`);
}

function toHooksRoute(place: WebhookPlace): Route {
  if (place.level === 'namespace') return route`/orgs/${place.namespace}/hooks`;
  const [owner = '', name = ''] = place.repository.fullName.split('/');
  return route`/repos/${owner}/${name}/hooks`;
}
