import type { GitAccess } from '../git-access.ts';

/** What "Generate Git credentials" in the Clone dialog gives: a password with a user name of its own. */
export const gitCredentialKind = 'git-credential';

/**
 * Git over HTTPS. Beside a token any name will do, also where the token is Entra's, and beside a generated password
 * its own. The user name in the addresses that Azure DevOps gives out is the organization's.
 *
 * Organizations, projects and repositories are found in any case, and no two of them differ by case alone.
 *
 * @see https://learn.microsoft.com/azure/devops/repos/git/auth-overview
 */
export const azureDevopsGit: GitAccess = {
  layout: 'azure',
  caseSensitive: false,
  ignoresUsernames: true,
  toGitCredential: ({ kind, token }, { login }) => ({
    username: kind === gitCredentialKind && login !== null ? login : 'gitlink',
    password: token,
  }),
  toRepositoryUrl,
  // Every organization of the cloud had a domain of its own before 2018, and still answers there.
  listOtherHosts: (host, organization) =>
    host === 'https://dev.azure.com' && organization !== null
      ? [`https://${organization.toLowerCase()}.visualstudio.com`]
      : [],
};

/** The address of a repository, for git and for a browser alike. */
export function toRepositoryUrl(host: string, fullName: string): string {
  const names = fullName.split('/').map(encodeURIComponent);
  return [host, ...names.slice(0, -1), '_git', ...names.slice(-1)].join('/');
}
