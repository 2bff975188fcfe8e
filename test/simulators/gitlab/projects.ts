import type { PlainAnswer, Route } from '../routes.ts';
import {
  covers,
  directRole,
  isProjectVisible,
  requireGroup,
  requireProject,
  roleInProject,
} from './access.ts';
import type { Call } from './call.ts';
import { matches, toNamespaceJson } from './namespaces.ts';
import { answerPage } from './paging.ts';
import { accessLevels, pagingParameters, readQuery, type Values } from './parameters.ts';
import type { Api } from './server.ts';
import { fullPathOf, isGroup, listAncestors } from './state.ts';
import type { GitlabProject } from './state.ts';

const read = { scopes: ['api', 'read_api'], permission: 'read_project' } as const;

/** Listing and reading projects (`providers/gitlab.md` §4). */
export function listProjectRoutes(api: Api): Route[] {
  return [
    { method: 'GET', template: '/api/v4/projects', handle: api({ ...read, boundary: 'user' }, listAll) },
    {
      method: 'GET',
      template: '/api/v4/groups/{id}/projects',
      handle: api({ ...read, boundary: 'resource' }, listOfGroup),
    },
    {
      method: 'GET',
      template: '/api/v4/projects/{id}',
      handle: api({ ...read, boundary: 'resource' }, readOne),
    },
  ];
}

const filterParameters = {
  ...pagingParameters,
  archived: 'boolean',
  visibility: ['private', 'internal', 'public'],
  search: 'string',
  search_namespaces: 'boolean',
  simple: 'boolean',
  owned: 'boolean',
  starred: 'boolean',
  min_access_level: accessLevels,
  topic: 'string',
  sort: ['asc', 'desc'],
} as const;

const orders = ['id', 'name', 'path', 'created_at', 'updated_at', 'last_activity_at'] as const;

function listAll(call: Call): PlainAnswer {
  const values = readQuery(call, {
    ...filterParameters,
    order_by: orders,
    membership: 'boolean',
    pagination: ['keyset', 'offset'],
    id_after: 'integer',
    id_before: 'integer',
    active: 'boolean',
    include_pending_delete: 'boolean',
  });
  const { user } = call.actor;
  const found = filter(call, values, call.state.listProjects()).filter((project) => {
    if (values['membership'] === true && roleInProject(user, project) < 10) return false;
    if (project.id <= Number(values['id_after'] ?? 0)) return false;
    return project.id < Number(values['id_before'] ?? Infinity);
  });
  return answerProjects(call, values, found, true);
}

function listOfGroup(call: Call): PlainAnswer {
  const values = readQuery(call, {
    ...filterParameters,
    order_by: orders,
    include_subgroups: 'boolean',
    with_shared: 'boolean',
  });
  const group = requireGroup(call, 0);
  const isBelow = ({ owner }: GitlabProject) => {
    if (!isGroup(owner)) return false;
    return values['include_subgroups'] === true ? listAncestors(owner).includes(group) : owner === group;
  };
  const found = filter(call, values, call.state.listProjects()).filter(
    (project) =>
      isBelow(project) ||
      (values['with_shared'] !== false && project.shares.some((share) => share.group === group)),
  );
  return answerProjects(call, values, found, false);
}

function filter(call: Call, values: Values, projects: readonly GitlabProject[]): GitlabProject[] {
  const { actor } = call;
  const least = values['owned'] === true ? 50 : Number(values['min_access_level'] ?? 0);
  return projects.filter((project) => {
    if (!isProjectVisible(actor.user, project) || !covers(actor, project, 'read_project')) return false;
    if (least > 0 && roleInProject(actor.user, project) < least) return false;
    if (values['archived'] !== undefined && values['archived'] !== project.archived) return false;
    if (values['visibility'] !== undefined && values['visibility'] !== project.visibility) return false;
    if (values['active'] === true && (project.archived || project.deletionDate)) return false;
    const context = values['search_namespaces'] === true ? [fullPathOf(project)] : [];
    return matches(values['search'], project.name, project.path, ...context);
  });
}

/** Newest first, unless asked otherwise. */
function answerProjects(
  call: Call,
  values: Values,
  found: readonly GitlabProject[],
  hasKeyset: boolean,
): PlainAnswer {
  const isByName = values['order_by'] === 'name' || values['order_by'] === 'path';
  const ascending = isByName ? [...found].sort((left, right) => left.path.localeCompare(right.path)) : found;
  const isKeyset = values['pagination'] === 'keyset';
  const ordered = isKeyset || values['sort'] === 'asc' ? ascending : [...ascending].reverse();
  const isSimple = values['simple'] === true;
  return answerPage(call, values, ordered, {
    toJson: (project) => (isSimple ? toSimpleJson(call, project) : toProjectJson(call, project, true)),
    ...(hasKeyset ? { keyset: { typeName: 'Project', idOf: (project: GitlabProject) => project.id } } : {}),
  });
}

function readOne(call: Call): PlainAnswer {
  readQuery(call, { statistics: 'boolean', license: 'boolean', with_custom_attributes: 'boolean' });
  return { status: 200, json: toProjectJson(call, requireProject(call, 0), false) };
}

/** `BasicProjectDetails`: neither permissions nor what is planned with the project. */
export function toSimpleJson({ baseUrl }: Pick<Call, 'baseUrl'>, project: GitlabProject) {
  const fullPath = fullPathOf(project);
  const base = baseUrl();
  const createdAt = project.createdAt.toISOString();
  return {
    id: project.id,
    description: null,
    name: project.name,
    name_with_namespace: fullPath.replaceAll('/', ' / '),
    path: project.path,
    path_with_namespace: fullPath,
    created_at: createdAt,
    default_branch: project.empty ? null : 'main',
    tag_list: [],
    topics: [],
    ssh_url_to_repo: `git@${new URL(base).hostname}:${fullPath}.git`,
    http_url_to_repo: `${base}/${fullPath}.git`,
    web_url: `${base}/${fullPath}`,
    readme_url: project.empty ? null : `${base}/${fullPath}/-/blob/main/README.md`,
    forks_count: 0,
    avatar_url: null,
    star_count: 0,
    last_activity_at: createdAt,
    visibility: project.visibility,
    namespace: toNamespaceJson({ baseUrl }, project.owner),
  };
}

/**
 * Permissions are memberships, not the role in effect: shares never show, and a list looks at the group that the
 * project lies in and no further up (`lib/api/entities/project_with_access.rb`).
 */
function toProjectJson(call: Call, project: GitlabProject, isListed: boolean) {
  const { user } = call.actor;
  const { owner } = project;
  const groups = !isGroup(owner) ? [] : isListed ? [owner] : listAncestors(owner);
  const toAccess = (level: number) => (level === 0 ? null : { access_level: level, notification_level: 3 });
  return {
    ...toSimpleJson(call, project),
    empty_repo: project.empty,
    archived: project.archived,
    resolve_outdated_diff_discussions: false,
    issues_enabled: true,
    merge_requests_enabled: true,
    wiki_enabled: true,
    jobs_enabled: true,
    snippets_enabled: true,
    shared_with_groups: project.shares.map(({ group, level }) => ({
      group_id: group.id,
      group_name: group.name,
      group_access_level: level,
      expires_at: null,
    })),
    marked_for_deletion_at: project.deletionDate,
    marked_for_deletion_on: project.deletionDate,
    permissions: {
      project_access: toAccess(directRole(user, project)),
      group_access: toAccess(Math.max(0, ...groups.map(({ members }) => members.get(user.id) ?? 0))),
    },
  };
}
