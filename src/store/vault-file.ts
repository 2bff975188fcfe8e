import { dirname } from 'node:path';
import { ensurePrivateDirectory, readPrivateFile, writePrivateFile } from './private-files.ts';

/** The file of the encrypted secret store: whole contents, replaced so that a crash leaves the old or the new. */
export interface VaultFile {
  /** @returns null when there is none yet. */
  read(): Promise<Buffer | null>;
  write(bytes: Buffer): Promise<void>;
}

export function createVaultFile(path: string): VaultFile {
  return {
    read: () => Promise.resolve(readPrivateFile(path)),
    write(bytes) {
      ensurePrivateDirectory(dirname(path));
      writePrivateFile(path, bytes);
      return Promise.resolve();
    },
  };
}
