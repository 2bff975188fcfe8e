import { UnreachableError } from '../errors.ts';
import type { HostClient, HostRequest, HostResponse } from './host-client.ts';
import { isUnderBase } from './request-url.ts';

/** No account has more; a host that sends more is broken or hostile. */
const pageLimit = 10_000;
const itemLimit = 1_000_000;

export interface CountedPage<Item> {
  readonly items: readonly Item[];
  /** How many items there are on all pages, or null where the host does not say. */
  readonly totalCount: number | null;
}

/**
 * Reads pages that are asked for by number. Where the first page tells the total count, the others are
 * fetched in parallel, `concurrency` at a time and never further ahead of the reader.
 *
 * @param fetchPage - Fetches one page; the first is 1.
 * @param pageSize - The items of a full page, as far as known. A host that cuts pages shorter is noticed by its count.
 * @param concurrency - The most pages under way or waiting to be read.
 * @throws UnreachableError beyond 10,000 pages or 1,000,000 items.
 */
export async function* fetchCountedPages<Item>(
  fetchPage: (page: number) => Promise<CountedPage<Item>>,
  pageSize: number,
  concurrency: number,
): AsyncGenerator<Item, void, undefined> {
  const first = await fetchPage(1);
  const { totalCount } = first;
  const isCut = totalCount !== null && first.items.length < totalCount;
  const fullSize = isCut ? first.items.length : pageSize;
  const lastPage = totalCount === null ? Infinity : Math.ceil(totalCount / Math.max(1, fullSize));
  const isEnd = (items: readonly Item[]) =>
    items.length === 0 || (totalCount === null && items.length < fullSize);

  const ahead: Promise<CountedPage<Item>>[] = [];
  let nextPage = 2;
  const fetchAhead = (count: number) => {
    while (ahead.length < count && nextPage <= lastPage) {
      if (nextPage > pageLimit) throw createEndlessError();
      const page = fetchPage(nextPage);
      // Whoever reads this page gets its error; a reader who left early must not crash the process.
      page.catch(() => undefined);
      ahead.push(page);
      nextPage += 1;
    }
  };

  let itemCount = 0;
  for (let current: CountedPage<Item> | undefined = first; current; current = await ahead.shift()) {
    const { items } = current;
    itemCount += items.length;
    if (itemCount > itemLimit) throw createEndlessError();
    // Without a count only a short page tells the end: one page ahead, and none after the last.
    if (!isEnd(items)) fetchAhead(totalCount === null ? 1 : concurrency);
    yield* items;
    if (isEnd(items)) return;
  }
}

/**
 * Reads parts of a list that do not depend on each other, and hands on their items in the order of the parts.
 *
 * @param concurrency - The most parts that are read or wait to be handed on.
 */
export async function* readInOrder<Part, Item>(
  parts: readonly Part[],
  read: (part: Part) => Promise<readonly Item[]>,
  concurrency: number,
): AsyncGenerator<Item, void, undefined> {
  const ahead: Promise<readonly Item[]>[] = [];
  for (let index = 0; index < parts.length || ahead.length > 0;) {
    while (index < parts.length && ahead.length < concurrency) {
      const reading = parts.slice(index, index + 1).map(read);
      // Whoever comes to this part gets its error; a reader who left early must not crash the process.
      for (const part of reading) part.catch(() => undefined);
      ahead.push(...reading);
      index += 1;
    }
    yield* (await ahead.shift()) ?? [];
  }
}

interface LinkPagesOptions {
  /** Finds the address of the next page in an answer. Default: the `Link` header's `rel="next"`. */
  readonly findNext?: (response: HostResponse) => string | null;
  /** Counts the items of a page. Default: the length of a body that is a list. */
  readonly countItems?: (response: HostResponse) => number;
}

/**
 * Reads pages that name their successor. A successor is followed only inside the API's base, because the
 * credential goes with it.
 *
 * @param client - The host's client; its base is the fence.
 * @param firstRequest - The request for the first page; the later ones differ from it by their address only.
 * @returns The answers, page by page.
 * @throws UnreachableError for a successor elsewhere or met before, beyond 10,000 pages or 1,000,000 items.
 * @public The way through lists for the hosts that page by `Link` or a `next` in the body.
 */
export async function* followLinkPages(
  client: HostClient,
  firstRequest: HostRequest,
  options: LinkPagesOptions = {},
): AsyncGenerator<HostResponse, void, undefined> {
  const { findNext = findLinkNext, countItems = countListed } = options;
  const seen = new Set<string>();
  let request = firstRequest;
  let itemCount = 0;
  for (;;) {
    const response = await client.request(request);
    itemCount += countItems(response);
    if (itemCount > itemLimit) throw createEndlessError();
    yield response;
    const next = findNext(response);
    if (next === null) return;
    const path = toPathUnderBase(client.base, next);
    if (seen.has(path)) throw new UnreachableError(`${client.base} sends the same page again and again.`);
    seen.add(path);
    if (seen.size >= pageLimit) throw createEndlessError();
    request = { ...firstRequest, route: { path, template: firstRequest.route.template }, query: {} };
  }
}

function countListed({ body }: HostResponse): number {
  return Array.isArray(body) ? body.length : 0;
}

/** The successor's path and query, relative to the base. */
function toPathUnderBase(base: string, next: string): string {
  const url = URL.canParse(next, `${base}/`) ? new URL(next, `${base}/`) : null;
  if (!url || !isUnderBase(base, url)) {
    throw new UnreachableError(`${base} names a next page outside its API, which gitlink does not follow.`);
  }
  return url.pathname.slice(new URL(base).pathname.replace(/\/$/, '').length) + url.search;
}

/**
 * Finds `rel="next"` in a `Link` header (RFC 8288, section 3).
 *
 * @returns Its address as the host wrote it, or null.
 */
function findLinkNext(response: HostResponse): string | null {
  const header = response.headers.get('link') ?? '';
  for (const [, address = '', parameters = ''] of header.matchAll(/<([^<>]*)>([^<>]*)/g)) {
    const rel = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s";,]+))/i.exec(parameters);
    const names = (rel?.[1] ?? rel?.[2] ?? '').toLowerCase().split(/\s+/);
    if (names.includes('next')) return address;
  }
  return null;
}

function createEndlessError(): UnreachableError {
  return new UnreachableError(
    `The host sends lists without end: more than ${pageLimit} pages or ${itemLimit} items were refused.`,
  );
}
