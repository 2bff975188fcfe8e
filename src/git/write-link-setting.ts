import { NotFoundError } from '../errors.ts';
import { linkSettingName } from './link-setting.ts';
import { runGit, type GitContext } from './run-git.ts';

/**
 * Names the link that the repository around uses.
 *
 * @throws NotFoundError outside of a repository.
 */
export async function writeLinkSetting(name: string, context: GitContext): Promise<void> {
  const { exitCode } = await runGit(['config', '--local', linkSettingName, name], context);
  if (exitCode !== 0) throw createOutsideError();
}

/**
 * Takes that back. A repository that names none stays as it is.
 *
 * @throws NotFoundError outside of a repository.
 */
export async function unsetLinkSetting(context: GitContext): Promise<void> {
  const { exitCode } = await runGit(['config', '--local', '--unset-all', linkSettingName], context);
  // 5: there was none.
  if (exitCode !== 0 && exitCode !== 5) throw createOutsideError();
}

function createOutsideError(): NotFoundError {
  return new NotFoundError('There is no git repository here whose configuration could be changed.', {
    hint: 'Run this inside the repository.',
  });
}
