import { azureDevopsGit } from './azure-devops/git.ts';
import { bitbucketGit } from './bitbucket/git.ts';
import { bitbucketDcGit } from './bitbucket-dc/git.ts';
import type { GitAccess } from './git-access.ts';
import { giteaGit } from './gitea/git.ts';
import { githubGit } from './github/git.ts';
import { gitlabGit } from './gitlab/git.ts';

/** What git's helper knows of each provider, without loading the adapters. */
export const gitAccesses: Readonly<Partial<Record<string, GitAccess>>> = {
  'azure-devops': azureDevopsGit,
  bitbucket: bitbucketGit,
  'bitbucket-dc': bitbucketDcGit,
  gitea: giteaGit,
  github: githubGit,
  gitlab: gitlabGit,
};
