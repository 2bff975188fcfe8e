import { findExecutable, type SearchContext } from './find-executable.ts';

/** Directories that npm and npx put on PATH for one command only. */
const passingDirectory = /[\\/]node_modules[\\/]\.bin[\\/]?$/;

/**
 * Chooses the value of `credential.<url>.helper`: `gitlink` where git will find `git-credential-gitlink` on PATH, else
 * the script by its absolute path.
 *
 * @param script - The absolute path of `bin/git-credential-gitlink.js`.
 * @param node - The absolute path of Node, needed on Windows, which starts no scripts by their first line.
 */
export function chooseHelperCommand(script: string, node: string, context: SearchContext): string {
  if (findExecutable('git-credential-gitlink', context, (directory) => passingDirectory.test(directory))) {
    return 'gitlink';
  }
  return context.platform === 'win32' ? `${quoteForGit(node)} ${quoteForShell(script)}` : quoteForGit(script);
}

/**
 * Quotes the path of a program for git, which gives the value to a shell, but takes it for a path only if it begins
 * like one: the quotes start behind the root (`/'opt/my tools/x'`, `C:/'Program Files/x'`). A `!` snippet would
 * be shell code with a path in it.
 */
function quoteForGit(path: string): string {
  const root = /^(?:[A-Za-z]:)?[\\/]/.exec(path)?.[0] ?? '';
  return root.replace('\\', '/') + quoteForShell(path.slice(root.length));
}

function quoteForShell(path: string): string {
  if (/^[\w./:-]+$/.test(path)) return path;
  return `'${path.replaceAll("'", `'\\''`)}'`;
}
