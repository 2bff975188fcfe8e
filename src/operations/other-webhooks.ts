import { assertTellable } from '../errors.ts';
import { openWebhookJournal, type JournalEntry } from '../store/webhook-journal.ts';
import { concurrently } from './concurrently.ts';
import type { OperationContext } from './context.ts';
import type { OpenLink } from './host-access.ts';
import { findPacing } from './open-anonymous.ts';
import type { PlannedWebhook, WebhookMode } from './plan-webhooks.ts';
import { findOwnWebhooks, toPlace } from './remove-webhooks.ts';
import { findStrandedWebhooks } from './restrict-link.ts';
import type { RotationSecret } from './rotation-secret.ts';
import { requireWebhooks, type Target } from './webhook-target.ts';

/** Hooks of the link where a run does not come. */
export interface OtherWebhooks {
  /** Where hooks are that no run changes any more. */
  readonly outside: readonly string[];
  /** Where hooks were, in places that the host does not show any more. */
  readonly vanished: readonly string[];
}

export const noOtherWebhooks: OtherWebhooks = { vanished: [], outside: [] };

/**
 * Looks after the hooks of the link where a run over everything does not come: out of its restriction, at another
 * level, or in a repository that is not listed any more. What the host does not show can never be changed again, and
 * waiting for it would keep the rotation from its end for ever: it is forgotten, and named.
 */
export async function visitOtherWebhooks(
  context: OperationContext,
  open: OpenLink,
  { at }: Target,
  plan: readonly PlannedWebhook[],
): Promise<OtherWebhooks> {
  const { link, provider } = open;
  const planned = new Set(plan.map(({ key }) => key));
  const others = findOwnWebhooks(context, link).filter(({ place }) => !planned.has(place));
  if (others.length === 0) return noOtherWebhooks;
  const stranded = new Set(findStrandedWebhooks(context, link).map(({ place }) => place));
  const level = at === 'namespace' ? 'namespace:' : 'repository:';
  const isMissed = ({ place }: JournalEntry): boolean => place.startsWith(level) && !stranded.has(place);
  const journal = await openWebhookJournal(context.directories.state, link.id);
  const vanished = new Set<JournalEntry>();
  const visit = async (entry: JournalEntry): Promise<void> => {
    context.signal.throwIfAborted();
    if (await isThere(open, entry)) return;
    vanished.add(entry);
    const now = context.clock.now();
    await journal.record({ ...entry, state: 'removed', hookId: null, secretItem: null, at: now });
  };
  try {
    const limit = findPacing(provider, link.host).concurrency;
    for await (const done of concurrently(others.filter(isMissed), limit, visit)) void done;
  } finally {
    await journal.close();
  }
  const toLabels = (entries: readonly JournalEntry[]): string[] => entries.map(({ label }) => label).sort();
  return {
    vanished: toLabels([...vanished]),
    outside: toLabels(others.filter((entry) => !vanished.has(entry))),
  };
}

/** Whether the host still shows the hook of an entry, or cannot be asked. */
async function isThere({ provider, access }: OpenLink, entry: JournalEntry): Promise<boolean> {
  try {
    const hooks = await requireWebhooks(provider).list(access, toPlace(entry));
    return entry.state === 'sent' || hooks.some(({ id }) => id === entry.hookId);
  } catch (error) {
    assertTellable(error);
    return error.code !== 'notFound';
  }
}

interface RunParts {
  readonly mode: WebhookMode;
  readonly isPart: boolean;
  readonly secret: RotationSecret | null;
  readonly plan: readonly PlannedWebhook[];
}

/**
 * Says which hooks of the link a run has not brought to where they shall be: those that do not have the new secret,
 * or are not removed. Those of archived repositories cannot get a secret, and wait for nothing; where a run over
 * everything does not come, no later one does either.
 */
export function findPending({ mode, isPart, secret, plan }: RunParts): (entry: JournalEntry) => boolean {
  const planned = new Map(plan.map((each) => [each.key, each]));
  return ({ place, state, secretItem }) => {
    if (mode === 'remove') return true;
    const here = planned.get(place);
    if (here === undefined ? !isPart : here.action === 'skip' && !here.isFault) return false;
    return !(state === 'confirmed' && secretItem === (secret?.item ?? null));
  };
}
