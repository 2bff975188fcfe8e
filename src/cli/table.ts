import { toPrintable } from '../printable.ts';
import type { Output } from './output.ts';
import type { Styles } from './styles.ts';

export interface Column<Row> {
  readonly header: string;
  /** The cell's text; made safe to print here. */
  readonly cell: (row: Row) => string;
  /** How the cell is coloured, where it is. */
  readonly style?: (row: Row, styles: Styles) => (text: string) => string;
  /** The least width before other columns must give way, in characters. */
  readonly least?: number;
}

const gap = '  ';

/**
 * Prints rows: for people as a table that fits the terminal, for programs one line a row, cells separated by
 * tabs, complete and without a header.
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
  const cells = rows.map((row) => columns.map((column) => toPrintable(column.cell(row))));
  const widths = fitWidths(columns, cells, output.columns);
  const headers = columns.map((column, index) => pad(column.header, widths[index] ?? 0));
  output.data(styles.faint(headers.join(gap).trimEnd()));
  rows.forEach((row, rowIndex) => {
    const line = columns.map((column, index) => {
      const text = pad(cells[rowIndex]?.[index] ?? '', widths[index] ?? 0);
      return (column.style?.(row, styles) ?? ((each: string) => each))(text);
    });
    output.data(line.join(gap).trimEnd());
  });
}

/** A row for programs: a tab or line end inside a cell would make another cell of it. */
export function toTabbedLine<Row>(columns: readonly Column<Row>[], row: Row): string {
  return columns.map((column) => toPrintable(column.cell(row), Infinity)).join('\t');
}

/** Gives each column what it needs; where that is too much, the widest give way first. */
function fitWidths<Row>(
  columns: readonly Column<Row>[],
  cells: readonly (readonly string[])[],
  available: number,
): number[] {
  const widths = columns.map((column, index) =>
    cells.reduce((widest, row) => Math.max(widest, measure(row[index] ?? '')), measure(column.header)),
  );
  const least = columns.map((column) => Math.max(column.least ?? 4, measure(column.header)));
  const total = (): number => widths.reduce((sum, width) => sum + width, gap.length * (widths.length - 1));
  while (total() > available) {
    const spare = widths.map((width, index) => width - (least[index] ?? 0));
    const widest = spare.indexOf(Math.max(...spare));
    if ((spare[widest] ?? 0) <= 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
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

/** East Asian Wide and Fullwidth (UAX #11), rather more than fewer: too wide a cell breaks the table. */
const wide =
  /[\p{Emoji_Presentation}\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{16fe0}-\u{1b2fb}\u{1d300}-\u{1d376}\u{1f200}-\u{1f265}\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** The columns that a text takes on a terminal: wide characters two, combining ones none. */
export function measure(text: string): number {
  let width = 0;
  for (const character of text) {
    if (/\p{M}/u.test(character)) continue;
    width += wide.test(character) ? 2 : 1;
  }
  return width;
}
