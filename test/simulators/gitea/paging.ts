import type { PlainAnswer } from '../routes.ts';
import type { Call } from './call.ts';

/**
 * One page of a list: `limit` silently cut to the server's maximum, the whole count in `X-Total-Count`, and a
 * `Link` only where the servers send one.
 */
export function answerPage<Item>(
  call: Call,
  items: readonly Item[],
  toJson: (item: Item) => unknown,
  options: { readonly hasLink: boolean; readonly wrap?: (page: readonly unknown[]) => unknown },
): PlainAnswer {
  const { query } = call.request;
  const page = Math.max(readNumber(query.get('page')), 1);
  const limit = effectiveLimit(call, readNumber(query.get('limit')));
  const slice = items.slice((page - 1) * limit, page * limit).map(toJson);
  const link = options.hasLink ? linkHeader(call, items.length, page, limit) : '';
  return {
    status: 200,
    headers: { 'x-total-count': String(items.length), ...(link ? { link } : {}) },
    json: options.wrap ? options.wrap(slice) : slice,
  };
}

function effectiveLimit({ settings }: Call, asked: number): number {
  return asked <= 0 ? settings.defaultPagingNum : Math.min(asked, settings.maxResponseItems);
}

function readNumber(text: string | null): number {
  const number = Number(text ?? 0);
  return Number.isSafeInteger(number) ? number : 0;
}

function linkHeader(call: Call, total: number, page: number, limit: number): string {
  const last = Math.max(Math.ceil(total / limit), 1);
  // A page behind the end counts as the last one here, though it is answered empty.
  const current = Math.min(page, last);
  const pages: [string, number][] = [];
  if (current < last) pages.push(['next', current + 1], ['last', last]);
  if (current > 1) pages.push(['first', 1], ['prev', current - 1]);
  return pages.map(([relation, number]) => `<${urlOfPage(call, number)}>; rel="${relation}"`).join(',');
}

function urlOfPage({ request, baseUrl }: Call, page: number): string {
  const query = new URLSearchParams(request.query);
  query.set('page', String(page));
  query.sort();
  return `${baseUrl()}${request.path}?${query.toString()}`;
}
