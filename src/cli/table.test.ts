import { expect, test } from 'vitest';
import type { Output } from './output.ts';
import { plainStyles } from './styles.ts';
import { printTable, type Column } from './table.ts';
import { measure } from './text-width.ts';

interface Row {
  readonly name: string;
  readonly method: string;
  readonly reason: string;
}

const columns: readonly Column<Row>[] = [
  { header: 'NAME', cell: ({ name }) => name, least: 10 },
  { header: 'METHOD', cell: ({ method }) => method, least: 6, isDispensable: true },
  { header: 'REASON', cell: ({ reason }) => reason, least: 12 },
];

const refusal = 'the host answered 422: the address of the webhook is not allowed';

function print(rows: readonly Row[], width: number): string[] {
  const lines: string[] = [];
  const output = { isTerminal: true, columns: width, data: (line: string) => lines.push(line) };
  printTable(output as unknown as Output, plainStyles, columns, rows);
  return lines;
}

test('a reason that does not fit goes on below, whole', () => {
  const lines = print([{ name: 'acme/api', method: 'oauth', reason: refusal }], 40);
  expect(lines).toEqual([
    'NAME      METHOD  REASON',
    'acme/api  oauth   the host answered 422:',
    '                  the address of the',
    '                  webhook is not allowed',
  ]);
});

test('a column that can be missed goes before the others are cut to nothing', () => {
  const lines = print([{ name: 'a-very-long-name', method: 'oauth', reason: refusal }], 28);
  expect(lines[0]).toBe('NAME          REASON');
  expect(lines[1]).toBe('a-very-long…  the host');
  expect(lines.map(measure).filter((width) => width > 28)).toEqual([]);
});

test('wide letters and words longer than their column keep the width', () => {
  const reason = `${'漢字'.repeat(20)} ${'x'.repeat(50)}`;
  const lines = print([{ name: '漢字漢字漢字漢字', method: 'token', reason }], 40);
  expect(lines.map(measure).filter((width) => width > 40)).toEqual([]);
  expect(lines.join('').replaceAll(' ', '')).toContain('x'.repeat(20));
});
