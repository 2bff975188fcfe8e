import type { ItemStore } from '../../src/vault/chunked-items.ts';

/** A keychain in memory that refuses what is too long, as Windows does, and can die at a chosen step. */
export interface MemoryItems extends ItemStore {
  readonly values: ReadonlyMap<string, string>;
  /** Steps that changed something since it was last set to 0. */
  changes: number;
  /** The change at which every further call fails, as if the process had been killed. */
  dieAt: number;
}

export function createMemoryItems(lengthLimit: number): MemoryItems {
  const values = new Map<string, string>();
  const items: MemoryItems = {
    values,
    changes: 0,
    dieAt: Infinity,
    read: (item) => Promise.resolve(values.get(item) ?? null),
    write: (item, value) => {
      if (value.length > lengthLimit) return Promise.reject(new Error('too long for the platform'));
      return change(() => values.set(item, value));
    },
    remove: (item) => change(() => values.delete(item)),
  };
  return items;

  function change(work: () => void): Promise<void> {
    if (items.changes >= items.dieAt) return Promise.reject(new Error('killed'));
    items.changes++;
    work();
    return Promise.resolve();
  }
}
