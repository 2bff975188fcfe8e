import type { GitAccess } from '../provider.ts';

/** Any user name will do beside a token; the login is the convention. */
export const giteaGit: GitAccess = {
  layout: 'plain',
  caseSensitive: false,
  toGitCredential: (credential, account) => ({
    username: account.login ?? 'gitlink',
    password: credential.token,
  }),
};
