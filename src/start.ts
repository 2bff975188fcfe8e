import { version } from './cli/version.ts';
import { enableOwnCompileCache } from './compile-cache.ts';

/**
 * Starts gitlink in this process. The version is what scripts ask most, so it is answered before anything else
 * is loaded.
 *
 * @param argv - The arguments, without Node and the script.
 */
export async function start(argv: readonly string[]): Promise<void> {
  if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
    process.stdout.write(`${version}\n`);
    return;
  }
  enableOwnCompileCache();
  const { runProcess } = await import('./process-runtime.ts');
  await runProcess(argv);
}
