import type { PlainAnswer } from '../routes.ts';
import { refuseRequest, type Call } from './call.ts';
import type { Values } from './parameters.ts';

interface PageOptions<Item> {
  readonly toJson: (item: Item) => unknown;
  /** Where keyset paging exists: the id to go on from. Such lists refuse offsets that are too large. */
  readonly keyset?: { readonly typeName: string; readonly idOf: (item: Item) => number };
}

/** One page of a list, by offset or keyset, with the headers of each (`providers/gitlab.md` §4.2). */
export function answerPage<Item>(
  call: Call,
  values: Values,
  items: readonly Item[],
  options: PageOptions<Item>,
): PlainAnswer {
  const perPage = readPerPage(call, values);
  if (values['pagination'] === 'keyset') return answerKeyset(call, values, items, options, perPage);
  const page = Math.max(Number(values['page'] ?? 1), 1);
  const offset = (page - 1) * perPage;
  const { maxOffset } = call.settings;
  if (options.keyset && offset > maxOffset) {
    throw refuseRequest(
      405,
      `Offset pagination has a maximum allowed offset of ${maxOffset} for requests that return objects of type ${options.keyset.typeName}. Remaining records can be retrieved using keyset pagination.`,
    );
  }
  const shown = items.slice(offset, offset + perPage);
  return {
    status: 200,
    headers: offsetHeaders(call, items.length, page, perPage),
    json: shown.map(options.toJson),
  };
}

function readPerPage({ request }: Call, values: Values): number {
  const asked = Number(values['per_page'] ?? 20);
  if (asked > 100 || asked < 1) request.recordFailure(`per_page is ${asked}, which no server gives`);
  return Math.min(Math.max(asked, 1), 100);
}

function answerKeyset<Item>(
  call: Call,
  values: Values,
  items: readonly Item[],
  { toJson, keyset }: PageOptions<Item>,
  perPage: number,
): PlainAnswer {
  if (!keyset || values['order_by'] !== 'id') {
    call.request.recordFailure('keyset paging where it does not exist');
    throw refuseRequest(405, 'Keyset pagination is not yet available for this type of request');
  }
  const isAscending = values['sort'] === 'asc';
  const ordered = isAscending ? items : [...items].reverse();
  const shown = ordered.slice(0, perPage);
  const last = shown.at(-1);
  // The servers name a next page after every one that is not empty, and no other page.
  const changes = last ? { [isAscending ? 'id_after' : 'id_before']: String(keyset.idOf(last)) } : null;
  const link = changes ? `<${urlOf(call, changes)}>; rel="next"` : '';
  return { status: 200, headers: link ? { link } : {}, json: shown.map(toJson) };
}

function offsetHeaders(
  call: Call,
  total: number,
  page: number,
  perPage: number,
): Readonly<Record<string, string>> {
  const last = Math.max(Math.ceil(total / perPage), 1);
  const isCounted = total <= call.settings.maxCountedRows;
  const pages: readonly (readonly [string, number])[] = [
    ...(page > 1 ? [['prev', page - 1] as const] : []),
    ...(page < last ? [['next', page + 1] as const] : []),
    ['first', 1],
    ...(isCounted ? [['last', last] as const] : []),
  ];
  const toUrl = (number: number) => urlOf(call, { page: String(number), per_page: String(perPage) });
  return {
    link: pages.map(([relation, number]) => `<${toUrl(number)}>; rel="${relation}"`).join(', '),
    'x-page': String(page),
    'x-per-page': String(perPage),
    'x-next-page': page < last ? String(page + 1) : '',
    'x-prev-page': page > 1 ? String(page - 1) : '',
    ...(isCounted ? { 'x-total': String(total), 'x-total-pages': String(last) } : {}),
  };
}

function urlOf(call: Call, changes: Readonly<Record<string, string>>): string {
  const query = new URLSearchParams(call.request.query);
  for (const [name, value] of Object.entries(changes)) query.set(name, value);
  query.sort();
  return `${call.settings.linkBaseUrl ?? call.baseUrl()}${call.request.path}?${query.toString()}`;
}
