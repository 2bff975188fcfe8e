import type { Route } from '../routes.ts';
import { isAtLeast, isVisible, requireRepositoryOfCall, requireWorkspaceOfCall, roleOf } from './access.ts';
import { refuse, refuseForbidden, type Actor, type Api, type BitbucketContext, type Call } from './call.ts';
import { answerObject, answerPage } from './paging.ts';
import { filterItems, sortItems, type Queryable } from './query.ts';
import { fullNameOf, type BitbucketRepository } from './state.ts';
import { toOwnerJson, toProjectBaseJson, toWorkspaceJson } from './workspaces.ts';

/** Repositories of a workspace (`providers/bitbucket.md` §4). */
export function listRepositoryRoutes(api: Api): Route[] {
  const need = { classic: ['repository'], api: ['read:repository:bitbucket'] };
  return [
    { method: 'GET', template: '/2.0/repositories/{workspace}', handle: api(need, list) },
    { method: 'GET', template: '/2.0/repositories/{workspace}/{repo_slug}', handle: api(need, read) },
  ];
}

const repositoryFields: Queryable<BitbucketRepository> = {
  name: ({ slug }) => slug,
  slug: ({ slug }) => slug,
  full_name: fullNameOf,
  uuid: ({ uuid }) => uuid,
  is_private: ({ isPrivate }) => isPrivate,
  'project.key': ({ project }) => project.key,
  'project.uuid': ({ project }) => project.uuid,
  created_on: ({ createdAt }) => createdAt.toISOString(),
  updated_on: ({ createdAt }) => createdAt.toISOString(),
};

function list(call: Call) {
  const { actor, request, state } = call;
  const workspace = requireWorkspaceOfCall(call);
  // Seen in GoogleContainerTools/config-sync#993.
  const isFiltered = /\bproject\.(key|uuid)\s*=/.test(request.query.get('q') ?? '');
  if (actor?.token.kind === 'repository' && !isFiltered) throw refuseForbidden();
  const found = state
    .listRepositories(workspace)
    .filter((repository) => isVisible(actor, repository) && hasWantedRole(call, repository));
  const sorted = sortItems(call, filterItems(call, found, repositoryFields), repositoryFields);
  return answerPage(call, sorted, (repository) => toRepositoryJson(call, repository, actor));
}

/** Each of the words but `owner` asks for what was granted, not for what everybody may. */
function hasWantedRole({ actor, request }: Call, repository: BitbucketRepository): boolean {
  const wanted = request.query.get('role');
  const role = roleOf(actor, repository);
  switch (wanted) {
    case null:
      return true;
    case 'member':
      return isAtLeast(role, 'read');
    case 'contributor':
      return isAtLeast(role, 'write');
    case 'admin':
      return isAtLeast(role, 'admin');
    case 'owner':
      return actor?.user != null && repository.workspace.personOf === actor.user;
    default:
      throw refuse(400, `Invalid role: ${wanted}`);
  }
}

function read(call: Call) {
  return answerObject(call, toRepositoryJson(call, requireRepositoryOfCall(call), call.actor));
}

/** A repository as the API shows it. The address for cloning has the name of whoever asks in it. */
export function toRepositoryJson(
  context: BitbucketContext,
  repository: BitbucketRepository,
  actor: Actor | null,
) {
  const { uuid, slug, workspace, project, isPrivate, empty, createdAt } = repository;
  const { apiUrl, webUrl } = context;
  const fullName = fullNameOf(repository);
  const self = `${apiUrl()}/repositories/${fullName}`;
  const html = `${webUrl()}/${fullName}`;
  const cloneUrl = new URL(`${html}.git`);
  if (actor?.user?.kind === 'user') cloneUrl.username = actor.user.username;
  return {
    type: 'repository',
    uuid,
    full_name: fullName,
    name: slug,
    slug,
    description: '',
    scm: 'git',
    website: null,
    is_private: isPrivate,
    parent: null,
    mainbranch: empty ? null : { type: 'branch', name: 'main' },
    workspace: toWorkspaceJson(context, workspace),
    project: toProjectBaseJson(context, project),
    owner: toOwnerJson(workspace),
    created_on: createdAt.toISOString(),
    updated_on: createdAt.toISOString(),
    size: 4096,
    language: '',
    has_issues: false,
    has_wiki: false,
    fork_policy: isPrivate ? 'no_public_forks' : 'allow_forks',
    links: {
      self: { href: self },
      html: { href: html },
      hooks: { href: `${self}/hooks` },
      clone: [
        { name: 'https', href: cloneUrl.href },
        { name: 'ssh', href: `git@${cloneUrl.hostname}:${fullName}.git` },
      ],
    },
  };
}
