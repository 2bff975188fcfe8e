import { ForbiddenError, UsageError } from '../../errors.ts';
import { Secret } from '../../secret.ts';
import { narrow } from '../narrow.ts';
import type { HostAccess } from '../provider.ts';
import type { WantedWebhook, Webhook, WebhookAdmin, WebhookPlace, WebhookTest } from '../webhook-support.ts';
import { toWebhook, type HookSettings } from './convert.ts';
import * as endpoints from './endpoints.ts';
import { toHooksUrl } from './pages.ts';
import * as schemas from './schemas.ts';

type StoredSettings = Pick<HookSettings, 'configuration' | 'credentials' | 'sslVerificationRequired'>;

/** The name that tells gitlink's hooks from others. */
const hookName = 'gitlink';

/**
 * Webhooks of repositories and projects. A change replaces the whole hook, so all of it is sent back, its secret
 * too, which the host shows to whoever may change it.
 *
 * @see https://developer.atlassian.com/server/bitbucket/rest/v906/intro/
 */
export const webhooks: WebhookAdmin = {
  levels: ['repository', 'namespace'],
  secretChangesInPlace: true,
  readsDeliveries: true,
  events: {
    push: ['repo:refs_changed'],
    // Branches and tags are told alike. There are no releases.
    tag: ['repo:refs_changed'],
    'pull-request': [
      'pr:opened',
      'pr:from_ref_updated',
      'pr:modified',
      'pr:merged',
      'pr:declined',
      'pr:deleted',
    ],
    comment: [
      'pr:comment:added',
      'pr:comment:edited',
      'pr:comment:deleted',
      'repo:comment:added',
      'repo:comment:edited',
      'repo:comment:deleted',
    ],
  },
  list: async (access, place) => (await endpoints.listHooks(access, place)).map(toWebhook),
  isMarked: (_access, hook) => hook.name === hookName,
  create: createWebhook,
  update: updateWebhook,
  remove: endpoints.deleteHook,
  pageUrl: toHooksUrl,
  test: testWebhook,
};

async function createWebhook(
  access: HostAccess,
  place: WebhookPlace,
  wanted: WantedWebhook,
): Promise<Webhook> {
  const { sslVerificationRequired } = readSettings(wanted.successorOf ?? { settings: {} });
  // An empty secret makes servers fail; without one there must be no word of it.
  const configuration = wanted.secret === null ? {} : { configuration: { secret: wanted.secret } };
  const json = { ...toBody(wanted), sslVerificationRequired, ...configuration };
  return toTaken(await endpoints.createHook(access, place, json), wanted);
}

async function updateWebhook(
  access: HostAccess,
  place: WebhookPlace,
  hook: Webhook,
  wanted: WantedWebhook,
): Promise<Webhook> {
  const { configuration, credentials, sslVerificationRequired } = readSettings(hook);
  const secret = wanted.secret ?? configuration['secret'];
  if (!(secret instanceof Secret)) {
    throw new ForbiddenError(
      'Bitbucket does not show the secret of this webhook, and a change would lose it: run gitlink regenerate-webhooks without --repair',
    );
  }
  if (credentials !== null && !(credentials['password'] instanceof Secret)) {
    throw new ForbiddenError(
      'this webhook sends a password that Bitbucket does not show, and a change would lose it: change it by hand',
    );
  }
  const json = {
    ...toBody(wanted),
    sslVerificationRequired,
    configuration: { ...configuration, secret },
    ...(credentials === null ? {} : { credentials }),
  };
  return toTaken(await endpoints.editHook(access, place, hook.id, json), wanted);
}

function toBody({ url, events }: WantedWebhook): Record<string, unknown> {
  const strange = events.find((event) => !/^[a-z_]+(?::[a-z_]+){1,3}$/.test(event));
  if (strange !== undefined) {
    throw new UsageError(
      `Bitbucket Data Center has no event "${strange}": its names are like repo:refs_changed.`,
    );
  }
  return { name: hookName, url, active: true, events };
}

/** @throws ForbiddenError when the host did not take what it was sent. */
function toTaken(found: schemas.Hook, wanted: WantedWebhook): Webhook {
  const hook = toWebhook(found);
  const missing = wanted.events.filter((event) => !hook.events.includes(event));
  if (missing.length > 0) {
    throw new ForbiddenError(`this Bitbucket does not have the event ${missing.join(', ')}`);
  }
  const { secret } = readSettings(hook).configuration;
  if (wanted.secret !== null && secret instanceof Secret && !secret.equals(wanted.secret)) {
    throw new ForbiddenError('Bitbucket did not keep the secret of this webhook');
  }
  return hook;
}

function readSettings({ settings }: Pick<Webhook, 'settings'>): StoredSettings {
  const read = (key: string) => (settings[key] ?? null) as Readonly<Record<string, unknown>> | null;
  return {
    configuration: read('configuration') ?? {},
    credentials: read('credentials'),
    sslVerificationRequired: settings['sslVerificationRequired'] !== false,
  };
}

/** The host pings the receiver, and tells what it answered, or keeps that in the hook's history. */
async function testWebhook(access: HostAccess, place: WebhookPlace, hookId: string): Promise<WebhookTest> {
  const hook = await endpoints.findHook(access, place, hookId);
  if (hook === null) return { outcome: 'failed', reason: 'the webhook is gone' };
  const { body } = await endpoints.testHook(access, place, hook);
  const status = narrow(schemas.testResult, body ?? {}, 'the test').response?.statusCode;
  if (status != null) return judgeStatus(status);
  const ping = await endpoints.fetchLatest(access, place, hook.id, 'diagnostics:ping');
  const outcome = ping?.result?.outcome;
  if (outcome == null) return { outcome: 'sent' };
  if (outcome === 'SUCCESS') return { outcome: 'delivered' };
  const reason = outcome === 'ERROR' ? 'the receiver did not answer' : 'the receiver did not accept it';
  return { outcome: 'failed', reason };
}

function judgeStatus(status: number): WebhookTest {
  const isTaken = status >= 200 && status < 300;
  return isTaken
    ? { outcome: 'delivered' }
    : { outcome: 'failed', reason: `the receiver answered ${status}` };
}
