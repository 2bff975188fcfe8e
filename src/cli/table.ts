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
  const fitted = fitColumns(columns, rows, output.columns);
  const headers = fitted.map(({ column, width }) => pad(column.header, width));
  output.data(styles.faint(headers.join(gap).trimEnd()));
  const last = fitted.length - 1;
  rows.forEach((row, rowIndex) => {
    const toLine = (texts: readonly string[]): string =>
      fitted
        .map(({ column, width }, index) => {
          const text = pad(texts[index] ?? '', width);
          return (column.style?.(row, styles) ?? ((each: string) => each))(text);
        })
        .join(gap)
        .trimEnd();
    const texts = fitted.map(({ cells }) => cells[rowIndex] ?? '');
    const [begin = '', ...rest] = breakText(texts[last] ?? '', fitted[last]?.width ?? 0);
    output.data(toLine([...texts.slice(0, last), begin]));
    for (const each of rest) output.data(toLine([...texts.slice(0, last).map(() => ''), each]));
  });
}

/** A row for programs: a tab or line end inside a cell would make another cell of it. */
export function toTabbedLine<Row>(columns: readonly Column<Row>[], row: Row): string {
  return columns.map((column) => toPrintable(column.cell(row), Infinity)).join('\t');
}

interface FittedColumn<Row> {
  readonly column: Column<Row>;
  /** Row by row. */
  readonly cells: readonly string[];
  readonly least: number;
  width: number;
}

/** Gives each column what it needs; where that is too much, some are left out, and the widest give way. */
function fitColumns<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  available: number,
): readonly FittedColumn<Row>[] {
  const fitted = columns.map((column): FittedColumn<Row> => {
    const cells = rows.map((row) => toPrintable(column.cell(row)));
    const width = cells.reduce((widest, cell) => Math.max(widest, measure(cell)), measure(column.header));
    return { column, cells, least: Math.max(column.least ?? 4, measure(column.header)), width };
  });
  const total = (widthOf: (each: FittedColumn<Row>) => number): number =>
    fitted.reduce((sum, each) => sum + widthOf(each), gap.length * (fitted.length - 1));
  while (total(({ width, least }) => Math.min(width, least)) > available) {
    const dispensable = fitted.findLastIndex(({ column }) => column.isDispensable);
    if (dispensable < 0) break;
    fitted.splice(dispensable, 1);
  }
  while (total(({ width }) => width) > available) {
    const spare = fitted.map(({ width, least }) => width - least);
    const widest = fitted[spare.indexOf(Math.max(...spare))];
    if (!widest || widest.width <= widest.least) break;
    widest.width -= 1;
  }
  return fitted;
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
