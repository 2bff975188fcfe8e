import { createHeapGuard } from './small-heap.ts';

/**
 * Works on items as they come, several at a time, and hands on each result as soon as it is there.
 *
 * @param limit - The most items under way.
 * @param work - An error of it ends the iteration; work under way is then awaited first.
 */
export async function* concurrently<Item, Result>(
  items: AsyncIterable<Item> | Iterable<Item>,
  limit: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result, void, undefined> {
  const running = new Map<number, Promise<{ key: number; result: Result }>>();
  let nextKey = 0;
  const guardHeap = createHeapGuard();
  try {
    for await (const item of items) {
      guardHeap();
      const key = nextKey++;
      const working = work(item).then((result) => ({ key, result }));
      // It may fail while the next item is still awaited; its error is met when its turn comes.
      working.catch(() => {});
      running.set(key, working);
      if (running.size >= limit) yield await takeFirst(running);
    }
    while (running.size > 0) yield await takeFirst(running);
  } finally {
    await Promise.allSettled(running.values());
  }
}

async function takeFirst<Result>(
  running: Map<number, Promise<{ key: number; result: Result }>>,
): Promise<Result> {
  const { key, result } = await Promise.race(running.values());
  running.delete(key);
  return result;
}
