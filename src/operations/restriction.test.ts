import { expect, test } from 'vitest';
import type { Restriction } from '../store/link-schema.ts';
import { allows, isSameOrBelow } from './restriction.ts';

/** Looks like `k`, and lower case makes it one. */
const kelvinSign = '\u212a';

test.each([
  ['acme', 'acme', true],
  ['Acme', 'aCME', true],
  ['acme/tools', 'acme', true],
  ['acme', 'acme/tools', false],
  ['acme-tools', 'acme', false],
  [`${kelvinSign}it`, 'kit', false],
  [`${kelvinSign}it/tools`, 'kit', false],
])('%s lies in %s: %s', (namespace, other, isInside) => {
  expect(isSameOrBelow(namespace, other)).toBe(isInside);
});

test('C6: a project whose name only looks like an allowed one is outside', () => {
  const restriction: Restriction = { mode: 'restricted', namespaces: ['acme/kit'], repositories: [] };
  const repository = { id: '1', fullName: 'acme/api' };
  expect(allows(restriction, { ...repository, project: 'acme/Kit' })).toBe(true);
  expect(allows(restriction, { ...repository, project: `acme/${kelvinSign}it` })).toBe(false);
});
