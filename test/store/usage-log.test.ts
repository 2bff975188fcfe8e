import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readLastUsage, recordUsage, type UsageEntry } from '../../src/store/usage-log.ts';

let directory = '';
let path = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'gitlink-usage-'));
  path = join(directory, 'usage.jsonl');
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function entry(linkId: string, at: number): UsageEntry {
  return { linkId, at, by: 'git', path: 'ada/site' };
}

describe('usage', () => {
  test('the newest of each link counts, in whatever order it was written', () => {
    expect(readLastUsage(directory).size).toBe(0);
    for (const [id, at] of [
      ['a', 5],
      ['b', 7],
      ['a', 9],
      ['a', 6],
    ] as const)
      recordUsage(directory, entry(id, at));
    expect([...readLastUsage(directory).values()]).toEqual([entry('a', 9), entry('b', 7)]);
  });

  test('a line that a crash cut short is skipped, and the next one is whole', () => {
    recordUsage(directory, entry('a', 1));
    const whole = JSON.stringify(entry('b', 2));
    for (const cut of [1, 10, whole.length - 1]) appendFileSync(path, `\n${whole.slice(0, cut)}`);
    expect([...readLastUsage(directory).keys()]).toEqual(['a']);
    recordUsage(directory, entry('c', 3));
    expect([...readLastUsage(directory).keys()]).toEqual(['a', 'c']);
  });

  test('E12: lines that are no entries do not matter', () => {
    const odd = [{ at: 1e300 }, { at: -1 }, { at: null }, { at: '5' }, { linkId: 7 }, { by: 3 }];
    writeFileSync(path, odd.map((each) => JSON.stringify({ ...entry('a', 5), ...each })).join('\n'), {
      mode: 0o600,
    });
    appendFileSync(path, '\n[}\n{}\nnull}\n\u0000\u0000}');
    expect(readLastUsage(directory).size).toBe(0);
  });

  test('the file is capped, and the newest entries survive', () => {
    const long = { ...entry('old', 1), path: 'x'.repeat(1_000) };
    let largest = 0;
    for (let index = 0; index < 600; index += 1) {
      recordUsage(directory, { ...long, at: index });
      largest = Math.max(largest, statSync(path).size);
    }
    recordUsage(directory, entry('new', 7));
    expect(largest).toBeLessThan(300 * 1024);
    expect(statSync(path).size).toBeLessThan(300 * 1024);
    expect(readLastUsage(directory).get('old')?.at).toBe(599);
    expect(readLastUsage(directory).get('new')?.at).toBe(7);
    for (const line of readFileSync(path, 'utf8').trim().split('\n'))
      expect(() => JSON.parse(line) as unknown).not.toThrow();
  });
});
