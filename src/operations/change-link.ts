import type { LinkRecord, Records } from '../store/link-schema.ts';
import type { OperationContext } from './context.ts';

/** Changes one link; the records stay as they are where it is not among them. */
export function mapLink(records: Records, id: string, change: (link: LinkRecord) => LinkRecord): Records {
  if (!records.links.some((link) => link.id === id)) return records;
  return { ...records, links: records.links.map((link) => (link.id === id ? change(link) : link)) };
}

/** Changes one link's record, if it is still there. */
export async function updateLink(
  context: Pick<OperationContext, 'links'>,
  id: string,
  change: (link: LinkRecord) => LinkRecord,
): Promise<LinkRecord | null> {
  const records = await context.links.change((before) => mapLink(before, id, change));
  return records.links.find((link) => link.id === id) ?? null;
}
