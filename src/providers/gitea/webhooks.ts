import type { HostAccess } from '../provider.ts';
import type { WantedWebhook, Webhook, WebhookAdmin, WebhookPlace } from '../webhook-support.ts';
import { toWebhook, type HookSettings } from './convert.ts';
import * as endpoints from './endpoints.ts';
import { hasHookNames } from './versions.ts';

/** The name that tells gitlink's hooks from others on servers where hooks have names (Gitea 1.26). */
const hookName = 'gitlink';

/**
 * Webhooks of Gitea and Forgejo. No version takes a new secret in place: `PATCH` ignores `config.secret`
 * without an error, so a rotation makes a new hook before the old one goes. `PATCH` also clears what it is
 * not sent, so every rewrite sends the whole hook.
 */
export const webhooks: WebhookAdmin = {
  levels: ['repository', 'namespace'],
  secretChangesInPlace: false,
  readsDeliveries: false,
  // A group such as `pull_request` comes back as several internal names; the group's own name is among them.
  events: {
    push: ['push'],
    // A pushed tag is a `create`, a deleted one a `delete`; both tell branches too.
    tag: ['create', 'delete'],
    'pull-request': ['pull_request'],
    comment: ['issue_comment', 'pull_request_comment'],
    release: ['release'],
  },
  list: listWebhooks,
  isMarked,
  create: createWebhook,
  update: updateWebhook,
  remove: endpoints.deleteHook,
  pageUrl: (host, level, name) =>
    level === 'namespace' ? `${host}/org/${name}/settings/hooks` : `${host}/${name}/settings/hooks`,
  test: testWebhook,
};

async function listWebhooks(access: HostAccess, place: WebhookPlace): Promise<readonly Webhook[]> {
  const found: Webhook[] = [];
  for await (const hook of endpoints.listHooks(access, place)) found.push(toWebhook(hook));
  return found;
}

function isMarked(access: HostAccess, hook: Webhook): boolean | null {
  return hasHookNames(access.version) ? hook.name === hookName : null;
}

async function createWebhook(
  access: HostAccess,
  place: WebhookPlace,
  wanted: WantedWebhook,
): Promise<Webhook> {
  const settings = readSettings(wanted.successorOf);
  return toWebhook(
    await endpoints.createHook(access, place, {
      ...toBody(access, wanted, settings),
      type: settings.type,
      config: {
        url: wanted.url,
        content_type: settings.contentType,
        ...(wanted.secret ? { secret: wanted.secret } : {}),
      },
    }),
  );
}

async function updateWebhook(
  access: HostAccess,
  place: WebhookPlace,
  hook: Webhook,
  wanted: WantedWebhook,
): Promise<Webhook> {
  const body = toBody(access, wanted, readSettings(hook));
  return toWebhook(await endpoints.editHook(access, place, hook.id, body));
}

function toBody(access: HostAccess, wanted: WantedWebhook, settings: HookSettings): Record<string, unknown> {
  return {
    config: { url: wanted.url, content_type: settings.contentType },
    events: wanted.events,
    branch_filter: settings.branchFilter,
    ...(settings.authorizationHeader === '' ? {} : { authorization_header: settings.authorizationHeader }),
    // Gitea makes hooks inactive unless told otherwise.
    active: true,
    ...(hasHookNames(access.version) ? { name: hookName } : {}),
  };
}

function readSettings(hook: Webhook | null): HookSettings {
  const settings: Readonly<Record<string, unknown>> = hook?.settings ?? {};
  const read = (key: keyof HookSettings & string, fallback: string): string => {
    const value = settings[key];
    return typeof value === 'string' && value !== '' ? value : fallback;
  };
  return {
    type: read('type', 'gitea'),
    contentType: read('contentType', 'json'),
    branchFilter: read('branchFilter', '*'),
    authorizationHeader: read('authorizationHeader', ''),
  };
}

async function testWebhook(
  access: HostAccess,
  place: WebhookPlace,
  hookId: string,
): ReturnType<NonNullable<WebhookAdmin['test']>> {
  if (place.level !== 'repository') {
    return { outcome: 'untestable', reason: 'Gitea tests only hooks of repositories' };
  }
  if (place.repository.defaultBranch === null) {
    return { outcome: 'untestable', reason: 'the repository is empty, so there is no push to show' };
  }
  await endpoints.testHook(access, place, hookId);
  return { outcome: 'sent' };
}
