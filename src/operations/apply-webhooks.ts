import { GitlinkError, UnreachableError, assertTellable } from '../errors.ts';
import { HostAnswerError, isRefusal } from '../http/host-answer-error.ts';
import {
  coversEvents,
  type WantedWebhook,
  type Webhook,
  type WebhookAdmin,
  type WebhookTest,
} from '../providers/webhook-support.ts';
import { afterChange } from '../providers/partial-change.ts';
import type { Secret } from '../secret.ts';
import type { JournalEntry, WebhookJournal } from '../store/webhook-journal.ts';
import type { OpenLink } from './host-access.ts';
import { describeFault, type PlannedWebhook, type WebhookAction } from './plan-webhooks.ts';
import type { Target } from './webhook-target.ts';

/** What happened at one place. */
export interface WebhookResult {
  readonly repository: string;
  readonly action: WebhookAction;
  /** `unknown`: the host's answer was lost; the next run finds out. */
  readonly state: 'planned' | 'confirmed' | 'skipped' | 'failed' | 'unknown';
  readonly reason: string | null;
  readonly hookId: string | null;
}

export interface ApplyQuestion {
  readonly open: OpenLink;
  readonly admin: WebhookAdmin;
  readonly target: Target;
  readonly journal: WebhookJournal;
  /** The secret that hooks get; null when they are only removed. */
  readonly secret: { readonly value: Secret; readonly item: string } | null;
  readonly now: () => number;
}

const createTries = 3;

/**
 * Does what was planned at one place. Each step is in the journal before it is sent and after it is answered,
 * so that a kill at any moment leaves a hook whose secret is known.
 *
 * @throws AuthError when the host no longer accepts the credential, or the command's signal fires.
 */
export async function applyPlanned(question: ApplyQuestion, planned: PlannedWebhook): Promise<WebhookResult> {
  const toResult = (
    state: WebhookResult['state'],
    hookId: string | null,
    reason = planned.reason,
  ): WebhookResult => ({ repository: planned.label, action: planned.action, state, reason, hookId });

  if (planned.action === 'skip') return toResult(planned.isFault ? 'failed' : 'skipped', null);
  if (planned.action === 'unchanged' && planned.hook !== null) return toResult('confirmed', planned.hook.id);
  const isRemoval = planned.action === 'remove' || planned.action === 'unchanged';
  try {
    const hookId = isRemoval ? await removeAll(question, planned) : await bring(question, planned);
    return toResult('confirmed', hookId);
  } catch (error) {
    if (!(error instanceof GitlinkError) || error.code === 'auth' || error.code === 'cancelled') throw error;
    if (error.code === 'storage') throw error;
    const isUnknown = error.code === 'unreachable' || error.code === 'rateLimited';
    return toResult(isUnknown ? 'unknown' : 'failed', planned.hook?.id ?? null, describeFault(error));
  }
}

async function removeAll(question: ApplyQuestion, planned: PlannedWebhook): Promise<null> {
  const { admin, open, journal } = question;
  for (const hook of planned.hook ? [planned.hook, ...planned.duplicates] : []) {
    await admin.remove(open.access, planned.place, hook.id);
  }
  if (!journal.entries.has(planned.key)) return null;
  await journal.record(toEntry(question, planned, { state: 'removed', hookId: null, secretItem: null }));
  return null;
}

/** Brings a place to exactly one enabled hook with the secret. Returns the hook's id. */
async function bring(question: ApplyQuestion, planned: PlannedWebhook): Promise<string> {
  const { admin, open, journal, secret, target } = question;
  if (secret === null) throw new TypeError('A hook cannot be brought to a secret that is not there.');
  const secretItem = secret.item;
  let current: Webhook;
  const outdated = [...planned.duplicates];
  if (planned.hook !== null && planned.action === 'repair') {
    // Changes nothing that the journal tells of, and is safe to repeat.
    // A host that takes a secret in place forgets it where the URL changes.
    const isMoved = admin.secretChangesInPlace && planned.hook.url !== target.url;
    const isSent = isMoved || admin.forgetsSecret === true;
    const wanted = {
      url: target.url,
      events: target.nativeEvents,
      secret: isSent ? secret.value : null,
      successorOf: null,
    };
    current = await admin.update(open.access, planned.place, planned.hook, wanted);
  } else {
    current = await giveSecret(question, planned, secret);
    // Hooks that are several at the host change their name when one is added.
    const isReplaced = planned.hook !== null && planned.hook.id !== current.id && !admin.secretChangesInPlace;
    if (isReplaced && planned.hook !== null) outdated.unshift(planned.hook);
  }
  for (const hook of outdated) await admin.remove(open.access, planned.place, hook.id);
  await journal.record(toEntry(question, planned, { state: 'confirmed', hookId: current.id, secretItem }));
  return current.id;
}

/** Makes a hook with the secret, or gives it to the one that is there, between two lines of the journal. */
async function giveSecret(
  question: ApplyQuestion,
  planned: PlannedWebhook,
  secret: NonNullable<ApplyQuestion['secret']>,
): Promise<Webhook> {
  const { admin, open, journal, target } = question;
  const { hook, place } = planned;
  const wanted = {
    url: target.url,
    events: target.nativeEvents,
    secret: secret.value,
    successorOf: hook,
  } satisfies WantedWebhook;
  const earlier = journal.entries.get(planned.key);
  const sent = { state: 'sent', hookId: hook?.id ?? null, secretItem: secret.item } as const;
  await journal.record(toEntry(question, planned, sent));
  try {
    return hook !== null && admin.secretChangesInPlace
      ? await admin.update(open.access, place, hook, wanted)
      : await createOnce(question, planned, wanted);
  } catch (error) {
    if (isRefusal(error)) {
      const nothing = { state: 'failed', hookId: null, secretItem: null } as const;
      await journal.record(earlier ?? toEntry(question, planned, nothing));
    }
    throw error;
  }
}

/** Makes a hook without ever making two: after a lost answer it looks before it tries again. */
async function createOnce(
  question: ApplyQuestion,
  planned: PlannedWebhook,
  wanted: WantedWebhook,
): Promise<Webhook> {
  const { admin, open } = question;
  for (let tries = 1; ; tries += 1) {
    try {
      return await admin.create(open.access, planned.place, wanted);
    } catch (error) {
      if (!isLostAnswer(error)) throw error;
      const made = await findMade(question, planned, wanted.url);
      // Of several at the host only some may have been made.
      if (made !== null && coversEvents(admin, made, wanted.events)) return made;
      if (made !== null) return afterChange(() => admin.update(open.access, planned.place, made, wanted));
      if (tries >= createTries) throw error;
    }
  }
}

/** Looks for the hook of a request whose answer was lost. Where even that fails, the next run finds out. */
async function findMade(
  { admin, open }: ApplyQuestion,
  { place, before }: PlannedWebhook,
  url: string,
): Promise<Webhook | null> {
  try {
    const hooks = await admin.list(open.access, place);
    const isMade = (hook: Webhook): boolean =>
      hook.url === url && !before.includes(hook.id) && admin.isMarked(open.access, hook) !== false;
    return hooks.find(isMade) ?? null;
  } catch (error) {
    if (error instanceof GitlinkError && error.code === 'cancelled') throw error;
    throw new UnreachableError('The host did not say whether it made the webhook.');
  }
}

/** Whether the host may have done what was asked although its answer did not say so. */
function isLostAnswer(error: unknown): boolean {
  if (error instanceof HostAnswerError) return error.status >= 500;
  return error instanceof GitlinkError && error.code === 'unreachable';
}

function toEntry(
  question: ApplyQuestion,
  planned: PlannedWebhook,
  step: Pick<JournalEntry, 'state' | 'hookId' | 'secretItem'>,
): JournalEntry {
  const { key, label, before } = planned;
  const earlier = question.journal.entries.get(key);
  // A run that continues a lost one must not forget what was there before the first request.
  const isContinued = earlier?.state === 'sent' && earlier.secretItem === step.secretItem;
  const { nativeEvents: events } = question.target;
  const known = isContinued ? earlier.before : before;
  return { place: key, label, before: known, events, at: question.now(), ...step };
}

/** Asks the host for a test delivery to a hook that is in place. */
export async function testPlanned(
  question: ApplyQuestion,
  planned: PlannedWebhook,
  hookId: string,
): Promise<WebhookTest> {
  const { admin, open } = question;
  if (!admin.test) return { outcome: 'untestable', reason: 'the host has no test deliveries' };
  try {
    return await admin.test(open.access, planned.place, hookId);
  } catch (error) {
    assertTellable(error);
    return { outcome: 'failed', reason: describeFault(error) };
  }
}
