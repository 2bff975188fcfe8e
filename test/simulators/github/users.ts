import type { PlainAnswer, Route } from '../routes.ts';
import { brokenRule, isOwner } from './access.ts';
import { toOrganization, toPublicUser, toSimpleUser } from './account-json.ts';
import { findInstallation } from './app-state.ts';
import { refuse, refuseNotFound, requirePerson, requireToken } from './call.ts';
import type { Api, Call } from './call.ts';
import { answerPage } from './paging.ts';
import type { GithubOrganization, GithubUser } from './state.ts';
import { hasScope } from './token-state.ts';

/** Who somebody is, and where they belong (`providers/github.md` §3, §4.1). */
export function listUserRoutes(api: Api): Route[] {
  const organizations = 'orgs/orgs#list-organizations-for-the-authenticated-user';
  const memberships = 'orgs/members#list-organization-memberships-for-the-authenticated-user';
  return [
    {
      method: 'GET',
      template: '/user',
      handle: api({ who: 'user', page: 'users/users#get-the-authenticated-user' }, readSelf),
    },
    {
      method: 'GET',
      template: '/user/orgs',
      handle: api(
        { who: 'user', scopes: ['admin:org', 'read:org', 'repo', 'user', 'write:org'], page: organizations },
        listOrganizations,
      ),
    },
    {
      method: 'GET',
      template: '/user/memberships/orgs',
      handle: api(
        { who: 'user', scopes: ['admin:org', 'read:org', 'write:org'], page: memberships },
        listMemberships,
      ),
    },
    {
      method: 'GET',
      template: '/users/{username}',
      handle: api({ who: 'anyone', page: 'users/users#get-a-user' }, readAccount),
    },
    {
      method: 'GET',
      template: '/orgs/{org}',
      handle: api({ who: 'anyone', page: 'orgs/orgs#get-an-organization' }, readOrganization),
    },
  ];
}

function readSelf(call: Call): PlainAnswer {
  const user = requirePerson(call);
  const token = requireToken(call);
  const json = toPublicUser(call, user);
  if (!hasScope(token.scopes, ['read:user'])) return { status: 200, json };
  const more = {
    private_gists: 0,
    total_private_repos: 0,
    owned_private_repos: 0,
    disk_usage: 0,
    collaborators: 0,
    two_factor_authentication: true,
    plan: { name: 'pro', space: 976_562_499, collaborators: 0, private_repos: 9999 },
  };
  return { status: 200, json: { ...json, ...more } };
}

function organizationsOf(call: Call, user: GithubUser): readonly GithubOrganization[] {
  return [...call.state.accounts.values()].filter(
    (account) => account.kind === 'organization' && account.members.has(user.id),
  ) as GithubOrganization[];
}

function listOrganizations(call: Call): PlainAnswer {
  const user = requirePerson(call);
  const token = requireToken(call);
  const app = token.client?.app;
  if (token.kind === 'fineGrained') return answerPage(call, [], { toJson: () => null });
  if (token.kind !== 'userAccess' && !hasScope(token.scopes, ['read:org', 'read:user'])) {
    throw refuse(403, 'You need at least read:org scope or user scope to list your organizations.', {
      page: call.need.page,
    });
  }
  const belongs = organizationsOf(call, user).filter(
    (organization) => token.kind !== 'userAccess' || (app && findInstallation(call.state, app, organization)),
  );
  const { kept, headers } = withoutBroken(call, belongs);
  return answerPage(call, kept, { toJson: (organization) => toOrganization(call, organization), headers });
}

function listMemberships(call: Call): PlainAnswer {
  const user = requirePerson(call);
  const token = requireToken(call);
  if (token.kind !== 'userAccess' && token.kind !== 'fineGrained' && !hasScope(token.scopes, ['read:org'])) {
    throw refuse(403, 'You need at least read:org scope to list your organization memberships.', {
      page: call.need.page,
    });
  }
  const state = call.request.query.get('state');
  const belongs = organizationsOf(call, user).filter(
    (organization) => token.kind !== 'fineGrained' || organization === token.resourceOwner,
  );
  const { kept, headers } = withoutBroken(call, state === 'pending' ? [] : belongs);
  return answerPage(call, kept, {
    headers,
    toJson: (organization) => {
      const json = toOrganization(call, organization);
      return {
        url: `${json.url}/memberships/${user.login}`,
        state: 'active',
        role: isOwner(user, organization) ? 'admin' : 'member',
        organization_url: json.url,
        organization: json,
        user: toSimpleUser(call, user),
      };
    },
  });
}

function withoutBroken(call: Call, organizations: readonly GithubOrganization[]) {
  const broken = organizations.map((organization) => ({
    organization,
    rule: brokenRule(call, organization),
  }));
  const hidden = broken.filter(({ rule }) => rule?.isSingleSignOn).map(({ organization }) => organization.id);
  return {
    kept: broken.filter(({ rule }) => rule === null).map(({ organization }) => organization),
    headers:
      hidden.length === 0 ? {} : { 'x-github-sso': `partial-results; organizations=${hidden.join(',')}` },
  };
}

function readAccount(call: Call): PlainAnswer {
  const account = call.state.findAccount(call.request.params['username'] ?? '');
  if (!account) throw refuseNotFound(call);
  return { status: 200, json: toPublicUser(call, account) };
}

function readOrganization(call: Call): PlainAnswer {
  const organization = requireOrganization(call);
  const createdAt = organization.createdAt.toISOString();
  const json = {
    ...toOrganization(call, organization),
    name: organization.name,
    has_organization_projects: true,
    has_repository_projects: true,
    public_repos: 0,
    public_gists: 0,
    followers: 0,
    following: 0,
    html_url: `${call.webUrl()}/${organization.login}`,
    type: 'Organization',
    created_at: createdAt,
    updated_at: createdAt,
    archived_at: null,
  };
  return { status: 200, json };
}

/** The organization that a path names. @throws Refusal 404. */
export function requireOrganization(call: Call): GithubOrganization {
  const { org, organization_id: id } = call.request.params;
  const account = id === undefined ? call.state.findAccount(org ?? '') : call.state.accounts.get(Number(id));
  if (account?.kind !== 'organization') throw refuseNotFound(call);
  return account;
}
