import { Refusal, refuseForbidden, refuseNotFound, type Actor, type Call } from './call.ts';
import { refusePermission } from './authenticate.ts';
import { isGroup, listAncestors } from './state.ts';
import type { AccessLevel, GitlabGroup, GitlabProject, GitlabUser, Visibility } from './state.ts';

/** A role, or 0 for none. */
export type Role = AccessLevel | 0;

/** The higher of direct and inherited membership. */
export function roleInGroup(user: GitlabUser, group: GitlabGroup): Role {
  return highest(listAncestors(group).map((ancestor) => ancestor.members.get(user.id) ?? 0));
}

/** From the project itself; owners of a personal namespace own what is in it. */
export function directRole(user: GitlabUser, project: GitlabProject): Role {
  return highest([project.owner === user ? 50 : 0, project.members.get(user.id) ?? 0]);
}

/** From the groups above it and those that it is shared with. */
export function inheritedRole(user: GitlabUser, project: GitlabProject): Role {
  const { owner, shares } = project;
  const shared = shares.map(({ group, level }) => Math.min(level, roleInGroup(user, group)) as Role);
  return highest([isGroup(owner) ? roleInGroup(user, owner) : 0, ...shared]);
}

export function roleInProject(user: GitlabUser, project: GitlabProject): Role {
  return highest([directRole(user, project), inheritedRole(user, project)]);
}

function highest(roles: readonly Role[]): Role {
  return roles.reduce<Role>((best, role) => (role > best ? role : best), 0);
}

/** Minimal access (5) shows nothing of what is private. */
function isVisible(user: GitlabUser, visibility: Visibility, role: Role): boolean {
  return role >= 10 || visibility !== 'private' || user.isAdmin;
}

export function isProjectVisible(user: GitlabUser, project: GitlabProject): boolean {
  return isVisible(user, project.visibility, roleInProject(user, project));
}

export function isGroupVisible(call: Pick<Call, 'state'>, user: GitlabUser, group: GitlabGroup): boolean {
  if (isVisible(user, group.visibility, roleInGroup(user, group))) return true;
  // Whoever sees a project sees the groups that it lies in.
  return call.state
    .listProjects()
    .some(
      ({ owner, members }) => members.has(user.id) && isGroup(owner) && listAncestors(owner).includes(group),
    );
}

/**
 * The project of the path, by number or encoded full path.
 *
 * @param role - What the caller must be in it.
 * @throws Refusal 404 for one that the caller may not see, 403 below the role, 301 for an old path.
 */
export function requireProject(call: Call, role: Role): GitlabProject {
  const { state, actor } = call;
  const key = call.request.params['id'] ?? '';
  const project = state.projects.get(Number(key)) ?? state.findProject(key);
  if (!project) {
    redirectMoved(call, key);
    throw refuseNotFound('Project');
  }
  if (!isProjectVisible(actor.user, project)) throw refuseNotFound('Project');
  if (!actor.user.isAdmin && roleInProject(actor.user, project) < role) throw refuseForbidden();
  requirePermission(call, project);
  return project;
}

/** The group of the path. @throws Refusal as {@link requireProject}. */
export function requireGroup(call: Call, role: Role): GitlabGroup {
  const { state, actor } = call;
  const key = call.request.params['id'] ?? '';
  const group = state.groups.get(Number(key)) ?? state.findGroup(key);
  if (!group || !isGroupVisible(call, actor.user, group)) throw refuseNotFound('Group');
  if (!actor.user.isAdmin && roleInGroup(actor.user, group) < role) throw refuseForbidden();
  requirePermission(call, group);
  return group;
}

/** Since 16.7 old paths lead to the address by number, for who may see it. */
function redirectMoved(call: Call, path: string): void {
  const { state, request, actor } = call;
  const moved = state.projects.get(state.projectRedirects.get(path.toLowerCase()) ?? 0);
  if (!moved || !isProjectVisible(actor.user, moved)) return;
  // Only reading is redirected; a write to an old path finds nothing.
  if (request.method !== 'GET') return;
  const target = request.path.replace(encodeURIComponent(path), String(moved.id));
  const query = request.query.size > 0 ? `?${request.query.toString()}` : '';
  throw new Refusal({ status: 301, headers: { location: `${call.baseUrl()}${target}${query}` } });
}

function requirePermission(call: Call, resource: GitlabProject | GitlabGroup): void {
  const { permission } = call.need;
  if (permission === null || covers(call.actor, resource, permission)) return;
  throw refusePermission(permission);
}

/** Whether a token reaches a place with a permission; all but fine-grained ones reach what their user does. */
export function covers(actor: Actor, resource: GitlabProject | GitlabGroup, permission: string): boolean {
  if (!actor.token?.granularScopes) return true;
  return actor.token.granularScopes.some((scope) => {
    if (!scope.permissions.includes(permission)) return false;
    if ('visibility' in resource && 'owner' in resource) {
      const { owner } = resource;
      if (scope.access === 'personal_projects') return owner === actor.user;
      if (scope.projectId === resource.id) return true;
      if (scope.access === 'all_memberships') return roleInProject(actor.user, resource) >= 10;
      return isGroup(owner) && listAncestors(owner).some((group) => group.id === scope.groupId);
    }
    if (scope.access === 'all_memberships') return roleInGroup(actor.user, resource) >= 10;
    return listAncestors(resource).some((group) => group.id === scope.groupId);
  });
}
