import { ForbiddenError } from '../errors.ts';

/**
 * The error for what a host says is not there, where it says the same of what the account may not see.
 *
 * @param what - A repository, a namespace, or something of theirs, in the words of a person.
 */
export function createHiddenError(what: string): ForbiddenError {
  return new ForbiddenError(`The account no longer sees ${what}, if it is still there.`);
}
