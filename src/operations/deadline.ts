import { UnreachableError } from '../errors.ts';
import type { OperationContext } from './context.ts';

/**
 * Gives work that asks a host a deadline.
 *
 * @param work - Gets a signal that fires at the deadline, and when the command is stopped.
 * @param asked - Who is asked, as the message begins.
 * @throws UnreachableError at the deadline.
 */
export async function withDeadline<T>(
  context: Pick<OperationContext, 'signal'>,
  deadlineMs: number,
  work: (signal: AbortSignal) => Promise<T>,
  asked = 'It',
): Promise<T> {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(new UnreachableError(`${asked} did not answer within ${deadlineMs / 1000} s.`));
  }, deadlineMs);
  const signal = AbortSignal.any([context.signal, controller.signal]);
  try {
    return await work(signal);
  } finally {
    clearTimeout(timer);
  }
}
