import { toGitEnvironment } from './git-environment.ts';
import { findExecutable, type SearchContext } from './find-executable.ts';

/** What a repository's configuration calls it. */
export const linkSettingName = 'gitlink.link';
/** Reading a few small files; more means that something is stuck. */
const deadlineMs = 2_000;

/**
 * Reads which link the configuration of the repository around names (`git config gitlink.link`), as git sees it:
 * its own files, includes and environment.
 *
 * @returns null where there is none, or git cannot say.
 */
export function readLinkSetting(context: SearchContext): string | null {
  const git = findExecutable('git', context);
  if (git === null) return null;
  // Only those who have several accounts at a host need it.
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  const { status, stdout } = spawnSync(git, ['config', '--get', linkSettingName], {
    env: toGitEnvironment(context),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: deadlineMs,
    windowsHide: true,
  });
  const name = status === 0 ? stdout.trim() : '';
  return name === '' ? null : name;
}
