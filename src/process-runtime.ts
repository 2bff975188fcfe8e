import { CancelledError, exitCodes } from './errors.ts';
import { reportEnd, run } from './main.ts';
import { systemClock, systemRandom, type Runtime } from './runtime.ts';
import { createTextSink, isTerminalDescriptor } from './text-sink.ts';

/** After the first Ctrl-C work under way may end; after the second nothing is waited for. */
const exitCodeOfInterrupt = 130;

/**
 * Runs gitlink in this process and ends it: the exit code is the result, and no idle connection or timer keeps
 * the process alive.
 */
export async function runProcess(argv: readonly string[]): Promise<void> {
  const runtime = createProcessRuntime(argv);
  const exitCode = await run(argv, runtime);
  await Promise.all([runtime.stdout.drain(), runtime.stderr.drain()]);
  const { fault } = runtime.stdout;
  if (fault !== null) runtime.stderr.write(`gitlink: Standard output cannot be written: ${fault}.\n`);
  process.exit(fault !== null && exitCode === exitCodes.done ? exitCodes.internal : exitCode);
}

function createProcessRuntime(argv: readonly string[]): Runtime {
  const { env, platform } = process;
  const stdout = createTextSink(1);
  const getSignal = listenForSignals(() => reportEnd(argv, { stdout }));
  return {
    stdout,
    stderr: createTextSink(2),
    isInputTerminal: isTerminalDescriptor(0),
    openInput: () => process.stdin,
    openErrorStream: () => process.stderr,
    env,
    platform,
    workingDirectory: process.cwd(),
    clock: systemClock,
    random: systemRandom,
    fetch: (input, init) => globalThis.fetch(input, init),
    get signal() {
      return getSignal();
    },
  };
}

/** The signal is made at its first use or with the first Ctrl-C: most commands end before either. */
function listenForSignals(onSecond: () => void): () => AbortSignal {
  let controller: AbortController | undefined;
  const getController = (): AbortController => (controller ??= new AbortController());
  process.on('SIGINT', () => {
    if (controller?.signal.aborted) {
      onSecond();
      process.exit(exitCodeOfInterrupt);
    }
    getController().abort(new CancelledError());
  });
  for (const name of ['SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => getController().abort(new CancelledError('Stopped.', { bySigterm: true })));
  }
  return () => getController().signal;
}
