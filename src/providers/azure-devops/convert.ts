import { narrow } from '../narrow.ts';
import type { Webhook } from '../webhook-support.ts';
import * as schemas from './schemas.ts';
import * as v from 'valibot';

/** The user name beside the secret, which tells gitlink's webhooks from others: the host shows it. */
export const ownUsername = 'gitlink';

/** What the adapter must know of a webhook beside what every host's webhooks have. */
interface HookSettings extends Record<string, unknown> {
  readonly isMarked: boolean;
  /** What it consists of, one for each event. */
  readonly subscriptions: readonly schemas.Subscription[];
}

/** On probation means that deliveries failed, and are still made. */
export function isDelivering({ status }: schemas.Subscription): boolean {
  return status === 'enabled' || status === 'onProbation';
}

function isMarked({ consumerInputs }: schemas.Subscription): boolean {
  return consumerInputs?.['basicAuthUsername'] === ownUsername;
}

export function urlOf({ consumerInputs }: schemas.Subscription): string {
  return consumerInputs?.['url'] ?? '';
}

/** The repository that a subscription is of; null for one of all repositories of its project. */
export function repositoryOf({ publisherInputs }: schemas.Subscription): string | null {
  return publisherInputs?.['repository']?.toLowerCase() || null;
}

export function projectOf({ publisherInputs }: schemas.Subscription): string | null {
  return publisherInputs?.['projectId']?.toLowerCase() || null;
}

/** Makes webhooks of the subscriptions at one place: those of one address, gitlink's apart from others. */
export function toWebhooks(found: readonly schemas.Subscription[]): readonly Webhook[] {
  const groups = new Map<string, schemas.Subscription[]>();
  for (const subscription of found) {
    const key = `${isMarked(subscription)} ${urlOf(subscription)}`;
    groups.set(key, [...(groups.get(key) ?? []), subscription]);
  }
  return [...groups.values()].map(toWebhook);
}

/** @param subscriptions - One at least, all of one address and of one maker. */
export function toWebhook(subscriptions: readonly schemas.Subscription[]): Webhook {
  const sorted = [...subscriptions].sort((left, right) => (left.id < right.id ? -1 : 1));
  const isOwn = sorted.every(isMarked);
  return {
    id: sorted.map(({ id }) => id).join('+'),
    url: sorted[0] ? urlOf(sorted[0]) : '',
    events: [...new Set(sorted.map(({ eventType }) => eventType))].sort(),
    active: sorted.every(isDelivering),
    name: null,
    settings: { isMarked: isOwn, subscriptions: sorted } satisfies HookSettings,
  };
}

/** Reads back what {@link toWebhook} put there. */
export function readHook({ settings }: Webhook): HookSettings {
  return {
    isMarked: settings['isMarked'] === true,
    subscriptions: narrow(v.array(schemas.subscription), settings['subscriptions'], 'the webhook'),
  };
}
