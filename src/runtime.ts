import { join } from 'node:path';

/** Time, so that tests can own it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds of a clock that never jumps. */
  monotonic(): number;
  /**
   * Waits.
   * @throws the signal's reason when it fires first.
   */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
}

export interface Random {
  bytes(length: number): Buffer;
  uuid(): string;
  /** A number from 0 up to 1, for jitter. */
  fraction(): number;
}

/** Where gitlink keeps its files. */
export interface Directories {
  /** Links, clients, settings and the encrypted file. */
  readonly config: string;
  /** Usage, journals, caches and lock ids. */
  readonly state: string;
}

/** A place to write to. Node's own streams are opened only where they are needed: that takes milliseconds. */
export interface TextSink {
  readonly isTTY: boolean;
  /** The width of the terminal, where it is one. */
  readonly columns: number | undefined;
  write(text: string | Uint8Array): void;
  /** Whether anything was written. */
  readonly hasWritten: boolean;
  /** Resolves when everything has left this process. */
  drain(): Promise<void>;
  /** Why not everything could be written, as the system names it; null for a reader that went away on its own. */
  readonly fault: string | null;
}

/** Everything that the program takes from the machine. */
export interface Runtime {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  /** Whether standard input is a terminal. */
  readonly isInputTerminal: boolean;
  /** Standard input as a stream, opened by the first call. */
  openInput(): NodeJS.ReadStream;
  /** Standard error as a stream, for prompts. */
  openErrorStream(): NodeJS.WriteStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  readonly workingDirectory: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly fetch: typeof globalThis.fetch;
  /** Fires on Ctrl-C and SIGTERM, with the `CancelledError` as its reason. */
  readonly signal: AbortSignal;
}

/** Node's modules that only some commands need are loaded at their first use: each would cost every start. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (durationMs, signal) => {
    const { setTimeout: delay } = process.getBuiltinModule('node:timers/promises');
    try {
      await delay(durationMs, undefined, signal ? { signal } : {});
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  },
};

export const systemRandom: Random = {
  bytes: (length) => process.getBuiltinModule('node:crypto').randomBytes(length),
  uuid: () => process.getBuiltinModule('node:crypto').randomUUID(),
  fraction: () => Math.random(),
};

/**
 * Finds gitlink's directories by the conventions of the platform.
 *
 * @param env - The environment: `GITLINK_CONFIG_DIR`, `XDG_CONFIG_HOME`, `XDG_STATE_HOME`, `APPDATA`, `LOCALAPPDATA`.
 * @param platform - As `process.platform`.
 * @param configOverride - The value of `--config-dir`; the state then lives inside it, so that one folder holds all.
 */
export function findDirectories(
  env: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform,
  configOverride?: string,
): Directories {
  const override = configOverride ?? env['GITLINK_CONFIG_DIR'];
  if (override) return { config: override, state: join(override, 'state') };
  const home = env['HOME'] || process.getBuiltinModule('node:os').homedir();
  if (platform === 'win32') {
    const roaming = env['APPDATA'] || join(home, 'AppData', 'Roaming');
    const local = env['LOCALAPPDATA'] || join(home, 'AppData', 'Local');
    return { config: join(roaming, 'gitlink'), state: join(local, 'gitlink', 'state') };
  }
  if (platform === 'darwin') {
    return {
      config: join(home, 'Library', 'Preferences', 'gitlink'),
      state: join(home, 'Library', 'Application Support', 'gitlink'),
    };
  }
  return {
    config: join(env['XDG_CONFIG_HOME'] || join(home, '.config'), 'gitlink'),
    state: join(env['XDG_STATE_HOME'] || join(home, '.local', 'state'), 'gitlink'),
  };
}
