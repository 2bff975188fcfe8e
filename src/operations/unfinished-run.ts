import type { LinkRecord } from '../store/link-schema.ts';
import { isOwned, readWebhookJournal } from '../store/webhook-journal.ts';
import type { OperationContext } from './context.ts';
import { count } from './doctor/check.ts';

/**
 * How far a run of `regenerate-webhooks` has come that was begun and not finished.
 *
 * @returns a clause without a full stop; null where no run is unfinished.
 */
export function describeUnfinishedRun(
  { directories }: OperationContext,
  { id, status, webhook }: LinkRecord,
): string | null {
  const next = webhook?.nextSecretItem ?? null;
  if (next === null || status === 'unlinking') return null;
  const entries = [...readWebhookJournal(directories.state, id).values()];
  // Where the host refused to make one it is lacking all the same.
  const tried = entries.filter((entry) => isOwned(entry) || entry.state === 'failed');
  if (tried.length === 0) return 'no hook has the new secret yet';
  const done = tried.filter(({ state, secretItem }) => state === 'confirmed' && secretItem === next);
  return `${done.length} of ${count(tried.length, 'hook')} have the new secret`;
}
