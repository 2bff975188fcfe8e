import type { PlainAnswer, Route } from '../routes.ts';
import { answerList, isRecord, refuse, type Api, type Call } from './call.ts';
import type { DeliveryTarget } from './delivery.ts';
import { readSubscription } from './hook-fields.ts';
import type { AzureDevopsNotification } from './hook-state.ts';
import { findSubscription, hookScopes, requireHookRight, requireSubscription } from './hooks.ts';
import { zeroGuid } from './state.ts';

/** Deliveries, and trying one (`providers/azure-devops.md` §5). */
export function listNotificationRoutes(api: Api): Route[] {
  const need = { scopes: hookScopes };
  const root = '/{organization}/_apis/hooks';
  const ofOne = `${root}/subscriptions/{subscription}/notifications`;
  return [
    { method: 'POST', template: `${root}/testnotifications`, handle: api.ofOrganization(need, sendTest) },
    { method: 'GET', template: ofOne, handle: api.ofOrganization(need, list) },
    { method: 'GET', template: `${ofOne}/{notification}`, handle: api.ofOrganization(need, read) },
  ];
}

async function sendTest(call: Call): Promise<PlainAnswer> {
  const { deliveries, settings } = call;
  const { notification, done } = deliveries.sendTest(readTarget(call));
  findSubscription(call, notification.subscriptionId)?.notifications.push(notification);
  if (!settings.queuesTests) await done;
  return { status: 200, json: toNotificationJson(notification) };
}

/** What to try: a subscription there is, with its real secrets, or one that is described. */
function readTarget(call: Call): DeliveryTarget {
  const { body } = call.request;
  if (!isRecord(body)) throw refuse(400, 'JsonReaderException', 'The body is no JSON object.');
  const { subscriptionId, details } = body;
  if (typeof subscriptionId === 'string' && subscriptionId !== zeroGuid) {
    const subscription = findSubscription(call, subscriptionId.toLowerCase());
    if (!subscription) {
      throw refuse(404, 'SubscriptionNotFoundException', `Subscription '${subscriptionId}' was not found.`);
    }
    requireHookRight(call, subscription.project, 'edit');
    return { ...subscription, subscriptionId: subscription.id };
  }
  const sent = readSubscription(call, details);
  requireHookRight(call, sent.project, 'edit');
  return { ...sent, subscriptionId: zeroGuid };
}

const defaultPage = 100;

function list(call: Call): PlainAnswer {
  const { query } = call.request;
  const { notifications } = requireSubscription(call, 'view');
  const found = [...notifications]
    .reverse()
    .filter(
      ({ status, result }) =>
        (query.get('status') ?? status) === status && (query.get('result') ?? result) === result,
    );
  const maxResults = Number(query.get('maxResults') ?? defaultPage);
  return answerList(found.slice(0, maxResults).map(toNotificationJson));
}

/** Also of what was only tried: it hangs below the id of nothing. */
function read(call: Call): PlainAnswer {
  const { params } = call.request;
  const found =
    params['subscription'] === zeroGuid
      ? call.deliveries.records.filter(({ subscriptionId }) => subscriptionId === zeroGuid)
      : requireSubscription(call, 'view').notifications;
  const notification = found.find(({ id }) => String(id) === params['notification']);
  if (!notification) {
    throw refuse(404, 'NotificationNotFoundException', 'The notification was not found.');
  }
  return { status: 200, json: toNotificationJson(notification) };
}

function toNotificationJson(notification: AzureDevopsNotification) {
  const { id, subscriptionId, eventId, eventType, status, result, createdAt } = notification;
  const { request, response, errorMessage, publisherInputs, consumerInputs } = notification;
  return {
    id,
    subscriptionId,
    eventId,
    status,
    result,
    createdDate: new Date(createdAt).toISOString(),
    modifiedDate: new Date(createdAt).toISOString(),
    details: {
      eventType,
      publisherId: 'tfs',
      consumerId: 'webHooks',
      consumerActionId: 'httpRequest',
      publisherInputs,
      consumerInputs,
      request,
      response,
      errorMessage,
      requestAttempts: status === 'completed' ? 1 : 0,
      retryCount: 0,
    },
  };
}
