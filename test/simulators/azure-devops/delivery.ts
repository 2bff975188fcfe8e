import type { RefChange } from '../git-storage.ts';
import { postDelivery } from '../post-delivery.ts';
import { urlOf, type AzureDevopsContext } from './call.ts';
import { maskInputs, type AzureDevopsNotification, type AzureDevopsSubscription } from './hook-state.ts';
import { toRepositoryJson } from './projects.ts';
import type { AzureDevopsProject, AzureDevopsRepository, AzureDevopsUser } from './state.ts';

/** Where and how to deliver, for a subscription or for one that is only being tried. */
export interface DeliveryTarget {
  readonly subscriptionId: string;
  readonly project: AzureDevopsProject;
  readonly eventType: string;
  readonly resourceVersion: string;
  readonly publisherInputs: Readonly<Record<string, string>>;
  readonly consumerInputs: Readonly<Record<string, string>>;
}

export interface Deliveries {
  /** Every delivery so far, tests too. */
  readonly records: readonly AzureDevopsNotification[];
  /** Tells every subscription that listens to pushes of the repository. */
  announcePush(
    repository: AzureDevopsRepository,
    pusher: AzureDevopsUser,
    changes: readonly RefChange[],
  ): void;
  /** Sends a sample of an event, once. */
  sendTest(target: DeliveryTarget): {
    readonly notification: AzureDevopsNotification;
    readonly done: Promise<void>;
  };
  /** Resolves when nothing is under way any more. */
  settle(): Promise<void>;
}

const deliverTimeoutMs = 10_000;

/** Builds the sender of events (`providers/azure-devops.md` §5). */
export function createDeliveries(context: () => AzureDevopsContext): Deliveries {
  const records: AzureDevopsNotification[] = [];
  const underWay = new Set<Promise<void>>();

  function begin(target: DeliveryTarget): AzureDevopsNotification {
    const { state, now } = context();
    const id = state.nextId();
    const notification: AzureDevopsNotification = {
      id,
      subscriptionId: target.subscriptionId,
      eventId: state.makeGuid('event', id),
      eventType: target.eventType,
      createdAt: now(),
      status: 'queued',
      result: 'pending',
      request: '',
      response: null,
      errorMessage: null,
      consumerInputs: maskInputs(target.consumerInputs),
      publisherInputs: target.publisherInputs,
    };
    records.push(notification);
    return notification;
  }

  async function send(
    notification: AzureDevopsNotification,
    target: DeliveryTarget,
    resource: object,
  ): Promise<number | null> {
    const { settings, now } = context();
    const { organization, id: projectId } = target.project;
    const body = JSON.stringify({
      subscriptionId: target.subscriptionId,
      notificationId: notification.id,
      id: notification.eventId,
      eventType: target.eventType,
      publisherId: 'tfs',
      message: null,
      detailedMessage: null,
      resource: target.consumerInputs['resourceDetailsToSend'] === 'none' ? null : resource,
      resourceVersion: target.resourceVersion,
      resourceContainers: {
        collection: { id: organization.id, baseUrl: `${urlOf(context(), organization)}/` },
        account: { id: organization.id, baseUrl: `${urlOf(context(), organization)}/` },
        project: { id: projectId, baseUrl: `${urlOf(context(), organization)}/` },
      },
      createdDate: new Date(now()).toISOString(),
    });
    const { url = '' } = target.consumerInputs;
    const { allowsLoopback } = settings;
    const sent = toHeaders(target.consumerInputs);
    const status = await postDelivery(url, body, sent, { allowsLoopback, timeoutMs: deliverTimeoutMs });
    const isGood = status !== null && status >= 200 && status < 300;
    Object.assign(notification, {
      status: 'completed',
      result: isGood ? 'succeeded' : 'failed',
      request: `Method: POST\nURI: ${url}\nContent-Type: application/json; charset=utf-8`,
      response: status === null ? null : `Status Code: ${status}`,
      errorMessage: isGood
        ? null
        : status === null
          ? 'An error occurred while sending the request.'
          : `(${status})`,
    });
    return status;
  }

  async function deliver(subscription: AzureDevopsSubscription, resource: object): Promise<void> {
    const target = { ...subscription, subscriptionId: subscription.id };
    const notification = begin(target);
    subscription.notifications.push(notification);
    judge(subscription, await send(notification, target, resource), context());
  }

  function track(work: Promise<void>): Promise<void> {
    const tracked = work.finally(() => underWay.delete(tracked));
    underWay.add(tracked);
    return tracked;
  }

  return {
    records,
    announcePush: (repository, pusher, changes) => {
      for (const change of changes) {
        for (const subscription of context().state.subscriptions) {
          if (listens(subscription, repository, change)) {
            void track(deliver(subscription, toPush(context(), repository, pusher, change)));
          }
        }
      }
    },
    sendTest: (target) => {
      const notification = begin(target);
      const done = track(send(notification, target, { sample: true }).then(() => undefined));
      return { notification, done };
    },
    settle: async () => {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}

function listens(
  { project, eventType, status, publisherInputs }: AzureDevopsSubscription,
  repository: AzureDevopsRepository,
  { ref }: RefChange,
): boolean {
  const { repository: only = '', branch = '' } = publisherInputs;
  return (
    (status === 'enabled' || status === 'onProbation') &&
    project === repository.project &&
    eventType === 'git.push' &&
    (only === '' || only.toLowerCase() === repository.guid) &&
    (branch === '' || ref === `refs/heads/${branch}`)
  );
}

/** A receiver that fails again and again, or says that it is gone, is left alone. */
function judge(
  subscription: AzureDevopsSubscription,
  status: number | null,
  { settings, now }: AzureDevopsContext,
): void {
  if (status !== null && status >= 200 && status < 300) {
    subscription.failuresInRow = 0;
    subscription.lastSuccessAt = now();
    if (subscription.status === 'onProbation') subscription.status = 'enabled';
    return;
  }
  subscription.failuresInRow += 1;
  const { failuresUntilProbation: few } = settings;
  if (status === 410 || subscription.failuresInRow >= 2 * few) subscription.status = 'disabledBySystem';
  else if (subscription.failuresInRow >= few) subscription.status = 'onProbation';
}

function toPush(
  context: AzureDevopsContext,
  repository: AzureDevopsRepository,
  { id, displayName, account }: AzureDevopsUser,
  { ref, before, after }: RefChange,
) {
  return {
    commits: [],
    refUpdates: [{ name: ref, oldObjectId: before, newObjectId: after }],
    repository: toRepositoryJson(context, repository),
    pushedBy: { id, displayName, uniqueName: account },
    pushId: context.state.nextId(),
    date: new Date(context.now()).toISOString(),
  };
}

function toHeaders(inputs: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const { basicAuthUsername = '', basicAuthPassword = '', httpHeaders = '' } = inputs;
  const pair = `${basicAuthUsername}:${basicAuthPassword}`;
  const own = httpHeaders
    .split('\n')
    .filter(Boolean)
    .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)] as const);
  return {
    'Content-Type': 'application/json; charset=utf-8',
    'User-Agent': 'VSServices/20.0.0 (w3wp.exe)',
    ...Object.fromEntries(own),
    ...(pair === ':' ? {} : { Authorization: `Basic ${Buffer.from(pair).toString('base64')}` }),
  };
}
