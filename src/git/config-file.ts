import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { StorageError, UsageError } from '../errors.ts';
import { toPrintable } from '../printable.ts';
import { diffLines } from './line-diff.ts';
import { runGit, type GitContext } from './run-git.ts';

/** Whose configuration is changed: the user's, or that of the repository in the working directory. */
export type ConfigScope = 'global' | 'local';

export interface ConfigEntry {
  /** `credential.https://github.com` in `credential.https://github.com.helper`. */
  readonly section: string;
  /** Lower case, as git reports it. */
  readonly name: string;
  readonly value: string;
  /** The file it stands in: the one asked for or one that it includes. */
  readonly file: string;
}

/** A key and the values it shall have, in this order; none removes it, and it must be there then. */
export interface ConfigEdit {
  readonly section: string;
  readonly name: string;
  readonly values: readonly string[];
}

/**
 * Finds the file that `git config --global` or `--local` changes (git-config(1), "FILES").
 *
 * @throws UsageError where there is no repository, StorageError where it is no ordinary file: git would put one in the
 *   place of a device such as `/dev/null`, which people name to have no configuration.
 */
export async function findConfigFile(scope: ConfigScope, context: GitContext): Promise<string> {
  const file = scope === 'global' ? await findGlobalFile(context) : await findLocalFile(context);
  if ((await readKind(file)) === 'other') {
    throw new StorageError(`git's configuration ${toPrintable(file)} is not a file.`, {
      hint: scope === 'global' ? 'Point GIT_CONFIG_GLOBAL to a file, or unset it.' : undefined,
    });
  }
  return file;
}

async function findGlobalFile({ env, workingDirectory }: GitContext): Promise<string> {
  const chosen = env['GIT_CONFIG_GLOBAL'];
  if (chosen) return resolve(workingDirectory, chosen);
  const home = env['HOME'] || homedir();
  const usual = join(home, '.gitconfig');
  const xdg = join(env['XDG_CONFIG_HOME'] || join(home, '.config'), 'git', 'config');
  return (await readKind(usual)) === 'none' && (await readKind(xdg)) !== 'none' ? xdg : usual;
}

async function findLocalFile(context: GitContext): Promise<string> {
  const { exitCode, stdout } = await runGit(['rev-parse', '--git-path', 'config'], context);
  if (exitCode !== 0) {
    throw new UsageError('There is no git repository here.', {
      hint: 'Run this inside one, or without --local.',
    });
  }
  return resolve(context.workingDirectory, stdout.replace(/\n$/, ''));
}

async function readKind(file: string): Promise<'file' | 'none' | 'other'> {
  try {
    return (await stat(file)).isFile() ? 'file' : 'other';
  } catch {
    return 'none';
  }
}

/**
 * Reads all entries of a file, and of those that it includes, in the order in which git applies them.
 *
 * @throws StorageError where git cannot read it.
 */
export async function readConfigFile(file: string, context: GitContext): Promise<ConfigEntry[]> {
  if ((await readKind(file)) === 'none') return [];
  const list = ['--file', file, '--includes', '--list', '--show-origin', '-z'];
  const fields = (await runConfig(list, file, context)).split('\0');
  const entries: ConfigEntry[] = [];
  for (let index = 0; index + 1 < fields.length; index += 2) {
    entries.push(parseEntry(fields[index] ?? '', fields[index + 1] ?? ''));
  }
  return entries;
}

/** Reads what git applies in the working directory after the configuration of that scope. */
export async function readLaterEntries(scope: ConfigScope, context: GitContext): Promise<ConfigEntry[]> {
  const list = ['--includes', '--list', '--show-scope', '--show-origin', '-z'];
  const fields = (await runConfig(list, 'here', context)).split('\0');
  const later = scope === 'global' ? ['local', 'worktree', 'command'] : ['worktree', 'command'];
  const entries: ConfigEntry[] = [];
  for (let index = 0; index + 2 < fields.length; index += 3) {
    if (!later.includes(fields[index] ?? '')) continue;
    entries.push(parseEntry(fields[index + 1] ?? '', fields[index + 2] ?? ''));
  }
  return entries;
}

/** An entry of `git config --list -z`: the key, then a line feed and the value unless the key stands alone. */
function parseEntry(origin: string, entry: string): ConfigEntry {
  const lineFeed = entry.indexOf('\n');
  const key = lineFeed === -1 ? entry : entry.slice(0, lineFeed);
  const dot = key.lastIndexOf('.');
  return {
    section: key.slice(0, dot),
    name: key.slice(dot + 1),
    // git takes a key without a value for no setting in [credential], and stops at it.
    value: lineFeed === -1 ? '' : entry.slice(lineFeed + 1),
    file: origin.replace(/^file:/, ''),
  };
}

/**
 * Lets git make the edits in a copy, and compares.
 *
 * @returns The lines that would change, as they stand in the file.
 */
export async function previewEdits(
  file: string,
  edits: readonly ConfigEdit[],
  context: GitContext,
): Promise<string[]> {
  const directory = await mkdtemp(join(tmpdir(), 'gitlink-'));
  try {
    const copy = join(directory, 'config');
    const before = (await readKind(file)) === 'none' ? '' : await readFile(file, 'utf8');
    await writeFile(copy, before, { mode: 0o600, flag: 'wx' });
    await applyEdits(copy, edits, context);
    return diffLines(before, await readFile(copy, 'utf8'));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * Lets git make the edits, one after the other.
 *
 * @throws StorageError where git cannot write the file.
 */
export async function applyEdits(
  file: string,
  edits: readonly ConfigEdit[],
  context: GitContext,
): Promise<void> {
  for (const { section, name, values } of edits) {
    const key = `${section}.${name}`;
    const [first, ...others] = values;
    if (first === undefined) {
      await runConfig(['--file', file, '--unset-all', key], file, context);
      continue;
    }
    // One command takes all old values away and writes the first new one: the key keeps its place in the file.
    await runConfig(['--file', file, '--replace-all', key, first], file, context);
    for (const value of others) await runConfig(['--file', file, '--add', key, value], file, context);
  }
}

async function runConfig(args: readonly string[], file: string, context: GitContext): Promise<string> {
  const { exitCode, stdout, stderr } = await runGit(['config', ...args], context);
  if (exitCode === 0) return stdout;
  throw new StorageError(
    `git could not use its configuration (${toPrintable(file)}): ${toPrintable(stderr.trim())}`,
    { hint: 'If no git is running, remove a left-over .lock file beside it; else repair the line it names.' },
  );
}
