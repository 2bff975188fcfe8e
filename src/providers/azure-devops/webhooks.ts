import { ForbiddenError, assertTellable } from '../../errors.ts';
import { isRefusal } from '../../http/host-answer-error.ts';
import type { Secret } from '../../secret.ts';
import { toPrintable } from '../../printable.ts';
import type { HostAccess } from '../provider.ts';
import type { WantedWebhook, Webhook, WebhookAdmin, WebhookPlace, WebhookTest } from '../webhook-support.ts';
import { afterChange } from '../partial-change.ts';
import { isDelivering, ownUsername, readHook, toWebhook, toWebhooks, urlOf } from './convert.ts';
import { toHooksUrl } from './pages.ts';
import type * as schemas from './schemas.ts';
import {
  createSubscription,
  deleteSubscription,
  listSubscriptions,
  replaceSubscription,
  testSubscription,
  type SubscriptionBody,
} from './subscriptions.ts';
import { assertManageable, assertNoOverlap, findPlaceIds, isAt, type PlaceIds } from './webhook-place.ts';

/**
 * Webhooks of repositories and projects. Azure DevOps has one for each event, which it calls subscriptions to service
 * hooks: those of one place, address and maker are one webhook here.
 *
 * It signs nothing: the secret travels as a password with each delivery (`Authorization: Basic`), is shown as a mask
 * afterwards, and is gone with any change that does not bring it again.
 *
 * @see https://learn.microsoft.com/azure/devops/service-hooks/services/webhooks
 */
export const webhooks: WebhookAdmin = {
  levels: ['repository', 'namespace'],
  secretChangesInPlace: true,
  forgetsSecret: true,
  readsDeliveries: true,
  events: {
    push: ['git.push'],
    // A pushed tag is a push like any other: its body says which.
    tag: ['git.push'],
    'pull-request': ['git.pullrequest.created', 'git.pullrequest.updated'],
    comment: ['ms.vss-code.git-pullrequest-comment-event'],
  },
  list: listWebhooks,
  isMarked: (_access, hook) => readHook(hook).isMarked,
  create: createWebhook,
  update: updateWebhook,
  remove: removeWebhook,
  pageUrl: (host, _level, name) => toHooksUrl(host, name),
  test: testWebhook,
};

async function listWebhooks(access: HostAccess, place: WebhookPlace): Promise<readonly Webhook[]> {
  const ids = await findPlaceIds(access, place);
  if (place.level === 'namespace') await assertManageable(access, ids);
  return toWebhooks((await listSubscriptions(access)).filter((each) => isAt(ids, each)));
}

async function createWebhook(
  access: HostAccess,
  place: WebhookPlace,
  { url, events, secret }: WantedWebhook,
): Promise<Webhook> {
  const ids = await findPlaceIds(access, place);
  return toWebhook(await addSubscriptions(access, ids, { url, events: [...new Set(events)], secret }));
}

/** Brings a webhook to the wanted state: what it has is rewritten before anything is added, and taken away last. */
async function updateWebhook(
  access: HostAccess,
  place: WebhookPlace,
  hook: Webhook,
  { url, events, secret }: WantedWebhook,
): Promise<Webhook> {
  const { isMarked, subscriptions } = readHook(hook);
  const ids = await findPlaceIds(access, place);
  const chosen = [...new Set(events)].map((event) => ({ event, found: chooseOne(subscriptions, event) }));
  const kept = chosen.flatMap(({ found }) => (found === null ? [] : [found]));
  const missing = chosen.filter(({ found }) => found === null).map(({ event }) => event);
  const isRight = (each: schemas.Subscription): boolean =>
    secret === null && isMarked && urlOf(each) === url && isDelivering(each);
  if (secret === null && (missing.length > 0 || !kept.every(isRight))) throw createSecretNeeded();
  if (secret !== null) kept.forEach(assertNothingHidden);

  const bring = async (each: schemas.Subscription): Promise<schemas.Subscription> =>
    secret === null ? each : rewrite(access, ids, each, { url, secret });
  const [first, ...others] = kept;
  const current = first === undefined ? [] : [await bring(first)];
  const finish = async (): Promise<void> => {
    for (const each of others) current.push(await bring(each));
    if (missing.length > 0) {
      current.push(...(await addSubscriptions(access, ids, { url, events: missing, secret })));
    }
    if (!isMarked) return;
    // Another event, or one event twice. What somebody else has made is left to them.
    const surplus = subscriptions.filter((each) => !kept.includes(each));
    for (const { id } of surplus) await deleteSubscription(access, id);
  };
  await (first === undefined ? finish() : afterChange(finish));
  return toWebhook(current);
}

/** The subscription to keep for an event: one that delivers before one that does not, the widest first. */
function chooseOne(
  subscriptions: readonly schemas.Subscription[],
  event: string,
): schemas.Subscription | null {
  const toRank = (each: schemas.Subscription): number =>
    (isDelivering(each) ? 0 : 100) + Object.values(each.publisherInputs ?? {}).filter(Boolean).length;
  const [first = null] = subscriptions
    .filter(({ eventType }) => eventType === event)
    .sort((left, right) => toRank(left) - toRank(right));
  return first;
}

/** Makes a subscription for each event. Where one is refused, those before it are taken back. */
async function addSubscriptions(
  access: HostAccess,
  ids: PlaceIds,
  { url, events, secret }: Pick<WantedWebhook, 'url' | 'events' | 'secret'>,
): Promise<readonly schemas.Subscription[]> {
  if (secret === null) throw createSecretNeeded();
  assertNoOverlap(ids, await listSubscriptions(access), url, events);
  const made: schemas.Subscription[] = [];
  try {
    for (const eventType of events) {
      made.push(await createSubscription(access, toNewBody(ids, eventType, url, secret)));
    }
    return made;
  } catch (error) {
    if (isRefusal(error)) await takeBack(access, made);
    throw error;
  }
}

/** The refusal is what matters; what stays is found by its mark the next time. */
async function takeBack(access: HostAccess, made: readonly schemas.Subscription[]): Promise<void> {
  try {
    for (const { id } of made) await deleteSubscription(access, id);
  } catch (error) {
    assertTellable(error);
  }
}

function toNewBody(
  { projectId, repositoryId }: PlaceIds,
  eventType: string,
  url: string,
  secret: Secret,
): SubscriptionBody {
  return {
    eventType,
    resourceVersion: '1.0',
    publisherInputs: { projectId, ...(repositoryId === null ? {} : { repository: repositoryId }) },
    consumerInputs: {
      url,
      basicAuthUsername: ownUsername,
      basicAuthPassword: secret,
      resourceDetailsToSend: 'all',
      // Sentences about the event, in several formats, that no program reads.
      messagesToSend: 'none',
      detailedMessagesToSend: 'none',
      acceptUntrustedCerts: 'false',
    },
  };
}

/** What the host adds by itself. */
const hostInputs = ['hostId', 'tfsSubscriptionId'];

/**
 * Sends a subscription back whole, with the secret and enabled. One that cannot be enabled, or whose maker has left,
 * is made anew before the old one goes.
 */
async function rewrite(
  access: HostAccess,
  ids: PlaceIds,
  current: schemas.Subscription,
  { url, secret }: { readonly url: string; readonly secret: Secret },
): Promise<schemas.Subscription> {
  const { id, eventType, resourceVersion, status } = current;
  if (status !== 'disabledByInactiveIdentity') {
    const changed = await replaceSubscription(access, id, {
      eventType,
      status: 'enabled',
      ...(resourceVersion ? { resourceVersion } : {}),
      publisherInputs: toPlainInputs(current.publisherInputs, hostInputs),
      consumerInputs: {
        ...toPlainInputs(current.consumerInputs, []),
        url,
        basicAuthUsername: ownUsername,
        basicAuthPassword: secret,
      },
    });
    if (isDelivering(changed)) return changed;
  }
  const made = await createSubscription(access, toNewBody(ids, eventType, url, secret));
  await deleteSubscription(access, id);
  return made;
}

function toPlainInputs(
  inputs: schemas.Subscription['publisherInputs'],
  without: readonly string[],
): Readonly<Record<string, string>> {
  const entries = Object.entries(inputs ?? {}).map(([name, value]) => [name, value ?? ''] as const);
  return Object.fromEntries(entries.filter(([name]) => !without.includes(name)));
}

/**
 * Refuses to rewrite what cannot be read: a mask that is sent back becomes the value.
 *
 * @throws ForbiddenError
 */
function assertNothingHidden({ publisherInputs, consumerInputs }: schemas.Subscription): void {
  const inputs = { ...publisherInputs, ...consumerInputs };
  const hidden = Object.entries(inputs).find(
    ([name, value]) => name !== 'basicAuthPassword' && /\*{4,}/.test(value ?? ''),
  );
  if (!hidden) return;
  throw new ForbiddenError(
    `this webhook has a hidden setting (${toPrintable(hidden[0], 60)}) that a change would destroy: change it by hand, or remove it`,
  );
}

function createSecretNeeded(): ForbiddenError {
  return new ForbiddenError(
    'Azure DevOps forgets the secret of a webhook with every change: run gitlink regenerate-webhooks without --repair',
  );
}

/**
 * Removes all that a webhook consists of. What is not there may also be out of sight, and still deliver.
 *
 * @throws ForbiddenError when nobody can say whether it is still there.
 */
async function removeWebhook(
  access: HostAccess,
  place: WebhookPlace,
  hookId: string,
): Promise<'removed' | 'gone'> {
  const results: ('removed' | 'gone')[] = [];
  for (const id of hookId.split('+')) results.push(await deleteSubscription(access, id));
  if (results.includes('removed')) return 'removed';
  await findPlaceIds(access, place);
  return 'gone';
}

/** Tries one of the events, which all deliver to the same address with the same secret. */
async function testWebhook(access: HostAccess, _place: WebhookPlace, hookId: string): Promise<WebhookTest> {
  const [id = hookId] = hookId.split('+');
  const delivery = await testSubscription(access, id);
  if (delivery === null) return { outcome: 'failed', reason: 'the webhook is gone' };
  switch (delivery.result) {
    case 'succeeded':
      return { outcome: 'delivered' };
    case 'failed':
      return { outcome: 'failed', reason: describeFailure(delivery) };
    case 'filtered':
      return { outcome: 'untestable', reason: 'the filters of the webhook let nothing through' };
    default:
      return { outcome: 'sent' };
  }
}

function describeFailure({ details }: schemas.Notification): string {
  const status = /^(?:HTTP\/[\d.]+|Status Code:) ?(\d{3})\b/i.exec(details?.response?.trim() ?? '')?.[1];
  if (status !== undefined) return `the receiver answered ${status}`;
  const said = details?.errorMessage ? `: ${toPrintable(details.errorMessage, 200)}` : '';
  return `the receiver did not answer${said}`;
}
