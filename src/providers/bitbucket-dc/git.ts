import type { GitAccess } from '../git-access.ts';
import { signInKind } from '../provider.ts';

/**
 * Git over HTTPS. A person's token is the password beside the account's real name. Tokens of projects and
 * repositories have no account behind them and travel in the header alone. With a sign-in's token any name goes.
 *
 * Keys of projects are found in any case, and slugs are lower case.
 *
 * @see https://confluence.atlassian.com/bitbucketserver/http-access-tokens-939515499.html
 */
export const bitbucketDcGit: GitAccess = {
  layout: 'scm',
  caseSensitive: false,
  toGitCredential({ kind, token }, account) {
    if (kind === signInKind) return { username: 'x-token-auth', password: token };
    const isOfPerson = account.kind === 'user' && account.login !== null;
    return isOfPerson && account.login ? { username: account.login, password: token } : { bearer: token };
  },
};
