/**
 * Characters that can move the cursor, hide or reorder text on a terminal: controls (C0, DEL, C1), line and
 * paragraph separators, format characters (bidirectional controls, zero-width, tags), lone surrogates, blank letters.
 */
const unsafeCharacters = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\u115F\u1160\u3164\uFFA0]/gu;

const defaultLengthLimit = 500;

/**
 * Makes a string from a provider, a repository or the user safe to show on a terminal: one line, normalised,
 * unsafe characters as visible escapes, capped in length.
 *
 * @param text - What to show.
 * @param lengthLimit - The most characters to show; a longer text ends in `…`.
 */
export function toPrintable(text: string, lengthLimit = defaultLengthLimit): string {
  // Cut first: a server may send megabytes, and normalising them costs time.
  const head = text.length > lengthLimit * 4 ? text.slice(0, lengthLimit * 4) : text;
  const safe = head.normalize('NFC').replace(unsafeCharacters, toEscape);
  const characters = [...safe];
  return characters.length > lengthLimit ? `${characters.slice(0, lengthLimit - 1).join('')}…` : safe;
}

function toEscape(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code <= 0xff ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}
