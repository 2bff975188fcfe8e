import { atLeast, roleOf } from './access.ts';
import { nodeIdOf, toSimpleUser } from './account-json.ts';
import type { Actor, GithubContext } from './call.ts';
import { fullNameOf, type GithubRepository, type Role } from './state.ts';

const addresses = [
  'forks',
  'teams',
  'hooks',
  'events',
  'tags',
  'languages',
  'stargazers',
  'contributors',
  'subscribers',
  'subscription',
  'merges',
  'downloads',
  'deployments',
];

/**
 * `minimal-repository` with what the service adds. Permissions are the person's role, whatever the token may; an
 * installation has none.
 */
export function toRepositoryJson(
  context: Pick<GithubContext, 'apiUrl' | 'webUrl'>,
  repository: GithubRepository,
  actor: Actor,
) {
  const { id, name, owner, isPrivate, archived } = repository;
  const fullName = fullNameOf(repository);
  const url = `${context.apiUrl()}/repos/${fullName}`;
  const web = `${context.webUrl()}/${fullName}`;
  const createdAt = repository.createdAt.toISOString();
  const role = actor.kind === 'token' ? roleOf(actor.user, repository) : null;
  const may = (wanted: Role) => atLeast(role, wanted);
  return {
    id,
    node_id: nodeIdOf('R', id),
    name,
    full_name: fullName,
    private: isPrivate,
    owner: toSimpleUser(context, owner),
    html_url: web,
    description: null,
    fork: false,
    url,
    ...Object.fromEntries(addresses.map((part) => [`${part}_url`, `${url}/${part}`])),
    created_at: createdAt,
    updated_at: createdAt,
    pushed_at: repository.empty ? null : createdAt,
    git_url: web.replace(/^https?:/, 'git:') + '.git',
    ssh_url: `git@${new URL(web).hostname}:${fullName}.git`,
    clone_url: `${web}.git`,
    svn_url: web,
    homepage: null,
    size: 0,
    stargazers_count: 0,
    watchers_count: 0,
    language: null,
    has_issues: true,
    has_projects: true,
    has_wiki: true,
    has_pages: false,
    has_discussions: false,
    forks_count: 0,
    mirror_url: null,
    archived,
    disabled: false,
    open_issues_count: 0,
    license: null,
    allow_forking: true,
    is_template: false,
    topics: [],
    visibility: isPrivate ? 'private' : 'public',
    forks: 0,
    open_issues: 0,
    watchers: 0,
    default_branch: 'main',
    ...(actor.kind === 'nobody'
      ? {}
      : {
          permissions: {
            admin: may('admin'),
            maintain: may('maintain'),
            push: may('push'),
            triage: may('triage'),
            pull:
              may('pull') || (role === null && actor.kind === 'token' && actor.user !== null && !isPrivate),
          },
        }),
  };
}
