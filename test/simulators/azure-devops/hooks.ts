import type { PlainAnswer, Route } from '../routes.ts';
import { hookRights, hookRightsOf } from './access.ts';
import { answerList, isRecord, refuse, urlOf, type Api, type AzureDevopsContext, type Call } from './call.ts';
import { readSubscription } from './hook-fields.ts';
import { maskInputs, type AzureDevopsSubscription } from './hook-state.ts';
import type { AzureDevopsProject, AzureDevopsUser } from './state.ts';

/** Any of these is enough for every call about hooks (`providers/azure-devops.md` §5). */
export const hookScopes = ['vso.code', 'vso.work', 'vso.build'];

/** Service Hooks: one subscription for each event, of a repository or of all in a project. */
export function listHookRoutes(api: Api): Route[] {
  const need = { scopes: hookScopes };
  const root = '/{organization}/_apis/hooks';
  const one = `${root}/subscriptions/{subscription}`;
  return [
    { method: 'GET', template: `${root}/subscriptions`, handle: api.ofOrganization(need, list) },
    { method: 'POST', template: `${root}/subscriptions`, handle: api.ofOrganization(need, create) },
    { method: 'POST', template: `${root}/subscriptionsquery`, handle: api.ofOrganization(need, query) },
    { method: 'GET', template: one, handle: api.ofOrganization(need, read) },
    { method: 'PUT', template: one, handle: api.ofOrganization(need, replace) },
    { method: 'DELETE', template: one, handle: api.ofOrganization(need, remove) },
  ];
}

/** Those that the caller may see: the others are left out without a word. */
function listVisible({ state, organization, actor }: Call): readonly AzureDevopsSubscription[] {
  return state.subscriptions.filter(
    (subscription) =>
      subscription.organization === organization &&
      (hookRightsOf(actor, subscription.project) & hookRights.view) !== 0,
  );
}

function list(call: Call): PlainAnswer {
  const { query: wanted } = call.request;
  const found = listVisible(call).filter((subscription) =>
    Object.entries(fixedOf(subscription)).every(([name, value]) => (wanted.get(name) ?? value) === value),
  );
  return answerList(found.map((subscription) => toSubscriptionJson(call, subscription)));
}

/** The whole organization, or what fits; `null` and what is left out fit all. */
function query(call: Call): PlainAnswer {
  const { body } = call.request;
  if (!isRecord(body)) throw refuse(400, 'JsonReaderException', 'The body is no JSON object.');
  const found = listVisible(call).filter(
    (subscription) =>
      Object.entries(fixedOf(subscription)).every(([name, value]) => (body[name] ?? value) === value) &&
      fits(subscription.publisherInputs, body['publisherInputFilters']) &&
      fits(subscription.consumerInputs, body['consumerInputFilters']),
  );
  const results = found.map((subscription) => toSubscriptionJson(call, subscription));
  return { status: 200, json: { ...body, results } };
}

function fixedOf({ eventType }: AzureDevopsSubscription) {
  return { publisherId: 'tfs', eventType, consumerId: 'webHooks', consumerActionId: 'httpRequest' };
}

/** One of the filters must match, with all its conditions. */
function fits(inputs: Readonly<Record<string, string>>, filters: unknown): boolean {
  if (!Array.isArray(filters) || filters.length === 0) return true;
  return filters.some((filter: unknown) => {
    const conditions = isRecord(filter) ? filter['conditions'] : undefined;
    return Array.isArray(conditions) && conditions.every((condition) => fitsOne(inputs, condition));
  });
}

function fitsOne(inputs: Readonly<Record<string, string>>, condition: unknown): boolean {
  if (!isRecord(condition)) return false;
  const { inputId, operator, inputValue, caseSensitive } = condition;
  const fold = (value: unknown) => {
    const text = typeof value === 'string' ? value : '';
    return caseSensitive === true ? text : text.toLowerCase();
  };
  const isEqual = fold(inputs[String(inputId)]) === fold(inputValue);
  return operator === 'notEquals' ? !isEqual : isEqual;
}

function create(call: Call): PlainAnswer {
  const { request, state, organization, actor, now } = call;
  const sent = readSubscription(call, request.body);
  requireHookRight(call, sent.project, 'edit');
  const subscription: AzureDevopsSubscription = {
    id: state.makeGuid('subscription', state.nextId()),
    organization,
    ...sent,
    status: 'enabled',
    createdBy: actor.user,
    createdAt: now(),
    modifiedBy: actor.user,
    modifiedAt: now(),
    lastSuccessAt: null,
    failuresInRow: 0,
    notifications: [],
  };
  state.subscriptions.push(subscription);
  return { status: 200, json: toSubscriptionJson(call, subscription) };
}

function read(call: Call): PlainAnswer {
  return { status: 200, json: toSubscriptionJson(call, requireSubscription(call, 'view')) };
}

/** Nothing of the old one stays but who made it: what is left out is gone. */
function replace(call: Call): PlainAnswer {
  const { request, actor, now } = call;
  const subscription = requireSubscription(call, 'edit');
  const { body } = request;
  if (isRecord(body) && body['id'] !== undefined && body['id'] !== subscription.id) {
    throw refuse(400, 'SubscriptionInputException', 'The id is not that of the address.');
  }
  const sent = readSubscription(call, body);
  requireHookRight(call, sent.project, 'edit');
  Object.assign(subscription, sent, {
    status: sent.status ?? subscription.status,
    modifiedBy: actor.user,
    modifiedAt: now(),
  });
  if (sent.status === 'enabled') subscription.failuresInRow = 0;
  return { status: 200, json: toSubscriptionJson(call, subscription) };
}

function remove(call: Call): PlainAnswer {
  const subscription = requireSubscription(call, 'delete');
  call.state.subscriptions.splice(call.state.subscriptions.indexOf(subscription), 1);
  return { status: 204 };
}

/** The subscription of the path. @throws Refusal 404, also for one that the caller may not see, or 403. */
export function requireSubscription(call: Call, right: keyof typeof hookRights): AzureDevopsSubscription {
  const id = (call.request.params['subscription'] ?? '').toLowerCase();
  const subscription = findSubscription(call, id);
  if (!subscription) {
    throw refuse(404, 'SubscriptionNotFoundException', `Subscription with ID '${id}' was not found.`);
  }
  requireHookRight(call, subscription.project, right);
  return subscription;
}

export function findSubscription(
  { state, organization }: Call,
  id: string,
): AzureDevopsSubscription | undefined {
  return state.subscriptions.find((one) => one.id === id && one.organization === organization);
}

/** Demands a right of the ServiceHooks namespace. @throws Refusal 403. */
export function requireHookRight(
  { actor }: Call,
  project: AzureDevopsProject,
  right: keyof typeof hookRights,
): void {
  if ((hookRightsOf(actor, project) & hookRights[right]) !== 0) return;
  const words = right.charAt(0).toUpperCase() + right.slice(1);
  const message = `Access denied: ${actor.user.displayName} needs the following permission(s) on the resource /${project.id} to perform this action: ${words} subscriptions`;
  throw refuse(403, 'AccessCheckException', message);
}

/** A subscription as the API shows it: its password is a mask. */
function toSubscriptionJson(context: AzureDevopsContext, subscription: AzureDevopsSubscription) {
  const { id, organization, createdBy, createdAt, modifiedBy, modifiedAt, lastSuccessAt } = subscription;
  return {
    id,
    url: `${urlOf(context, organization)}/_apis/hooks/subscriptions/${id}`,
    status: subscription.status,
    publisherId: 'tfs',
    eventType: subscription.eventType,
    subscriber: null,
    resourceVersion: subscription.resourceVersion,
    eventDescription: 'Any event',
    consumerId: 'webHooks',
    consumerActionId: 'httpRequest',
    actionDescription: `To host ${new URL(subscription.consumerInputs['url'] ?? '').hostname}`,
    probationRetries: subscription.failuresInRow,
    createdBy: toPersonJson(createdBy),
    createdDate: new Date(createdAt).toISOString(),
    modifiedBy: toPersonJson(modifiedBy),
    modifiedDate: new Date(modifiedAt).toISOString(),
    ...(lastSuccessAt === null ? {} : { lastSuccessfulAttemptDate: new Date(lastSuccessAt).toISOString() }),
    publisherInputs: {
      ...subscription.publisherInputs,
      hostId: organization.id,
      tfsSubscriptionId: context.state.makeGuid('of TFS', id),
    },
    consumerInputs: maskInputs(subscription.consumerInputs),
  };
}

function toPersonJson({ id, displayName, account }: AzureDevopsUser) {
  return { id, displayName, uniqueName: account };
}
