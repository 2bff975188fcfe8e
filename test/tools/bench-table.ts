/** One measure of the bench. */
export interface Row {
  readonly what: string;
  /** What was measured, as a multiple of what it is measured by. */
  readonly ratio: number;
  /** The most that the ratio may be; null where nothing is promised. */
  readonly bar: number | null;
  readonly detail: string;
}

/** The middle one of some durations. */
export function findMedian(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** A measure that may be so large at most: its ratio is the part of that which was used. */
export function toLimitRow(what: string, value: number, limit: number, unit: 'ms' | 'MB' | 'calls'): Row {
  const digits = unit === 'calls' ? 2 : 0;
  const detail = `${value.toFixed(digits)} of ${limit.toFixed(digits)} ${unit}`;
  return { what, ratio: value / limit, bar: 1, detail };
}

export function printRow({ what, ratio, bar, detail }: Row): void {
  const verdict = bar === null ? '' : ratio <= bar ? `meets ${bar}` : `MISSES ${bar}`;
  const line = `${ratio.toFixed(2).padStart(6)}  ${verdict.padEnd(12)}  ${what.padEnd(56)}  ${detail}\n`;
  process.stdout.write(line);
}
