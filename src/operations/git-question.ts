import { join } from 'node:path';
import { StorageError } from '../errors.ts';
import type { Directories } from '../runtime.ts';
import type { Secret } from '../secret.ts';
import type { LinkRecord, Records } from '../store/link-schema.ts';
import { readPrivateFile } from '../store/private-files.ts';
import { recordUsage } from '../store/usage-log.ts';
import { readKeychainItem } from '../vault/read-keychain-item.ts';
import type { GitQuestion } from './answer-git.ts';

export interface HelperSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly directories: Directories;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Reads a link's credential where the keychain does not hold it. */
  readonly readOtherItem: (link: LinkRecord, passphraseFile: string | null) => Promise<Secret | null>;
  readonly markRefused: (link: LinkRecord) => Promise<void>;
}

const keychainDeadlineMs = 3_000;

/** Connects git's question to gitlink's files and the keychain, reading no more than it must. */
export function createGitQuestion(
  operation: string,
  input: AsyncIterable<Uint8Array>,
  surroundings: HelperSurroundings,
): GitQuestion {
  const { directories, env } = surroundings;
  let records: Pick<Records, 'links' | 'passphraseFile'> | undefined;
  const read = (): Pick<Records, 'links' | 'passphraseFile'> => (records ??= readRecords(directories.config));
  return {
    operation,
    input,
    readLinks: () => read().links,
    readItem: (link) =>
      link.storage === 'keychain'
        ? readKeychainItem(link.credentialItem, { deadlineMs: keychainDeadlineMs, env })
        : surroundings.readOtherItem(link, read().passphraseFile),
    recordUse(link, path) {
      recordUsage(directories.state, { linkId: link.id, at: surroundings.now(), by: 'git', path });
    },
    markRefused: surroundings.markRefused,
  };
}

/** As plain JSON: gitlink wrote the file, and checking it again would cost more than reading it. */
function readRecords(configDirectory: string): Pick<Records, 'links' | 'passphraseFile'> {
  const bytes = readPrivateFile(join(configDirectory, 'links.json'));
  if (bytes === null) return { links: [], passphraseFile: null };
  let records: Partial<Records> | null;
  try {
    records = JSON.parse(bytes.toString('utf8')) as Partial<Records> | null;
  } catch {
    records = null;
  }
  if (records?.version === 1 && Array.isArray(records.links)) {
    return { links: records.links, passphraseFile: records.passphraseFile ?? null };
  }
  throw new StorageError('the records of links cannot be read; run: gitlink list');
}
