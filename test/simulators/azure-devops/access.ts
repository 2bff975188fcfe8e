import { refuse, type Actor, type Call } from './call.ts';
import { findProject, findRepository, isGuid } from './state.ts';
import type {
  AzureDevopsOrganization,
  AzureDevopsProject,
  AzureDevopsRepository,
  AzureDevopsUser,
  ProjectRole,
} from './state.ts';

/** Bits of the ServiceHooks namespace (`providers/azure-devops.md` §3). */
export const hookRights = { view: 1, edit: 2, delete: 4, publish: 8 } as const;
const allHookRights = 15;

export function isAdministrator({ members }: AzureDevopsOrganization, { id }: AzureDevopsUser): boolean {
  return members.get(id)?.role === 'administrator';
}

/** What the caller is in a project; null for one that they cannot see. */
export function roleOf(actor: Actor | null, project: AzureDevopsProject): ProjectRole | null {
  if (actor && isAdministrator(project.organization, actor.user)) return 'administrator';
  const role = actor && project.roles.get(actor.user.id);
  return role ?? (project.isPublic ? 'reader' : null);
}

export function hookRightsOf(actor: Actor, project: AzureDevopsProject): number {
  if (roleOf(actor, project) === 'administrator') return allHookRights;
  return project.hookRights.get(actor.user.id) ?? 0;
}

/** The project of the path, by name or id. @throws Refusal 404 for what is unknown or hidden. */
export function requireProjectOfCall(call: Call): AzureDevopsProject {
  const wanted = call.request.params['project'] ?? '';
  const project = findProject(call.organization, wanted);
  if (project && project.state === 'wellFormed' && roleOf(call.actor, project) !== null) return project;
  if (isGuid(wanted)) {
    const message = `VS800075: The project with id 'vstfs:///Classification/TeamProject/${wanted}' does not exist, or you do not have permission to access it.`;
    throw refuse(404, 'ProjectDoesNotExistException', message);
  }
  const message = `TF200016: The following project does not exist: ${wanted}. Verify that the name of the project is correct and that the project exists on the specified Azure DevOps Server.`;
  throw refuse(404, 'ProjectDoesNotExistWithNameException', message);
}

export function toRepositoryMissing(wanted: string): string {
  return `TF401019: The Git repository with name or identifier ${wanted} does not exist or you do not have permissions for the operation you are attempting.`;
}

/** The repository of the path. @throws Refusal 404. */
export function requireRepositoryOfCall(call: Call): AzureDevopsRepository {
  const wanted = call.request.params['repository'] ?? '';
  const places =
    call.request.params['project'] === undefined ? call.organization.projects : [requireProjectOfCall(call)];
  const found = places
    .filter((project) => project.state === 'wellFormed' && roleOf(call.actor, project) !== null)
    .map((project) => findRepository(project, wanted))
    // Without a project only an id says which is meant.
    .find((repository) => repository && (places.length === 1 || repository.guid === wanted.toLowerCase()));
  if (!found) throw refuse(404, 'GitRepositoryNotFoundException', toRepositoryMissing(wanted));
  return found;
}
