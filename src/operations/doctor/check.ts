import type { GitlinkError } from '../../errors.ts';
import type { Records } from '../../store/link-schema.ts';
import type { OperationContext } from '../context.ts';

export type CheckState = 'ok' | 'warning' | 'error';

/** What `doctor` found in one place. */
export interface Check {
  readonly name: string;
  /** `error`: something does not work; `warning`: it works, and should not be as it is. */
  readonly state: CheckState;
  /** A sentence without a full stop. */
  readonly detail: string;
  /**
   * The exact line that mends it, after what somebody has to do at the host first, if anything; null where nothing is
   * to be mended.
   */
  readonly fix: string | null;
  /** The file or folder that it is about, where it is about one. */
  readonly path?: string;
  /** Mends it without a risk of losing anything, and says what was done; absent where that is for a person. */
  readonly mend?: () => Promise<string>;
}

/** What the checks work with. */
export interface Doctor {
  readonly context: OperationContext;
  /** Null where the records cannot be read: then nothing may be judged, let alone removed, by them. */
  readonly records: Records | null;
  /** What git shall call, from `chooseHelperCommand`. */
  readonly helper: string;
}

/** The line for what `doctor` itself mends. */
export const mendingLine = 'gitlink doctor --fix';

/** What a process that is still at work may have left behind counts as left behind only after so long. */
export const leftoverAgeMs = 10 * 60 * 1000;

export function sound(name: string, detail: string): Check {
  return { name, state: 'ok', detail, fix: null };
}

/** An error's sentence as a detail. */
export function toDetail({ message }: GitlinkError): string {
  return message.replace(/\.$/, '');
}

/** `1 secret`, `3 secrets`. */
export function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`;
}
