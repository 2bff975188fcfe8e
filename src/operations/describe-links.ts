import type { LinkRecord } from '../store/link-schema.ts';
import { readLastUsage } from '../store/usage-log.ts';
import { findAppWebhook } from './apps/open-app.ts';
import type { OperationContext } from './context.ts';
import { toLinkDocument, type LinkDocument } from './link-document.ts';

/** The links as documents, with when each was last used. */
export function describeLinks(context: OperationContext, links: readonly LinkRecord[]): LinkDocument[] {
  const usage = readLastUsage(context.directories.state);
  const now = context.clock.now();
  const records = links.some(({ method }) => method === 'app') ? context.links.read() : null;
  return links.map((link) => {
    const webhook = link.webhook ?? (records && findAppWebhook(records, link));
    return toLinkDocument({ ...link, webhook }, usage.get(link.id)?.at ?? null, now);
  });
}
