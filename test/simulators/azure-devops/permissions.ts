import type { PlainAnswer, Route } from '../routes.ts';
import { hookRightsOf, isAdministrator, roleOf } from './access.ts';
import { answerList, refuse, type Api, type Call } from './call.ts';
import { findProject, findRepository } from './state.ts';

const hooksNamespace = 'cb594ebe-87dd-4fc9-ac2c-6a10a4c92046';
const gitNamespace = '2e9eb7ed-3c0a-47d4-87c1-0ffdd275fd87';
const gitRights = { administrator: 0xffff, contributor: 2 | 4 | 16, reader: 2 } as const;

/** What the caller may do (`providers/azure-devops.md` §3). */
export function listPermissionRoutes(api: Api): Route[] {
  return [
    {
      method: 'GET',
      template: '/{organization}/_apis/permissions/{namespace}/{permissions}',
      handle: api.ofOrganization({ scopes: ['vso.code'] }, judge),
    },
  ];
}

function judge(call: Call): PlainAnswer {
  const { params, query } = call.request;
  const { namespace = '', permissions = '' } = params;
  const rightsOf = { [hooksNamespace]: hookRightsAt, [gitNamespace]: gitRightsAt }[namespace.toLowerCase()];
  if (!rightsOf || !/^\d+$/.test(permissions)) {
    throw refuse(404, 'InvalidSecurityNamespaceException', `There is no security namespace ${namespace}.`);
  }
  const wanted = Number(permissions);
  const isAlwaysAllowed =
    query.get('alwaysAllowAdministrators') === 'true' && isAdministrator(call.organization, call.actor.user);
  const tokens = (query.get('tokens') ?? '').split(query.get('delimiter') ?? ',');
  return answerList(tokens.map((token) => isAlwaysAllowed || (rightsOf(call, token) & wanted) === wanted));
}

/** @param token - As `PublisherSecurity/{projectId}`. */
function hookRightsAt({ organization, actor }: Call, token: string): number {
  const project = findProject(organization, token.split('/')[1] ?? '');
  return project ? hookRightsOf(actor, project) : 0;
}

/** @param token - As `repoV2/{projectId}/{repositoryId}`. */
function gitRightsAt({ organization, actor }: Call, token: string): number {
  const [, projectId = '', repositoryId] = token.split('/');
  const project = findProject(organization, projectId);
  const role = project && roleOf(actor, project);
  if (!project || !role) return 0;
  const isThere = repositoryId === undefined || findRepository(project, repositoryId) !== undefined;
  return isThere ? gitRights[role] : 0;
}
