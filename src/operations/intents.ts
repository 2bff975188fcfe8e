import type { Records, Storage } from '../store/link-schema.ts';

/**
 * Notes that the items of secrets are about to be written or removed: a crash leaves a trace of each.
 *
 * @param createdAt - Milliseconds since the epoch.
 */
export function addIntents(
  records: Records,
  items: readonly string[],
  storage: Storage,
  createdAt: number,
): Records {
  const added = items.map((item) => ({ item, storage, createdAt }));
  return { ...records, intents: [...records.intents, ...added] };
}

/** Forgets what was noted of an item: a record names it by now, or its secret is gone. */
export function endIntent(records: Records, item: string): Records {
  return { ...records, intents: records.intents.filter((intent) => intent.item !== item) };
}
