import type { PlainAnswer, Route } from '../routes.ts';
import { includes, isOwner, isScoped } from './access.ts';
import { toSimpleUser } from './account-json.ts';
import { toInstallationJson } from './app-json.ts';
import { refuseNotFound, refuseResource, requireToken, type Api, type Call, type Need } from './call.ts';
import { answerPage } from './paging.ts';
import { hasScope, type GithubToken } from './token-state.ts';
import { requireOrganization } from './users.ts';

/** What an owner, or an App, sees of what others connected to an organization (`providers/github.md` §8). */
export function listOrganizationConnectionRoutes(api: Api): Route[] {
  const need = (permission: string, scopes: readonly string[], page: string): Need => ({
    who: 'token',
    scopes,
    permissions: { [permission]: 'read' },
    page,
  });
  return [
    {
      method: 'GET',
      template: '/orgs/{org}/installations',
      handle: api(
        need(
          'organization_administration',
          ['admin:org', 'read:org'],
          'orgs/orgs#list-app-installations-for-an-organization',
        ),
        listInstallations,
      ),
    },
    {
      method: 'GET',
      template: '/orgs/{org}/personal-access-tokens',
      handle: api(
        need(
          'organization_personal_access_tokens',
          [],
          'orgs/personal-access-tokens#list-fine-grained-personal-access-tokens-with-access-to-organization-resources',
        ),
        listGrants,
      ),
    },
  ];
}

function listInstallations(call: Call): PlainAnswer {
  const organization = requireOrganization(call);
  const token = requireToken(call);
  if (isScoped(token)) {
    if (!hasScope(token.scopes, ['admin:org', 'read:org']) || !isOwner(token.user, organization))
      throw refuseNotFound(call);
  } else if (!includes(token.permissions, 'organization_administration', 'read')) {
    throw refuseResource(call);
  }
  const found = [...call.state.installations.values()].filter(({ account }) => account === organization);
  return answerPage(call, found, {
    toJson: (installation) => toInstallationJson(call, installation),
    wrap: (installations, total_count) => ({ total_count, installations }),
  });
}

/** Shown to Apps alone. */
function listGrants(call: Call): PlainAnswer {
  const organization = requireOrganization(call);
  const token = requireToken(call);
  const isHere = token.installation?.account === organization;
  if (!isHere || !includes(token.permissions, 'organization_personal_access_tokens', 'read'))
    throw refuseResource(call);
  const found = [...call.state.tokens.values()].filter(
    ({ kind, resourceOwner, isPending, revoked }) =>
      kind === 'fineGrained' && resourceOwner === organization && !isPending && !revoked,
  );
  const toJson = (granted: GithubToken): object => ({
    id: granted.id,
    owner: granted.user && toSimpleUser(call, granted.user),
    repository_selection: granted.repositories === 'all' ? 'all' : 'subset',
    repositories_url: `${call.apiUrl()}/orgs/${organization.login}/personal-access-tokens/${granted.id}/repositories`,
    permissions: { repository: granted.permissions },
    access_granted_at: granted.createdAt.toISOString(),
    token_id: granted.id,
    token_name: granted.name,
    token_expired: granted.expiresAt !== null && granted.expiresAt.getTime() <= call.now(),
    token_expires_at: granted.expiresAt?.toISOString() ?? null,
    token_last_used_at: granted.lastUsedAt?.toISOString() ?? null,
  });
  return answerPage(call, found, { toJson });
}
