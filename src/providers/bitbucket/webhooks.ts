import { ForbiddenError } from '../../errors.ts';
import type { HostRequest, Route } from '../../http/host-client.ts';
import { route } from '../../http/route.ts';
import { createHiddenError } from '../hidden-error.ts';
import { narrow } from '../narrow.ts';
import type { HostAccess } from '../provider.ts';
import type { WantedWebhook, Webhook, WebhookAdmin, WebhookPlace } from '../webhook-support.ts';
import * as endpoints from './endpoints.ts';
import { sendChange } from './refusals.ts';
import * as schemas from './schemas.ts';

/** What tells gitlink's hooks from others: their description. */
const hookName = 'gitlink';

/**
 * Webhooks of repositories and workspaces. A change that leaves the secret out keeps it; whether one may leave out
 * more is not documented, so the whole hook is sent.
 *
 * @see https://developer.atlassian.com/cloud/bitbucket/rest/api-group-repositories/
 */
export const webhooks: WebhookAdmin = {
  levels: ['repository', 'namespace'],
  secretChangesInPlace: true,
  // Deliveries are shown on the page of the hook only, and tests are sent from there.
  readsDeliveries: false,
  events: {
    push: ['repo:push'],
    // A pushed tag is a push like any other: its body says which.
    tag: ['repo:push'],
    'pull-request': [
      'pullrequest:created',
      'pullrequest:updated',
      'pullrequest:fulfilled',
      'pullrequest:rejected',
    ],
    comment: [
      'pullrequest:comment_created',
      'pullrequest:comment_updated',
      'pullrequest:comment_deleted',
      'repo:commit_comment_created',
    ],
  },
  list: listWebhooks,
  isMarked: (_access, hook) => hook.name === hookName,
  create: createWebhook,
  update: updateWebhook,
  remove: removeWebhook,
  pageUrl: (host, level, name) =>
    level === 'namespace' ? `${host}/${name}/workspace/settings/webhooks` : `${host}/${name}/admin/webhooks`,
};

async function listWebhooks({ http }: HostAccess, place: WebhookPlace): Promise<readonly Webhook[]> {
  return (await endpoints.listHooks(http, toHooksRoute(place))).map(toWebhook);
}

function createWebhook(access: HostAccess, place: WebhookPlace, wanted: WantedWebhook): Promise<Webhook> {
  return send(access, { method: 'POST', route: toHooksRoute(place), json: toBody(wanted, null) }, wanted);
}

function updateWebhook(
  access: HostAccess,
  place: WebhookPlace,
  hook: Webhook,
  wanted: WantedWebhook,
): Promise<Webhook> {
  const json = toBody(wanted, hook);
  return send(access, { method: 'PUT', route: toHookRoute(place, hook.id), json }, wanted);
}

async function send(access: HostAccess, request: HostRequest, { secret }: WantedWebhook): Promise<Webhook> {
  const { body } = await sendChange(access, request);
  const hook = narrow(schemas.hook, body, 'the webhook');
  if (secret === null || hook.secret_set !== false) return toWebhook(hook);
  throw new ForbiddenError('Bitbucket did not keep the secret of this webhook');
}

function toBody({ url, events, secret }: WantedWebhook, hook: Webhook | null): Record<string, unknown> {
  return {
    ...hook?.settings,
    description: hookName,
    url,
    active: true,
    // Twice the same is refused, and a push and a tag are.
    events: [...new Set(events)],
    ...(secret === null ? {} : { secret }),
  };
}

export function toWebhook(hook: schemas.Hook): Webhook {
  const { skip_cert_verification: skipsCheck, history_enabled: keepsHistory } = hook;
  return {
    id: hook.uuid,
    url: hook.url,
    events: hook.events,
    active: hook.active,
    name: hook.description || null,
    settings: {
      ...(typeof skipsCheck === 'boolean' ? { skip_cert_verification: skipsCheck } : {}),
      ...(typeof keepsHistory === 'boolean' ? { history_enabled: keepsHistory } : {}),
    },
  };
}

/**
 * Deletes a hook. A 404 may also mean that the account no longer sees the place, and the hook still delivers.
 *
 * @throws ForbiddenError when nobody can say whether the hook is still there.
 */
async function removeWebhook(
  access: HostAccess,
  place: WebhookPlace,
  hookId: string,
): Promise<'removed' | 'gone'> {
  const { http } = access;
  const request: HostRequest = { method: 'DELETE', route: toHookRoute(place, hookId), accept: [404] };
  const { status } = await http.request(request);
  if (status !== 404) return 'removed';
  const hooks: HostRequest = { method: 'GET', route: toHooksRoute(place), accept: [404] };
  if ((await http.request(hooks)).status !== 404) return 'gone';
  const name = place.level === 'repository' ? place.repository.fullName : place.namespace;
  throw createHiddenError(name);
}

/**
 * Repositories go by their id, which survives renames.
 *
 * @throws ForbiddenError for a project.
 */
export function toHooksRoute(place: WebhookPlace): Route {
  if (place.level === 'repository') {
    return route`/repositories/${place.repository.namespace}/${place.repository.id}/hooks`;
  }
  if (!place.namespace.includes('/')) return route`/workspaces/${place.namespace}/hooks`;
  throw new ForbiddenError('Bitbucket has webhooks of workspaces and repositories, and none of projects', {
    hint: 'Use --at repositories',
  });
}

function toHookRoute(place: WebhookPlace, hookId: string): Route {
  return route`${toHooksRoute(place)}/${hookId}`;
}
