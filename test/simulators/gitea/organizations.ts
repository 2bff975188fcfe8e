import type { Route } from '../routes.ts';
import { requireOrganization, requireOwnerOfPath } from './access.ts';
import { isPublicOnly, requireActor, requireScopes } from './call.ts';
import type { Call, GiteaContext, GiteaHandler } from './call.ts';
import { answerPage } from './paging.ts';
import type { GiteaOrganization } from './state.ts';

/** Organizations and what one may do in them (`providers/gitea.md` §4). */
export function listOrganizationRoutes(api: (handler: GiteaHandler) => Route['handle']): Route[] {
  return [
    { method: 'GET', template: '/api/v1/user/orgs', handle: api(listMine) },
    { method: 'GET', template: '/api/v1/orgs/{org}', handle: api(read) },
    { method: 'GET', template: '/api/v1/orgs/{org}/members', handle: api(listMembers) },
    {
      method: 'GET',
      template: '/api/v1/users/{username}/orgs/{org}/permissions',
      handle: api(readPermissions),
    },
  ];
}

function listMine(call: Call) {
  requireActor(call);
  requireScopes(call, 'user', 'organization');
  const { user } = requireActor(call);
  // Memberships are not public here, so a `public-only` token sees none.
  const mine = [...call.state.owners.values()].filter(
    (owner): owner is GiteaOrganization =>
      owner.kind === 'organization' && owner.members.has(user.id) && !isPublicOnly(call),
  );
  return answerPage(call, mine, (organization) => toOrganizationJson(call, organization), { hasLink: true });
}

function read(call: Call) {
  requireScopes(call, 'organization');
  return { status: 200, json: toOrganizationJson(call, requireOrganization(call)) };
}

/** Outsiders see those alone who show their membership; here nobody does. */
function listMembers(call: Call) {
  requireScopes(call, 'organization');
  const organization = requireOrganization(call);
  const { user } = requireActor(call);
  const sees = user.isAdmin || organization.members.has(user.id);
  const members = [...call.state.owners.values()].filter(
    (owner) => sees && owner.kind === 'user' && organization.members.has(owner.id),
  );
  const toJson = ({ id, login }: (typeof members)[number]): object => ({ id, login });
  return answerPage(call, members, toJson, { hasLink: true });
}

function readPermissions(call: Call) {
  requireScopes(call, 'user', 'organization');
  const owner = requireOwnerOfPath(call);
  requireActor(call);
  const organization = requireOrganization(call);
  const role = owner.kind === 'user' ? organization.members.get(owner.id) : undefined;
  return {
    status: 200,
    json: {
      is_owner: role === 'owner',
      is_admin: role === 'owner' || role === 'admin',
      can_write: role !== undefined && role !== 'read',
      can_read: role !== undefined,
      can_create_repository: role === 'owner' || role === 'admin',
    },
  };
}

function toOrganizationJson(context: GiteaContext, organization: GiteaOrganization) {
  return {
    id: organization.id,
    name: organization.login,
    full_name: organization.fullName,
    email: '',
    avatar_url: `${context.baseUrl()}/avatars/${organization.id}`,
    description: '',
    website: '',
    location: '',
    visibility: organization.visibility,
    repo_admin_change_team_access: true,
    username: organization.login,
  };
}
