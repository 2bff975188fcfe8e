import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { bundle, type Bundle } from '../vault/bundle.ts';

/** What each process does under the lock. `tick` writes its number until it is killed. */
const worker = `
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createProcessLocks } from './src/store/process-lock.ts';
import { systemClock, systemRandom } from './src/runtime.ts';
const [stateDirectory, what, waitLimitMs, number] = process.argv.slice(2);
const withLock = createProcessLocks({
  stateDirectory, clock: systemClock, random: systemRandom, platform: process.platform,
  command: what, waitLimitMs: Number(waitLimitMs),
});
const keepAlive = setInterval(() => {}, 1000);
try {
  await withLock('links', async () => {
    console.log('held ' + readFileSync(join(stateDirectory, 'lock-id', 'id'), 'utf8'));
    if (what === 'hold') await new Promise(() => {});
    if (what === 'tick') for (;;) {
      appendFileSync(join(stateDirectory, 'ticks'), number + '\\n');
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  });
  console.log('released');
} catch (error) {
  console.log(error.name + ' ' + error.code + ' ' + error.message);
}
clearInterval(keepAlive);
`;

interface Worker {
  readonly child: ChildProcess;
  /** All lines so far, when one begins so. */
  waitFor(start: string): Promise<string>;
  /** All that it printed, when it has ended. */
  readonly ended: Promise<string>;
}

const nodes = [
  process.execPath,
  ...(process.env['GITLINK_TEST_NODES'] ?? '').split(':').filter((node) => node !== ''),
];

let program: Bundle;
let stateDirectory = '';
const children = new Set<ChildProcess>();

beforeAll(async () => {
  program = await bundle({ text: worker });
});
afterAll(() => program.remove());

beforeEach(() => {
  stateDirectory = mkdtempSync(join(tmpdir(), 'gitlink-lock-'));
});

afterEach(async () => {
  for (const child of children) {
    child.kill('SIGCONT');
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) {
      await new Promise((resolve) => child.once('close', resolve));
    }
  }
  children.clear();
  rmSync(stateDirectory, { recursive: true, force: true });
});

interface Start {
  readonly what: 'hold' | 'once' | 'tick';
  readonly waitLimitMs?: number;
  readonly number?: number;
  readonly node?: string;
}

function start({ what, waitLimitMs = 30_000, number = 0, node = process.execPath }: Start): Worker {
  const args = [program.path, stateDirectory, what, String(waitLimitMs), String(number)];
  const child = spawn(node, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  let text = '';
  const listeners = new Set<() => void>();
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    for (const listener of listeners) listener();
  });
  const ended = new Promise<string>((resolve) => child.once('close', () => resolve(text)));
  return {
    child,
    ended,
    waitFor: (beginning) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const line = text.split('\n').find((each) => each.startsWith(beginning));
          if (line !== undefined) resolve(line);
        };
        listeners.add(look);
        void ended.then(() => reject(new Error(`The worker ended without "${beginning}": ${text}`)));
        look();
      }),
  };
}

describe('B10: the lock', () => {
  test('a waiter gives up in time and names a holder that sleeps, without taking the lock', async () => {
    const holder = start({ what: 'hold' });
    await holder.waitFor('held');
    holder.child.kill('SIGSTOP');
    const startedAt = performance.now();
    const text = await start({ what: 'once', waitLimitMs: 1_000 }).ended;
    expect(performance.now() - startedAt).toBeGreaterThan(1_000);
    expect(text).toBe(
      `Error storage process ${holder.child.pid} (gitlink hold) has held gitlink's links lock for 1 seconds.\n`,
    );
    holder.child.kill('SIGCONT');
  });

  test('a waiter proceeds as soon as the holder is killed', async () => {
    const holder = start({ what: 'hold' });
    await holder.waitFor('held');
    // Stopped, so that it is the kernel that tells the waiter.
    holder.child.kill('SIGSTOP');
    const waiter = start({ what: 'once' });
    await untilWaiting();
    const killedAt = performance.now();
    holder.child.kill('SIGKILL');
    expect(await waiter.ended).toMatch(/^held [0-9a-f]{32}\nreleased\n$/);
    // The bar of 100 ms, and the rest of the process on a busy machine.
    expect(performance.now() - killedAt).toBeLessThan(1_000);
  });

  test('of 40 processes that are killed in turn there are never two holders', async () => {
    const ticks = join(stateDirectory, 'ticks');
    const workers = Array.from({ length: 40 }, (_, number) =>
      start({ what: 'tick', number, waitLimitMs: 60_000 }),
    );
    const left = new Map(
      workers.map((worker, number) => [number, worker.waitFor('held').then(() => ({ worker, number }))]),
    );
    while (left.size > 0) {
      const { worker, number } = await Promise.race(left.values());
      left.delete(number);
      while (!existsSync(ticks) || !readTicks(ticks).includes(number)) await new Promise(setImmediate);
      worker.child.kill('SIGKILL');
    }
    await Promise.all(workers.map((worker) => worker.ended));
    const numbers = readTicks(ticks);
    const turns = numbers.filter((number, index) => number !== numbers[index - 1]);
    // Each had one uninterrupted turn: nobody wrote between two lines of another.
    expect(turns.toSorted((a, b) => a - b)).toEqual(workers.map((_, number) => number));
  });

  test('20 processes that make the first lock id at once make one', async () => {
    const texts = await Promise.all(Array.from({ length: 20 }, () => start({ what: 'once' }).ended));
    const ids = new Set(texts.map((text) => /^held ([0-9a-f]{32})\nreleased\n$/.exec(text)?.[1]));
    expect(ids.size).toBe(1);
    expect(ids).not.toContain(undefined);
    expect(readdirSync(stateDirectory).sort()).toEqual(['lock-id', 'lock-links.holder']);
  });

  test.skipIf(nodes.length < 2)(
    'two Nodes exclude each other (GITLINK_TEST_NODES names others)',
    async () => {
      for (const [mine, others] of nodes.flatMap((a) =>
        nodes.filter((b) => b !== a).map((b) => [a, b] as const),
      )) {
        const holder = start({ what: 'hold', node: mine });
        await holder.waitFor('held');
        const text = await start({ what: 'once', waitLimitMs: 300, node: others }).ended;
        expect(text, `${basename(mine)} against ${others}`).toContain(`process ${holder.child.pid}`);
        holder.child.kill('SIGKILL');
        expect(await start({ what: 'once', node: others }).ended).toContain('released');
      }
    },
  );

  test('a damaged lock id is refused instead of replaced', async () => {
    await start({ what: 'once' }).ended;
    const path = join(stateDirectory, 'lock-id', 'id');
    rmSync(path);
    writeFileSync(path, 'half', { mode: 0o600 });
    expect(await start({ what: 'once' }).ended).toContain('is damaged');
    expect(readFileSync(path, 'utf8')).toBe('half');
  });
});

function readTicks(path: string): number[] {
  return readFileSync(path, 'utf8').trim().split('\n').map(Number);
}

/** Until somebody has connected to the holder: the kernel's list then has the name twice. */
async function untilWaiting(): Promise<void> {
  const id = readFileSync(join(stateDirectory, 'lock-id', 'id'), 'utf8');
  const count = (): number => readFileSync('/proc/net/unix', 'utf8').split(`@gitlink-${id}-links`).length - 1;
  while (count() < 2) await new Promise(setImmediate);
}
