import { isAtLeast, type Access } from './access.ts';
import type { GiteaContext } from './call.ts';
import { fullNameOf, type GiteaRepository } from './state.ts';
import { toTime } from './times.ts';
import { toOwnerJson } from './users.ts';

/** What is the same for every simulated repository; there so that answers have their real size. */
const constantFields = {
  description: '',
  fork: false,
  template: false,
  size: 22,
  language: '',
  link: '',
  original_url: '',
  website: '',
  stars_count: 0,
  forks_count: 0,
  watchers_count: 1,
  branch_count: 1,
  open_issues_count: 0,
  open_pr_counter: 0,
  release_counter: 0,
  has_code: true,
  has_issues: true,
  internal_tracker: {
    enable_time_tracker: true,
    allow_only_contributors_to_track_time: true,
    enable_issue_dependencies: true,
  },
  has_wiki: true,
  has_pull_requests: true,
  has_projects: true,
  projects_mode: 'all',
  has_releases: true,
  has_packages: false,
  has_actions: false,
  ignore_whitespace_conflicts: false,
  allow_merge_commits: true,
  allow_rebase: true,
  allow_rebase_explicit: true,
  allow_squash_merge: true,
  allow_fast_forward_only_merge: true,
  allow_merge_update: true,
  allow_rebase_update: true,
  allow_manual_merge: true,
  autodetect_manual_merge: false,
  default_delete_branch_after_merge: false,
  default_merge_style: 'merge',
  default_update_style: 'merge',
  default_allow_maintainer_edit: false,
  avatar_url: '',
  mirror_interval: '',
  object_format_name: 'sha1',
  mirror_updated: '0001-01-01T00:00:00Z',
  mirror_last_sync_at: '0001-01-01T00:00:00Z',
  topics: [],
  licenses: [],
};

/** A repository as the API shows it: the fields of `Repository` in the description. */
export function toRepositoryJson(context: GiteaContext, repository: GiteaRepository, access: Access) {
  const baseUrl = context.baseUrl();
  const { owner } = repository;
  const fullName = fullNameOf(repository);
  const createdAt = toTime(repository.createdAt);
  return {
    id: repository.id,
    owner: toOwnerJson(context, owner, false),
    name: repository.name,
    full_name: fullName,
    empty: repository.empty,
    private: repository.private,
    mirror: repository.mirror,
    ...constantFields,
    languages_url: `${baseUrl}/api/v1/repos/${fullName}/languages`,
    html_url: `${baseUrl}/${fullName}`,
    url: `${baseUrl}/api/v1/repos/${fullName}`,
    ssh_url: `git@${new URL(baseUrl).hostname}:${fullName}.git`,
    clone_url: `${baseUrl}/${fullName}.git`,
    default_branch: repository.defaultBranch,
    archived: repository.archived,
    created_at: createdAt,
    updated_at: createdAt,
    archived_at: repository.archived ? createdAt : '1970-01-01T00:00:00Z',
    permissions: {
      admin: isAtLeast(access, 'admin'),
      push: isAtLeast(access, 'write'),
      pull: isAtLeast(access, 'read'),
    },
    internal: !repository.private && owner.kind === 'organization' && owner.visibility === 'private',
  };
}
