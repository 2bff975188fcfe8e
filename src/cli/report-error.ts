import { inspect } from 'node:util';
import { GitlinkError, InternalError, type ErrorCode } from '../errors.ts';
import { toPrintable } from '../printable.ts';
import { redact } from '../redaction.ts';

export interface ErrorReport {
  readonly exitCode: number;
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | null;
  /** Where it happened, for faults of gitlink itself. */
  readonly stack: string | null;
}

/** Turns anything that was thrown into what may be shown: redacted, printable, without library errors. */
export function describeError(error: unknown, argv: readonly string[]): ErrorReport {
  const known = error instanceof GitlinkError ? error : toInternalError(error);
  return {
    exitCode: known.exitCode,
    code: known.code,
    message: clean(known.message, argv),
    hint: known.hint === undefined ? null : clean(known.hint, argv),
    stack: error instanceof GitlinkError ? null : redact(inspectStack(error)),
  };
}

function toInternalError(error: unknown): InternalError {
  const name = error instanceof Error ? error.name : 'something that is no error';
  return new InternalError(`gitlink has a fault (${name}).`, {
    hint: 'Run it again with --verbose, and report what it prints.',
  });
}

/** The stack alone: an error's other fields may hold what a library was given. */
function inspectStack(error: unknown): string {
  return error instanceof Error && error.stack ? error.stack : inspect(error, { depth: 0 });
}

function clean(text: string, argv: readonly string[]): string {
  return toPrintable(redact(hideTokens(text, argv)));
}

/** What is as long and as mixed as a token: no word of gitlink's, and no name that people give to things. */
const tokenLike = /[A-Za-z0-9_+/=]{30,}/g;

/** A token that was put into the arguments by mistake is not repeated on the screen. */
function hideTokens(text: string, argv: readonly string[]): string {
  const found = argv.flatMap((word) => word.match(tokenLike) ?? []);
  return found
    .filter((word) => /\d/.test(word) && /[A-Za-z]/.test(word))
    .reduce((hidden, word) => hidden.replaceAll(word, '[redacted]'), text);
}
