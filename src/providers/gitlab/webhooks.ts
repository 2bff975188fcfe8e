import { ForbiddenError, UsageError } from '../../errors.ts';
import { isAnswer } from '../../http/host-answer-error.ts';
import type { Secret } from '../../secret.ts';
import type { HostAccess } from '../provider.ts';
import type { WantedWebhook, Webhook, WebhookAdmin, WebhookPlace, WebhookTest } from '../webhook-support.ts';
import { afterChange } from '../partial-change.ts';
import { toWebhook, type HookSettings } from './convert.ts';
import * as endpoints from './endpoints.ts';
import { readRefusal } from './refusals.ts';
import type * as schemas from './schemas.ts';
import { hasHookNames, signsDeliveries } from './versions.ts';

/** The name that tells gitlink's hooks from others on servers where hooks have names (GitLab 17.1). */
const hookName = 'gitlink';

/** All events of a project's hook, so that none is left to a default: a new hook gets pushes unless told otherwise. */
const projectEvents = [
  'push_events',
  'tag_push_events',
  'merge_requests_events',
  'issues_events',
  'confidential_issues_events',
  'note_events',
  'confidential_note_events',
  'job_events',
  'pipeline_events',
  'wiki_page_events',
  'deployment_events',
  'releases_events',
  'feature_flag_events',
  'emoji_events',
  'resource_access_token_events',
  'milestone_events',
];
const groupEvents = [...projectEvents, 'subgroup_events', 'project_events', 'member_events'];

/**
 * Webhooks of projects and groups. A change leaves alone what it is not sent, but another address makes GitLab
 * forget the secret, so every change sends the address that the hook has.
 *
 * @see https://docs.gitlab.com/api/project_webhooks/
 */
export const webhooks: WebhookAdmin = {
  levels: ['repository', 'namespace'],
  secretChangesInPlace: true,
  readsDeliveries: true,
  events: {
    push: ['push_events'],
    tag: ['tag_push_events'],
    'pull-request': ['merge_requests_events'],
    comment: ['note_events'],
    release: ['releases_events'],
  },
  toSigningSecret,
  list: listWebhooks,
  isMarked: (_access, hook) => (readSettings(hook).isNameable ? hook.name === hookName : null),
  create: createWebhook,
  update: updateWebhook,
  remove: endpoints.deleteHook,
  pageUrl: (host, level, name) =>
    level === 'namespace' ? `${host}/groups/${name}/-/hooks` : `${host}/${name}/-/hooks`,
  test: testWebhook,
};

async function listWebhooks(access: HostAccess, place: WebhookPlace): Promise<readonly Webhook[]> {
  const found: Webhook[] = [];
  try {
    for await (const hook of endpoints.listHooks(access, place)) found.push(toWebhook(hook));
    return found;
  } catch (error) {
    const isRefused = isAnswer(error, 403) || isAnswer(error, 404);
    if (!isRefused || place.level !== 'namespace') throw error;
    throw new ForbiddenError(
      `webhooks of groups take GitLab Premium and the role Owner, and ${place.namespace} lacks one of them`,
      { cause: error, hint: 'Use --at repositories' },
    );
  }
}

async function createWebhook(
  access: HostAccess,
  place: WebhookPlace,
  wanted: WantedWebhook,
): Promise<Webhook> {
  const json = { ...toBody(access, place, wanted, []), enable_ssl_verification: true };
  const made = await endpoints.createHook(access, place, json);
  assertTaken(made, wanted);
  return toWebhook(made);
}

async function updateWebhook(
  access: HostAccess,
  place: WebhookPlace,
  hook: Webhook,
  wanted: WantedWebhook,
): Promise<Webhook> {
  if (readSettings(hook).hasVariables) {
    throw new ForbiddenError(
      'this webhook hides parts of its address in variables, and sending it back would lose them: change it by hand',
    );
  }
  if (wanted.secret === null && wanted.url !== hook.url) {
    throw new ForbiddenError(
      'GitLab forgets the secret when the address changes: run gitlink regenerate-webhooks without --repair',
    );
  }
  const found = await endpoints.editHook(access, place, hook.id, toBody(access, place, wanted, hook.events));
  assertTaken(found, wanted);
  const edited = toWebhook(found);
  return edited.active ? edited : afterChange(() => enable(access, place, edited));
}

function toBody(
  access: HostAccess,
  place: WebhookPlace,
  { url, events, secret }: WantedWebhook,
  currentEvents: readonly string[],
): Record<string, unknown> {
  const strange = events.find((event) => !/^[a-z_]+_events$/.test(event));
  if (strange !== undefined) {
    throw new UsageError(`GitLab has no event "${strange}": its names end in _events.`);
  }
  const known = place.level === 'namespace' ? groupEvents : projectEvents;
  const names = new Set([...known, ...currentEvents, ...events]);
  return {
    url,
    ...(hasHookNames(access.version) ? { name: hookName } : {}),
    ...Object.fromEntries([...names].map((name) => [name, events.includes(name)])),
    ...(secret === null ? {} : toSecretFields(access, secret)),
  };
}

/**
 * The secret in both forms: `token` travels with every delivery, for receivers that compare it; the signing
 * token holds the same 32 bytes and signs deliveries by Standard Webhooks.
 */
function toSecretFields({ version }: HostAccess, secret: Secret): Record<string, Secret> {
  const signing = signsDeliveries(version) ? toSigningSecret(secret) : null;
  return signing === null ? { token: secret } : { token: secret, signing_token: signing };
}

/** @returns null for a secret of another form than gitlink's own: a signing token is 32 bytes. */
function toSigningSecret(secret: Secret): Secret | null {
  if (!secret.matches(/^[0-9a-f]{64}$/i)) return null;
  return secret.map((hexDigits) => `whsec_${Buffer.from(hexDigits, 'hex').toString('base64')}`);
}

/**
 * Checks that the host took what it was sent, because it passes over what it does not know without a word. A
 * signing token may be missing where an administrator has switched signing off: `token` is there all the same.
 *
 * @throws ForbiddenError
 */
function assertTaken(hook: schemas.Hook, { events, secret }: WantedWebhook): void {
  const missing = events.filter((event) => hook[event] !== true);
  if (missing.length > 0)
    throw new ForbiddenError(`this GitLab does not have the event ${missing.join(', ')}`);
  if (secret === null) return;
  if (hook.token_present === false)
    throw new ForbiddenError('GitLab did not keep the secret of this webhook');
  if (hook.signing_token_present === true && !secret.matches(/^[0-9a-f]{64}$/i)) {
    throw new ForbiddenError(
      'this webhook still signs with its old signing token: GitLab replaces that only by a secret of 64 hex digits',
    );
  }
}

/**
 * Wakes a hook that GitLab has disabled because its deliveries failed. There is no switch for it: only a test
 * delivery that the receiver accepts wakes it. One that is merely paused is tried again without anybody's help.
 *
 * @see https://docs.gitlab.com/user/project/integrations/webhooks/#re-enable-disabled-webhooks
 * @throws ForbiddenError when it stays disabled.
 */
async function enable(access: HostAccess, place: WebhookPlace, hook: Webhook): Promise<Webhook> {
  const test = await testWebhook(access, place, hook.id);
  if (test.outcome === 'delivered') return { ...hook, active: true };
  if (readSettings(hook).isPaused) return hook;
  const reason = 'reason' in test ? test.reason : 'it was not delivered';
  throw new ForbiddenError(
    `GitLab disabled this webhook after many failures, and only a test delivery that the receiver accepts enables it again: ${reason}`,
  );
}

/** The test is sent while the request waits, and is the newest of the deliveries when it is answered. */
async function testWebhook(access: HostAccess, place: WebhookPlace, hookId: string): Promise<WebhookTest> {
  if (place.level === 'repository' && place.repository.defaultBranch === null) {
    return { outcome: 'untestable', reason: 'the repository is empty, so there is no push to show' };
  }
  const { status, body } = await endpoints.testHook(access, place, hookId);
  const refusal = readRefusal(body);
  if (status === 429) {
    return { outcome: 'untestable', reason: 'GitLab sends 5 tests a minute at most: try again in a minute' };
  }
  if (status === 404) {
    const isRoute = refusal === null || refusal.code !== null;
    return isRoute
      ? { outcome: 'untestable', reason: 'test deliveries by API take GitLab 16.11' }
      : { outcome: 'failed', reason: 'the webhook is gone' };
  }
  const answered = await endpoints.fetchLastDelivery(access, place, hookId);
  if (answered === null || /^2\d\d$/.test(answered)) {
    if (status !== 422) return { outcome: 'delivered' };
    return { outcome: 'untestable', reason: refusal?.text || 'GitLab has nothing to show in a test' };
  }
  return {
    outcome: 'failed',
    reason: /^\d+$/.test(answered) ? `the receiver answered ${answered}` : 'the receiver did not answer',
  };
}

function readSettings({ settings }: Webhook): Pick<HookSettings, 'isNameable' | 'hasVariables' | 'isPaused'> {
  return {
    isNameable: settings['isNameable'] === true,
    hasVariables: settings['hasVariables'] === true,
    isPaused: settings['isPaused'] === true,
  };
}
