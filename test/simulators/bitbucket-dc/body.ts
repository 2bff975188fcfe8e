import { Refusal, refuse, type Call } from './call.ts';

export type Fields = Readonly<Record<string, unknown>>;

/**
 * The body of a writing call: JSON, and nothing else.
 *
 * @throws Refusal 415 for another type, 400 for no object.
 */
export function readBody({ request }: Call): Fields {
  const type = request.headers['content-type'] ?? '';
  if (!type.startsWith('application/json')) {
    request.recordFailure(`a body of type "${type}" instead of JSON`);
    throw new Refusal({
      status: 415,
      text: 'Unsupported Media Type',
      contentType: 'text/html;charset=utf-8',
    });
  }
  if (isRecord(request.body)) return request.body;
  request.recordFailure('a body that is no JSON object');
  throw refuse(400, 'Request was missing content or malformed.');
}

export function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
