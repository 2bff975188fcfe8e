import type { PlainAnswer, Route } from '../routes.ts';
import {
  inheritedRole,
  directRole,
  roleInGroup,
  roleInProject,
  requireGroup,
  requireProject,
} from './access.ts';
import { answerAbsent, refuse, type Call, type GitlabContext } from './call.ts';
import { toNamespaceJson } from './namespaces.ts';
import { answerPage } from './paging.ts';
import { accessLevels, pagingParameters, readBody, readQuery } from './parameters.ts';
import type { Api } from './server.ts';
import { fullPathOf, groupPathOf } from './state.ts';
import type { GitlabGroup, GitlabProject } from './state.ts';
import { insertToken, toDay, type GitlabToken } from './token-state.ts';

const anyToken = { scopes: 'any', permission: null, boundary: 'user' } as const;

/** What a token tells of itself, and how it is renewed and ended (`providers/gitlab.md` §3). */
export function listTokenRoutes({ behaviour }: GitlabContext, api: Api): Route[] {
  const own = '/api/v4/personal_access_tokens/self';
  const rotators = behaviour.hasSelfRotateScope ? ['api', 'self_rotate'] : ['api'];
  const needOf = (permission: string | null) =>
    ({ scopes: rotators, permission, boundary: permission === null ? 'resource' : 'user' }) as const;
  const when = (has: boolean, handle: Route['handle']) => (has ? handle : answerAbsent);
  return [
    { method: 'GET', template: own, handle: when(behaviour.hasOwnTokenRoute, api(anyToken, readOwn)) },
    { method: 'DELETE', template: own, handle: when(behaviour.hasOwnTokenRoute, api(anyToken, revokeOwn)) },
    {
      method: 'GET',
      template: `${own}/associations`,
      handle: when(behaviour.hasAssociations, api(anyToken, listAssociations)),
    },
    {
      method: 'POST',
      template: `${own}/rotate`,
      handle: when(behaviour.hasSelfRotate, api(needOf('rotate_personal_access_token'), rotatePersonal)),
    },
    {
      method: 'POST',
      template: '/api/v4/projects/{id}/access_tokens/self/rotate',
      handle: when(
        behaviour.hasSelfRotate,
        api(needOf(null), (call) => rotateOfResource(call, 'project', requireProject(call, 0))),
      ),
    },
    {
      method: 'POST',
      template: '/api/v4/groups/{id}/access_tokens/self/rotate',
      handle: when(
        behaviour.hasSelfRotate,
        api(needOf(null), (call) => rotateOfResource(call, 'group', requireGroup(call, 0))),
      ),
    },
  ];
}

function requireToken({ actor }: Call): GitlabToken {
  if (actor.token) return actor.token;
  throw refuse(400, '400 Bad request - This endpoint requires token type to be a personal access token');
}

function readOwn(call: Call): PlainAnswer {
  readQuery(call, {});
  return { status: 200, json: toTokenJson(call, requireToken(call)) };
}

function revokeOwn(call: Call): PlainAnswer {
  readBody(call, {});
  requireToken(call).revoked = true;
  return { status: 204 };
}

function toTokenJson({ behaviour }: Call, token: GitlabToken) {
  return {
    id: token.id,
    name: token.name,
    revoked: token.revoked,
    created_at: token.createdAt.toISOString(),
    description: token.description,
    scopes: token.granularScopes ? ['granular'] : token.scopes,
    user_id: token.user.id,
    last_used_at: token.lastUsedAt?.toISOString() ?? null,
    active: !token.revoked,
    expires_at: token.expiresAt,
    ...(behaviour.showsLastUsedIps ? { last_used_ips: ['127.0.0.1'] } : {}),
    ...(behaviour.showsGranularScopes && token.granularScopes
      ? {
          granular_scopes: token.granularScopes.map((scope) => ({
            access: scope.access,
            permissions: scope.permissions,
            project_id: scope.projectId,
            group_id: scope.groupId,
          })),
        }
      : {}),
  };
}

function listAssociations(call: Call): PlainAnswer {
  const values = readQuery(call, { ...pagingParameters, min_access_level: accessLevels });
  const { user } = requireToken(call);
  const least = Number(values['min_access_level'] ?? 10);
  const groups = [...call.state.groups.values()].filter((group) => roleInGroup(user, group) >= least);
  const projects = call.state.listProjects().filter((project) => roleInProject(user, project) >= least);
  const groupPage = answerPage(call, values, groups, {
    toJson: (group: GitlabGroup) => ({
      id: group.id,
      web_url: `${call.baseUrl()}/groups/${groupPathOf(group)}`,
      name: group.name,
      parent_id: group.parent?.id ?? null,
      organization_id: 1,
      access_levels: roleInGroup(user, group),
      visibility: group.visibility,
    }),
  });
  const projectPage = answerPage(call, values, projects, {
    toJson: (project: GitlabProject) => ({
      id: project.id,
      description: null,
      name: project.name,
      path: project.path,
      path_with_namespace: fullPathOf(project),
      created_at: project.createdAt.toISOString(),
      access_levels: {
        project_access_level: directRole(user, project) || null,
        group_access_level: inheritedRole(user, project) || null,
      },
      visibility: project.visibility,
      web_url: `${call.baseUrl()}/${fullPathOf(project)}`,
      namespace: toNamespaceJson(call, project.owner),
    }),
  });
  // One page number for both lists; the headers are of the list that was paged last.
  return { ...projectPage, json: { groups: groupPage.json, projects: projectPage.json } };
}

/** The documentation wants tokens of projects and groups at their own address. */
function rotatePersonal(call: Call): PlainAnswer {
  const { token } = call.actor;
  if (!token || token.resource) throw refuse(405, '405 Method Not Allowed');
  return rotate(call, token);
}

function rotateOfResource(
  call: Call,
  kind: 'project' | 'group',
  resource: GitlabProject | GitlabGroup,
): PlainAnswer {
  const { token } = call.actor;
  if (!token || (token.kind !== 'project' && token.kind !== 'group')) {
    throw refuse(405, '405 Method Not Allowed');
  }
  if (token.kind !== kind || token.resource !== resource) throw refuse(401, '401 Unauthorized');
  return rotate(call, token, resource.members.get(token.user.id));
}

function rotate(call: Call, token: GitlabToken, accessLevel?: number): PlainAnswer {
  const { settings, behaviour } = call;
  const values = readBody(call, behaviour.takesExpiryOnRotate ? { expires_at: 'date' } : {});
  if (settings.enforcesFineGrainedTokens && token.user.kind === 'human' && !token.granularScopes) {
    throw refuse(
      400,
      '400 Bad request - Rotation of legacy personal access tokens is disabled. Use a fine-grained token instead.',
    );
  }
  const now = call.now();
  const asked = values['expires_at'];
  if (typeof asked !== 'string')
    call.request.recordFailure('a rotation without expires_at: it would live a week');
  const expiresAt = typeof asked === 'string' ? asked : toDay(now + 7 * dayMs);
  if (expiresAt > toDay(now + settings.maxTokenLifeDays * dayMs)) {
    throw refuse(
      400,
      '400 Bad request - Expiration date must be before ' + toDay(now + settings.maxTokenLifeDays * dayMs),
    );
  }
  if (expiresAt < toDay(now)) throw refuse(400, '400 Bad request - Expiration date must be in the future');
  token.revoked = true;
  const made = insertToken(call.state, {
    ...token,
    id: call.state.nextId('token'),
    createdAt: new Date(now),
    expiresAt,
  });
  return {
    status: 200,
    json: {
      ...toTokenJson(call, made),
      ...(accessLevel === undefined
        ? {}
        : { access_level: accessLevel, resource_type: token.kind, resource_id: token.resource?.id }),
      token: made.secret,
    },
  };
}

const dayMs = 86_400_000;
