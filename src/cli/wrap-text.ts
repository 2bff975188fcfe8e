import { measure } from './text-width.ts';

const leastWidth = 20;

/** Breaks a text for people into lines of so many columns; a terminal that is too narrow breaks them again. */
export function wrapText(text: string, columns: number): readonly string[] {
  return breakText(text, Math.max(leastWidth, columns));
}

/** Breaks a text into lines that are no wider, between words where there are any. */
export function breakText(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((each) => splitWord(each, width))) {
    if (line !== '' && measure(line) + 1 + measure(word) > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/** A path or a name may be longer than a line. */
function splitWord(word: string, width: number): string[] {
  if (measure(word) <= width) return [word];
  const parts: string[] = [];
  let part = '';
  for (const character of word) {
    if (measure(part + character) > width) {
      parts.push(part);
      part = '';
    }
    part += character;
  }
  return [...parts, part];
}
