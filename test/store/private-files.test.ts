import { execFileSync } from 'node:child_process';
import * as nodeFs from 'node:fs';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StorageError } from '../../src/errors.ts';
import {
  appendPrivateFile,
  ensurePrivateDirectory,
  readPrivateFile,
  writePrivateFile,
  type FileCalls,
} from '../../src/store/private-files.ts';

let directory = '';
let path = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'gitlink-files-'));
  path = join(directory, 'links.json');
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function modeOf(file: string): number {
  return statSync(file).mode & 0o777;
}

function append(file: string, text: string, files?: FileCalls): void {
  appendPrivateFile(file, text, { durable: true }, files);
}

describe('B7: modes', () => {
  test.each([0o000, 0o077, 0o022])('files are 0600 and directories 0700 with umask %o', (mask) => {
    const before = process.umask(mask);
    try {
      const inner = join(directory, 'a', 'b');
      ensurePrivateDirectory(inner);
      writePrivateFile(join(inner, 'written'), 'x');
      append(join(inner, 'appended'), 'x');
      expect(modeOf(inner)).toBe(0o700);
      expect(modeOf(join(inner, 'written'))).toBe(0o600);
      expect(modeOf(join(inner, 'appended'))).toBe(0o600);
    } finally {
      process.umask(before);
    }
  });

  test('a loose mode is repaired: by reading, appending and entering', () => {
    writeFileSync(path, 'old');
    for (const use of [readPrivateFile, (file: string) => append(file, '+')]) {
      chmodSync(path, 0o644);
      use(path);
      expect(modeOf(path)).toBe(0o600);
    }
    chmodSync(directory, 0o755);
    ensurePrivateDirectory(directory);
    expect(modeOf(directory)).toBe(0o700);
  });

  test('a file that replaces a loose one is private', () => {
    writeFileSync(path, 'old', { mode: 0o666 });
    writePrivateFile(path, 'new');
    expect(modeOf(path)).toBe(0o600);
  });
});

describe('B7: planted files are refused, and nothing is written through them', () => {
  const victimText = 'the victim';

  interface Trap {
    readonly what: string;
    readonly reason: string;
    readonly plant: (victim: string) => void;
  }

  const traps: readonly Trap[] = [
    { what: 'symlink', reason: 'symbolic link', plant: (victim) => symlinkSync(victim, path) },
    {
      what: 'dangling symlink',
      reason: 'symbolic link',
      plant: (victim) => symlinkSync(`${victim}-not`, path),
    },
    { what: 'hard link', reason: 'hard link', plant: (victim) => linkSync(victim, path) },
    { what: 'FIFO', reason: 'not an ordinary file', plant: () => void execFileSync('mkfifo', [path]) },
  ];

  test.each(traps)('$what', ({ reason, plant }) => {
    const victim = join(directory, 'victim');
    writeFileSync(victim, victimText, { mode: 0o600 });
    plant(victim);
    for (const use of [() => readPrivateFile(path), () => append(path, 'canary')]) {
      expect(use).toThrow(StorageError);
      expect(use).toThrow(reason);
    }
    writePrivateFile(path, 'canary');
    expect(readFileSync(victim, 'utf8')).toBe(victimText);
    expect(existsSync(`${victim}-not`)).toBe(false);
    expect(readPrivateFile(path)?.toString()).toBe('canary');
  });

  test('directory', () => {
    mkdirSync(path);
    expect(() => readPrivateFile(path)).toThrow('not an ordinary file');
    expect(() => append(path, 'x')).toThrow(StorageError);
    expect(() => writePrivateFile(path, 'x')).toThrow(StorageError);
    expect(readdirSync(directory)).toEqual(['links.json']);
  });

  test('a symlink in place of the directory', () => {
    const elsewhere = join(directory, 'elsewhere');
    mkdirSync(elsewhere);
    symlinkSync(elsewhere, path);
    expect(() => ensurePrivateDirectory(path)).toThrow('is not a directory');
  });

  test('a file in place of the directory', () => {
    writeFileSync(path, '');
    expect(() => ensurePrivateDirectory(path)).toThrow(StorageError);
    expect(() => ensurePrivateDirectory(join(path, 'below'))).toThrow('not a directory');
  });

  test.skipIf(process.geteuid?.() !== 0)('foreign owner (only root can make one)', () => {
    writeFileSync(path, victimText);
    chownSync(path, 12_345, 12_345);
    expect(() => readPrivateFile(path)).toThrow('belongs to another user');
    expect(() => append(path, 'x')).toThrow('belongs to another user');
    expect(readFileSync(path, 'utf8')).toBe(victimText);
    chownSync(directory, 12_345, 12_345);
    expect(() => ensurePrivateDirectory(directory)).toThrow('belongs to another user');
  });
});

const faultCodes = ['ENOSPC', 'EIO', 'EMFILE', 'EROFS', 'EDQUOT'] as const;

/** How a call fails: before it did anything, or when all was done. */
type Moment = 'before' | 'after';

interface Faulty {
  readonly files: FileCalls;
  /** The call that failed; null when all were fine. */
  readonly struck: () => string | null;
}

/** File calls of which one fails: the first, the second, … */
function failAt(position: number, code: string, moment: Moment): Faulty {
  let calls = 0;
  let struck: string | null = null;
  const files = new Proxy(nodeFs, {
    get(target, name) {
      const call = Reflect.get(target, name) as (...args: unknown[]) => unknown;
      return (...args: unknown[]) => {
        calls += 1;
        if (calls !== position) return call(...args);
        struck = String(name);
        if (moment === 'after') call(...args);
        throw Object.assign(new Error(`${code}: canary detail`), { code });
      };
    },
  });
  return { files, struck: () => struck };
}

/** Lets each call of some work fail in turn, in each way, until no call is left. */
function forEachFault(
  work: (files: FileCalls) => void,
  check: (struck: string, error: unknown) => void,
): number {
  let count = 0;
  for (const code of faultCodes) {
    for (const moment of ['before', 'after'] as const) {
      for (let position = 1; ; position += 1) {
        const { files, struck } = failAt(position, code, moment);
        let thrown: unknown = null;
        try {
          work(files);
        } catch (error) {
          thrown = error;
        }
        const call = struck();
        if (call === null) break;
        count += 1;
        check(call, thrown);
      }
    }
  }
  return count;
}

describe('B9: a disk that fails at any call', () => {
  const old = 'old '.repeat(1000);
  const next = 'new '.repeat(1500);

  test('writing leaves the old content or the new, and says what happened', () => {
    const outcomes = new Set<string>();
    const count = forEachFault(
      (files) => {
        rmSync(directory, { recursive: true, force: true });
        mkdirSync(directory);
        writeFileSync(path, old);
        writePrivateFile(path, next, files);
      },
      (call, error) => {
        expect(error, call).toBeInstanceOf(StorageError);
        const content = readFileSync(path, 'utf8');
        expect([old, next], call).toContain(content);
        outcomes.add(content === old ? 'old' : 'new');
        expect(readdirSync(directory), call).toEqual(['links.json']);
      },
    );
    // open, write, fsync, close, rename, open, fsync, close
    expect(count).toBe(8 * 2 * faultCodes.length);
    expect([...outcomes].sort()).toEqual(['new', 'old']);
  });

  test('a failing clean-up does not hide the first fault', () => {
    const files = new Proxy(nodeFs, {
      get: (target, name) =>
        name === 'fsyncSync' || name === 'rmSync'
          ? () => {
              throw Object.assign(new Error('canary'), { code: name === 'rmSync' ? 'EROFS' : 'ENOSPC' });
            }
          : (Reflect.get(target, name) as unknown),
    });
    writeFileSync(path, old);
    expect(() => writePrivateFile(path, next, files)).toThrow('the disk is full');
    expect(readFileSync(path, 'utf8')).toBe(old);
  });

  test('reading, appending and entering end in a StorageError that quotes nothing', () => {
    const works: ((files: FileCalls) => void)[] = [
      (files) => readPrivateFile(path, files),
      (files) => append(path, 'x', files),
      (files) => ensurePrivateDirectory(directory, files),
    ];
    for (const work of works) {
      const count = forEachFault(
        (files) => {
          chmodSync(directory, 0o755);
          writeFileSync(path, old, { mode: 0o644 });
          chmodSync(path, 0o644);
          work(files);
        },
        (call, error) => {
          expect(error, call).toBeInstanceOf(StorageError);
          expect(String(error), call).not.toContain('canary');
        },
      );
      expect(count).toBeGreaterThan(2 * faultCodes.length);
    }
  });

  test('short writes and reads are continued to the end', () => {
    const files: FileCalls = {
      ...nodeFs,
      writeSync: ((descriptor: number, bytes: Buffer, offset: number, length: number) =>
        nodeFs.writeSync(descriptor, bytes, offset, Math.min(7, length))) as typeof nodeFs.writeSync,
      readSync: ((descriptor: number, bytes: Buffer, offset: number, length: number, position: number) =>
        nodeFs.readSync(descriptor, bytes, offset, Math.min(5, length), position)) as typeof nodeFs.readSync,
    };
    writePrivateFile(path, next, files);
    append(path, old, files);
    expect(readPrivateFile(path, files)?.toString()).toBe(next + old);
  });

  test('a disk that fills up in the middle of a write leaves the old content', () => {
    writeFileSync(path, old);
    let written = 0;
    const files: FileCalls = {
      ...nodeFs,
      writeSync: ((descriptor: number, bytes: Buffer, offset: number, length: number) => {
        if (written > 2000) throw Object.assign(new Error(), { code: 'ENOSPC' });
        const count = nodeFs.writeSync(descriptor, bytes, offset, Math.min(512, length));
        written += count;
        return count;
      }) as typeof nodeFs.writeSync,
    };
    expect(() => writePrivateFile(path, next, files)).toThrow('the disk is full');
    expect(readFileSync(path, 'utf8')).toBe(old);
    expect(readdirSync(directory)).toEqual(['links.json']);
  });
});
