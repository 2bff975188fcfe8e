import { Refusal, refuse, refuseForbidden, type Actor, type BitbucketContext, type Call } from './call.ts';
import type { BitbucketRepository, BitbucketWorkspace, RepositoryRole, WorkspaceRole } from './state.ts';
import { fullNameOf } from './state.ts';

const ranks = { read: 1, write: 2, admin: 3 };

export function isAtLeast(role: RepositoryRole | null, wanted: RepositoryRole): boolean {
  return role !== null && ranks[role] >= ranks[wanted];
}

/** What the caller was granted; null for nothing, which is enough to read what is public. */
export function roleOf(actor: Actor | null, repository: BitbucketRepository): RepositoryRole | null {
  if (!actor) return null;
  const { token, user } = actor;
  const { workspace, project } = repository;
  // What these may do is said by their scopes alone.
  if (token.resource) {
    return [repository, project, workspace].some((place) => place === token.resource) ? 'admin' : null;
  }
  if (!user || isOutside(actor, workspace)) return null;
  return workspace.members.get(user.id) === 'owner' ? 'admin' : (repository.roles.get(user.id) ?? null);
}

export function isVisible(actor: Actor | null, repository: BitbucketRepository): boolean {
  return !repository.isPrivate || roleOf(actor, repository) !== null;
}

/** The caller's place in a workspace; null for outsiders. */
export function workspaceRoleOf(actor: Actor | null, workspace: BitbucketWorkspace): WorkspaceRole | null {
  if (!actor) return null;
  const { token, user } = actor;
  if (token.resource) {
    if (token.resource === workspace) return 'owner';
    return 'workspace' in token.resource && token.resource.workspace === workspace ? 'member' : null;
  }
  return user && !isOutside(actor, workspace) ? (workspace.members.get(user.id) ?? null) : null;
}

/** Beyond what an API token was limited to. */
function isOutside({ token }: Actor, workspace: BitbucketWorkspace): boolean {
  return token.workspaceLimit !== null && token.workspaceLimit !== workspace;
}

/** The workspace of the path. @throws Refusal 404. */
export function requireWorkspaceOfCall(call: Call): BitbucketWorkspace {
  const name = call.request.params['workspace'] ?? '';
  const workspace = call.state.findWorkspace(name);
  const isKnown =
    workspace !== undefined &&
    (workspaceRoleOf(call.actor, workspace) !== null ||
      call.state.listRepositories(workspace).some((repository) => isVisible(call.actor, repository)));
  if (!isKnown) throw refuse(404, `No workspace with identifier '${name}'.`);
  return workspace;
}

/** The repository of the path. @throws Refusal 404, or 301 to what an old name stood for. */
export function requireRepositoryOfCall(call: Call): BitbucketRepository {
  const { workspace = '', repo_slug: slug = '' } = call.request.params;
  const repository = call.state.findRepository(workspace, slug);
  if (repository && isVisible(call.actor, repository)) return repository;
  const moved = findMoved(call, `${workspace}/${slug}`);
  const { method, path } = call.request;
  if (moved && method === 'GET' && isVisible(call.actor, moved)) {
    const rest = path.split('/').slice(5);
    const target = [call.apiUrl(), 'repositories', fullNameOf(moved), ...rest].join('/');
    throw new Refusal({ status: 301, headers: { location: target } });
  }
  throw refuse(404, `Repository ${workspace}/${slug} not found`);
}

/** What an old name stands for now. */
export function findMoved(
  { settings, state }: BitbucketContext,
  fullName: string,
): BitbucketRepository | undefined {
  if (!settings.redirectsRenamed) return undefined;
  return state.repositories.get(state.redirects.get(fullName.toLowerCase()) ?? 0);
}

/** The same, where the caller must be an admin of it. @throws Refusal 403. */
export function requireAdminOfRepository(call: Call): BitbucketRepository {
  const repository = requireRepositoryOfCall(call);
  if (!isAtLeast(roleOf(call.actor, repository), 'admin')) {
    throw refuseForbidden('You must be an admin of this repository.');
  }
  return repository;
}
