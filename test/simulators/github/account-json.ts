import type { GithubContext } from './call.ts';
import type { GithubAccount, GithubOrganization } from './state.ts';

type Urls = Pick<GithubContext, 'apiUrl' | 'webUrl'>;

export function nodeIdOf(kind: string, id: number): string {
  return Buffer.from(`${kind}_canary_${id}`).toString('base64');
}

/** `simple-user`, which organizations are shown as too. */
export function toSimpleUser({ apiUrl, webUrl }: Urls, account: GithubAccount) {
  const { id, login, kind } = account;
  const url = `${apiUrl()}/users/${login}`;
  return {
    login,
    id,
    node_id: nodeIdOf('U', id),
    avatar_url: `${webUrl()}/avatars/u/${id}?`,
    gravatar_id: '',
    url,
    html_url: `${webUrl()}/${login}`,
    followers_url: `${url}/followers`,
    following_url: `${url}/following{/other_user}`,
    gists_url: `${url}/gists{/gist_id}`,
    starred_url: `${url}/starred{/owner}{/repo}`,
    subscriptions_url: `${url}/subscriptions`,
    organizations_url: `${url}/orgs`,
    repos_url: `${url}/repos`,
    events_url: `${url}/events{/privacy}`,
    received_events_url: `${url}/received_events`,
    type: kind === 'user' ? 'User' : 'Organization',
    user_view_type: 'public',
    site_admin: kind === 'user' && account.isSiteAdmin,
  };
}

/** `public-user`: what everybody may know. */
export function toPublicUser(urls: Urls, account: GithubAccount) {
  const createdAt = account.createdAt.toISOString();
  return {
    ...toSimpleUser(urls, account),
    name: account.name,
    company: null,
    blog: '',
    location: null,
    email: null,
    hireable: null,
    bio: null,
    public_repos: 0,
    public_gists: 0,
    followers: 0,
    following: 0,
    created_at: createdAt,
    updated_at: createdAt,
  };
}

/** `organization-simple`. */
export function toOrganization({ apiUrl, webUrl }: Urls, { id, login }: GithubOrganization) {
  const url = `${apiUrl()}/orgs/${login}`;
  return {
    login,
    id,
    node_id: nodeIdOf('O', id),
    url,
    repos_url: `${url}/repos`,
    events_url: `${url}/events`,
    hooks_url: `${url}/hooks`,
    issues_url: `${url}/issues`,
    members_url: `${url}/members{/member}`,
    public_members_url: `${url}/public_members{/member}`,
    avatar_url: `${webUrl()}/avatars/u/${id}?`,
    description: null,
  };
}
