import { GitlinkError } from '../errors.ts';
import { HostAnswerError } from '../http/host-answer-error.ts';
import {
  coversEvents,
  type Webhook,
  type WebhookAdmin,
  type WebhookPlace,
} from '../providers/webhook-support.ts';
import { environmentId } from '../store/environment-records.ts';
import { isOwned, type JournalEntry } from '../store/webhook-journal.ts';
import type { WebhookReading, WebhookReadings } from '../store/webhook-readings.ts';
import type { OpenLink } from './host-access.ts';
import type { Target } from './webhook-target.ts';

export type WebhookMode = 'rotate' | 'repair' | 'remove';

export type WebhookAction = 'create' | 'rotate' | 'adopt' | 'repair' | 'remove' | 'unchanged' | 'skip';

/** What is to be done at one place. Printable, and nothing has happened yet. */
export interface PlannedWebhook {
  readonly place: WebhookPlace;
  readonly key: string;
  readonly label: string;
  readonly action: WebhookAction;
  /** Why, where the action does not say it. */
  readonly reason: string | null;
  /** A skip that is a failure: the host could not be asked. */
  readonly isFault: boolean;
  /** The hook that is acted on. */
  readonly hook: Webhook | null;
  /** More hooks of gitlink at the same place, which go. */
  readonly duplicates: readonly Webhook[];
  /** The ids of all hooks that are there now. */
  readonly before: readonly string[];
}

export interface PlanQuestion {
  readonly open: OpenLink;
  readonly admin: WebhookAdmin;
  readonly target: Target;
  readonly mode: WebhookMode;
  readonly journal: ReadonlyMap<string, JournalEntry>;
  /** The secret store item that hooks shall end on; null for one that is yet to be made. */
  readonly secretItem: string | null;
  /** The URL of the run before, which a lost hook of it has. */
  readonly earlierUrl: string | null;
  /** What an unfinished rotation has read; null where every place is to be asked. */
  readonly readings: WebhookReadings | null;
  /** The hooks that the journals of other links tell of, with the link's name, by {@link toHookKey}. */
  readonly ofOthers: ReadonlyMap<string, string>;
}

export function toPlaceKey(place: WebhookPlace): string {
  return place.level === 'repository' ? `repository:${place.repository.id}` : `namespace:${place.namespace}`;
}

function toPlaceLabel(place: WebhookPlace): string {
  return place.level === 'repository' ? place.repository.fullName : place.namespace;
}

/** Names a hook of a place at one host. */
export function toHookKey(placeKey: string, hookId: string): string {
  return `${placeKey} ${hookId}`;
}

/**
 * Reads the hooks of one place and decides what has to happen there. What an unfinished rotation has read and not
 * begun to change, or has confirmed, is not asked for again.
 *
 * @throws AuthError when the host no longer accepts the credential; other refusals become a skip.
 */
export async function planPlace(question: PlanQuestion, place: WebhookPlace): Promise<PlannedWebhook> {
  const refusal = findRefusal(question, place);
  if (refusal !== null) return skip(place, refusal.reason, refusal.isFault);
  try {
    return resume(question, place) ?? decide(question, place, await read(question, place));
  } catch (error) {
    if (!(error instanceof GitlinkError) || error.code === 'auth' || error.code === 'cancelled') throw error;
    // Who owns a namespace is learnt by asking; a repository was listed as one whose webhooks may be managed.
    const reason = describeFault(error);
    const isRefusal = ['forbidden', 'notFound'].includes(error.code);
    if (isRefusal) question.readings?.record(toPlaceKey(place), { hooks: [], ids: [], refusal: reason });
    return skip(place, reason, !(isRefusal && place.level === 'namespace'));
  }
}

async function read(question: PlanQuestion, place: WebhookPlace): Promise<WebhookReading> {
  const { admin, open, target, earlierUrl, readings, journal } = question;
  const all = await admin.list(open.access, place);
  const key = toPlaceKey(place);
  const knownId = journal.get(key)?.hookId;
  const hooks = all.filter(({ id, url }) => id === knownId || url === target.url || url === earlierUrl);
  const reading = { hooks, ids: all.map(({ id }) => id), refusal: null };
  if (hooks.every(({ settings }) => isPlain(settings))) readings?.record(key, reading);
  return reading;
}

/** Whether an adapter's settings of a hook hold nothing that must not be written down, as far as their names tell. */
function isPlain(settings: unknown): boolean {
  if (typeof settings !== 'object' || settings === null) return true;
  return Object.entries(settings).every(([name, value]) => {
    const isEmpty = value === '' || value === null || typeof value === 'boolean';
    return (isEmpty || !/auth|secret|token|password|credential|header/i.test(name)) && isPlain(value);
  });
}

/** What follows from the rotation that did not come to its end, if it tells. */
function resume(question: PlanQuestion, place: WebhookPlace): PlannedWebhook | null {
  const { readings, journal, secretItem, target } = question;
  const key = toPlaceKey(place);
  const reading = readings?.take(key) ?? null;
  if (reading === null) return null;
  if (reading.refusal !== null) return skip(place, reading.refusal, place.level !== 'namespace');
  const entry = journal.get(key);
  if (entry === undefined || secretItem === null || entry.secretItem !== secretItem) {
    return decide(question, place, reading);
  }
  if (entry.state !== 'confirmed' || entry.hookId === null) return null;
  const hook = { id: entry.hookId, url: target.url, events: target.nativeEvents, active: true };
  return {
    ...skip(place, '', false),
    action: 'unchanged',
    reason: null,
    hook: { ...hook, name: null, settings: {} },
  };
}

/**
 * What the list of repositories already tells, so that no call is needed. A hook in an archived repository delivers
 * nothing; one where the role was lost goes on with the secret that it has, and that is a failure.
 */
function findRefusal(
  { journal }: PlanQuestion,
  place: WebhookPlace,
): { readonly reason: string; readonly isFault: boolean } | null {
  if (place.level === 'namespace') return null;
  if (place.repository.archived) return { reason: 'archived', isFault: false };
  if (place.repository.canManageWebhooks) return null;
  const entry = journal.get(toPlaceKey(place));
  const isFault = entry !== undefined && isOwned(entry);
  return { reason: 'forbidden: not an administrator of the repository', isFault };
}

/** A place that is left alone. */
function skip(place: WebhookPlace, reason: string, isFault: boolean): PlannedWebhook {
  return {
    place,
    key: toPlaceKey(place),
    label: toPlaceLabel(place),
    action: 'skip',
    reason,
    isFault,
    hook: null,
    duplicates: [],
    before: [],
  };
}

/** Decides by what is there and what the journal knows. */
function decide(question: PlanQuestion, place: WebhookPlace, { hooks, ids }: WebhookReading): PlannedWebhook {
  const { admin, target, mode, open } = question;
  const entry = question.journal.get(toPlaceKey(place));
  const known = hooks.filter((hook) => hook.id === entry?.hookId);
  const findOwner = ({ id }: Webhook): string | undefined =>
    id === entry?.hookId ? undefined : question.ofOthers.get(toHookKey(toPlaceKey(place), id));
  const isOurUrl = (url: string): boolean => url === target.url || url === question.earlierUrl;
  const lost = findLost(entry, hooks).filter(
    (each) =>
      isOurUrl(each.url) && admin.isMarked(open.access, each) !== false && findOwner(each) === undefined,
  );
  const atUrl = hooks.filter((hook) => hook.url === target.url);
  // Two links would give it their own secret in turn.
  const owner = atUrl.map(findOwner).find((name) => name !== undefined);
  if (owner !== undefined && known.length === 0 && mode !== 'remove') {
    return skip(place, `the webhook of "${owner}" delivers there already`, true);
  }
  const sameUrl = atUrl.filter((hook) => findOwner(hook) === undefined);
  const isMarked = (hook: Webhook): boolean => {
    const mark = admin.isMarked(open.access, hook);
    // The link of the environment keeps no journal: its key is the URL where hooks have no names.
    return mark ?? (mode === 'remove' && open.link.id === environmentId);
  };
  const marked = sameUrl.filter(isMarked).reverse();
  const ours = [...new Set([...lost, ...known, ...marked])];
  const foreign = sameUrl.filter((hook) => !ours.includes(hook));
  const [hook = null, ...duplicates] = ours;
  const base = {
    place,
    key: toPlaceKey(place),
    label: toPlaceLabel(place),
    isFault: false,
    before: ids,
  };
  const others = (count: number): string | null =>
    count === 0 ? null : `${count} other hook${count === 1 ? '' : 's'} of this URL not made by gitlink`;

  if (mode === 'remove') {
    const action = hook === null ? 'unchanged' : 'remove';
    return { ...base, action, reason: others(foreign.length), hook, duplicates };
  }
  if (hook === null) {
    const [adopted = null] = foreign;
    const action = adopted === null ? 'create' : 'adopt';
    const vanished = entry?.state === 'confirmed' && adopted === null ? 'the one before had vanished' : null;
    const reason = vanished ?? others(Math.max(0, foreign.length - 1));
    return { ...base, action, reason, hook: adopted, duplicates: [] };
  }
  const hasSecret =
    question.secretItem !== null &&
    entry?.secretItem === question.secretItem &&
    (lost.includes(hook) || (hook.id === entry.hookId && entry.state === 'confirmed'));
  if (!hasSecret) return { ...base, action: 'rotate', reason: others(foreign.length), hook, duplicates };

  const faults = [
    ...(hook.active ? [] : ['disabled']),
    ...(hook.url === target.url ? [] : ['other URL']),
    ...(coversEvents(admin, hook, target.nativeEvents) ? [] : ['events missing']),
    ...(isAskedFor(entry, target) ? [] : ['other events']),
    ...(duplicates.length > 0 ? ['duplicated'] : []),
    ...(entry.state === 'confirmed' ? [] : ['unconfirmed']),
  ];
  const action = faults.length > 0 ? 'repair' : 'unchanged';
  const reason = [...faults, ...(foreign.length > 0 ? [others(foreign.length)] : [])].join(', ') || null;
  return { ...base, action, reason, hook, duplicates };
}

/** Whether a hook was made for these events, no more and no less. Older lines of the journal do not tell. */
function isAskedFor({ events }: JournalEntry, { nativeEvents }: Target): boolean {
  return events === undefined || [...events].sort().join() === [...nativeEvents].sort().join();
}

/**
 * Hooks that were not there before a request whose answer was lost. Those with the target's URL and our mark
 * are its doing.
 */
export function findLost(entry: JournalEntry | undefined, hooks: readonly Webhook[]): readonly Webhook[] {
  return entry?.state === 'sent' ? hooks.filter(({ id }) => !entry.before.includes(id)) : [];
}

/** Why something did not work at one place, in few words. */
export function describeFault(error: GitlinkError): string {
  if (error.code === 'forbidden' && !(error instanceof HostAnswerError)) return error.message;
  if (!(error instanceof HostAnswerError)) return `unknown: ${error.message}`;
  const said = error.hostMessage === null ? '' : `: ${error.hostMessage}`;
  switch (error.status) {
    case 403:
      return `forbidden${said}`;
    case 404:
    case 410:
      return 'gone';
    case 423:
      return 'archived';
    default:
      return `answer ${error.status}${said}`;
  }
}
