import { fstatSync, writeSync } from 'node:fs';
import type { TextSink } from './runtime.ts';

/**
 * Writes to standard output or standard error without Node's stream, which costs three milliseconds to open
 * for a pipe. Where the other end is slow, the stream takes over. Where it is gone (`gitlink list | head`), the
 * work goes on without it: what it does at the host is not to be left half done.
 *
 * @param descriptor - 1 or 2.
 */
export function createTextSink(descriptor: 1 | 2): TextSink {
  const openStream = (): NodeJS.WriteStream => (descriptor === 1 ? process.stdout : process.stderr);
  let isTerminal: boolean | undefined;
  let isStreamNeeded = false;
  let isClosed = false;
  let hasWritten = false;
  let fault: string | null = null;

  function close(error: unknown): void {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    isClosed = true;
    if (code !== 'EPIPE') fault = code;
  }

  return {
    get fault() {
      return fault;
    },
    get hasWritten() {
      return hasWritten;
    },
    get isTTY() {
      isTerminal ??= isTerminalDescriptor(descriptor);
      return isTerminal;
    },
    get columns() {
      return this.isTTY ? openStream().columns : undefined;
    },
    write(text) {
      hasWritten = true;
      let bytes = typeof text === 'string' ? Buffer.from(text, 'utf8') : Buffer.from(text);
      while (!isStreamNeeded && !isClosed && bytes.length > 0) {
        try {
          bytes = bytes.subarray(writeSync(descriptor, bytes));
        } catch (error) {
          if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') {
            isStreamNeeded = true;
            openStream().on('error', close);
          } else {
            close(error);
          }
        }
      }
      if (bytes.length > 0 && !isClosed) openStream().write(bytes);
    },
    drain() {
      if (!isStreamNeeded || isClosed) return Promise.resolve();
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
