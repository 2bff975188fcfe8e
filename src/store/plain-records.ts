import { toRecordsPath } from './file-names.ts';
import type { Records } from './link-schema.ts';
import { currentFormat } from './migrations.ts';
import { readPrivateFile } from './private-files.ts';

/** The records as they lie on the disk, of any format: what the links hold is for the reader to judge. */
export interface PlainRecords extends Partial<Pick<Records, 'version' | 'passphraseFile'>> {
  readonly links: readonly unknown[];
}

/**
 * Reads the records without schemas and migrations, which take longer than what is asked of them.
 *
 * @param decode - Makes text of the file; by default with a replacement for what is no character.
 * @returns null for a file that holds no records; records without links where there is no file.
 * @throws StorageError for a file that {@link readPrivateFile} refuses.
 */
export function readPlainRecords(
  configDirectory: string,
  decode: (bytes: Buffer) => string = String,
): PlainRecords | null {
  const bytes = readPrivateFile(toRecordsPath(configDirectory));
  if (bytes === null) return { version: currentFormat.version, links: [] };
  try {
    const records = JSON.parse(decode(bytes)) as Partial<PlainRecords> | null;
    return Array.isArray(records?.links) ? (records as PlainRecords) : null;
  } catch {
    return null;
  }
}
