/** The part of a schema in Swagger 2.0 and OpenAPI 3 that is read here. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly allOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly nullable?: boolean;
  readonly 'x-nullable'?: boolean;
}

/** An official description, Swagger 2.0 or OpenAPI 3. */
export interface Description {
  readonly consumes?: readonly string[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Compares a value with its schema; returns what does not fit, in words that begin with `what`. */
export function checkValue(
  description: Description,
  what: string,
  value: unknown,
  given: Schema,
): readonly string[] {
  const schema = resolveReference(description, given);
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices) {
    const outcomes = choices.map((choice) =>
      checkValue(description, what, value, { ...schema, ...choice, ...noChoices }),
    );
    return outcomes.some((outcome) => outcome.length === 0)
      ? []
      : [`${what} fits none of the described forms`];
  }
  if (value === null) return isNullable(schema) ? [] : [`${what} should not be null`];
  if (schema.enum && !schema.enum.includes(value))
    return [`${what} should be one of ${schema.enum.join(', ')}`];
  const type = typeOf(schema);
  if (type !== undefined && !isOfType(value, type)) return [`${what} should be of type ${type}`];
  if (Array.isArray(value)) {
    return value.flatMap((item, index) =>
      checkValue(description, `${what}[${index}]`, item, schema.items ?? {}),
    );
  }
  return isObject(value) ? checkObject(description, what, value, schema) : [];
}

const noChoices = { oneOf: undefined, anyOf: undefined, $ref: undefined } as unknown as Schema;

function checkObject(
  description: Description,
  what: string,
  value: Readonly<Record<string, unknown>>,
  schema: Schema,
): readonly string[] {
  const { properties, required, additional } = collectProperties(description, schema);
  const missing = required.filter((name) => !(name in value)).map((name) => `${what}.${name} is missing`);
  const isOpen = Object.keys(properties).length === 0;
  const wrong = Object.entries(value).flatMap(([name, item]) => {
    const property = properties[name] ?? (typeof additional === 'object' ? additional : undefined);
    if (property) return checkValue(description, `${what}.${name}`, item, property);
    // Without a word on further fields JSON Schema allows them; a typo of ours would pass, so they are not.
    return isOpen || additional === true ? [] : [`unknown field ${what}.${name}`];
  });
  return [...missing, ...wrong];
}

interface CollectedProperties {
  readonly properties: Readonly<Record<string, Schema>>;
  readonly required: readonly string[];
  readonly additional: boolean | Schema | undefined;
}

function collectProperties(description: Description, schema: Schema): CollectedProperties {
  const parts = (schema.allOf ?? []).map((part) =>
    collectProperties(description, resolveReference(description, part)),
  );
  return {
    properties: Object.assign({}, ...parts.map((part) => part.properties), schema.properties) as Record<
      string,
      Schema
    >,
    required: [...parts.flatMap((part) => part.required), ...listRequired(schema)],
    additional:
      schema.additionalProperties ?? parts.find((part) => part.additional !== undefined)?.additional,
  };
}

/** `required` is a list of names on schemas and a flag on parameters, which form fields are. */
function listRequired({ required }: Schema): readonly string[] {
  return typeof required === 'object' ? required : [];
}

function typeOf(schema: Schema): string | undefined {
  if (typeof schema.type === 'string') return schema.type;
  if (schema.type) return schema.type.find((type) => type !== 'null');
  return schema.properties ? 'object' : undefined;
}

function isNullable(schema: Schema): boolean {
  if (schema.nullable === true || schema['x-nullable'] === true) return true;
  return Array.isArray(schema.type) && schema.type.includes('null');
}

function isOfType(value: unknown, type: string): boolean {
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return isObject(value);
  return typeof value === type;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Follows `#/…` references until there is none. */
export function resolveReference<Part extends { readonly $ref?: string }>(
  description: Description,
  part: Part,
): Part {
  let current = part;
  while (current.$ref !== undefined) {
    const found = current.$ref
      .replace(/^#\//, '')
      .split('/')
      .reduce<unknown>(
        (node, key) => (isObject(node) ? node[key.replace(/~1/g, '/').replace(/~0/g, '~')] : undefined),
        description,
      );
    if (!isObject(found)) throw new Error(`The description has no ${current.$ref}.`);
    current = found as unknown as Part;
  }
  return current;
}
