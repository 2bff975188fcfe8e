import type { GitAccess } from '../git-access.ts';

/** A person's API token, the only kind that travels with a user name at the API. */
export const apiTokenKind = 'api-token';

/**
 * Git over HTTPS. The name beside the token tells its kind, and is never the e-mail address that the API wants
 * with an API token.
 *
 * Workspaces and repositories have lower-case names, and no two of them differ by case alone.
 *
 * @see https://support.atlassian.com/bitbucket-cloud/docs/using-api-tokens/
 */
export const bitbucketGit: GitAccess = {
  layout: 'plain',
  caseSensitive: false,
  hasHiddenProjects: true,
  ignoresUsernames: true,
  toGitCredential: ({ kind, token }) => ({
    username: kind === apiTokenKind ? 'x-bitbucket-api-token-auth' : 'x-token-auth',
    password: token,
  }),
};
