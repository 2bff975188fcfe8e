import type { GitAccess } from '../git-access.ts';
import { signInKind } from '../provider.ts';

/** Any user name will do beside a token; the login is the convention, and `oauth2` for a sign-in. */
export const giteaGit: GitAccess = {
  layout: 'plain',
  caseSensitive: false,
  toGitCredential: (credential, account) => ({
    username: credential.kind === signInKind ? 'oauth2' : (account.login ?? 'gitlink'),
    password: credential.token,
  }),
};
