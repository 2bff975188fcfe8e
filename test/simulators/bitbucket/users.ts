import type { Route } from '../routes.ts';
import { requireWorkspaceOfCall, roleOf, workspaceRoleOf } from './access.ts';
import {
  refuseForbidden,
  requireUserOfCall,
  type Actor,
  type Api,
  type BitbucketContext,
  type Call,
} from './call.ts';
import { answerObject, answerPage } from './paging.ts';
import { filterItems, sortItems, type Queryable } from './query.ts';
import {
  fullNameOf,
  type BitbucketRepository,
  type BitbucketUser,
  type BitbucketWorkspace,
} from './state.ts';

/** Who the caller is, and what they may do (`providers/bitbucket.md` §3, §4). */
export function listUserRoutes(api: Api): Route[] {
  const account = { classic: ['account'], api: ['read:user:bitbucket'] };
  const email = { classic: ['email'], api: ['read:user:bitbucket'] };
  const workspaces = { classic: ['account'], api: ['read:workspace:bitbucket'] };
  const permissions = {
    classic: ['account', 'repository'],
    api: ['read:workspace:bitbucket', 'read:repository:bitbucket'],
  };
  const ofWorkspace = '/2.0/user/workspaces/{workspace}';
  return [
    { method: 'GET', template: '/2.0/user', handle: api(account, readUser) },
    { method: 'GET', template: '/2.0/user/emails', handle: api(email, listEmails) },
    { method: 'GET', template: '/2.0/user/workspaces', handle: api(workspaces, listWorkspaces) },
    { method: 'GET', template: `${ofWorkspace}/permission`, handle: api(workspaces, readPermission) },
    {
      method: 'GET',
      template: `${ofWorkspace}/permissions/repositories`,
      handle: api(permissions, listPermissions),
    },
  ];
}

function readUser(call: Call) {
  const user = requireUserOfCall(call);
  return answerObject(call, {
    ...toUserJson(call, user),
    account_status: 'active',
    created_on: user.createdAt.toISOString(),
    ...(user.kind === 'user' ? { location: null, has_2fa_enabled: null, is_staff: false } : {}),
  });
}

function listEmails(call: Call) {
  const { email } = requireUserOfCall(call);
  return answerPage(call, [email], (address) => ({
    type: 'email',
    email: address,
    is_primary: true,
    is_confirmed: true,
  }));
}

const workspaceFields: Queryable<BitbucketWorkspace> = { slug: ({ slug }) => slug };

function listWorkspaces(call: Call) {
  requireUserOfCall(call);
  const { query } = call.request;
  const mine = [...call.state.workspaces.values()].filter(
    (workspace) => isMine(call, workspace) && matchesAdministrator(call, workspace),
  );
  const found = sortItems(call, filterItems(call, mine, workspaceFields), workspaceFields);
  const sorted = query.has('sort') ? found : [...found].sort((left, right) => left.id - right.id);
  return answerPage(call, sorted, (workspace) => ({
    type: 'workspace_access',
    administrator: workspaceRoleOf(call.actor, workspace) === 'owner',
    workspace: toWorkspaceBaseJson(call, workspace),
  }));
}

function matchesAdministrator({ actor, request }: Call, workspace: BitbucketWorkspace): boolean {
  const wanted = request.query.get('administrator');
  return wanted === null || (wanted === 'true') === (workspaceRoleOf(actor, workspace) === 'owner');
}

function isMine({ actor, state }: Call, workspace: BitbucketWorkspace): boolean {
  return workspaceRoleOf(actor, workspace) !== null || hasRoleIn(state.listRepositories(workspace), actor);
}

function hasRoleIn(repositories: readonly BitbucketRepository[], actor: Actor | null): boolean {
  return repositories.some((repository) => roleOf(actor, repository) !== null);
}

function readPermission(call: Call) {
  const user = requireUserOfCall(call);
  const workspace = requireWorkspaceOfCall(call);
  if (!isMine(call, workspace)) throw refuseForbidden();
  return answerObject(call, {
    type: 'workspace_membership',
    permission: workspaceRoleOf(call.actor, workspace) ?? 'collaborator',
    user: toUserJson(call, user),
    workspace: toWorkspaceBaseJson(call, workspace),
  });
}

function listPermissions(call: Call) {
  const user = requireUserOfCall(call);
  const { actor } = call;
  const workspace = requireWorkspaceOfCall(call);
  if (!isMine(call, workspace)) throw refuseForbidden();
  const fields: Queryable<BitbucketRepository> = {
    permission: (repository) => roleOf(actor, repository),
    'repository.name': ({ slug }) => slug,
    'repository.full_name': fullNameOf,
    'repository.uuid': ({ uuid }) => uuid,
  };
  const mine = call.state
    .listRepositories(workspace)
    .filter((repository) => roleOf(actor, repository) !== null);
  return answerPage(call, sortItems(call, filterItems(call, mine, fields), fields), (repository) => ({
    type: 'repository_permission',
    permission: roleOf(actor, repository),
    user: toUserJson(call, user),
    repository: {
      type: 'repository',
      name: repository.slug,
      full_name: fullNameOf(repository),
      uuid: repository.uuid,
    },
  }));
}

/** Somebody as the API shows them. An app user has no nickname. */
export function toUserJson({ settings, apiUrl, webUrl }: BitbucketContext, user: BitbucketUser) {
  const { kind, uuid, accountId, username, displayName } = user;
  const links = { self: { href: `${apiUrl()}/users/${encodeURIComponent(uuid)}` } };
  const common = { type: kind, uuid, account_id: accountId, display_name: displayName };
  if (kind === 'app_user') return { ...common, kind: 'oauth_consumer', links };
  return {
    ...common,
    nickname: displayName,
    ...(settings.tellsUsername ? { username } : {}),
    links: { ...links, html: { href: `${webUrl()}/${encodeURIComponent(uuid)}/` } },
  };
}

/** What lists of workspaces hold: no name. */
export function toWorkspaceBaseJson({ apiUrl }: BitbucketContext, { slug, uuid }: BitbucketWorkspace) {
  return {
    type: 'workspace_base',
    slug,
    uuid,
    links: {
      avatar: { href: `${apiUrl().replace(/\/2\.0$/, '')}/workspaces/${slug}/avatar/` },
      self: { href: `${apiUrl()}/workspaces/${slug}` },
    },
  };
}
