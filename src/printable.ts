/**
 * Characters that can move the cursor, hide or reorder text on a terminal: controls (C0, DEL, C1), line and
 * paragraph separators, format characters (bidirectional controls, zero-width, tags), lone surrogates, blank letters.
 *
 * Text, not a literal: V8 builds the classes of Unicode wherever it reads a literal that names them, used or not,
 * and git's helper would spend a third of a millisecond on them with every fetch.
 */
const unsafeClass = String.raw`[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\u115F\u1160\u3164\uFFA0]`;
let unsafeCharacters: RegExp | undefined;

const visibleAscii = /^[\x20-\x7e]*$/;

const defaultLengthLimit = 500;

/**
 * Makes a string from a provider, a repository or the user safe to show on a terminal: one line, normalised,
 * unsafe characters as visible escapes, capped in length.
 *
 * @param text - What to show.
 * @param lengthLimit - The most characters to show; a longer text ends in `…`.
 */
export function toPrintable(text: string, lengthLimit = defaultLengthLimit): string {
  if (text.length <= lengthLimit && visibleAscii.test(text)) return text;
  // Cut first: a server may send megabytes, and normalising them costs time.
  const head = text.length > lengthLimit * 4 ? text.slice(0, lengthLimit * 4) : text;
  const safe = head.normalize('NFC').replace(findUnsafeCharacters(), toEscape);
  const characters = [...safe];
  return characters.length > lengthLimit ? `${characters.slice(0, lengthLimit - 1).join('')}…` : safe;
}

/** Whether a text holds a character that a person does not see, or that some program takes for the end of a line. */
export function hasUnsafeCharacter(text: string): boolean {
  return !visibleAscii.test(text) && text.search(findUnsafeCharacters()) >= 0;
}

function findUnsafeCharacters(): RegExp {
  return (unsafeCharacters ??= new RegExp(unsafeClass, 'gu'));
}

function toEscape(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code <= 0xff ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}
