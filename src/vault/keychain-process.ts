import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { ItemStore } from './chunked-items.ts';
import { createKeychainError } from './keychain.ts';
import { createLineSplitter } from './lines.ts';
import type { VaultFault } from './vault.ts';

export type KeychainOperation =
  | { readonly op: 'read' | 'remove'; readonly item: string }
  | { readonly op: 'write'; readonly item: string; readonly value: string };

export type KeychainRequest = KeychainOperation & { readonly id: number };

export type KeychainReply =
  | { readonly id: number; readonly ok: true; readonly value?: string; readonly absent?: true }
  | { readonly id: number; readonly ok: false; readonly fault: VaultFault; readonly message: string };

/** The killable child through which commands use the keychain library. */
export interface KeychainProcess {
  /**
   * The platform's items. Several calls may be under way.
   *
   * @param signal - Kills the child and ends every call with its reason.
   */
  items(signal: AbortSignal): ItemStore;
  /** Kills the child if there is one. */
  close(): void;
}

export interface KeychainProcessOptions {
  /** The bundled `keychain-child.js`. */
  readonly childPath: string;
  /** Node. */
  readonly execPath: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

interface PendingOperation {
  readonly resolve: (value: string | null) => void;
  readonly reject: (error: Error) => void;
}

/** What a keychain needs of the environment. Nothing else is passed on: neither `NODE_OPTIONS` nor any secret. */
const passedOn =
  /^(?:HOME|USER|LOGNAME|PATH|LANG|LC_\w+|TMPDIR|DISPLAY|WAYLAND_DISPLAY|XAUTHORITY|DBUS_SESSION_BUS_ADDRESS|XDG_\w+|__CF_USER_TEXT_ENCODING|SYSTEMROOT|WINDIR|USERPROFILE|USERNAME|USERDOMAIN|APPDATA|LOCALAPPDATA|TEMP|TMP)$/i;

/** Prepares a child that is started by the first operation and serves until it is closed, and dies with this process. */
export function createKeychainProcess(options: KeychainProcessOptions): KeychainProcess {
  const waiting = new Map<number, PendingOperation>();
  let child: ChildProcess | undefined;
  let lastId = 0;
  return { items, close };

  function items(signal: AbortSignal): ItemStore {
    return {
      read: (item) => run({ op: 'read', item }, signal),
      write: async (item, value) => {
        await run({ op: 'write', item, value }, signal);
      },
      remove: async (item) => {
        await run({ op: 'remove', item }, signal);
      },
    };
  }

  async function run(operation: KeychainOperation, signal: AbortSignal): Promise<string | null> {
    signal.throwIfAborted();
    signal.addEventListener('abort', onAbort);
    try {
      return await new Promise((resolve, reject) => {
        const id = ++lastId;
        waiting.set(id, { resolve, reject });
        child ??= start();
        child.stdin?.write(`${JSON.stringify({ ...operation, id } satisfies KeychainRequest)}\n`);
      });
    } finally {
      signal.removeEventListener('abort', onAbort);
    }

    function onAbort(): void {
      end(signal.reason as Error);
    }
  }

  function close(): void {
    end(createKeychainError('unavailable', 'The keychain is closed.'));
  }

  function start(): ChildProcess {
    const started = spawn(...toCommand(options), {
      env: Object.fromEntries(Object.entries(options.env).filter(([name]) => passedOn.test(name))),
      stdio: ['pipe', 'pipe', 'ignore'],
      windowsHide: true,
    });
    started.on('error', () => {
      if (started === child)
        end(createKeychainError('unavailable', 'The keychain process cannot be started.'));
    });
    started.on('exit', () => {
      if (started === child)
        end(createKeychainError('unavailable', 'The keychain process ended unexpectedly.'));
    });
    started.stdin.on('error', () => undefined); // A child that died says so by its exit.
    started.stdout.on('data', createLineSplitter(settle));
    // Whoever waits for an answer holds a timer; an idle child must not keep a command from ending.
    started.unref();
    for (const stream of [started.stdin, started.stdout]) (stream as Socket).unref();
    process.on('exit', kill);
    return started;
  }

  function end(reason: Error): void {
    kill();
    process.off('exit', kill);
    child = undefined;
    for (const { reject } of waiting.values()) reject(reason);
    waiting.clear();
  }

  function kill(): void {
    child?.kill('SIGKILL');
  }

  function settle(line: string): void {
    // The keychain library writes to standard output when it cannot understand the answer to a prompt.
    if (!line.startsWith('{')) return;
    const reply = JSON.parse(line) as KeychainReply; // The child is this package.
    const pending = waiting.get(reply.id);
    waiting.delete(reply.id);
    if (reply.ok) pending?.resolve(reply.value ?? null);
    else pending?.reject(createKeychainError(reply.fault, reply.message));
  }
}

/** Starts the child without the right to dump core where a shell can take it away: Node cannot. */
function toCommand({ execPath, childPath }: KeychainProcessOptions): [string, string[]] {
  if (process.platform === 'win32') return [execPath, [childPath]];
  return ['/bin/sh', ['-c', 'ulimit -c 0; exec "$0" "$@"', execPath, childPath]];
}
