import type { TextSink } from '../runtime.ts';
import { stringifyForTerminal } from './json-text.ts';

/** Where a command's data and talk go. */
export interface Output {
  /** Whether exactly one JSON document is wanted on standard output. */
  readonly isJson: boolean;
  /** Whether standard output is a terminal. */
  readonly isTerminal: boolean;
  /** How many columns a table may take. */
  readonly columns: number;
  /** Data: one line on standard output. */
  data(line: string): void;
  /** Data: the command's JSON document. */
  document(value: object): void;
  /** Talk: one line on standard error, unless `--quiet`. */
  talk(line: string): void;
}

export interface OutputOptions {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  readonly isJson: boolean;
  readonly isQuiet: boolean;
}

const usualColumns = 80;

export function createOutput({ stdout, stderr, isJson, isQuiet }: OutputOptions): Output {
  return {
    isJson,
    get isTerminal() {
      return stdout.isTTY;
    },
    get columns() {
      return stdout.columns || usualColumns;
    },
    data(line) {
      if (!isJson) stdout.write(`${line}\n`);
    },
    document(value) {
      if (isJson) stdout.write(`${stringifyForTerminal({ schema: 1, ...value })}\n`);
    },
    talk(line) {
      if (!isQuiet) stderr.write(`${line}\n`);
    },
  };
}
