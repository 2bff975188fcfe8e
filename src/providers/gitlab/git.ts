import type { GitAccess } from '../git-access.ts';
import { signInKind } from '../provider.ts';

/** A sign-in's token that another program obtained and a person pasted: gitlink cannot renew it. */
export const pastedSignInKind = 'oauth-token';

/**
 * Git over HTTPS. With a sign-in's token goes the name `oauth2`, which old servers insist on; with a deploy token
 * exactly its own; with any other token any name.
 *
 * Paths are found in any case, and no two of them differ by case alone.
 */
export const gitlabGit: GitAccess = {
  layout: 'plain',
  caseSensitive: false,
  toGitCredential: ({ kind, token }, { login }) => ({
    username: kind === signInKind || kind === pastedSignInKind || login === null ? 'oauth2' : login,
    password: token,
  }),
};
