import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The part of JSON Schema 2020-12 that the schemas of gitlink use; another keyword is a mistake. */
interface DocumentSchema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly items?: DocumentSchema;
  readonly properties?: Readonly<Record<string, DocumentSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: false;
  readonly $defs?: Readonly<Record<string, DocumentSchema>>;
}

export const schemaDirectory = resolve(import.meta.dirname, '../../schemas');

const keywords: ReadonlySet<string> = new Set([
  ...['$schema', '$ref', '$defs', 'title', 'description', 'type', 'const', 'enum', 'pattern', 'format'],
  ...['minimum', 'items', 'properties', 'required', 'additionalProperties'],
]);

/** The document of each command; `exec` and `credential` print what is not theirs. */
export const documentOf: Readonly<Record<string, string>> = {
  link: 'link',
  list: 'list',
  show: 'link',
  restrict: 'link',
  repos: 'repos',
  'regenerate-webhooks': 'regenerate-webhooks',
  'webhook-secret': 'webhook-secret',
  relink: 'link',
  rotate: 'link',
  rename: 'link',
  unlink: 'unlink',
  token: 'token',
  'setup-git': 'setup-git',
  explain: 'explain',
  client: 'client',
  config: 'config',
  audit: 'audit',
  doctor: 'doctor',
  completion: 'completion',
};

/**
 * Checks that a run with `--json` printed exactly one document, of the form that `schemas/` promises.
 *
 * @throws Error saying what is wrong. Runs that promise no document pass: no `--json`, help, what a signal cut off.
 */
export function assertDocument(
  args: readonly string[],
  { exitCode, stdout }: { readonly exitCode: number | null; readonly stdout: string },
): void {
  const own = args.includes('--') ? args.slice(0, args.indexOf('--')) : args;
  if (!own.includes('--json') || exitCode === null) return;
  if (own.some((word) => ['--help', '-h', '--version', '-V', 'help'].includes(word))) return;
  const command = own.find((word, index) => !word.startsWith('-') && own[index - 1] !== '--config-dir') ?? '';
  // What another program, git or a shell reads there is no document of ours.
  if (['exec', 'credential', '__complete'].includes(command)) return;
  const line = `gitlink ${args.join(' ')} (exit ${exitCode})`;
  const document = parseDocument(line, stdout);
  const isError = typeof document === 'object' && document !== null && 'error' in document;
  const isFailure = exitCode !== 0 && exitCode !== 3 && !(command === 'doctor' && exitCode === 1);
  if (isError !== isFailure) throw new Error(`${line} ${isError ? 'has an' : 'has no'} error document.`);
  const problems = checkDocument(isError ? 'error' : chooseSchema(command, own), document);
  if (problems.length > 0) throw new Error(`${line}: ${problems.join('; ')}.`);
}

function parseDocument(line: string, stdout: string): unknown {
  try {
    return JSON.parse(stdout);
  } catch {
    throw new Error(`${line} printed no single JSON document, but: ${JSON.stringify(stdout.slice(0, 200))}`);
  }
}

function chooseSchema(command: string, args: readonly string[]): string {
  if (command === 'client' && args.includes('list')) return 'client-list';
  const name = documentOf[command];
  if (name === undefined) throw new Error(`No schema is named for the command "${command}".`);
  return name;
}

/** Compares a value with the schema of a name; returns what does not fit. */
export function checkDocument(name: string, value: unknown): readonly string[] {
  const file = `${name}.json`;
  return check({ file, what: name }, value, readSchema(file));
}

const schemas = new Map<string, DocumentSchema>();

export function readSchema(file: string): DocumentSchema {
  const known = schemas.get(file);
  if (known) return known;
  const schema = JSON.parse(readFileSync(join(schemaDirectory, file), 'utf8')) as DocumentSchema;
  schemas.set(file, schema);
  return schema;
}

interface Place {
  /** The file that references without a file mean. */
  readonly file: string;
  readonly what: string;
}

function check({ file, what }: Place, value: unknown, schema: DocumentSchema): readonly string[] {
  const unknown = Object.keys(schema).find((keyword) => !keywords.has(keyword));
  if (unknown !== undefined) throw new Error(`${file} uses "${unknown}", which nobody checks.`);
  if (schema.$ref !== undefined) return checkReference({ file, what }, value, schema.$ref);
  const { properties, items } = schema;
  const problems = checkValue(what, value, schema);
  if (problems.length > 0 || typeof value !== 'object' || value === null) return problems;
  if (Array.isArray(value)) {
    return items === undefined
      ? []
      : value.flatMap((item, index) => check({ file, what: `${what}[${index}]` }, item, items));
  }
  const missing = (schema.required ?? []).filter((name) => !(name in value));
  return [
    ...missing.map((name) => `${what}.${name} is missing`),
    ...Object.entries(value).flatMap(([name, item]) => {
      const property = properties?.[name];
      if (property) return check({ file, what: `${what}.${name}` }, item, property);
      return schema.additionalProperties === false ? [`${what}.${name} is not promised`] : [];
    }),
  ];
}

function checkReference(place: Place, value: unknown, reference: string): readonly string[] {
  const [, file = '', name = ''] = /^([\w-]+\.json)?#\/\$defs\/(\w+)$/.exec(reference) ?? [];
  const target = file || place.file;
  const schema = readSchema(target).$defs?.[name];
  if (!schema) throw new Error(`${place.file} refers to ${reference}, which is not there.`);
  return check({ ...place, file: target }, value, schema);
}

function checkValue(what: string, value: unknown, schema: DocumentSchema): readonly string[] {
  const types = typeof schema.type === 'string' ? [schema.type] : schema.type;
  if (types && !types.some((type) => isOfType(value, type))) return [`${what} is not ${types.join(' or ')}`];
  if ('const' in schema && value !== schema.const) return [`${what} is not ${String(schema.const)}`];
  if (schema.enum && !schema.enum.includes(value)) return [`${what} is none of ${schema.enum.join(', ')}`];
  if (typeof value === 'number' && value < (schema.minimum ?? -Infinity)) return [`${what} is too small`];
  if (typeof value !== 'string') return [];
  if (schema.pattern !== undefined && !new RegExp(schema.pattern, 'u').test(value)) {
    return [`${what} does not match ${schema.pattern}`];
  }
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value);
  return schema.format === 'date-time' && !isTime ? [`${what} is no time in UTC`] : [];
}

function isOfType(value: unknown, type: string): boolean {
  if (type === 'null') return value === null;
  if (type === 'array') return Array.isArray(value);
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  return typeof value === type;
}
