import type { Connection } from './audit-support.ts';

/** One kind of connections, and what it is called. Null stands for a list that the credential may not see. */
export type ConnectionPart = readonly [what: string, items: AsyncIterable<Connection | null>];

/**
 * Reads the parts one after the other.
 *
 * @param onHidden - Gets the name of each part of which something may not be seen.
 * @returns whether anything could be seen, if only that there is nothing.
 */
export async function* joinParts(
  parts: readonly ConnectionPart[],
  onHidden: (what: string) => void,
): AsyncGenerator<Connection, boolean, undefined> {
  let isAnySeen = false;
  for (const [what, items] of parts) {
    let isHidden = false;
    for await (const item of items) {
      if (item === null) {
        isHidden = true;
      } else {
        isAnySeen = true;
        yield item;
      }
    }
    if (isHidden) onHidden(what);
    else isAnySeen = true;
  }
  return isAnySeen;
}

/** A webhook's address without the parts that may hold a token. */
export function toSafeAddress(url: string): string {
  return url.replace(/[?#].*$/, '?…').replace(/\/\/[^/@]*@/, '//…@');
}

/** @returns null for no time; a day without an hour is its beginning in UTC. */
export function toMoment(text: string | null | undefined): number | null {
  const time = Date.parse(text ?? '');
  return Number.isNaN(time) ? null : time;
}
