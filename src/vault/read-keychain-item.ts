import { Secret } from '../secret.ts';
import { runWithDeadline } from './deadline.ts';
import { readSecretService } from './secret-service.ts';
import { createKeychainError } from './keychain.ts';

export interface KeychainReadOptions {
  readonly deadlineMs: number;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A read of the keychain that has begun before it is known what is to be read. */
export interface KeychainRead {
  /**
   * Finishes the read, once.
   *
   * @returns `null` if there is no such item.
   * @throws VaultError, at the latest `deadlineMs` after the beginning.
   */
  finish(item: string): Promise<Secret | null>;
  /** Ends a read that is not needed. */
  abandon(): void;
}

/**
 * Begins to read one item of the keychain in this process, for git's helper: starting a child for it would cost 20 to
 * 45 ms, and while the keychain is being reached, the helper reads git's question. On Linux nothing can get stuck and
 * a locked keychain is an error at once: the helper never prompts. Elsewhere the library reads, and after a `timeout`
 * only `endByForce` ends the process.
 */
export function beginKeychainRead(options: KeychainReadOptions): KeychainRead {
  const { env } = options;
  const controller = new AbortController();
  let choose: (item: string) => void = () => undefined;
  const chosen = new Promise<string>((resolve) => (choose = resolve));
  const reading = runWithDeadline({ ...options, controller }, async (signal) => {
    if (process.platform !== 'linux') {
      // On Linux the helper starts without the library, its loader and the hash functions.
      const { readLibraryItem } = await import('./library-items.ts');
      return readLibraryItem(await chosen);
    }
    const items = chosen.then((item) => [item]);
    const { found, locked } = await readSecretService(items, { env, signal });
    if (locked.length > 0) throw createKeychainError('locked', 'The keychain is locked.');
    const [value = null] = found.values();
    return value;
  });
  let isOver = false;
  // Whoever finishes the read is told what went wrong; one that is abandoned interests nobody.
  reading.catch(() => undefined).finally(() => (isOver = true));
  return {
    async finish(item) {
      choose(item);
      const value = await reading;
      return value === null ? null : new Secret(value);
    },
    abandon() {
      if (!isOver) controller.abort(createKeychainError('unavailable', 'The keychain was not needed.'));
    },
  };
}
