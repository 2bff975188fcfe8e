/** What went wrong, in the words of the `--json` error document. */
export type ErrorCode =
  | 'internal'
  | 'usage'
  | 'auth'
  | 'notFound'
  | 'forbidden'
  | 'unsupported'
  | 'unreachable'
  | 'rateLimited'
  | 'storage'
  | 'cancelled';

/** The public table of exit codes. 3 (partly failed, findings) is a result and not an error. */
export const exitCodes = {
  done: 0,
  internal: 1,
  usage: 2,
  partial: 3,
  auth: 4,
  notFound: 5,
  forbidden: 6,
  unsupported: 6,
  unreachable: 7,
  rateLimited: 7,
  storage: 8,
  cancelled: 130,
  terminated: 143,
} as const;

export interface ErrorDetails {
  /** What the person can type or do next. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/**
 * The base of every expected failure. `message` is a sentence for people that says what happened and why; it
 * never holds a secret, a header, a body or a query string.
 */
export abstract class GitlinkError extends Error {
  abstract readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.hint = details.hint;
  }

  get exitCode(): number {
    return exitCodes[this.code];
  }
}

/** A fault of gitlink itself. */
export class InternalError extends GitlinkError {
  readonly code = 'internal';
}

/** Flags or arguments that cannot be understood, or an answer needed where there is no terminal. */
export class UsageError extends GitlinkError {
  readonly code = 'usage';
}

/** The credential is missing, wrong, expired or revoked; or signing in was denied or abandoned. */
export class AuthError extends GitlinkError {
  readonly code = 'auth';
}

/** There is no such link, client, repository or namespace. */
export class NotFoundError extends GitlinkError {
  readonly code = 'notFound';
}

/** A restriction, a missing scope or role, or single sign-on stands in the way. */
export class ForbiddenError extends GitlinkError {
  readonly code = 'forbidden';
}

/** The host cannot do this; the hint says what it can. */
export class UnsupportedError extends GitlinkError {
  readonly code = 'unsupported';
}

/** Network, time-out, a proxy's page or a broken answer. Says nothing about the credential. */
export class UnreachableError extends GitlinkError {
  readonly code = 'unreachable';
}

/** Something answered that is no API of a Git host: a web page, broken JSON, a redirect to elsewhere. */
export class ForeignAnswerError extends UnreachableError {}

/** The host asked to be left alone for longer than this command may wait. */
export class RateLimitError extends GitlinkError {
  readonly code = 'rateLimited';
}

/** The secret store or gitlink's own files cannot be used. */
export class StorageError extends GitlinkError {
  readonly code = 'storage';
}

/** The person, or a signal, stopped the command. */
export class CancelledError extends GitlinkError {
  readonly code = 'cancelled';
  private readonly bySigterm: boolean;

  constructor(message = 'Stopped.', details: ErrorDetails & { readonly bySigterm?: boolean } = {}) {
    super(message, details);
    this.bySigterm = details.bySigterm ?? false;
  }

  override get exitCode(): number {
    return this.bySigterm ? exitCodes.terminated : exitCodes.cancelled;
  }
}

/** The command was stopped after what it makes was kept: that stands, and only what comes after it was not done. */
export class StoppedLateError extends CancelledError {}

/**
 * Lets only a failure pass that may be told as the outcome of one step, while the others go on.
 *
 * @throws the error itself where it is a fault of gitlink, or the person who stopped the command.
 */
export function assertTellable(error: unknown): asserts error is GitlinkError {
  if (!(error instanceof GitlinkError) || error.code === 'cancelled') throw error;
}

/** Whether a host refused a credential. */
export function isAuthError(error: unknown): error is GitlinkError {
  return error instanceof GitlinkError && error.code === 'auth';
}
