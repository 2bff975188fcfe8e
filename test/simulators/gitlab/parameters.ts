import { refuseRequest, type Call } from './call.ts';

type ParameterType = 'string' | 'integer' | 'boolean' | 'date' | 'pairs';

/** What a route takes: a type, a type with `!` for one that must be there, or the list of its values. */
type Parameters = Readonly<
  Record<string, ParameterType | `${ParameterType}!` | readonly (string | number)[]>
>;

export type Values = Readonly<Record<string, unknown>>;

/**
 * The query of a reading call.
 *
 * The servers ignore what they do not know; here it fails the test.
 *
 * @throws Refusal 400 as Grape's validation words it.
 */
export function readQuery(call: Call, parameters: Parameters): Values {
  const { request } = call;
  if (request.body !== undefined) request.recordFailure('a body where only a query is read');
  const given = Object.fromEntries(request.query);
  for (const name of new Set(request.query.keys())) {
    if (request.query.getAll(name).length > 1) request.recordFailure(`parameter "${name}" several times`);
  }
  return validate(call, given, parameters);
}

/** The body of a writing call: JSON. */
export function readBody(call: Call, parameters: Parameters): Values {
  const { request } = call;
  if (request.query.size > 0) request.recordFailure('a query where only a body is read');
  const { body } = request;
  if (body === undefined) return validate(call, {}, parameters);
  const type = request.headers['content-type'] ?? '';
  if (!type.startsWith('application/json') || !isRecord(body)) {
    request.recordFailure(`a body of type "${type}" instead of JSON`);
    throw refuseRequest(415, `The provided content-type '${type}' is not supported.`);
  }
  return validate(call, body, parameters);
}

export function isRecord(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function validate({ request }: Call, given: Values, parameters: Parameters): Values {
  const fail = (message: string) => {
    request.recordFailure(message);
    return refuseRequest(400, message);
  };
  for (const name of Object.keys(given)) {
    if (!(name in parameters)) request.recordFailure(`unknown parameter "${name}"`);
  }
  const values: [string, unknown][] = [];
  for (const [name, type] of Object.entries(parameters)) {
    const value = given[name];
    if (value === undefined) {
      if (typeof type === 'string' && type.endsWith('!')) throw fail(`${name} is missing`);
      continue;
    }
    // Null empties a setting; the servers take it wherever a text may be.
    const read = value === null && type === 'string' ? null : readValue(value, type);
    if (read === undefined) {
      throw fail(Array.isArray(type) ? `${name} does not have a valid value` : `${name} is invalid`);
    }
    values.push([name, read]);
  }
  return Object.fromEntries(values);
}

/** Undefined for what does not fit. Texts of a query become what they stand for. */
function readValue(value: unknown, type: Parameters[string]): unknown {
  if (typeof type !== 'string') return type.find((allowed) => String(allowed) === String(value));
  switch (type.replace('!', '') as ParameterType) {
    case 'string':
      return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
    case 'integer':
      return /^\d+$/.test(String(value)) ? Number(value) : undefined;
    case 'boolean':
      return /^(true|false)$/.test(String(value)) ? String(value) === 'true' : undefined;
    case 'date':
      return /^\d{4}-\d\d-\d\d$/.test(String(value)) && !Number.isNaN(Date.parse(String(value)))
        ? value
        : undefined;
    case 'pairs':
      return isPairs(value) ? Object.fromEntries(value.map((pair) => [pair.key, pair.value])) : undefined;
  }
}

interface Pair {
  readonly key: string;
  readonly value: string;
}

function isPairs(value: unknown): value is readonly Pair[] {
  return (
    Array.isArray(value) &&
    value.every(
      (item) => isRecord(item) && typeof item['key'] === 'string' && typeof item['value'] === 'string',
    )
  );
}

/** Taken by every list. */
export const pagingParameters = { page: 'integer', per_page: 'integer' } as const;

export const accessLevels = [5, 10, 15, 20, 30, 40, 50] as const;
