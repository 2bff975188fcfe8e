import { tryQuickList } from './cli/quick-list.ts';
import { enableOwnCompileCache } from './compile-cache.ts';
import type { TextSink } from './runtime.ts';
import { createTextSink } from './text-sink.ts';
import { version } from './version.ts';

/**
 * What starts first: it answers what scripts ask all the time before anything else is loaded.
 *
 * @param argv - The arguments, without Node and the script.
 * @returns Whether nothing is left to do; else the program proper is to be loaded.
 */
export function start(argv: readonly string[]): boolean {
  const stdout = createTextSink(1);
  if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
    stdout.write(`${version}\n`);
    return isWritten(stdout);
  }
  if (tryQuickList(argv, process.env, stdout)) return isWritten(stdout);
  enableOwnCompileCache();
  return false;
}

/** A disk that is full, or the like, is the program proper's to report: it answers again. */
function isWritten({ fault }: TextSink): boolean {
  return fault === null;
}
