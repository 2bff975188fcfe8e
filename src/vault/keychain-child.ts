/**
 * The process that may get stuck in the keychain: gitlink's commands start it, talk to it in lines of JSON over its
 * standard input and output, and kill it when it is too late. It logs nothing.
 */
import { endByForce } from './forced-end.ts';
import { readKeychainEntry, removeKeychainEntry, writeKeychainEntry } from './keychain-entry.ts';
import type { KeychainReply, KeychainRequest } from './keychain-process.ts';
import { createLineSplitter } from './lines.ts';
import { VaultError } from './vault.ts';

let queue = Promise.resolve();

// Ctrl-C reaches the whole process group. The parent decides whether a write may be finished first.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

process.stdin.on(
  'data',
  createLineSplitter((line) => {
    // The parent is this package: its lines need no schema.
    const request = JSON.parse(line) as KeychainRequest;
    queue = queue.then(async () => {
      process.stdout.write(`${JSON.stringify(await answer(request))}\n`);
    });
  }),
);
// The parent is gone. A call that is stuck must not outlive it.
process.stdin.on('end', endByForce);

async function answer(request: KeychainRequest): Promise<KeychainReply> {
  const { id, item } = request;
  try {
    if (request.op === 'read') {
      const value = await readKeychainEntry(item);
      return value === null ? { id, ok: true, absent: true } : { id, ok: true, value };
    }
    if (request.op === 'write') await writeKeychainEntry(item, request.value);
    else await removeKeychainEntry(item);
    return { id, ok: true };
  } catch (error) {
    if (error instanceof VaultError) return { id, ok: false, fault: error.fault, message: error.message };
    return { id, ok: false, fault: 'unavailable', message: 'The keychain process met an unknown fault.' };
  }
}
