import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { StorageError } from '../errors.ts';
import { emptyBudget, type Budget, type BudgetState, type RateWindow } from '../http/budget.ts';
import { ensurePrivateDirectory, readPrivateFile, writePrivateFile } from './private-files.ts';
import type { WithLock } from './process-lock.ts';

export interface BudgetFileOptions {
  readonly stateDirectory: string;
  /** Names what the host counts by: the same for all who share one limit, different for others. */
  readonly key: string;
  readonly withLock: WithLock;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Hosts count by the hour; a little more is for their clocks. */
const longestClosureMs = 65 * 60_000;
/** What is found beyond it was written by a clock that was wrong, or is. */
const longestFutureMs = 5 * 60_000;

/**
 * Shares a host's limits between the processes of the user, in a small file that changes under a lock. Nothing is
 * written as long as the host has no limit in sight, and a reader that finds no file is done.
 *
 * Without a state directory that works every process goes by what it knows itself: politeness is no reason to fail.
 */
export function createBudgetFile({ stateDirectory, key, withLock, now }: BudgetFileOptions): Budget {
  const name = `budget-${createHash('sha256').update(key).digest('hex').slice(0, 16)}`;
  const path = join(stateDirectory, `${name}.json`);
  let state = emptyBudget;
  let seen = '';

  function refresh(): void {
    const version = findVersion(path);
    if (version === seen) return;
    seen = version;
    state = version === '' ? emptyBudget : readState(path, now());
  }

  return {
    read() {
      refresh();
      return state;
    },
    async change(work) {
      try {
        return await withLock(name, () => {
          refresh();
          const [after, result] = work(state);
          if (after !== state) keep(after);
          return Promise.resolve(result);
        });
      } catch (error) {
        if (!(error instanceof StorageError)) throw error;
        const [after, result] = work(state);
        state = after;
        return result;
      }
    },
  };

  function keep(after: BudgetState): void {
    ensurePrivateDirectory(stateDirectory);
    writePrivateFile(path, JSON.stringify({ version: 1, writtenAt: now(), ...after } satisfies StoredBudget));
    state = after;
    seen = findVersion(path);
  }
}

interface StoredBudget extends BudgetState {
  readonly version: 1;
  readonly writtenAt: number;
}

/** Every write makes a new file, so that this tells one from the next; empty for none. */
function findVersion(path: string): string {
  try {
    const status = statSync(path, { throwIfNoEntry: false });
    return status ? `${status.ino} ${status.mtimeMs} ${status.size}` : '';
  } catch {
    return '';
  }
}

/** It may be thrown away at any time, so one that cannot be read counts as none. */
function readState(path: string, now: number): BudgetState {
  try {
    const stored = JSON.parse(readPrivateFile(path)?.toString('utf8') ?? '') as Partial<StoredBudget>;
    if (stored.version !== 1 || !isTime(stored.writtenAt)) return emptyBudget;
    if (stored.writtenAt > now + longestFutureMs) return emptyBudget;
    // One wrong answer must not close a host for longer than any real limit lasts.
    const latest = stored.writtenAt + longestClosureMs;
    const window = isWindow(stored.window) && stored.window.resetAt <= latest ? stored.window : null;
    return {
      closedUntil: isTime(stored.closedUntil) ? Math.min(stored.closedUntil, latest) : 0,
      window,
      starts: readStarts(stored.starts),
    };
  } catch {
    return emptyBudget;
  }
}

function readStarts(starts: unknown): BudgetState['starts'] {
  if (typeof starts !== 'object' || starts === null) return {};
  const entries = Object.entries(starts).filter((entry): entry is [string, number[]] => {
    const [, times] = entry as [string, unknown];
    return Array.isArray(times) && times.every(isTime);
  });
  return Object.fromEntries(entries);
}

function isWindow(value: unknown): value is RateWindow {
  if (typeof value !== 'object' || value === null) return false;
  const { remaining, most, resetAt, nextAt } = value as Partial<RateWindow>;
  return [remaining, most, resetAt, nextAt].every(isTime);
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
