import { existsSync } from 'node:fs';

/**
 * Ends this process at once with exit code 0 (or by SIGINT), whatever its other threads are doing. Everything that
 * is to be said must have been written synchronously before.
 *
 * A call into the keychain may never return: a prompt that nobody answers, a service that is stuck. Node joins its
 * thread pool when it exits, so neither `process.exit()` nor aborting the call ends such a process (measured with
 * `@napi-rs/keyring` 2.1.2: still alive after 150 s; nodejs/node#35021). Replacing the process image or dying by a
 * signal does. Git is silent about a helper that exits with 0 or dies by SIGINT, and reports one that dies by SIGKILL.
 */
export function endByForce(): never {
  // `execve` came with Node 22.15 and 23.11, is marked experimental and does not exist on Windows.
  const {
    execve,
  }: NodeJS.Process & { execve?: (file: string, args: readonly string[], env: object) => never } = process;
  if (execve && existsSync('/bin/sh')) execve('/bin/sh', ['sh', '-c', 'exit 0'], {});
  process.removeAllListeners('SIGINT');
  process.kill(process.pid, 'SIGINT');
  // The signal may be delivered to another thread while this one goes on.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}
