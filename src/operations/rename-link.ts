import type { LinkRecord } from '../store/link-schema.ts';
import type { OperationContext } from './context.ts';
import { findLink } from './find-link.ts';
import { assertFreeName } from './link-account.ts';
import { assertStored } from './link-faults.ts';

/** @throws UsageError when the new name is taken or no name. */
export async function renameLink(context: OperationContext, from: string, to: string): Promise<LinkRecord> {
  const records = await context.links.change((before) => {
    const link = findLink(before, from);
    assertStored(link);
    if (from === to) return before;
    assertFreeName(before, to, `Choose another: gitlink rename ${from} OTHER`);
    return { ...before, links: before.links.map((each) => (each === link ? { ...link, name: to } : each)) };
  });
  return findLink(records, to);
}
