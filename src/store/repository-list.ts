import { rmSync } from 'node:fs';
import { environmentId } from './environment-records.ts';
import { toLinkPath } from './file-names.ts';
import { ensurePrivateDirectory, readPrivateFile, writePrivateFile } from './private-files.ts';

/** A repository that a link reached when it was listed last. */
export interface ListedRepository {
  readonly id: string;
  readonly fullName: string;
  /** The project that its path does not show; null where there is none. */
  readonly project: string | null;
}

/**
 * Reads what a link reached when its repositories were listed last: what a path alone does not tell. It is a
 * copy of what the host said, so one that cannot be read counts as none.
 */
export function readRepositoryList(stateDirectory: string, linkId: string): readonly ListedRepository[] {
  const bytes = readPrivateFile(toLinkPath(stateDirectory, 'repositories.json', linkId));
  if (bytes === null) return [];
  try {
    const { version, repositories } = JSON.parse(bytes.toString('utf8')) as Partial<StoredList>;
    if (version !== 1 || !Array.isArray(repositories)) return [];
    return (repositories as StoredList['repositories']).map(([id, fullName, project]) => ({
      id,
      fullName,
      project,
    }));
  } catch {
    return [];
  }
}

/** Keeps the whole list of a link; a reader sees the old one or the new. */
export function writeRepositoryList(
  stateDirectory: string,
  linkId: string,
  repositories: readonly ListedRepository[],
): void {
  if (linkId === environmentId) return;
  ensurePrivateDirectory(stateDirectory);
  const rows = repositories.map(({ id, fullName, project }) => [id, fullName, project] as const);
  writePrivateFile(
    toLinkPath(stateDirectory, 'repositories.json', linkId),
    JSON.stringify({ version: 1, repositories: rows } satisfies StoredList),
  );
}

/** Adds what the host has just said of one repository; what was known of it under another name goes. */
export function addToRepositoryList(stateDirectory: string, linkId: string, added: ListedRepository): void {
  const others = readRepositoryList(stateDirectory, linkId).filter(
    ({ id, fullName }) => id !== added.id && fullName !== added.fullName,
  );
  writeRepositoryList(stateDirectory, linkId, [...others, added]);
}

export function removeRepositoryList(stateDirectory: string, linkId: string): void {
  rmSync(toLinkPath(stateDirectory, 'repositories.json', linkId), { force: true });
}

interface StoredList {
  readonly version: 1;
  readonly repositories: readonly (readonly [id: string, fullName: string, project: string | null])[];
}
