/**
 * Writes JSON so that it keeps every character of the data and still cannot disturb a terminal: what JSON
 * itself leaves alone (DEL, C1 controls, line separators, bidirectional controls) is escaped too.
 */
export function stringifyForTerminal(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character === '\n'
      ? character
      : [...Array(character.length).keys()]
          .map((index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`)
          .join(''),
  );
}
