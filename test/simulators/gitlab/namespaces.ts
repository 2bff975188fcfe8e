import type { PlainAnswer, Route } from '../routes.ts';
import { isGroupVisible, requireGroup, roleInGroup } from './access.ts';
import { refuseNotFound, type Call } from './call.ts';
import { answerPage } from './paging.ts';
import { accessLevels, pagingParameters, readQuery } from './parameters.ts';
import type { Api } from './server.ts';
import { groupPathOf, isGroup, namespacePathOf } from './state.ts';
import type { GitlabGroup, GitlabUser } from './state.ts';

const read = { scopes: ['api', 'read_api'], boundary: 'user' } as const;

/** Groups, and namespaces, which are groups and people (`providers/gitlab.md` §4.1). */
export function listNamespaceRoutes(api: Api): Route[] {
  const groups = { ...read, permission: 'read_group' };
  const namespaces = { ...read, permission: 'read_namespace' };
  return [
    { method: 'GET', template: '/api/v4/groups', handle: api(groups, listGroups) },
    {
      method: 'GET',
      template: '/api/v4/groups/{id}',
      handle: api({ ...groups, boundary: 'resource' }, readGroup),
    },
    { method: 'GET', template: '/api/v4/namespaces', handle: api(namespaces, listNamespaces) },
    { method: 'GET', template: '/api/v4/namespaces/{id}', handle: api(namespaces, readNamespace) },
  ];
}

function listGroups(call: Call): PlainAnswer {
  const values = readQuery(call, {
    ...pagingParameters,
    min_access_level: accessLevels,
    all_available: 'boolean',
    owned: 'boolean',
    top_level_only: 'boolean',
    search: 'string',
    order_by: ['name', 'path', 'id', 'similarity'],
    sort: ['asc', 'desc'],
  });
  const { user } = call.actor;
  const least = values['owned'] === true ? 50 : Number(values['min_access_level'] ?? 0);
  const isAvailable = (group: GitlabGroup) =>
    values['all_available'] === false || least > 0
      ? roleInGroup(user, group) >= Math.max(least, 10)
      : isGroupVisible(call, user, group);
  const found = [...call.state.groups.values()].filter(
    (group) =>
      isAvailable(group) &&
      !(values['top_level_only'] === true && group.parent) &&
      matches(values['search'], group.name, group.path),
  );
  const key = values['order_by'] === 'id' ? null : values['order_by'] === 'path' ? 'path' : 'name';
  found.sort((left, right) =>
    key === null ? left.id - right.id : left[key].localeCompare(right[key]) || left.id - right.id,
  );
  if (values['sort'] === 'desc') found.reverse();
  return answerPage(call, values, found, { toJson: (group) => toGroupJson(call, group) });
}

export function matches(search: unknown, ...texts: readonly string[]): boolean {
  if (typeof search !== 'string') return true;
  return texts.some((text) => text.toLowerCase().includes(search.toLowerCase()));
}

function readGroup(call: Call): PlainAnswer {
  readQuery(call, { with_projects: 'boolean' });
  return { status: 200, json: toGroupJson(call, requireGroup(call, 0)) };
}

function toGroupJson({ baseUrl }: Call, group: GitlabGroup) {
  const fullPath = groupPathOf(group);
  return {
    id: group.id,
    web_url: `${baseUrl()}/groups/${fullPath}`,
    name: group.name,
    path: group.path,
    description: '',
    visibility: group.visibility,
    full_name: fullPath.replaceAll('/', ' / '),
    full_path: fullPath,
    created_at: group.createdAt.toISOString(),
    parent_id: group.parent?.id ?? null,
    archived: false,
  };
}

function listNamespaces(call: Call): PlainAnswer {
  const values = readQuery(call, {
    ...pagingParameters,
    search: 'string',
    owned_only: 'boolean',
    top_level_only: 'boolean',
  });
  const { user } = call.actor;
  const least = values['owned_only'] === true ? 50 : 10;
  const owners: (GitlabGroup | GitlabUser)[] = [
    ...(user.namespaceId === null ? [] : [user]),
    ...[...call.state.groups.values()].filter((group) => roleInGroup(user, group) >= least),
  ].filter(
    (owner) =>
      matches(values['search'], namespacePathOf(owner), owner.name) &&
      !(values['top_level_only'] === true && isGroup(owner) && owner.parent),
  );
  return answerPage(call, values, owners, { toJson: (owner) => toNamespaceJson(call, owner) });
}

function readNamespace(call: Call): PlainAnswer {
  readQuery(call, {});
  const key = call.request.params['id'] ?? '';
  const { state, actor } = call;
  const byNumber = [...state.users.values()].find(
    (user) => user.namespaceId !== null && user.namespaceId === Number(key),
  );
  const owner = state.groups.get(Number(key)) ?? byNumber ?? state.findGroup(key) ?? state.findUser(key);
  const isVisible =
    owner && (isGroup(owner) ? isGroupVisible(call, actor.user, owner) : owner === actor.user);
  if (!isVisible) throw refuseNotFound('Namespace');
  return { status: 200, json: toNamespaceJson(call, owner) };
}

export function toNamespaceJson({ baseUrl }: Pick<Call, 'baseUrl'>, owner: GitlabGroup | GitlabUser) {
  const fullPath = namespacePathOf(owner);
  const isOfGroup = isGroup(owner);
  return {
    id: isOfGroup ? owner.id : owner.namespaceId,
    name: owner.name,
    path: isOfGroup ? owner.path : owner.username,
    kind: isOfGroup ? 'group' : 'user',
    full_path: fullPath,
    parent_id: isOfGroup ? (owner.parent?.id ?? null) : null,
    avatar_url: null,
    web_url: isOfGroup ? `${baseUrl()}/groups/${fullPath}` : `${baseUrl()}/${fullPath}`,
  };
}
