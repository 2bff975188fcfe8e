import type { PlainAnswer } from '../routes.ts';
import { refuseField, type Call } from './call.ts';

/**
 * One page of a list. Between any two rows lie others that nobody may see, as on servers that filter what they have
 * read: only `nextPageStart` leads to the next page.
 *
 * @throws Refusal 400 for numbers that are none.
 */
export function answerPage<Item>(
  call: Call,
  items: readonly Item[],
  toJson: (item: Item) => unknown,
): PlainAnswer {
  const { request, settings, state } = call;
  const start = readNumber(call, 'start', 0);
  const limit = Math.min(readNumber(call, 'limit', 25), settings.maxPageSize);
  if (limit === 0) throw refuseField('limit', 'The limit must be greater than zero.');
  if (start > 0 && !state.toldPages.has(`${request.path} ${start}`)) {
    request.recordFailure(`start=${start} was never a nextPageStart of this list`);
  }
  const stride = settings.hiddenRows + 1;
  const first = Math.ceil(start / stride);
  const shown = items.slice(first, first + limit);
  const isLastPage = first + limit >= items.length;
  const nextPageStart = isLastPage ? null : (first + limit) * stride;
  if (nextPageStart !== null) state.toldPages.add(`${request.path} ${nextPageStart}`);
  return {
    status: 200,
    json: { size: shown.length, limit, isLastPage, values: shown.map(toJson), start, nextPageStart },
  };
}

function readNumber({ request }: Call, name: string, fallback: number): number {
  const text = request.query.get(name);
  if (text === null) return fallback;
  if (/^\d+$/.test(text)) return Number(text);
  request.recordFailure(`${name} is "${text}"`);
  throw refuseField(name, `The ${name} must be a number.`);
}
