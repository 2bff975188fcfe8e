import { closeSync, constants, openSync, renameSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { InternalError, StorageError, type ErrorDetails } from '../errors.ts';
import type { Clock, Random } from '../runtime.ts';
import { ensurePrivateDirectory, readPrivateFile, writePrivateFile } from './private-files.ts';

/**
 * Runs work while no other process of the user holds the lock of that name.
 *
 * @param waitLimitMs - How long to wait for another holder, in milliseconds, where its work may take longer.
 */
export type WithLock = <T>(name: string, work: () => Promise<T>, waitLimitMs?: number) => Promise<T>;

/** Another process has kept a lock for the whole wait. */
export class LockError extends StorageError {
  /** The process that holds it; null where that is not known. */
  readonly holderPid: number | null;

  constructor(message: string, details: ErrorDetails & { readonly holderPid: number | null }) {
    super(message, details);
    this.holderPid = details.holderPid;
  }
}

export interface ProcessLockOptions {
  readonly stateDirectory: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly platform: NodeJS.Platform;
  /** Told to whoever waits in vain. */
  readonly command: string;
  /** How long to wait for another holder, in milliseconds. */
  readonly waitLimitMs: number;
  /** Ends a wait; asked for only when one begins. */
  readonly getSignal?: () => AbortSignal;
}

/**
 * Locks that the kernel drops when their holder dies, so that there is nothing stale to judge: on Linux an
 * abstract Unix socket, on Windows a named pipe, elsewhere `open` with O_EXLOCK. The name holds a random id
 * from a private file, so that other users cannot guess and hold it.
 *
 * The network module is loaded with the first lock, because commands that only read start faster without it.
 *
 * @returns a function that throws {@link LockError} when the lock stays taken for the whole wait.
 */
export function createProcessLocks(options: ProcessLockOptions): WithLock {
  return async (name, work, waitLimitMs = options.waitLimitMs) => {
    const release = await acquire(name, { ...options, waitLimitMs });
    try {
      return await work();
    } finally {
      await release();
    }
  };
}

type Release = () => Promise<void>;

async function acquire(name: string, options: ProcessLockOptions): Promise<Release> {
  const address = toAddress(name, options);
  const deadline = options.clock.monotonic() + options.waitLimitMs;
  const holderPath = join(options.stateDirectory, `lock-${name}.holder`);
  for (;;) {
    const release = await (address.socket === null ? tryFile(address.file) : tryListen(address.socket));
    if (release !== null) {
      noteHolder(holderPath, options.command);
      return release;
    }
    const remainingMs = deadline - options.clock.monotonic();
    if (remainingMs <= 0) throw busy(name, holderPath, options.waitLimitMs);
    const signal = options.getSignal?.();
    signal?.throwIfAborted();
    await (address.socket === null
      ? options.clock.sleep(Math.min(20, remainingMs), signal)
      : waitForHolder(address.socket, remainingMs, signal));
  }
}

/** Only for the message of whoever waits in vain: the lock itself is in the kernel, and a full disk is no reason to fail. */
function noteHolder(path: string, command: string): void {
  try {
    writePrivateFile(path, `${process.pid} ${command}\n`);
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
  }
}

interface Address {
  readonly socket: string | null;
  readonly file: string;
}

function toAddress(name: string, options: ProcessLockOptions): Address {
  ensurePrivateDirectory(options.stateDirectory);
  const id = readLockId(join(options.stateDirectory, 'lock-id'), options.random);
  const file = join(options.stateDirectory, `lock-${name}`);
  if (options.platform === 'linux') return { socket: fillAddress(`\0gitlink-${id}-${name}`), file };
  if (options.platform === 'win32') return { socket: `\\\\.\\pipe\\gitlink-${id}-${name}`, file };
  return { socket: null, file };
}

/**
 * Node 20 fills the address of an abstract socket with zeros, later ones do not, so that a short name would be
 * two locks. A name that takes all of the address (`sun_path`, unix(7)) is one.
 */
function fillAddress(name: string): string {
  const addressLength = 108;
  if (name.length > addressLength) throw new InternalError('The name of a lock is too long.');
  return name.padEnd(addressLength, '.');
}

/**
 * The random id is made once. It lies in a directory, because renaming a directory over a full one fails: of
 * two processes that make it at the same moment one wins for both, and a crash leaves nothing half made.
 */
function readLockId(directory: string, random: Random): string {
  const path = join(directory, 'id');
  const existing = readId(path);
  if (existing !== null) return existing;
  const candidate = `${directory}.${random.bytes(8).toString('hex')}`;
  ensurePrivateDirectory(candidate);
  writePrivateFile(join(candidate, 'id'), random.bytes(16).toString('hex'));
  try {
    renameSync(candidate, directory);
  } catch {
    rmSync(candidate, { recursive: true, force: true });
  }
  const made = readId(path);
  if (made === null) throw new StorageError(`${path} cannot be made.`);
  return made;
}

function readId(path: string): string | null {
  const id = readPrivateFile(path)?.toString('latin1') ?? null;
  if (id === null || /^[0-9a-f]{32}$/.test(id)) return id;
  throw new StorageError(`${path} is damaged.`, { hint: `Stop every gitlink, then: rm -r ${dirname(path)}` });
}

function tryListen(path: string): Promise<Release | null> {
  return new Promise((resolve, reject) => {
    const { createServer } = process.getBuiltinModule('node:net');
    const waiting = new Set<Socket>();
    const server = createServer((socket) => {
      waiting.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => waiting.delete(socket));
    });
    server.unref();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null);
      else reject(new StorageError(`gitlink cannot lock its files: ${error.code ?? 'unknown error'}.`));
    });
    server.listen(path, () => {
      resolve(
        () =>
          new Promise((done) => {
            server.close(() => done());
            // Those who wait learn of the release by the end of their connection.
            for (const socket of waiting) socket.destroy();
          }),
      );
    });
  });
}

/** Returns when the holder lets go, dies, the time is over, or the command is stopped. */
function waitForHolder(path: string, limitMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const socket = process.getBuiltinModule('node:net').connect(path);
    const timer = setTimeout(finish, limitMs);
    function finish(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', finish);
      socket.destroy();
      resolve();
    }
    signal?.addEventListener('abort', finish);
    socket.on('error', finish);
    socket.on('close', finish);
  });
}

/** macOS and BSD: O_EXLOCK makes the lock part of the open file. Not run on macOS yet. */
const exclusiveLockFlag = 0x20;

function tryFile(path: string): Promise<Release | null> {
  const { O_CREAT, O_NONBLOCK, O_RDWR } = constants;
  try {
    const descriptor = openSync(path, O_RDWR | O_CREAT | O_NONBLOCK | exclusiveLockFlag, 0o600);
    return Promise.resolve(() => {
      closeSync(descriptor);
      return Promise.resolve();
    });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return Promise.resolve(null);
    throw error;
  }
}

function busy(name: string, holderPath: string, waitLimitMs: number): LockError {
  const [pid, ...command] = (readPrivateFile(holderPath)?.toString('utf8') ?? '').trim().split(' ');
  const holder = pid ? `process ${pid} (gitlink ${command.join(' ')})` : 'another gitlink';
  return new LockError(
    `${holder} has held gitlink's ${name} lock for ${Math.round(waitLimitMs / 1000)} seconds.`,
    {
      hint: pid ? `Wait for it, or look at it with: ps -p ${pid}` : 'Wait for it and try again.',
      holderPid: pid && /^\d+$/.test(pid) ? Number(pid) : null,
    },
  );
}
