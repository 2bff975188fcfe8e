import { toPrintable } from '../printable.ts';
import type { Output } from './output.ts';
import type { Styles } from './styles.ts';
import { measure } from './text-width.ts';
import { breakText } from './wrap-text.ts';

export interface Column<Row> {
  readonly header: string;
  /** The cell's text; made safe to print here. */
  readonly cell: (row: Row) => string;
  /** How the cell is coloured, where it is. */
  readonly style?: (row: Row, styles: Styles) => (text: string) => string;
  /** The least width before other columns must give way, in characters. */
  readonly least?: number;
  /** Left out where the terminal is too narrow for the least of all columns, the last such column first. */
  readonly isDispensable?: true;
}

const gap = '  ';

/**
 * Prints rows: for people as a table that fits the terminal, for programs one line a row, cells separated by
 * tabs, complete and without a header. What is too long is cut; the last column, where reasons stand, goes on below.
 */
export function printTable<Row>(
  output: Output,
  styles: Styles,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
): void {
  if (!output.isTerminal) {
    for (const row of rows) output.data(toTabbedLine(columns, row));
    return;
  }
  if (rows.length === 0) return;
  const { shown, cells, widths } = fitColumns(columns, rows, output.columns);
  const headers = shown.map((column, index) => pad(column.header, widths[index] ?? 0));
  output.data(styles.faint(headers.join(gap).trimEnd()));
  const last = shown.length - 1;
  rows.forEach((row, rowIndex) => {
    const [begin = '', ...rest] = breakText(cells[rowIndex]?.[last] ?? '', widths[last] ?? 0);
    const toLine = (texts: readonly string[]): string =>
      shown
        .map((column, index) => {
          const text = pad(texts[index] ?? '', widths[index] ?? 0);
          return (column.style?.(row, styles) ?? ((each: string) => each))(text);
        })
        .join(gap)
        .trimEnd();
    output.data(toLine([...(cells[rowIndex] ?? []).slice(0, last), begin]));
    for (const each of rest) output.data(toLine([...shown.slice(0, last).map(() => ''), each]));
  });
}

/** A row for programs: a tab or line end inside a cell would make another cell of it. */
export function toTabbedLine<Row>(columns: readonly Column<Row>[], row: Row): string {
  return columns.map((column) => toPrintable(column.cell(row), Infinity)).join('\t');
}

interface FittedColumns<Row> {
  readonly shown: readonly Column<Row>[];
  /** The texts of the shown columns, row by row. */
  readonly cells: readonly (readonly string[])[];
  readonly widths: readonly number[];
}

/** Gives each column what it needs; where that is too much, the widest give way first. */
function fitColumns<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  available: number,
): FittedColumns<Row> {
  const cells = rows.map((row) => columns.map((column) => toPrintable(column.cell(row))));
  const widths = columns.map((column, index) =>
    cells.reduce((widest, row) => Math.max(widest, measure(row[index] ?? '')), measure(column.header)),
  );
  const gaps = gap.length * (widths.length - 1);
  const least = columns.map((column) => Math.max(column.least ?? 4, measure(column.header)));
  const needed = widths.reduce((sum, width, index) => sum + Math.min(width, least[index] ?? 0), gaps);
  const dispensable = columns.filter(({ isDispensable }) => isDispensable).at(-1);
  if (needed > available && dispensable !== undefined) {
    const others = columns.filter((column) => column !== dispensable);
    return fitColumns(others, rows, available);
  }
  const total = (): number => widths.reduce((sum, width) => sum + width, gaps);
  while (total() > available) {
    const spare = widths.map((width, index) => width - (least[index] ?? 0));
    const widest = spare.indexOf(Math.max(...spare));
    if ((spare[widest] ?? 0) <= 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return { shown: columns, cells, widths };
}

/** Fills or cuts a text to a width on the screen. */
function pad(text: string, width: number): string {
  const missing = width - measure(text);
  if (missing >= 0) return text + ' '.repeat(missing);
  let cut = '';
  for (const character of text) {
    if (measure(cut + character) > width - 1) break;
    cut += character;
  }
  return `${cut}…${' '.repeat(Math.max(0, width - 1 - measure(cut)))}`;
}
