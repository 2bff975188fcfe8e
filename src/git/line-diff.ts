/**
 * Shows how a configuration file changes: the lines that go and come, after `- ` and `+ `, and before them the header
 * of their section, after two spaces.
 *
 * @returns No lines where nothing changes.
 */
export function diffLines(before: string, after: string): string[] {
  const old = splitLines(before);
  const now = splitLines(after);
  const start = countCommonLines(old, now);
  const end = countCommonLines(old.slice(start).reverse(), now.slice(start).reverse());
  const oldMiddle = old.slice(start, old.length - end);
  const nowMiddle = now.slice(start, now.length - end);
  const diff: string[] = [];
  let header = old.slice(0, start).findLast(isHeader);
  for (const [mark, line] of alignLines(oldMiddle, nowMiddle)) {
    if (mark === ' ') {
      if (isHeader(line)) header = line;
      continue;
    }
    // A header that comes or goes stands for itself.
    if (header !== undefined && !isHeader(line)) diff.push(`  ${header}`);
    header = undefined;
    diff.push(`${mark} ${line}`);
  }
  return diff;
}

function splitLines(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

function isHeader(line: string): boolean {
  return line.trimStart().startsWith('[');
}

function countCommonLines(a: readonly string[], b: readonly string[]): number {
  const difference = a.findIndex((line, index) => line !== b[index]);
  return difference === -1 ? a.length : difference;
}

/** The shortest way from one text to the other, by the longest common subsequence of their lines. */
function alignLines(old: readonly string[], now: readonly string[]): [mark: ' ' | '-' | '+', line: string][] {
  const common = measureCommonLines(old, now);
  const aligned: [' ' | '-' | '+', string][] = [];
  let i = 0;
  let j = 0;
  while (i < old.length || j < now.length) {
    const left = old[i];
    const right = now[j];
    if (left !== undefined && left === right) {
      aligned.push([' ', left]);
      i += 1;
      j += 1;
    } else if (left !== undefined && (right === undefined || common(i + 1, j) >= common(i, j + 1))) {
      aligned.push(['-', left]);
      i += 1;
    } else if (right !== undefined) {
      aligned.push(['+', right]);
      j += 1;
    }
  }
  return aligned;
}

function measureCommonLines(
  old: readonly string[],
  now: readonly string[],
): (i: number, j: number) => number {
  const width = now.length + 1;
  const lengths = new Uint32Array((old.length + 1) * width);
  const at = (i: number, j: number) => lengths[i * width + j] ?? 0;
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = now.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] =
        old[i] === now[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  return at;
}
