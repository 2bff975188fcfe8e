import { toPrintable } from '../printable.ts';
import type { Reporter } from '../operations/context.ts';
import type { TextSink } from '../runtime.ts';
import type { Output } from './output.ts';
import type { Styles } from './styles.ts';

export interface TerminalReporter extends Reporter {
  /** Takes the status line away, before anything else is printed and at the end. */
  clear(): void;
}

const eraseLine = '\r\u001b[2K';

/**
 * Shows what operations say: lines on standard error, and on a terminal one status line that is replaced by
 * the next.
 */
export function createTerminalReporter(
  stderr: TextSink,
  output: Output,
  styles: Styles,
  isQuiet: boolean,
): TerminalReporter {
  const showsStatus = stderr.isTTY && !isQuiet;
  let isStatusShown = false;

  function clear(): void {
    if (isStatusShown) stderr.write(eraseLine);
    isStatusShown = false;
  }

  return {
    clear,
    note(line) {
      clear();
      output.talk(toPrintable(line));
    },
    warn(line) {
      clear();
      output.talk(`${styles.doubtful('Warning:')} ${toPrintable(line)}`);
    },
    status(text) {
      if (!showsStatus) return;
      const limit = Math.max(20, (stderr.columns || 80) - 1);
      stderr.write(`${eraseLine}${styles.faint(toPrintable(text, limit))}`);
      isStatusShown = true;
    },
  };
}
