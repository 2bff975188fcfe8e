import { existsSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { StorageError } from '../errors.ts';
import { toRecordsPath } from './file-names.ts';
import { emptyRecords, recordsSchema, type Records } from './link-schema.ts';
import { currentFormat, judgeFormat, migrate, type RecordsFormat } from './migrations.ts';
import { ensurePrivateDirectory, readPrivateFile, writePrivateFile } from './private-files.ts';
import type { WithLock } from './process-lock.ts';

/** The records of links: what `list` shows, never a secret. */
export interface LinkStore {
  /**
   * Reads the records as they are now.
   * @throws StorageError when the file is damaged, unreadable or of a newer gitlink; it is never touched then.
   */
  read(): Records;
  /**
   * Changes the records under the lock that all processes share; when it returns, the change is durable.
   *
   * @param decide - Gets the records as they are now and returns what they shall be; the same object for no change.
   */
  change(decide: (records: Records) => Records): Promise<Records>;
}

export interface LinkStoreOptions {
  readonly configDirectory: string;
  readonly withLock: WithLock;
  /** Names the backups of migrations, in milliseconds since the epoch. */
  readonly now: () => number;
  readonly format?: RecordsFormat;
}

const keptBackups = 3;

export function createLinkStore(options: LinkStoreOptions): LinkStore {
  const { configDirectory, withLock, format = currentFormat } = options;
  const path = toRecordsPath(configDirectory);

  function read(): Records {
    const bytes = readPrivateFile(path);
    return bytes === null ? emptyRecords : parseRecords(bytes, path, format).records;
  }

  async function change(decide: (records: Records) => Records): Promise<Records> {
    return withLock('links', async () => {
      ensurePrivateDirectory(configDirectory);
      const bytes = readPrivateFile(path);
      const current = bytes === null ? null : parseRecords(bytes, path, format);
      const before = current?.records ?? emptyRecords;
      const after = decide(before);
      if (after === before) return Promise.resolve(before);
      if (bytes !== null && current?.migratedFrom !== undefined) {
        backUp(path, bytes, current.migratedFrom, options.now());
      }
      if (bytes !== null) writePrivateFile(`${path}.previous`, bytes);
      const records: Records = { ...after, version: format.version };
      writePrivateFile(path, `${JSON.stringify(records, null, 1)}\n`);
      return Promise.resolve(after);
    });
  }

  return { read, change };
}

interface ParsedRecords {
  readonly records: Records;
  readonly migratedFrom?: number;
}

function parseRecords(bytes: Buffer, path: string, format: RecordsFormat): ParsedRecords {
  let parsed: unknown;
  try {
    // Strict: a broken character would otherwise be replaced, and the replacement written with the next change.
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    // The parser's own message quotes the file.
    throw damaged(path);
  }
  switch (judgeFormat(parsed, format)) {
    case 'newer':
      throw new StorageError(`${path} was written by a newer gitlink, so this one leaves it alone.`, {
        hint: 'Update gitlink: npm install --global gitlink',
      });
    case 'unknown':
      throw damaged(path);
    case 'current':
      return { records: narrow(parsed, path) };
    case 'older': {
      const older = parsed as Record<string, unknown>;
      return {
        records: narrow(migrateOlder(older, format, path), path),
        migratedFrom: Number(older['version']),
      };
    }
  }
}

function migrateOlder(older: Record<string, unknown>, format: RecordsFormat, path: string): unknown {
  try {
    return migrate(older, format);
  } catch {
    // Migrations expect the shape that their format promises.
    throw damaged(path);
  }
}

function narrow(parsed: unknown, path: string): Records {
  const result = v.safeParse(recordsSchema, parsed);
  if (result.success) return result.output;
  throw damaged(path);
}

function damaged(path: string): StorageError {
  const hint = existsSync(`${path}.previous`)
    ? `The state before the last change is beside it. To go back to it: cp ${path}.previous ${path}`
    : `To begin without it: mv ${path} ${path}.damaged, then: gitlink link PROVIDER`;
  return new StorageError(`${path} is damaged, so gitlink leaves it alone; nothing was changed.`, { hint });
}

function backUp(path: string, bytes: Buffer, version: number, now: number): void {
  const directory = dirname(path);
  const date = new Date(now).toISOString().replace(/[-:]/g, '').slice(0, 15);
  writePrivateFile(`${path}.v${version}.${date}`, bytes);
  const backups = readdirSync(directory)
    .filter((name) => /^links\.json\.v\d+\.\d{8}T\d{6}$/.test(name))
    .sort((a, b) => a.slice(-15).localeCompare(b.slice(-15)));
  for (const name of backups.slice(0, -keptBackups)) rmSync(join(directory, name), { force: true });
}
