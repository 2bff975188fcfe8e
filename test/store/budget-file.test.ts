import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { closeUntil, emptyBudget, takeStart, type Budget } from '../../src/http/budget.ts';
import { systemClock, systemRandom } from '../../src/runtime.ts';
import { createBudgetFile } from '../../src/store/budget-file.ts';
import { createProcessLocks } from '../../src/store/process-lock.ts';

const at = Date.UTC(2026, 10, 20);

function createDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'gitlink-budget-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A budget as another process would open it. */
function openBudget(stateDirectory: string, key = 'https://git.acme.dev user:7', now = () => at): Budget {
  const withLock = createProcessLocks({
    stateDirectory,
    clock: systemClock,
    random: systemRandom,
    platform: process.platform,
    command: 'test',
    waitLimitMs: 10_000,
  });
  return createBudgetFile({ stateDirectory, key, withLock, now });
}

const close = (budget: Budget, until: number): Promise<void> =>
  budget.change((state) => [closeUntil(state, until), undefined]);

function findFile(directory: string): string {
  const name = readdirSync(directory).find((each) => /^budget-[0-9a-f]{16}\.json$/.test(each));
  return join(directory, name ?? 'none');
}

describe('a budget in a file', () => {
  test('F3: what one process learns the others know at once, and only those with the same key', async () => {
    const directory = createDirectory();
    const [one, two] = [openBudget(directory), openBudget(directory)];
    const other = openBudget(directory, 'https://git.acme.dev user:8');
    expect(two.read()).toEqual(emptyBudget);
    await close(one, at + 60_000);
    expect(two.read().closedUntil).toBe(at + 60_000);
    await close(two, at + 90_000);
    expect(one.read().closedUntil).toBe(at + 90_000);
    await close(one, at + 30_000);
    expect(two.read().closedUntil).toBe(at + 90_000);
    expect(other.read()).toEqual(emptyBudget);
  });

  test('F3: of many who take at the same time as many get something as there is', async () => {
    const directory = createDirectory();
    const limit = { name: 'writes', perHour: 5, leastIntervalMs: 0 };
    const taken = await Promise.all(
      Array.from({ length: 12 }, () => openBudget(directory).change((state) => takeStart(state, limit, at))),
    );
    expect(taken.filter((startAt) => startAt === null)).toHaveLength(5);
    expect(taken.filter((startAt) => startAt === at + 3_600_000)).toHaveLength(7);
  });

  test('nothing is written as long as there is nothing to share', async () => {
    const directory = createDirectory();
    const budget = openBudget(directory);
    budget.read();
    await budget.change((state) => [state, undefined]);
    expect(existsSync(findFile(directory))).toBe(false);
  });

  test.each([
    ['no JSON', '{"version":1,'],
    ['another version', JSON.stringify({ version: 2, writtenAt: at, closedUntil: at + 9_000 })],
    ['a list', '[]'],
    [
      'numbers that are none',
      `{"version":1,"writtenAt":${at},"closedUntil":"soon","window":{"remaining":null}}`,
    ],
    [
      'a clock that has gone back',
      JSON.stringify({ version: 1, writtenAt: at + 86_400_000, closedUntil: 9e15 }),
    ],
  ])('%s counts as nothing known, and is replaced', async (_what, content) => {
    const directory = createDirectory();
    await close(openBudget(directory), at + 1_000);
    writeFileSync(findFile(directory), content);
    const budget = openBudget(directory);
    expect(budget.read()).toEqual(emptyBudget);
    await close(budget, at + 2_000);
    expect(openBudget(directory).read().closedUntil).toBe(at + 2_000);
  });

  test('without a directory that can be used it serves its own process', async () => {
    const directory = createDirectory();
    const file = join(directory, 'file');
    writeFileSync(file, '');
    const budget = openBudget(join(file, 'state'));
    await close(budget, at + 1_000);
    expect(budget.read().closedUntil).toBe(at + 1_000);
  });
});
