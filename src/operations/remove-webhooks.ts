import { type GitlinkError, InternalError, assertTellable } from '../errors.ts';
import type { WebhookPlace } from '../providers/webhook-support.ts';
import {
  isOwned,
  openWebhookJournal,
  readWebhookJournal,
  type JournalEntry,
} from '../store/webhook-journal.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import { removeWebhookReadings } from '../store/webhook-readings.ts';
import { concurrently } from './concurrently.ts';
import type { OperationContext } from './context.ts';
import type { OpenLink } from './host-access.ts';
import { findPacing } from './open-anonymous.ts';
import { findLost } from './plan-webhooks.ts';
import { requireWebhooks } from './webhook-target.ts';

/** gitlink's hooks that the journal knows of. */
export function findOwnWebhooks(context: OperationContext, link: LinkRecord): readonly JournalEntry[] {
  const entries = readWebhookJournal(context.directories.state, link.id).values();
  return [...entries].filter(isOwned);
}

export interface WebhookRemoval {
  readonly entry: JournalEntry;
  /** `gone`: it was not there any more. */
  readonly result: 'removed' | 'gone' | GitlinkError;
}

/**
 * Removes hooks that the journal knows, several at a time, and notes each there. One that cannot be removed
 * does not stop the others.
 *
 * @param choose - Says which. Asked once nobody else changes the link's webhooks: a rotation that was waited for may
 *   have replaced hooks, and made more.
 */
export async function removeKnownWebhooks(
  context: OperationContext,
  open: OpenLink,
  choose: () => readonly JournalEntry[],
): Promise<readonly WebhookRemoval[]> {
  if (choose().length === 0) return [];
  const { link, provider } = open;
  return context.withLock(`webhooks-${link.id}`, async () => {
    const entries = choose();
    // What an unfinished rotation has read is not true any more.
    removeWebhookReadings(context.directories.state, link.id);
    const url = context.links.read().links.find(({ id }) => id === link.id)?.webhook?.url ?? null;
    const journal = await openWebhookJournal(context.directories.state, link.id);
    const removals: WebhookRemoval[] = [];
    const remove = async (entry: JournalEntry): Promise<WebhookRemoval> => {
      context.signal.throwIfAborted();
      try {
        const result = await removeEntry(open, entry, url);
        const now = context.clock.now();
        await journal.record({ ...entry, state: 'removed', hookId: null, secretItem: null, at: now });
        return { entry, result };
      } catch (error) {
        assertTellable(error);
        return { entry, result: error };
      }
    };
    try {
      for await (const removal of concurrently(
        entries,
        findPacing(provider, link.host).concurrency,
        remove,
      )) {
        removals.push(removal);
        context.reporter.status(`Removing webhooks… ${removals.length} of ${entries.length}`);
      }
    } finally {
      await journal.close();
    }
    return removals.sort((a, b) => (a.entry.label < b.entry.label ? -1 : 1));
  });
}

/** Removes the hook of an entry, and one that an interrupted run may have made beside it. */
async function removeEntry(
  { provider, access }: OpenLink,
  entry: JournalEntry,
  targetUrl: string | null,
): Promise<'removed' | 'gone'> {
  const admin = requireWebhooks(provider);
  const place = toPlace(entry);
  const ids = new Set(entry.hookId === null ? [] : [entry.hookId]);
  if (entry.state === 'sent') {
    for (const hook of findLost(entry, await admin.list(access, place))) {
      if (hook.url === targetUrl && admin.isMarked(access, hook) !== false) ids.add(hook.id);
    }
  }
  const results: ('removed' | 'gone')[] = [];
  for (const id of ids) results.push(await admin.remove(access, place, id));
  return results.includes('removed') ? 'removed' : 'gone';
}

/** The place of an entry, as far as removing needs it. */
export function toPlace({ place, label }: JournalEntry): WebhookPlace {
  const [level, id = ''] = place.split(/:(.*)/s);
  if (level === 'namespace') return { level, namespace: id };
  if (level !== 'repository') throw new InternalError(`The journal names a place of an unknown kind.`);
  const repository = {
    id,
    fullName: label,
    namespace: label.slice(0, label.lastIndexOf('/')),
    cloneUrl: '',
    webUrl: '',
    defaultBranch: null,
    private: true,
    archived: false,
    canManageWebhooks: true,
  };
  return { level, repository };
}
