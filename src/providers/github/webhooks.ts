import { ForbiddenError, GitlinkError } from '../../errors.ts';
import { toPrintable } from '../../printable.ts';
import type { HostAccess } from '../provider.ts';
import type { WantedWebhook, Webhook, WebhookAdmin, WebhookPlace, WebhookTest } from '../webhook-support.ts';
import type * as schemas from './schemas.ts';
import * as endpoints from './webhook-endpoints.ts';

/** The pauses between looks for the result of a test delivery, for which a receiver has ten seconds. */
const lookPausesMs = [100, 200, 400, 800, 1_500, 2_000, 3_000, 3_000];

/** GitHub's names for gitlink's events. A pushed tag is a push like any other: its `ref` says which. */
export const webhookEventNames = {
  push: ['push'],
  tag: ['push'],
  'pull-request': ['pull_request'],
  comment: ['issue_comment', 'pull_request_review_comment', 'commit_comment'],
  release: ['release'],
} as const;

/**
 * Webhooks of repositories and organizations. A change of a hook that leaves out the secret of its configuration
 * takes it away, so configurations are changed at an address of their own, which leaves alone what it is not given.
 *
 * Hooks have no name to tell gitlink's by, and an OAuth App is shown only the hooks of organizations that it made.
 *
 * @see https://docs.github.com/rest/repos/webhooks
 */
export const webhooks: WebhookAdmin = {
  levels: ['repository', 'namespace'],
  secretChangesInPlace: true,
  readsDeliveries: true,
  events: webhookEventNames,
  list: listWebhooks,
  isMarked: () => null,
  coversEvents: ({ events }, wanted) =>
    events.includes('*') || wanted.every((event) => events.includes(event)),
  create: createWebhook,
  update: updateWebhook,
  remove: endpoints.deleteHook,
  pageUrl: (host, level, name) =>
    level === 'namespace' ? `${host}/organizations/${name}/settings/hooks` : `${host}/${name}/settings/hooks`,
  test: testWebhook,
};

async function listWebhooks(access: HostAccess, place: WebhookPlace): Promise<readonly Webhook[]> {
  try {
    return (await endpoints.listHooks(access, place)).map(toWebhook);
  } catch (error) {
    // What the account may not administer is hidden from it.
    if (!(error instanceof GitlinkError) || error.code !== 'notFound') throw error;
    const isNamespace = place.level === 'namespace';
    const who = isNamespace ? 'owners of the organization' : 'those with the role admin';
    const name = isNamespace ? place.namespace : place.repository.fullName;
    throw new ForbiddenError(`the webhooks of ${name} are hidden from all but ${who}`, {
      cause: error,
      ...(isNamespace ? { hint: 'Use --at repositories' } : {}),
    });
  }
}

async function createWebhook(
  access: HostAccess,
  place: WebhookPlace,
  wanted: WantedWebhook,
): Promise<Webhook> {
  const { url, events, secret } = wanted;
  const made = await endpoints.createHook(access, place, {
    name: 'web',
    active: true,
    events: toUnique(events),
    // A new hook would send forms unless told otherwise.
    config: { url, content_type: 'json', insecure_ssl: '0', ...(secret === null ? {} : { secret }) },
  });
  return made === null ? adoptWebhook(access, place, wanted) : toWebhook(made);
}

/** Somebody was faster: GitHub takes no second hook of the same address and events. */
async function adoptWebhook(
  access: HostAccess,
  place: WebhookPlace,
  wanted: WantedWebhook,
): Promise<Webhook> {
  const found = (await endpoints.listHooks(access, place)).map(toWebhook);
  const same = found.find(({ url }) => url === wanted.url);
  if (same) return updateWebhook(access, place, same, wanted);
  throw new ForbiddenError(
    'GitHub says that there is such a webhook already and does not show it to this credential, because an OAuth App or somebody else made it',
  );
}

async function updateWebhook(
  access: HostAccess,
  place: WebhookPlace,
  hook: Webhook,
  { url, events, secret }: WantedWebhook,
): Promise<Webhook> {
  let current = hook;
  const wanted = toUnique(events);
  const hasEvents =
    wanted.length === hook.events.length && wanted.every((name) => hook.events.includes(name));
  if (!hasEvents || !hook.active) {
    current = toWebhook(await endpoints.editHook(access, place, hook.id, { active: true, events: wanted }));
  }
  if (url === hook.url && secret === null) return current;
  const config = await endpoints.editConfig(access, place, hook.id, {
    ...(url === hook.url ? {} : { url }),
    ...(secret === null ? {} : { secret }),
  });
  return { ...current, url: config.url ?? url, settings: toSettings(config) };
}

function toWebhook(hook: schemas.Hook): Webhook {
  return {
    id: String(hook.id),
    url: hook.config.url ?? '',
    events: hook.events,
    active: hook.active ?? false,
    name: null,
    settings: toSettings(hook.config),
  };
}

/** Settings that no change touches; that there is a secret is all that is told of it. */
function toSettings(config: schemas.HookConfig): Readonly<Record<string, unknown>> {
  return {
    contentType: config.content_type ?? 'form',
    checksCertificate: String(config.insecure_ssl ?? '0') === '0',
    hasSecret: Boolean(config.secret),
  };
}

/** Sends a ping and looks for it among the deliveries, which it joins once the receiver has answered. */
async function testWebhook(access: HostAccess, place: WebhookPlace, hookId: string): Promise<WebhookTest> {
  const before = new Set((await endpoints.listDeliveries(access, place, hookId)).map(({ id }) => id));
  if (!(await endpoints.pingHook(access, place, hookId)))
    return { outcome: 'failed', reason: 'the webhook is gone' };
  for (const pauseMs of lookPausesMs) {
    await access.sleep(pauseMs);
    const deliveries = await endpoints.listDeliveries(access, place, hookId);
    const ping = deliveries.find(({ id, event }) => event === 'ping' && !before.has(id));
    if (ping) return judgeDelivery(ping);
  }
  return { outcome: 'sent' };
}

/** What became of a delivery. One that no receiver answered has no status but words. */
export function judgeDelivery({ status, status_code: code }: schemas.Delivery): WebhookTest {
  if (code !== null && code >= 200 && code <= 299) return { outcome: 'delivered' };
  if (code) return { outcome: 'failed', reason: `the receiver answered ${code}` };
  return { outcome: 'failed', reason: toPrintable(status || 'the receiver did not answer', 100) };
}

function toUnique(names: readonly string[]): string[] {
  return [...new Set(names)];
}
