import { expect, it } from 'vitest';
import { diffLines } from './line-diff.ts';

it('shows what comes and goes below the header of its section', () => {
  const before = '[core]\n\tx = 1\n[credential "a"]\n\thelper = store\n\tusername = mona\n';
  const after = '[core]\n\tx = 1\n[credential "a"]\n\thelper = \n\thelper = gitlink\n\tusername = mona\n';
  expect(diffLines(before, after)).toEqual([
    '  [credential "a"]',
    '- \thelper = store',
    '+ \thelper = ',
    '+ \thelper = gitlink',
  ]);
});

it('shows a new section without an old header', () => {
  expect(diffLines('[core]\n\tx = 1\n', '[core]\n\tx = 1\n[a]\n\tb = c\n')).toEqual(['+ [a]', '+ \tb = c']);
});

it('names each of several sections', () => {
  const before = '[a]\n\tx = 1\n[b]\n\ty = 1\n';
  expect(diffLines(before, '[a]\n\tx = 2\n[b]\n\ty = 2\n')).toEqual([
    '  [a]',
    '- \tx = 1',
    '+ \tx = 2',
    '  [b]',
    '- \ty = 1',
    '+ \ty = 2',
  ]);
});

it('shows nothing where nothing changes, and everything of a new file', () => {
  expect(diffLines('[a]\n\tx = 1\n', '[a]\n\tx = 1\n')).toEqual([]);
  expect(diffLines('', '[a]\n')).toEqual(['+ [a]']);
  expect(diffLines('[a]\n', '')).toEqual(['- [a]']);
  expect(diffLines('a\na\n', 'a\n')).toEqual(['- a']);
});

it('accounts for every line that comes or goes', () => {
  for (let seed = 0; seed < 500; seed += 1) {
    const lines = (offset: number) =>
      Array.from({ length: (seed * 7 + offset) % 6 }, (_, i) => `l${(seed * 31 + i * 17 + offset * 5) % 4}`);
    const [before, after] = [lines(1), lines(3)];
    const diff = diffLines(before.join('\n'), after.join('\n'));
    const count = (mark: string, line: string) => diff.filter((entry) => entry === `${mark} ${line}`).length;
    for (const line of new Set([...before, ...after])) {
      const had = before.filter((entry) => entry === line).length;
      const has = after.filter((entry) => entry === line).length;
      expect(has - had).toBe(count('+', line) - count('-', line));
    }
  }
});
