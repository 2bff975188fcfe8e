import { GitlinkError, type ErrorCode } from '../errors.ts';
import { HostAnswerError } from '../http/host-answer-error.ts';

/** The host took a part of a change and refused the rest: nobody may take that for a refusal of the whole. */
export class PartialChangeError extends GitlinkError {
  readonly code: ErrorCode;

  constructor(refusal: HostAnswerError) {
    super(refusal.message, { hint: refusal.hint, cause: refusal });
    this.code = refusal.code;
  }
}

/**
 * Does what follows a request that the host has taken, as parts of one change.
 *
 * @throws PartialChangeError in place of a refusal.
 */
export async function afterChange<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof HostAnswerError ? new PartialChangeError(error) : error;
  }
}
