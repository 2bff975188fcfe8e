import type { GitAccess } from '../git-access.ts';

/**
 * Git over HTTPS. An installation's token wants this very name, and the others take any.
 *
 * Paths are found in any case, and no two of them differ by case alone.
 *
 * @see https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/authenticating-as-a-github-app-installation
 */
export const githubGit: GitAccess = {
  layout: 'plain',
  caseSensitive: false,
  toGitCredential: ({ token }) => ({ username: 'x-access-token', password: token }),
};
