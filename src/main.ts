import { stringifyForTerminal } from './cli/json-text.ts';
import { runProgram } from './cli/program.ts';
import { describeError } from './cli/report-error.ts';
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

function report(error: unknown, argv: readonly string[], runtime: Runtime): number {
  // What a signal stopped is reported as stopped, whatever broke on the way down.
  const cause: unknown = runtime.signal.aborted ? runtime.signal.reason : error;
  const { exitCode, code, message, hint, stack } = describeError(cause, argv);
  // What comes after two hyphens is the command line of another program.
  const own = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  if (own.includes('--json')) {
    runtime.stdout.write(`${stringifyForTerminal({ error: { code, message, hint } })}\n`);
  }
  runtime.stderr.write(`gitlink: ${message}\n`);
  if (hint !== null) runtime.stderr.write(`  ${hint}\n`);
  if (stack !== null && own.includes('--verbose')) runtime.stderr.write(`${stack}\n`);
  return exitCode;
}
