import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '../..');

export interface Bundle {
  readonly path: string;
  remove: () => void;
}

/**
 * Bundles a program as the package does, into a directory of its own.
 *
 * @param entry - A file, or the text of a program whose imports are relative to the project.
 * @param folder - Where: by default inside the project, so that the keychain library is found from there.
 */
export async function bundle(
  entry: { file: string } | { text: string },
  folder = join(root, 'node_modules'),
): Promise<Bundle> {
  const outdir = mkdtempSync(join(folder, '.vault-test-'));
  const path = join(outdir, 'program.mjs');
  await build({
    ...('file' in entry
      ? { entryPoints: [join(root, entry.file)] }
      : { stdin: { contents: entry.text, resolveDir: root, loader: 'ts' as const } }),
    outfile: path,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ['@napi-rs/*'],
    logLevel: 'warning',
  });
  return {
    path,
    remove: () => {
      rmSync(outdir, { recursive: true, force: true });
    },
  };
}

/** A directory from where no package is found. */
export const nowhere = tmpdir();

export const keychainChild = { file: 'src/vault/keychain-child.ts' };
