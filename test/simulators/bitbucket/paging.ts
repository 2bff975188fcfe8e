import { createHash } from 'node:crypto';
import type { PlainAnswer } from '../routes.ts';
import { refuse, type Call } from './call.ts';
import { applyFields } from './fields.ts';

/** What every list takes, though the description names none of it. */
export const listParameters = ['pagelen', 'page', 'fields', 'ctx'];

/**
 * One page of a list. Of the envelope only `values` and `next` are promised, so `size` and `previous` are left
 * out, and the address of the next page has a part that nobody can guess.
 */
export function answerPage<Item>(
  call: Call,
  items: readonly Item[],
  toJson: (item: Item) => unknown,
): PlainAnswer {
  const pagelen = readPagelen(call);
  const page = readPage(call);
  const first = (page - 1) * pagelen;
  if (page > 1 && first >= items.length) throw refuse(404, 'Invalid page');
  const values = items.slice(first, first + pagelen).map(toJson);
  const isLast = first + pagelen >= items.length;
  return answerObject(call, {
    pagelen,
    page,
    values,
    ...(isLast ? {} : { next: urlOfPage(call, page + 1) }),
  });
}

/** A single object, cut down to what is asked for. */
export function answerObject(call: Call, json: unknown, status = 200): PlainAnswer {
  return { status, json: applyFields(call, json) };
}

/** 10 to 100: less is made 10, more is refused. */
function readPagelen({ request }: Call): number {
  const text = request.query.get('pagelen') ?? '10';
  const pagelen = Number(text);
  if (!/^\d+$/.test(text) || pagelen < 1 || pagelen > 100) throw refuse(400, 'Invalid pagelen');
  return Math.max(pagelen, 10);
}

function readPage({ request }: Call): number {
  const text = request.query.get('page') ?? '1';
  if (!/^[1-9]\d*$/.test(text)) throw refuse(404, 'Invalid page');
  const page = Number(text);
  if (page > 1 && request.query.get('ctx') !== markOf(request.path, page)) {
    request.recordFailure('the address of a page that was not taken from `next`');
  }
  return page;
}

function urlOfPage({ request, apiUrl }: Call, page: number): string {
  const query = new URLSearchParams(request.query);
  query.set('page', String(page));
  query.set('ctx', markOf(request.path, page));
  return `${apiUrl()}${request.path.replace(/^\/2\.0/, '')}?${query.toString()}`;
}

function markOf(path: string, page: number): string {
  return createHash('sha1').update(`${path} ${page}`).digest('hex').slice(0, 12);
}
