import { fstatSync, writeSync } from 'node:fs';
import type { TextSink } from './runtime.ts';

/**
 * Writes to standard output or standard error without Node's stream, which costs three milliseconds to open
 * for a pipe. Where the other end is slow, or gone, the stream takes over.
 *
 * @param descriptor - 1 or 2.
 */
export function createTextSink(descriptor: 1 | 2): TextSink {
  const openStream = (): NodeJS.WriteStream => (descriptor === 1 ? process.stdout : process.stderr);
  let isTerminal: boolean | undefined;
  let isStreamNeeded = false;

  return {
    get isTTY() {
      isTerminal ??= isTerminalDescriptor(descriptor);
      return isTerminal;
    },
    get columns() {
      return this.isTTY ? openStream().columns : undefined;
    },
    write(text) {
      let bytes = typeof text === 'string' ? Buffer.from(text, 'utf8') : Buffer.from(text);
      while (!isStreamNeeded && bytes.length > 0) {
        try {
          bytes = bytes.subarray(writeSync(descriptor, bytes));
        } catch (error) {
          if (error instanceof Error && 'code' in error && error.code === 'EPIPE') process.exit(0);
          isStreamNeeded = true;
        }
      }
      if (bytes.length > 0) openStream().write(bytes);
    },
    drain() {
      if (!isStreamNeeded) return Promise.resolve();
      return new Promise((resolve) => {
        openStream().write('', () => resolve());
      });
    },
  };
}

/** Asks the terminal module only about what can be one: loading it takes time. */
export function isTerminalDescriptor(descriptor: number): boolean {
  try {
    if (!fstatSync(descriptor).isCharacterDevice()) return false;
  } catch {
    // Closed: there is nothing to write to.
    return false;
  }
  return process.getBuiltinModule('node:tty').isatty(descriptor);
}
