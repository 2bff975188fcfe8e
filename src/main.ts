import { stringifyForTerminal } from './cli/json-text.ts';
import { runProgram } from './cli/program.ts';
import { describeError } from './cli/report-error.ts';
import { CancelledError } from './errors.ts';
import type { Runtime } from './runtime.ts';

/**
 * Runs gitlink. The one place where anything thrown ends.
 *
 * @param argv - The arguments, without Node and the script.
 * @returns The exit code.
 */
export async function run(argv: readonly string[], runtime: Runtime): Promise<number> {
  try {
    const { exitCode } = await runProgram(argv, runtime);
    return exitCode;
  } catch (error) {
    return report(error, argv, runtime);
  }
}

/** What ends at once, at the second Ctrl-C, still leaves one document where one was asked for. */
export function reportEnd(argv: readonly string[], { stdout }: Pick<Runtime, 'stdout'>): void {
  if (!hasFlag(argv, '--json') || stdout.hasWritten) return;
  const { code, message } = new CancelledError();
  stdout.write(`${stringifyForTerminal({ error: { code, message, hint: null } })}\n`);
}

/** What comes after two hyphens is the command line of another program. */
function hasFlag(argv: readonly string[], flag: '--json' | '--verbose'): boolean {
  const own = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  return own.includes(flag);
}

function report(error: unknown, argv: readonly string[], runtime: Runtime): number {
  // What a signal stopped is reported as stopped, whatever broke on the way down.
  const cause: unknown = runtime.signal.aborted ? runtime.signal.reason : error;
  const { exitCode, code, message, hint, stack } = describeError(cause, argv);
  if (hasFlag(argv, '--json')) {
    runtime.stdout.write(`${stringifyForTerminal({ error: { code, message, hint } })}\n`);
  }
  runtime.stderr.write(`gitlink: ${message}\n`);
  if (hint !== null) runtime.stderr.write(`  ${hint}\n`);
  if (stack !== null && hasFlag(argv, '--verbose')) runtime.stderr.write(`${stack}\n`);
  return exitCode;
}
