import * as nodeFs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { StorageError } from '../errors.ts';

/** The file calls that this module makes, so that tests can make each of them fail. */
export type FileCalls = Pick<
  typeof nodeFs,
  | 'chmodSync'
  | 'closeSync'
  | 'fchmodSync'
  | 'fstatSync'
  | 'fsyncSync'
  | 'lstatSync'
  | 'mkdirSync'
  | 'openSync'
  | 'readSync'
  | 'renameSync'
  | 'rmSync'
  | 'writeSync'
>;

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = nodeFs.constants;
const isWindows = process.platform === 'win32';
const groupAndWorld = 0o077;
const sizeLimitBytes = 64 * 1024 * 1024;

/**
 * Makes a directory that only its owner may enter; one that others may enter is closed to them.
 *
 * @throws StorageError when it belongs to someone else, is no directory, or cannot be made.
 */
export function ensurePrivateDirectory(path: string, files: FileCalls = nodeFs): void {
  try {
    files.mkdirSync(path, { recursive: true, mode: 0o700 });
    const status = files.lstatSync(path);
    if (!status.isDirectory()) throw refusal(path, 'is not a directory');
    if (isWindows) return;
    if (status.uid !== process.geteuid?.()) throw refusal(path, 'belongs to another user');
    if ((status.mode & groupAndWorld) !== 0) files.chmodSync(path, 0o700);
  } catch (error) {
    throw toStorageError(error, `The directory ${path} cannot be used`);
  }
}

/**
 * Reads a file that must be the user's own, private and ordinary. A mode that lets others read is repaired.
 *
 * @returns null when there is no such file.
 * @throws StorageError for a symlink, hard link, FIFO, directory, foreign owner, or a failing disk.
 */
export function readPrivateFile(path: string, files: FileCalls = nodeFs): Buffer | null {
  try {
    // Non-blocking, so that a planted FIFO is refused instead of waited for.
    const descriptor = files.openSync(path, O_RDONLY | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0));
    try {
      const sizeBytes = assertOwnFile(path, descriptor, files);
      if (sizeBytes > sizeLimitBytes) throw refusal(path, 'is far too large');
      return readWhole(descriptor, sizeBytes, files);
    } finally {
      files.closeSync(descriptor);
    }
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw toStorageError(error, `${path} cannot be read`, path);
  }
}

/**
 * Replaces a file so that a crash at any moment leaves the old content or the new: temporary file in the same
 * directory, fsync, rename, fsync of the directory.
 *
 * @throws StorageError when it cannot be written; it then has its old content, or, where only the directory could
 * not be brought to the disk, the new.
 */
export function writePrivateFile(path: string, content: Buffer | string, files: FileCalls = nodeFs): void {
  const bytes = Buffer.from(content);
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.${Date.now().toString(36)}.tmp`);
  try {
    const descriptor = files.openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | (O_NOFOLLOW ?? 0), 0o600);
    try {
      writeWhole(descriptor, bytes, files);
      files.fsyncSync(descriptor);
    } finally {
      files.closeSync(descriptor);
    }
    renameOver(temporary, path, files);
    syncDirectory(dirname(path), files);
  } catch (error) {
    removeQuietly(temporary, files);
    throw toStorageError(error, `${path} cannot be written`);
  }
}

/**
 * Adds bytes to the end of a private file in one write, making the file where there is none.
 *
 * @param durable - Whether the bytes must be on the disk when this returns.
 * @throws StorageError for a file that {@link readPrivateFile} would refuse, or a failing disk.
 */
export function appendPrivateFile(
  path: string,
  content: string,
  { durable }: { readonly durable: boolean },
  files: FileCalls = nodeFs,
): void {
  try {
    const descriptor = files.openSync(
      path,
      O_WRONLY | O_CREAT | nodeFs.constants.O_APPEND | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0),
      0o600,
    );
    try {
      assertOwnFile(path, descriptor, files);
      writeWhole(descriptor, Buffer.from(content), files);
      if (durable) files.fsyncSync(descriptor);
    } finally {
      files.closeSync(descriptor);
    }
  } catch (error) {
    throw toStorageError(error, `${path} cannot be written`, path);
  }
}

/**
 * Refuses what someone else may have planted, and closes a file that others may read.
 *
 * @returns the size in bytes.
 */
function assertOwnFile(path: string, descriptor: number, files: FileCalls): number {
  const status = files.fstatSync(descriptor);
  if (!status.isFile()) throw refusal(path, 'is not an ordinary file');
  if (isWindows) return status.size;
  if (status.uid !== process.geteuid?.()) throw refusal(path, 'belongs to another user');
  if (status.nlink > 1) throw refusal(path, 'has a second name (hard link)');
  if ((status.mode & groupAndWorld) !== 0) files.fchmodSync(descriptor, 0o600);
  return status.size;
}

/** A temporary file that stays is no harm, and no reason to hide why the write failed. */
function removeQuietly(path: string, files: FileCalls): void {
  try {
    files.rmSync(path, { force: true });
  } catch {
    return;
  }
}

function readWhole(descriptor: number, sizeBytes: number, files: FileCalls): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  let offset = 0;
  while (offset < sizeBytes) {
    const count = files.readSync(descriptor, bytes, offset, sizeBytes - offset, offset);
    if (count === 0) break;
    offset += count;
  }
  return bytes.subarray(0, offset);
}

function writeWhole(descriptor: number, bytes: Buffer, files: FileCalls): void {
  let offset = 0;
  while (offset < bytes.length) offset += files.writeSync(descriptor, bytes, offset, bytes.length - offset);
}

/** Windows refuses to rename over a file that a virus scanner or another reader holds for a moment. */
function renameOver(from: string, to: string, files: FileCalls): void {
  const pauses = isWindows ? [10, 20, 50, 100, 200] : [];
  for (const pauseMs of pauses) {
    try {
      files.renameSync(from, to);
      return;
    } catch (error) {
      if (!isCode(error, 'EPERM') && !isCode(error, 'EACCES') && !isCode(error, 'EBUSY')) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs);
    }
  }
  files.renameSync(from, to);
}

function syncDirectory(path: string, files: FileCalls): void {
  if (isWindows) return;
  const descriptor = files.openSync(path, O_RDONLY | O_DIRECTORY);
  try {
    files.fsyncSync(descriptor);
  } finally {
    files.closeSync(descriptor);
  }
}

function refusal(path: string, reason: string): StorageError {
  return new StorageError(`${path} ${reason}, so gitlink does not use it.`, {
    hint: `Look at it with: ls -la ${path}`,
  });
}

/** @param opened - The file that was opened without following symbolic links, where one was. */
function toStorageError(error: unknown, what: string, opened?: string): StorageError {
  if (error instanceof StorageError) return error;
  if (opened !== undefined && isCode(error, 'ELOOP')) return refusal(opened, 'is a symbolic link');
  if (opened !== undefined && isCode(error, 'ENXIO')) return refusal(opened, 'is not an ordinary file');
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  return new StorageError(`${what}: ${faultNames[code] ?? code}.`);
}

const faultNames: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EDQUOT: 'the disk quota is used up',
  EIO: 'the disk reports an error',
  EMFILE: 'too many files are open',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a part of the path is not a directory',
  EPERM: 'not permitted',
  EROFS: 'the disk is read-only',
};

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
