import { parseRepositoryUrl, type RepositoryUrl } from './repository-url.ts';
import { runGit, type GitContext } from './run-git.ts';

/** A remote of the repository in the working directory. */
export interface Remote {
  readonly name: string;
  /** `null` where it is no host's. */
  readonly url: RepositoryUrl | null;
  /** Whether a password or token stands in its URL, also in one that is no host's. */
  readonly hasPassword: boolean;
  /** The configuration file that names it: what a warning about a token in the URL may say. */
  readonly file: string;
}

/**
 * Lists the remotes of the repository, in the order of its configuration; none outside of a repository.
 *
 * @throws UnsupportedError where git is not installed.
 */
export async function listRemotes(context: GitContext): Promise<Remote[]> {
  const list = ['config', '--show-origin', '-z', '--get-regexp', String.raw`^remote\..*\.(push)?url$`];
  const { exitCode, stdout } = await runGit(list, context);
  if (exitCode !== 0) return [];
  const fields = stdout.split('\0');
  const remotes: Remote[] = [];
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const [key = '', url = ''] = (fields[index + 1] ?? '').split('\n');
    const parsed = parseRepositoryUrl(url);
    remotes.push({
      name: key.slice('remote.'.length, key.lastIndexOf('.')),
      url: parsed,
      hasPassword: parsed?.hasPassword ?? /:\/\/[^/]*:[^/]*@/.test(url),
      file: (fields[index] ?? '').replace(/^file:/, ''),
    });
  }
  return remotes;
}
