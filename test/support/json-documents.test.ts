import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { commandTable } from '../../src/cli/command-table.ts';
import { linkStatuses } from '../../src/store/link-schema.ts';
import { assertDocument, checkDocument, documentOf, readSchema, schemaDirectory } from './json-documents.ts';

const files = readdirSync(schemaDirectory);

/** Every part of a schema, the outermost first. */
function* listParts(part: unknown): Generator<Readonly<Record<string, unknown>>> {
  if (typeof part !== 'object' || part === null) return;
  yield part as Readonly<Record<string, unknown>>;
  for (const inner of Object.values(part)) yield* listParts(inner);
}

describe('schemas/', () => {
  test('there is one for each document, and none besides', () => {
    const used = new Set([...Object.values(documentOf), 'client-list', 'error']);
    expect(files.sort()).toEqual([...used].map((name) => `${name}.json`).sort());
    const printing = Object.keys(commandTable).filter((name) => !['exec', 'credential'].includes(name));
    expect(Object.keys(documentOf).sort()).toEqual(printing.sort());
  });

  test.each(files)('%s is a closed list, in camelCase, with every field required', (file) => {
    const schema = readSchema(file);
    expect(schema).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object' });
    for (const { properties, required, additionalProperties } of listParts(schema)) {
      if (!Array.isArray(required)) continue;
      expect([required, additionalProperties]).toEqual([Object.keys(properties ?? {}), false]);
      expect(required.filter((name) => !/^[a-z][A-Za-z]*$/.test(String(name)))).toEqual([]);
    }
  });

  test('the states of a link are those that there are', () => {
    const [status] = [...listParts(readSchema('link.json'))].flatMap(({ status: part }) => part ?? []);
    expect(status).toMatchObject({ enum: linkStatuses });
  });
});

describe('a document', () => {
  const finding = { severity: 'info', code: 'x', link: null, subject: 'x', evidence: 'x', fix: 'x' };

  test.each([
    [{ schema: 1, findings: [] }, []],
    [{ schema: 1, findings: [finding] }, []],
    [{ findings: [] }, ['audit.schema is missing']],
    [{ schema: 2, findings: [] }, ['audit.schema is not 1']],
    [{ schema: 1, findings: [], more: 1 }, ['audit.more is not promised']],
    [{ schema: 1, findings: [{ ...finding, fix: null }] }, ['audit.findings[0].fix is not string']],
    [
      { schema: 1, findings: [{ ...finding, severity: 'x' }] },
      [expect.stringContaining('severity is none of')],
    ],
  ])('%j', (document, problems) => {
    expect(checkDocument('audit', document)).toEqual(problems);
  });

  test('of a link is looked up in the file that has it', () => {
    expect(checkDocument('list', { schema: 1, links: [{}] })).toContain('list.links[0].id is missing');
  });

  test.each([
    ['{"schema":1,"findings":[]}', 0, null],
    ['{"error":{"code":"usage","message":"x","hint":null}}', 2, null],
    ['', 2, 'printed no single JSON document'],
    ['{"schema":1,"findings":[]}\n{}', 0, 'printed no single JSON document'],
    ['{"schema":1,"findings":[]}', 4, 'has no error document'],
    ['{"error":{"code":"usage","message":"x","hint":null}}', 0, 'has an error document'],
    ['{"error":{"code":"usage","message":"x"}}', 2, 'error.error.hint is missing'],
  ])('%s with exit code %i', (stdout, exitCode, problem) => {
    const check = () => assertDocument(['audit', '--json'], { stdout, exitCode });
    if (problem === null) expect(check).not.toThrow();
    else expect(check).toThrow(problem);
  });
});
