import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { checkValue, resolveReference, type Description, type Schema } from './openapi-schema.ts';

/** A request as a simulator got it. */
export interface CheckedRequest {
  readonly method: string;
  /** Encoded, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly contentType: string | undefined;
  /** Parsed; `undefined` for none. */
  readonly body: unknown;
}

/** Compares a request with the official description; returns what it does not allow, in words. */
export type RequestCheck = (request: CheckedRequest) => readonly string[];

interface Parameter extends Schema {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header' | 'cookie' | 'body' | 'formData';
  readonly schema?: Schema;
}

interface Operation {
  readonly parameters?: readonly Parameter[];
  readonly consumes?: readonly string[];
  readonly requestBody?: {
    readonly $ref?: string;
    readonly required?: boolean;
    readonly content?: Readonly<Record<string, { readonly schema?: Schema }>>;
  };
}

interface DescribedPath {
  readonly template: string;
  readonly segments: readonly string[];
  readonly item: Readonly<Record<string, unknown>>;
}

/** Official descriptions lie beside the project, not in it: in CI always, elsewhere maybe. */
const specsFolder = '../shared/specs';

const descriptions = new Map<string, Description>();
let isAbsenceTold = false;

/**
 * Makes the check against one official description. The file is read at the first request, once per process.
 * Where there are no descriptions nothing is checked, and a line on stderr says so once.
 *
 * @param fileName - In `../shared/specs`, seen from the project's root (the working directory of tests).
 * @param prefix - Where the description's paths hang in the simulator, as `/api/v1`.
 */
export function createRequestCheck(fileName: string, prefix: string): RequestCheck {
  const file = resolve(specsFolder, fileName);
  if (!existsSync(file)) {
    // Only where tests run: the demo and the simulator by hand have nothing to miss.
    if (!isAbsenceTold && process.env['VITEST'])
      process.stderr.write(`${file} is absent: requests are not checked against it.\n`);
    isAbsenceTold = true;
    return () => [];
  }
  let check: RequestCheck | undefined;
  return (request) => {
    check ??= createDescriptionCheck(readDescription(file), prefix);
    return check(request);
  };
}

function readDescription(file: string): Description {
  const known = descriptions.get(file);
  if (known) return known;
  const description = JSON.parse(readFileSync(file, 'utf8')) as Description;
  descriptions.set(file, description);
  return description;
}

/** The same for a description in hand (Swagger 2.0 or OpenAPI 3). */
export function createDescriptionCheck(description: Description, prefix: string): RequestCheck {
  const pathsByLength = groupByLength(listPaths(description));
  return (request) => {
    if (!request.path.startsWith(`${prefix}/`)) return [`outside ${prefix}, which is all that is described`];
    const segments = request.path.slice(prefix.length + 1).split('/');
    const path = findPath(pathsByLength.get(segments.length) ?? [], segments);
    if (!path) return ['not a path of the official description'];
    const method = request.method === 'HEAD' ? 'get' : request.method.toLowerCase();
    const operation = path.item[method] as Operation | undefined;
    if (!operation) return [`${request.method} is not described for ${path.template}`];
    const shared = (path.item['parameters'] ?? []) as readonly Parameter[];
    const parameters = [...shared, ...(operation.parameters ?? [])].map((parameter) =>
      resolveReference(description, parameter),
    );
    return [
      ...checkPathParameters(description, path, segments, parameters),
      ...checkQuery(description, request.query, parameters),
      ...checkBody(description, operation, request, parameters),
    ];
  };
}

function listPaths(description: Description): readonly DescribedPath[] {
  return Object.entries(description.paths).map(([template, item]) => ({
    template,
    segments: template.replace(/^\//, '').split('/'),
    item,
  }));
}

function groupByLength(paths: readonly DescribedPath[]): ReadonlyMap<number, readonly DescribedPath[]> {
  const groups = new Map<number, DescribedPath[]>();
  for (const path of paths) {
    const group = groups.get(path.segments.length) ?? [];
    group.push(path);
    groups.set(path.segments.length, group);
  }
  return groups;
}

/** Of several paths that fit, the one with the most literal segments. */
function findPath(paths: readonly DescribedPath[], segments: readonly string[]): DescribedPath | undefined {
  const fits = paths.filter((path) =>
    path.segments.every(
      (part, index) => part === segments[index] || (isVariable(part) && segments[index] !== ''),
    ),
  );
  const countVariables = (path: DescribedPath) => path.segments.filter(isVariable).length;
  return fits.sort((left, right) => countVariables(left) - countVariables(right))[0];
}

function isVariable(segment: string): boolean {
  return segment.includes('{');
}

function checkPathParameters(
  description: Description,
  path: DescribedPath,
  segments: readonly string[],
  parameters: readonly Parameter[],
): readonly string[] {
  return path.segments.flatMap((part, index) => {
    const name = /^\{(.+)\}$/.exec(part)?.[1];
    const parameter = parameters.find((candidate) => candidate.in === 'path' && candidate.name === name);
    if (!parameter) return [];
    return checkText(
      description,
      `path parameter ${name}`,
      decodeURIComponent(segments[index] ?? ''),
      parameter,
    );
  });
}

function checkQuery(
  description: Description,
  query: URLSearchParams,
  parameters: readonly Parameter[],
): readonly string[] {
  const known = parameters.filter((parameter) => parameter.in === 'query');
  const missing = known
    .filter((parameter) => isRequired(parameter) && !query.has(parameter.name))
    .map((parameter) => `query parameter ${parameter.name} is missing`);
  const wrong = [...new Set(query.keys())].flatMap((name) => {
    const parameter = known.find((candidate) => candidate.name === name);
    if (!parameter) return [`unknown query parameter ${name}`];
    return query
      .getAll(name)
      .flatMap((value) => checkText(description, `query parameter ${name}`, value, parameter));
  });
  return [...missing, ...wrong];
}

function isRequired(parameter: { readonly required?: unknown }): boolean {
  return parameter.required === true;
}

/** A value that travels as text. */
function checkText(
  description: Description,
  what: string,
  text: string,
  parameter: Parameter,
): readonly string[] {
  const schema = resolveReference(description, parameter.schema ?? parameter);
  if (schema.type === 'array') {
    const item = schema.items ?? {};
    return text
      .split(',')
      .flatMap((part) => checkText(description, what, part, { ...parameter, schema: item }));
  }
  const value = toTyped(text, schema.type);
  return value === undefined
    ? [`${what} should be of type ${String(schema.type)}`]
    : checkValue(description, what, value, { ...(schema.enum ? { enum: schema.enum } : {}) });
}

function toTyped(text: string, type: Schema['type']): unknown {
  if (type === 'integer') return /^-?\d+$/.test(text) ? Number(text) : undefined;
  if (type === 'number')
    return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : undefined;
  if (type === 'boolean') return text === 'true' || text === 'false' ? text === 'true' : undefined;
  return text;
}

function checkBody(
  description: Description,
  operation: Operation,
  request: CheckedRequest,
  parameters: readonly Parameter[],
): readonly string[] {
  const expected = findBody(description, operation, request.contentType, parameters);
  if (request.body === undefined) return expected.isRequired ? ['the body is missing'] : [];
  if (!expected.isKnown) return ['a body where none is described'];
  if (!expected.schema) return [`a body of type ${request.contentType ?? 'none'}, which is not described`];
  return checkValue(description, 'body', request.body, expected.schema);
}

interface ExpectedBody {
  readonly isKnown: boolean;
  readonly isRequired: boolean;
  /** Absent where the content type is not one of those described. */
  readonly schema?: Schema;
}

function findBody(
  description: Description,
  operation: Operation,
  contentType: string | undefined,
  parameters: readonly Parameter[],
): ExpectedBody {
  const type = contentType?.split(';')[0]?.trim().toLowerCase() ?? '';
  if (operation.requestBody) {
    const body = resolveReference(description, operation.requestBody);
    const media = body.content?.[type] ?? body.content?.['*/*'];
    const schema = media && (media.schema ?? {});
    return { isKnown: true, isRequired: body.required === true, ...(schema ? { schema } : {}) };
  }
  const parameter = parameters.find((candidate) => candidate.in === 'body');
  const form = parameters.filter((candidate) => candidate.in === 'formData');
  if (!parameter && form.length === 0) return { isKnown: false, isRequired: false };
  const consumed = operation.consumes ?? description.consumes ?? ['application/json'];
  const schema = parameter?.schema ?? {
    type: 'object',
    properties: Object.fromEntries(form.map((field) => [field.name, field])),
  };
  return {
    isKnown: true,
    isRequired: parameter !== undefined && isRequired(parameter),
    ...(consumed.includes(type) ? { schema } : {}),
  };
}
