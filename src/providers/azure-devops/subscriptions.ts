import type { HostResponse } from '../../http/host-client.ts';
import { route } from '../../http/route.ts';
import type { Secret } from '../../secret.ts';
import { narrow } from '../narrow.ts';
import type { HostAccess } from '../provider.ts';
import { ask, narrowList, type Question } from './ask.ts';
import { recall, type Memory } from './memory.ts';
import { requireOrganization } from './places.ts';
import * as schemas from './schemas.ts';

/** A subscription as it is sent: whole, also to change one. */
export interface SubscriptionBody {
  readonly id?: string;
  readonly status?: 'enabled';
  readonly eventType: string;
  readonly resourceVersion?: string;
  readonly publisherInputs: Readonly<Record<string, string>>;
  readonly consumerInputs: Readonly<Record<string, string | Secret>>;
}

/** What all webhooks have in common, among other things that tell somebody of an event. */
const webHook = { publisherId: 'tfs', consumerId: 'webHooks', consumerActionId: 'httpRequest' };

/**
 * All webhooks of the organization that the credential may see. The host gives them in one list, which is fetched
 * once, and kept right by what is changed here.
 */
export function listSubscriptions(access: HostAccess): Promise<readonly schemas.Subscription[]> {
  const memory = recall(access);
  if (memory.subscriptions !== null) return memory.subscriptions;
  return keep(memory, fetchSubscriptions(access));
}

/** A list that could not be read is not kept. */
function keep(memory: Memory, list: NonNullable<Memory['subscriptions']>) {
  memory.subscriptions = list;
  list.catch(() => {
    if (memory.subscriptions === list) memory.subscriptions = null;
  });
  return list;
}

async function fetchSubscriptions(access: HostAccess): Promise<readonly schemas.Subscription[]> {
  const { publisherId, consumerId, consumerActionId } = webHook;
  const { body } = await ask(access.http, {
    method: 'GET',
    route: route`/${requireOrganization(access)}/_apis/hooks/subscriptions`,
    query: { publisherId, consumerId },
  });
  const found = narrowList(schemas.subscription, body, 'the webhooks');
  return found.filter((each) => (each.consumerActionId ?? consumerActionId) === consumerActionId);
}

export async function createSubscription(
  access: HostAccess,
  subscription: SubscriptionBody,
): Promise<schemas.Subscription> {
  const { body } = await change(access, {
    method: 'POST',
    route: route`/${requireOrganization(access)}/_apis/hooks/subscriptions`,
    json: { ...webHook, ...subscription },
  });
  const made = narrow(schemas.subscription, body, 'the webhook');
  // A list that was under way meanwhile may have it already.
  remember(access, (known) => [...known.filter(({ id }) => id !== made.id), made]);
  return made;
}

export async function replaceSubscription(
  access: HostAccess,
  id: string,
  subscription: SubscriptionBody,
): Promise<schemas.Subscription> {
  const { body } = await change(access, {
    method: 'PUT',
    route: route`/${requireOrganization(access)}/_apis/hooks/subscriptions/${id}`,
    json: { ...webHook, ...subscription, id },
  });
  const changed = narrow(schemas.subscription, body, 'the webhook');
  remember(access, (known) => known.map((each) => (each.id === id ? changed : each)));
  return changed;
}

export async function deleteSubscription(access: HostAccess, id: string): Promise<'removed' | 'gone'> {
  const { status } = await change(access, {
    method: 'DELETE',
    route: route`/${requireOrganization(access)}/_apis/hooks/subscriptions/${id}`,
    accept: [404],
  });
  remember(access, (known) => known.filter((each) => each.id !== id));
  return status === 404 ? 'gone' : 'removed';
}

/** What became of a change that was not answered nobody knows, and the list may say more then than is remembered. */
async function change(access: HostAccess, request: Question): Promise<HostResponse> {
  try {
    return await ask(access.http, request);
  } catch (error) {
    recall(access).subscriptions = null;
    throw error;
  }
}

function remember(
  access: HostAccess,
  edit: (known: readonly schemas.Subscription[]) => readonly schemas.Subscription[],
): void {
  const memory = recall(access);
  if (memory.subscriptions !== null) void keep(memory, memory.subscriptions.then(edit));
}

/** Sends a delivery with the secret that the host has, and tells what became of it; null for no such webhook. */
export async function testSubscription(access: HostAccess, id: string): Promise<schemas.Notification | null> {
  const { status, body } = await ask(access.http, {
    method: 'POST',
    route: route`/${requireOrganization(access)}/_apis/hooks/testnotifications`,
    json: { subscriptionId: id },
    accept: [404],
  });
  if (status === 404) return null;
  const sent = narrow(schemas.notification, body, 'the delivery');
  return sent.status === 'completed' ? sent : fetchNotification(access, id, String(sent.id));
}

async function fetchNotification(
  access: HostAccess,
  id: string,
  notificationId: string,
): Promise<schemas.Notification | null> {
  const organization = requireOrganization(access);
  const { body } = await ask(access.http, {
    method: 'GET',
    route: route`/${organization}/_apis/hooks/subscriptions/${id}/notifications/${notificationId}`,
  });
  return narrow(schemas.notification, body, 'the delivery');
}
