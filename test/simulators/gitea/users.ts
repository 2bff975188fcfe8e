import type { PlainAnswer, Route } from '../routes.ts';
import type { GiteaBehaviour } from './behaviour.ts';
import { requireActor, requireScopes } from './call.ts';
import type { Call, GiteaContext, GiteaHandler } from './call.ts';
import { toTime } from './times.ts';
import type { GiteaOwner } from './state.ts';

/** What the server says of itself, and who the caller is (`providers/gitea.md` §1, §3). */
export function listUserRoutes(
  behaviour: GiteaBehaviour,
  api: (handler: GiteaHandler) => Route['handle'],
): Route[] {
  return [
    {
      method: 'GET',
      template: '/api/forgejo/v1/version',
      handle: behaviour.flavour === 'forgejo' ? api(readVersion) : answerAbsent,
      undescribed: true,
    },
    { method: 'GET', template: '/api/v1/version', handle: api(readVersion) },
    { method: 'GET', template: '/api/v1/settings/api', handle: api(readSettings) },
    { method: 'GET', template: '/api/v1/user', handle: api(readUser) },
  ];
}

function readVersion({ behaviour }: Call) {
  return { status: 200, json: { version: behaviour.version } };
}

/** What Gitea's web part says to an address it does not know. */
export function answerAbsent(): PlainAnswer {
  return { status: 404, text: 'Not found.\n', contentType: 'text/plain;charset=utf-8' };
}

function readSettings({ settings }: Call) {
  return {
    status: 200,
    json: {
      max_response_items: settings.maxResponseItems,
      default_paging_num: settings.defaultPagingNum,
      default_git_trees_per_page: 1000,
      default_max_blob_size: 10_485_760,
      default_max_response_size: 104_857_600,
    },
  };
}

function readUser(call: Call) {
  requireScopes(call, 'user');
  const { user } = requireActor(call);
  return { status: 200, json: toOwnerJson(call, user, true) };
}

/** A user, or an organization in the place of one, as the API shows it: the fields of `User`. */
export function toOwnerJson(context: GiteaContext, owner: GiteaOwner, isOneself: boolean) {
  const baseUrl = context.baseUrl();
  const email = `${owner.login}@noreply.${new URL(baseUrl).hostname}`;
  return {
    id: owner.id,
    login: owner.login,
    login_name: '',
    source_id: 0,
    full_name: owner.fullName,
    email: isOneself ? `${owner.login}@acme.test` : email,
    avatar_url: `${baseUrl}/avatars/${owner.id}`,
    html_url: `${baseUrl}/${owner.login}`,
    language: isOneself ? 'en-US' : '',
    is_admin: isOneself && owner.kind === 'user' && owner.isAdmin,
    last_login: '0001-01-01T00:00:00Z',
    created: toTime(owner.createdAt),
    restricted: false,
    active: isOneself,
    prohibit_login: false,
    location: '',
    website: '',
    description: '',
    visibility: owner.kind === 'organization' ? owner.visibility : 'public',
    followers_count: 0,
    following_count: 0,
    starred_repos_count: 0,
    username: owner.login,
  };
}
