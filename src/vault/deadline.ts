import { createKeychainError } from './keychain.ts';

export interface DeadlineOptions {
  readonly deadlineMs: number;
  /** Called once when the keychain keeps us waiting, so that a terminal can say so. */
  readonly onWaiting?: (() => void) | undefined;
  /**
   * Ends the call with its reason, but only once the keychain keeps us waiting: a write that goes through is never
   * cut off by Ctrl-C.
   */
  readonly signal?: AbortSignal | undefined;
  /** Ends the work at any time, with the reason that it is given. */
  readonly controller?: AbortController;
}

const patienceMs = 1500;

/**
 * Gives work on the keychain a deadline. Its promise settles in time even if the work's never does.
 *
 * @param work - Gets a signal that fires at the deadline, to let go of what it holds.
 * @throws VaultError `timeout`, or the reason of `options.signal`.
 */
export async function runWithDeadline<T>(
  options: DeadlineOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { deadlineMs, onWaiting, signal: cancellation } = options;
  const { controller = new AbortController() } = options;
  const deadline = setTimeout(() => {
    const seconds = Math.round(deadlineMs / 100) / 10;
    controller.abort(createKeychainError('timeout', `The keychain did not answer within ${seconds} s.`));
  }, deadlineMs);
  const patience = setTimeout(() => {
    onWaiting?.();
    cancellation?.addEventListener('abort', cancel, { once: true });
    if (cancellation?.aborted) cancel();
  }, patienceMs);
  try {
    return await Promise.race([work(controller.signal), rejectOnAbort(controller.signal)]);
  } finally {
    clearTimeout(deadline);
    clearTimeout(patience);
    cancellation?.removeEventListener('abort', cancel);
  }

  function cancel(): void {
    controller.abort(cancellation?.reason);
  }
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(signal.reason as Error);
    });
  });
}
