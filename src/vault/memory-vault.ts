import type { Secret } from '../secret.ts';
import type { Vault } from './vault.ts';

/**
 * The secrets that the environment gave to this process tree. What is written goes with the process: a token that was
 * minted for it, a secret that somebody supplied.
 */
export function createMemoryVault(items: ReadonlyMap<string, Secret>): Vault {
  const held = new Map(items);
  return {
    storage: 'env',
    check: () => Promise.resolve(),
    read(names) {
      const found = names.flatMap((name) => {
        const secret = held.get(name);
        return secret === undefined ? [] : [[name, secret] as const];
      });
      return Promise.resolve(new Map(found));
    },
    write(item, secret) {
      held.set(item, secret);
      return Promise.resolve();
    },
    remove(item) {
      held.delete(item);
      return Promise.resolve();
    },
    list: () => Promise.resolve([...held.keys()]),
  };
}
