import type { PlainAnswer } from '../routes.ts';
import type { Call } from './call.ts';

const defaultPageSize = 30;
const largestPage = 100;

/** Which page was asked for; what is too large or no number is mended without a word. */
function readPage({ request }: Call): { readonly page: number; readonly perPage: number } {
  const read = (name: string, fallback: number) => {
    const value = Number(request.query.get(name) ?? fallback);
    return Number.isInteger(value) && value > 0 ? value : fallback;
  };
  return { page: read('page', 1), perPage: Math.min(read('per_page', defaultPageSize), largestPage) };
}

interface PageShape<Item> {
  readonly toJson: (item: Item) => unknown;
  /** Wraps the list with a count, as some lists are. */
  readonly wrap?: (items: readonly unknown[], total: number) => object;
  /** The path that the links name where it is another than the request's: they go by ids, not by names. */
  readonly linkPath?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers a page of a list with its `Link` (`providers/github.md` §4.3). */
export function answerPage<Item>(call: Call, items: readonly Item[], shape: PageShape<Item>): PlainAnswer {
  const { page, perPage } = readPage(call);
  const last = Math.max(1, Math.ceil(items.length / perPage));
  const shown = items.slice((page - 1) * perPage, page * perPage).map(shape.toJson);
  const links: [string, number][] = [];
  if (page > 1) links.push(['prev', Math.min(page - 1, last)]);
  if (page < last) links.push(['next', page + 1], ['last', last]);
  if (page > 1) links.push(['first', 1]);
  const path = shape.linkPath ?? relativePath(call);
  const link = links
    .map(([rel, number]) => `<${pageUrl(call, path, { page: number })}>; rel="${rel}"`)
    .join(', ');
  return {
    status: 200,
    headers: { ...shape.headers, ...(link === '' ? {} : { link }) },
    json: shape.wrap ? shape.wrap(shown, items.length) : shown,
  };
}

/** Answers a page of a list that goes by cursor: newest first, each cursor the id of an item. */
export function answerByCursor<Item extends { readonly id: number }>(
  call: Call,
  items: readonly Item[],
  toJson: (item: Item) => unknown,
): PlainAnswer {
  const { perPage } = readPage(call);
  const cursor = call.request.query.get('cursor');
  const from = cursor === null ? 0 : items.findIndex((item) => `v1_${item.id}` === cursor) + 1;
  const shown = items.slice(from, from + perPage);
  const lastShown = shown.at(-1);
  const hasMore = from + shown.length < items.length && lastShown !== undefined;
  const path = relativePath(call);
  const next = hasMore ? pageUrl(call, path, { cursor: `v1_${lastShown.id}` }) : null;
  return {
    status: 200,
    ...(next === null ? {} : { headers: { link: `<${next}>; rel="next"` } }),
    json: shown.map(toJson),
  };
}

/** The request's path below the API's root. */
function relativePath({ request }: Call): string {
  return request.path.replace(/^\/api\/v3(?=\/)/, '');
}

function pageUrl(
  { request, apiUrl }: Call,
  path: string,
  changes: Readonly<Record<string, string | number>>,
): string {
  const query = new URLSearchParams(request.query);
  for (const [name, value] of Object.entries(changes)) query.set(name, String(value));
  return `${apiUrl()}${path}?${query.toString()}`;
}
