import { accessSync, constants, statSync } from 'node:fs';
import { posix, win32 } from 'node:path';

/** What decides where a program is found. */
export interface SearchContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
}

/**
 * Finds a program on PATH, never in the current directory: Windows, and a PATH with `.` or an empty entry, would
 * look there first, and a repository may hold a `git.exe` of its own (nodejs/node#46264). Windows scripts (`.bat`,
 * `.cmd`) are not found, as Node cannot pass them arguments safely (CVE-2024-27980).
 *
 * @param skip - Directories not to look in.
 * @returns Its absolute path.
 */
export function findExecutable(
  name: string,
  { env, platform }: SearchContext,
  skip: (directory: string) => boolean = () => false,
): string | null {
  const isWindows = platform === 'win32';
  const paths = isWindows ? win32 : posix;
  const searched = isWindows ? findIgnoringCase(env, 'PATH') : env['PATH'];
  for (const directory of (searched ?? '').split(paths.delimiter)) {
    if (!paths.isAbsolute(directory) || skip(directory)) continue;
    for (const suffix of isWindows ? ['.exe', ''] : ['']) {
      const file = paths.join(directory, name + suffix);
      if (isExecutable(file)) return file;
    }
  }
  return null;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function findIgnoringCase(env: SearchContext['env'], name: string): string | undefined {
  return Object.entries(env).find(([key]) => key.toUpperCase() === name)?.[1];
}
