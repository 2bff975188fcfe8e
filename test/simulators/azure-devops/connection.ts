import type { PlainAnswer, Route } from '../routes.ts';
import { answerList, refuse, urlOf, type Actor, type Api, type Call } from './call.ts';
import type { DeploymentCall } from './call.ts';
import { zeroGuid, type AzureDevopsUser } from './state.ts';

/** Who the caller is (`providers/azure-devops.md` §3). */
export function listConnectionRoutes(api: Api): Route[] {
  return [
    {
      method: 'GET',
      template: '/{organization}/_apis/connectionData',
      undescribed: true,
      handle: api.maybeAnonymous({ scopes: [], isPreview: true }, (call) => describeConnection(call)),
    },
  ];
}

/** What only Services has: they know all organizations. */
export function listProfileRoutes(api: Api): Route[] {
  const need = { scopes: ['vso.profile'], isPreview: true };
  return [
    {
      method: 'GET',
      template: '/app-vssps/_apis/profile/profiles/{id}',
      handle: api.ofDeployment(need, describeProfile),
    },
    { method: 'GET', template: '/app-vssps/_apis/accounts', handle: api.ofDeployment(need, listAccounts) },
  ];
}

function describeConnection(call: Omit<Call, 'actor'> & { actor: Actor | null }): PlainAnswer {
  const { organization, state, actor, deployment } = call;
  const user = actor ? toIdentityJson(call, actor.user) : nobodyJson;
  const json = {
    authenticatedUser: user,
    authorizedUser: user,
    instanceId: organization.id,
    deploymentId: state.makeGuid('deployment'),
    deploymentType: deployment,
    locationServiceData: {
      serviceOwner: '00025394-6065-48ca-87d9-7f5672854ef7',
      defaultAccessMappingMoniker: 'PublicAccessMapping',
      lastChangeId: 108212367,
      lastChangeId64: 108212367,
    },
    webApplicationRelativeDirectory: new URL(urlOf(call, organization)).pathname,
  };
  return { status: 200, json };
}

const nobodyJson = {
  id: 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa',
  descriptor: 'System:PublicAccess;aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa',
  subjectDescriptor: 'sys.UHVibGljQWNjZXNzOmFhYWFhYWFh',
  providerDisplayName: 'Anonymous',
  isActive: true,
  properties: {},
  resourceVersion: 2,
  metaTypeId: 255,
};

function toIdentityJson({ deployment }: Pick<Call, 'deployment'>, user: AzureDevopsUser) {
  const kind = user.kind === 'servicePrincipal' ? 'aadsp' : user.tenant === zeroGuid ? 'msa' : 'aad';
  const prefix = deployment === 'onPremises' ? 'win' : kind;
  return {
    id: user.id,
    descriptor: `Microsoft.IdentityModel.Claims.ClaimsIdentity;${user.tenant}\\${user.account}`,
    subjectDescriptor: `${prefix}.${Buffer.from(user.id).toString('base64url')}`,
    providerDisplayName: user.displayName,
    isActive: true,
    properties: { Account: { $type: 'System.String', $value: user.account } },
    resourceVersion: 2,
    metaTypeId: 0,
  };
}

function describeProfile({ actor, request }: DeploymentCall): PlainAnswer {
  const { id, displayName, account } = actor.user;
  const wanted = request.params['id'] ?? '';
  if (wanted !== 'me' && wanted !== id) {
    throw refuse(404, 'ProfileDoesNotExistException', `The profile ${wanted} does not exist.`);
  }
  const json = {
    id,
    displayName,
    publicAlias: id,
    emailAddress: account,
    coreRevision: 1,
    revision: 1,
    timeStamp: '2026-01-02T03:04:05.678+00:00',
  };
  return { status: 200, json };
}

/** The organizations of a user: for Entra tokens of people alone, and only those of the token's tenant. */
function listAccounts(call: DeploymentCall): PlainAnswer {
  const { actor, request, state, vsspsUrl } = call;
  const memberId = request.query.get('memberId') ?? request.query.get('ownerId');
  if (memberId === null) {
    throw refuse(400, 'VssPropertyValidationException', 'Either memberId or ownerId must be supplied.');
  }
  if (actor.user.kind === 'servicePrincipal' || memberId !== actor.user.id) return answerList([]);
  const { token } = actor;
  const found = state.organizations.filter(
    ({ members, tenant }) => members.has(memberId) && token.kind === 'entra' && tenant === token.tenant,
  );
  return answerList(
    found.map(({ id, name }) => ({
      accountId: id,
      accountName: name,
      accountUri: `${vsspsUrl()}/${encodeURIComponent(name)}/`,
      properties: {},
    })),
  );
}
