import { chmodSync, existsSync, lstatSync, readdirSync, rmSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { GitlinkError, StorageError } from '../../errors.ts';
import type { Directories } from '../../runtime.ts';
import { isUnfinished, readLinkIdOf, toRecordsPath, toSettingsPath } from '../../store/file-names.ts';
import type { Records } from '../../store/link-schema.ts';
import { currentFormat } from '../../store/migrations.ts';
import { readPrivateFile } from '../../store/private-files.ts';
import { LockError } from '../../store/process-lock.ts';
import type { OperationContext } from '../context.ts';
import { quoteWord } from '../quote-word.ts';
import { leftoverAgeMs, mendingLine, sound, toDetail, type Check, type Doctor } from './check.ts';

const groupAndWorld = 0o077;

interface Found {
  readonly path: string;
  readonly name: string;
  readonly status: Stats;
}

/**
 * Looks who may enter gitlink's folders and files. To be called before anything reads them, because reading closes
 * a file that others may read.
 */
export function checkModes({ config, state }: Directories, platform: NodeJS.Platform): readonly Check[] {
  const name = 'permissions';
  if (platform === 'win32') return [];
  const found = [...new Set([config, state])].flatMap(walk);
  const wrong = found.flatMap(({ path, status }) => judgeFile(name, path, status));
  return wrong.length > 0 ? wrong : [sound(name, 'only you may read what gitlink keeps')];
}

function judgeFile(name: string, path: string, status: Stats): Check[] {
  const word = quoteWord(path);
  const error = (fault: string, fix: string): Check[] => [
    { name, state: 'error', detail: `${path} ${fault}`, fix, path },
  ];
  if (status.isSymbolicLink()) {
    const fix = `cp --remove-destination "$(readlink -f ${word})" ${word}`;
    return error('is a symbolic link, which gitlink does not follow', fix);
  }
  if (status.uid !== process.geteuid?.()) {
    return error('belongs to another user', `sudo chown $(id -u) ${word}`);
  }
  if (status.isFile() && status.nlink > 1) {
    return error('has a second name (hard link)', `cp ${word} ${word}.copy && mv ${word}.copy ${word}`);
  }
  if ((status.mode & groupAndWorld) === 0) return [];
  const mode = status.isDirectory() ? 0o700 : 0o600;
  const isOpen = (status.mode & 0o777).toString(8);
  return [
    {
      name,
      state: 'warning',
      detail: `other users may enter or read ${path} (mode ${isOpen})`,
      fix: `chmod ${mode.toString(8)} ${word}`,
      path,
      mend: () => {
        chmodSync(path, mode);
        return Promise.resolve(`closed ${path} to other users`);
      },
    },
  ];
}

/** The folder and what is in it; folders of folders once more, which is as deep as gitlink goes. */
function walk(directory: string): Found[] {
  const own = find(directory, directory);
  if (!own?.status.isDirectory()) return own ? [own] : [];
  return [
    own,
    ...list(directory).flatMap((each) => [each, ...(each.status.isDirectory() ? list(each.path) : [])]),
  ];
}

function list(directory: string): Found[] {
  try {
    return readdirSync(directory)
      .map((name) => find(join(directory, name), name))
      .filter((each) => each !== null);
  } catch {
    // What may not be looked into is told by its mode or its owner.
    return [];
  }
}

/** @returns null for what is not there, any more perhaps. */
function find(path: string, name: string): Found | null {
  try {
    return { path, name, status: lstatSync(path) };
  } catch {
    return null;
  }
}

/**
 * Reads the records; where that fails, says how to go on.
 *
 * @param modes - What {@link checkModes} has found: a file that it refuses is not named twice.
 */
export function checkRecords(
  context: OperationContext,
  modes: readonly Check[],
): { readonly records: Records | null; readonly checks: readonly Check[] } {
  const name = 'records';
  try {
    const records = context.links.read();
    const detail = `${records.links.length} link${records.links.length === 1 ? '' : 's'}, readable`;
    return { records, checks: [sound(name, detail)] };
  } catch (error) {
    if (!(error instanceof GitlinkError)) throw error;
    const path = toRecordsPath(context.directories.config);
    if (isRefused(path, modes)) return { records: null, checks: [] };
    return {
      records: null,
      checks: [{ name, state: 'error', detail: toDetail(error), fix: findRecordsFix(path) }],
    };
  }
}

/** Whether a file cannot be read for what it is, whatever it holds. */
function isRefused(path: string, modes: readonly Check[]): boolean {
  return modes.some((check) => check.state === 'error' && check.path === path);
}

function findRecordsFix(path: string): string {
  const version = readVersion(path);
  if (version !== null && version > currentFormat.version) return 'npm install --global gitlink@latest';
  const word = quoteWord(path);
  if (readVersion(`${path}.previous`) !== null)
    return `cp ${word} ${word}.damaged; cp ${word}.previous ${word}`;
  return existsSync(path) ? `mv ${word} ${word}.damaged` : `ls -la ${word}`;
}

/** @returns null for what is no records. */
function readVersion(path: string): number | null {
  try {
    const parsed: unknown = JSON.parse(readPrivateFile(path)?.toString('utf8') ?? 'null');
    const { version } = (parsed ?? {}) as { readonly version?: unknown };
    return typeof version === 'number' ? version : null;
  } catch {
    return null;
  }
}

/** Whether the preferences can be read. */
export async function checkSettings({ context }: Doctor, modes: readonly Check[]): Promise<readonly Check[]> {
  const name = 'settings';
  try {
    await context.openSettings();
    return [sound(name, 'the preferences are readable')];
  } catch (error) {
    if (!(error instanceof GitlinkError)) throw error;
    const path = toSettingsPath(context.directories.config);
    if (isRefused(path, modes)) return [];
    const word = quoteWord(path);
    return [{ name, state: 'error', detail: toDetail(error), fix: `mv ${word} ${word}.damaged` }];
  }
}

/** Files that a process was writing when it was killed, and those of links that are gone. */
export function checkLeftoverFiles({ context, records }: Doctor): Promise<readonly Check[]> {
  const name = 'leftover-files';
  const { config, state } = context.directories;
  const now = context.clock.now();
  const isOld = ({ status }: Found): boolean => now - status.mtimeMs > leftoverAgeMs;
  const unfinished = [...new Set([config, state])]
    .flatMap(list)
    .filter((file) => isUnfinished(file.name) && isOld(file));
  const known = new Set([...(records?.links ?? []), ...(records?.clients ?? [])].map(({ id }) => id));
  const forsaken =
    records === null
      ? []
      : list(state).filter((file) => {
          const id = readLinkIdOf(file.name);
          return id !== null && !known.has(id) && isOld(file);
        });
  const toCheck = (file: Found, detail: string): Check => ({
    name,
    state: 'warning',
    detail: `${file.path} ${detail}`,
    fix: `rm -r ${quoteWord(file.path)}`,
    mend: () => {
      rmSync(file.path, { recursive: true, force: true });
      return Promise.resolve(`removed ${file.path}`);
    },
  });
  const checks = [
    ...unfinished.map((file) => toCheck(file, 'was left by a gitlink that was stopped while it wrote')),
    ...forsaken.map((file) => toCheck(file, 'belongs to a link that is gone')),
  ];
  return Promise.resolve(checks.length > 0 ? checks : [sound(name, 'none')]);
}

const lockPatienceMs = 1_000;

/** Whether somebody holds the records: a process that hangs makes every other one wait. */
export async function checkLocks({ context }: Doctor): Promise<readonly Check[]> {
  const name = 'locks';
  if (!existsSync(context.directories.state)) return [sound(name, 'none was needed yet')];
  const scope =
    context.platform === 'linux'
      ? 'for the processes of this network namespace (container)'
      : 'for all processes';
  try {
    await context.withLock('links', () => Promise.resolve(), lockPatienceMs);
    return [sound(name, `free; they hold ${scope}`)];
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    const pid = error instanceof LockError ? error.holderPid : null;
    const fix = pid === null ? mendingLine : `kill ${pid}`;
    return [{ name, state: 'warning', detail: toDetail(error), fix }];
  }
}
