import type { LinkRecord } from '../store/link-schema.ts';
import { readLastUsage } from '../store/usage-log.ts';
import type { OperationContext } from './context.ts';
import { toLinkDocument, type LinkDocument } from './link-document.ts';

/** The links as documents, with when each was last used. */
export function describeLinks(context: OperationContext, links: readonly LinkRecord[]): LinkDocument[] {
  const usage = readLastUsage(context.directories.state);
  const now = context.clock.now();
  return links.map((link) => toLinkDocument(link, usage.get(link.id)?.at ?? null, now));
}
