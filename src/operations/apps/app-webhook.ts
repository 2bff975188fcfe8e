import { ForbiddenError, NotFoundError, UnsupportedError, UsageError } from '../../errors.ts';
import type { WebhookTest } from '../../providers/webhook-support.ts';
import { Secret } from '../../secret.ts';
import type { LinkRecord, Records } from '../../store/link-schema.ts';
import type { OperationContext } from '../context.ts';
import { getLink } from '../find-link.ts';
import { dropSecrets, keepSecret } from '../keep-secret.ts';
import { assertNotUnlinking, requireProvider } from '../link-faults.ts';
import { noOtherWebhooks } from '../other-webhooks.ts';
import type { WebhookMode } from '../plan-webhooks.ts';
import { readItem } from '../read-stored.ts';
import { runReceiverCommand } from '../receiver-command.ts';
import type { RegenerateOutcome, RegenerateRequest, VerifiedResult } from '../regenerate-webhooks.ts';
import { assertUsableSecret } from '../rotation-secret.ts';
import { nameItem } from '../secret-items.ts';
import { assertDeliverable, toNativeEvents } from '../webhook-target.ts';
import { mapApp } from './keep-app.ts';
import {
  findAppWebhook,
  openAppOf,
  requireAppOf,
  requireApps,
  type AppClient,
  type OpenApp,
} from './open-app.ts';

/** Whether a run is about the webhook of the link's app: when it says so, or the app was made with one. */
export function isForApp(
  records: Records,
  link: LinkRecord,
  { at }: Pick<RegenerateRequest['target'], 'at'>,
): boolean {
  if (at !== null) return at === 'app';
  return link.webhook === null && findAppWebhook(records, link) !== null;
}

/**
 * Gives the one webhook of an app a fresh secret, which belongs to all links of the app: the secret is durable and
 * told to the receiver before it is sent, and the one before is kept until the host has confirmed the new one.
 *
 * @throws ForbiddenError for a link whose restriction is narrower than what the webhook hears of.
 * @throws UnsupportedError for an app without a webhook, or one that is to be removed: only its page can do that.
 */
export async function regenerateAppWebhook(
  context: OperationContext,
  link: LinkRecord,
  request: RegenerateRequest,
): Promise<RegenerateOutcome> {
  assertNotUnlinking(link);
  assertReach(link, request);
  const { id } = requireAppOf(context.links.read(), link);
  const work = async (): Promise<RegenerateOutcome> => {
    const app = await openAppOf(context, link);
    const target = await settleAppTarget(context, link, app, request);
    const planned = await plan(context, link, app, target, request.mode);
    if (request.dryRun || planned.action === 'unchanged') return toOutcome(context, link, target, planned);
    const result = await rotate(context, app, target, { request, planned });
    return toOutcome(context, link, target, { ...result, test: request.verify ? await verify(app) : null });
  };
  return request.dryRun ? work() : context.withLock(`webhooks-${id}`, work);
}

function assertReach(link: LinkRecord, { namespaces, repositories, mode }: RegenerateRequest): void {
  if (namespaces.length + repositories.length > 0) {
    throw new ForbiddenError('The webhook of an App hears of everything that the App is installed on.', {
      hint: 'Leave --namespace and --repo out, or use --at repositories',
    });
  }
  if (link.restriction.mode === 'restricted') {
    throw new ForbiddenError(`The webhook of the App reaches more than "${link.name}" may be used for.`, {
      hint: 'Use --at repositories',
    });
  }
  if (mode === 'remove') {
    throw new UnsupportedError("The webhook of an App is switched off on the App's page only.", {
      hint: 'Webhooks of its repositories: gitlink regenerate-webhooks --remove --at repositories',
    });
  }
}

type AppTarget = RegenerateOutcome['target'];

async function settleAppTarget(
  context: OperationContext,
  link: LinkRecord,
  { access, support, client }: OpenApp,
  { target: wish }: RegenerateRequest,
): Promise<AppTarget> {
  const provider = requireProvider(link);
  const found = await support.readWebhook(access);
  const url = wish.url ?? found?.url ?? null;
  if (found === null || url === null) {
    throw new UnsupportedError(`The App ${client.app.slug} was made without a webhook.`, {
      hint: `Switch it on at ${requireApps(provider).settingsPage(link.host, client.app)}, or use --at repositories`,
    });
  }
  if (wish.events !== null) {
    throw new UsageError("What the webhook of an App tells about is chosen on the App's page.", {
      hint: `Leave --events out. The page: ${support.settingsPage(link.host, client.app)}`,
    });
  }
  const { events } = findAppWebhook(context.links.read(), link) ?? { events: [] };
  return {
    url: assertDeliverable(url, wish.allowHttp || found.url === url),
    events,
    nativeEvents: toNativeEvents(provider, support.events, events),
    at: 'app',
  };
}

async function plan(
  context: OperationContext,
  link: LinkRecord,
  { access, support, client }: OpenApp,
  target: AppTarget,
  mode: WebhookMode,
): Promise<VerifiedResult> {
  const records = context.links.read();
  const names = records.links.filter((each) => each.client === client.id).map(({ name }) => name);
  const reason = `it is the webhook of ${names.join(', ')}`;
  const webhook = findAppWebhook(records, link);
  const found = mode === 'repair' ? await support.readWebhook(access) : null;
  // After an unfinished rotation nobody knows which of the two secrets the host has.
  const isSettled = webhook?.secretItem != null && webhook.nextSecretItem === null;
  const isRight = found?.hasSecret === true && found.url === target.url && isSettled;
  const action = mode === 'rotate' ? 'rotate' : isRight ? 'unchanged' : 'repair';
  const state = action === 'unchanged' ? 'confirmed' : 'planned';
  return { repository: client.app.slug, action, state, reason, hookId: null, test: null };
}

async function rotate(
  context: OperationContext,
  { access, support, client }: OpenApp,
  target: AppTarget,
  { request, planned }: { readonly request: RegenerateRequest; readonly planned: VerifiedResult },
): Promise<VerifiedResult> {
  const secret = await prepareSecret(context, client, target, request);
  if (request.onSecret !== null) {
    try {
      context.reporter.status('Telling the receiver…');
      await runReceiverCommand(context, request.onSecret, 'new', secret.value);
    } catch (error) {
      const isFresh = client.app.webhook?.nextSecretItem !== secret.item;
      if (isFresh && request.mode === 'rotate') await abandon(context, client, secret.item);
      throw error;
    }
  }
  context.reporter.status('Changing the webhook…');
  await support.changeWebhook(access, { url: target.url, secret: secret.value });
  if (request.onSecret !== null) await runReceiverCommand(context, request.onSecret, 'retire', secret.value);
  await finish(context, client, secret.item);
  request.onResult({ ...planned, state: 'confirmed' }, 1);
  return { ...planned, state: 'confirmed' };
}

interface AppSecret {
  readonly value: Secret;
  readonly item: string;
}

/** That of an unfinished rotation, or the one to repair with, else a new one: durable when this returns. */
async function prepareSecret(
  context: OperationContext,
  client: AppClient,
  target: AppTarget,
  { mode, suppliedSecret }: RegenerateRequest,
): Promise<AppSecret> {
  const known = mode === 'repair' ? client.app.webhook?.secretItem : null;
  const item = client.app.webhook?.nextSecretItem ?? known ?? null;
  if (mode === 'repair' && item === null) {
    throw new NotFoundError(
      `gitlink does not know the secret of the webhook of the App ${client.app.slug}.`,
      {
        hint: 'Give it a new one: gitlink regenerate-webhooks --at app, without --repair',
      },
    );
  }
  const value = item === null ? null : await readItem(context, client.storage, item);
  if (item !== null && value !== null && (suppliedSecret === null || suppliedSecret.equals(value))) {
    await context.links.change((records) =>
      mapApp(records, client.id, (app) => ({
        ...app,
        webhook: app.webhook && { ...app.webhook, url: target.url, events: [...target.events] },
      })),
    );
    return { value, item };
  }
  if (suppliedSecret) assertUsableSecret(suppliedSecret);
  if (value !== null && client.app.webhook?.nextSecretItem != null) throw unfinished(client);
  const fresh = suppliedSecret ?? new Secret(context.random.bytes(32).toString('hex'));
  const freshItem = nameItem('app-webhook', client.id, context.random);
  await keepSecret(context, client.storage, freshItem, fresh, (records) =>
    mapApp(records, client.id, (app) => ({
      ...app,
      webhook: {
        url: target.url,
        events: [...target.events],
        at: 'app',
        regeneratedAt: app.webhook?.regeneratedAt ?? null,
        secretItem: app.webhook?.secretItem ?? null,
        nextSecretItem: freshItem,
      },
    })),
  );
  return { value: fresh, item: freshItem };
}

/** The host may have the next secret by now: another one in its place would lose it. */
function unfinished({ app }: AppClient): UsageError {
  return new UsageError(
    `A rotation of the webhook of the App ${app.slug} is unfinished: the host may have its secret already.`,
    { hint: 'Finish it first, without giving a secret: gitlink regenerate-webhooks --at app' },
  );
}

/** Takes a next secret back that was not sent, and with it the target that came with it. */
async function abandon(context: OperationContext, client: AppClient, item: string): Promise<void> {
  await dropSecrets(context, client.storage, [item], (records) =>
    mapApp(records, client.id, (app) => ({ ...app, webhook: client.app.webhook ?? null })),
  );
}

/** Makes the next secret the app's secret and forgets the others. */
async function finish(context: OperationContext, client: AppClient, item: string): Promise<void> {
  const now = context.clock.now();
  const current = context.links.read().clients.find(({ id }) => id === client.id)?.app?.webhook ?? null;
  const items = [client.app.webhook?.nextSecretItem, current?.secretItem];
  const outdated = new Set(items.filter((each) => each != null && each !== item));
  await dropSecrets(
    context,
    client.storage,
    [...outdated].filter((each) => each != null),
    (records) =>
      mapApp(records, client.id, (app) => ({
        ...app,
        webhook: app.webhook && {
          ...app.webhook,
          secretItem: item,
          nextSecretItem: null,
          regeneratedAt: now,
        },
      })),
  );
}

/** Nothing makes the host send a delivery, so the newest that it has sent is read. */
function verify({ support, access }: OpenApp): Promise<WebhookTest> {
  return support.readNewestDelivery(access);
}

function toOutcome(
  context: OperationContext,
  link: LinkRecord,
  target: AppTarget,
  result: VerifiedResult,
): RegenerateOutcome {
  const current = getLink(context.links.read(), link.id);
  return { link: current, target, results: [result], pending: 0, ...noOtherWebhooks };
}
