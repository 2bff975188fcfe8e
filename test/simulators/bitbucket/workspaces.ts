import type { Route } from '../routes.ts';
import { requireWorkspaceOfCall, roleOf, workspaceRoleOf } from './access.ts';
import { refuse, requireActor, type Api, type BitbucketContext, type Call } from './call.ts';
import { answerObject, answerPage } from './paging.ts';
import type { BitbucketProject, BitbucketWorkspace } from './state.ts';

/** Workspaces and their projects (`providers/bitbucket.md` §4). */
export function listWorkspaceRoutes(api: Api): Route[] {
  const workspace = { classic: [], api: ['read:workspace:bitbucket'] };
  const project = { classic: ['project'], api: ['read:project:bitbucket'] };
  const projects = '/2.0/workspaces/{workspace}/projects';
  return [
    { method: 'GET', template: '/2.0/workspaces/{workspace}', handle: api(workspace, readWorkspace) },
    { method: 'GET', template: projects, handle: api(project, listProjects) },
    { method: 'GET', template: `${projects}/{project_key}`, handle: api(project, readProject) },
  ];
}

function readWorkspace(call: Call) {
  const workspace = requireWorkspaceOfCall(call);
  return answerObject(call, {
    ...toWorkspaceJson(call, workspace),
    is_private: true,
    is_privacy_enforced: false,
    created_on: workspace.createdAt.toISOString(),
  });
}

function listProjects(call: Call) {
  requireActor(call);
  const visible = listVisible(call, requireWorkspaceOfCall(call));
  return answerPage(call, visible, (project) => toProjectJson(call, project));
}

function readProject(call: Call) {
  requireActor(call);
  const key = call.request.params['project_key'] ?? '';
  const project = listVisible(call, requireWorkspaceOfCall(call)).find((other) => other.key === key);
  if (!project) throw refuse(404, `Project ${key} not found`);
  return answerObject(call, toProjectJson(call, project));
}

/** Those that an owner sees: all; others those with something of theirs in it, or for everybody. */
function listVisible({ actor, state }: Call, workspace: BitbucketWorkspace): readonly BitbucketProject[] {
  const projects = [...workspace.projects.values()];
  if (workspaceRoleOf(actor, workspace) === 'owner') return projects;
  const withMine = new Set(
    state
      .listRepositories(workspace)
      .filter((repository) => roleOf(actor, repository) !== null)
      .map(({ project }) => project),
  );
  return projects.filter(
    (project) => !project.isPrivate || withMine.has(project) || project === actor?.token.resource,
  );
}

export function toWorkspaceJson({ apiUrl, webUrl }: BitbucketContext, workspace: BitbucketWorkspace) {
  const { slug, uuid, name } = workspace;
  const self = `${apiUrl()}/workspaces/${slug}`;
  return {
    type: 'workspace',
    uuid,
    slug,
    name,
    links: {
      self: { href: self },
      html: { href: `${webUrl()}/${slug}/` },
      projects: { href: `${self}/projects` },
      repositories: { href: `${apiUrl()}/repositories/${slug}` },
    },
  };
}

function toProjectJson(context: BitbucketContext, project: BitbucketProject) {
  const { workspace, isPrivate } = project;
  return {
    ...toProjectBaseJson(context, project),
    description: '',
    is_private: isPrivate,
    has_publicly_visible_repos: false,
    owner: toOwnerJson(workspace),
    workspace: toWorkspaceJson(context, workspace),
  };
}

export function toProjectBaseJson(
  { apiUrl, webUrl }: BitbucketContext,
  { key, uuid, name, workspace }: BitbucketProject,
) {
  return {
    type: 'project',
    key,
    uuid,
    name,
    links: {
      self: { href: `${apiUrl()}/workspaces/${workspace.slug}/projects/${key}` },
      html: { href: `${webUrl()}/${workspace.slug}/workspace/projects/${key}` },
    },
  };
}

/** Whose a repository or project is: a person's, or a team's, as workspaces were called. */
export function toOwnerJson({ personOf, uuid, slug, name }: BitbucketWorkspace) {
  return personOf
    ? { type: 'user', uuid: personOf.uuid, display_name: personOf.displayName }
    : { type: 'team', uuid, username: slug, display_name: name };
}
