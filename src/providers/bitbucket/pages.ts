import type { Account } from '../provider.ts';

export const cloudHost = 'https://bitbucket.org';

/** Where a person makes and ends API tokens: at Atlassian's account pages, which a test server has under its own. */
export function toApiTokensUrl(host: string): string {
  const accounts = host === cloudHost ? 'https://id.atlassian.com' : host;
  return `${accounts}/manage-profile/security/api-tokens`;
}

/** The access tokens of a repository, project or workspace; the list of workspaces where the place is unknown. */
export function toAccessTokensUrl(host: string, { kind, login }: Account): string {
  const [workspace, name] = (login ?? '').split('/');
  if (!workspace) return toWorkspacesUrl(host);
  if (name === undefined) return `${host}/${workspace}/workspace/settings/access-tokens`;
  return kind === 'project'
    ? `${host}/${workspace}/workspace/projects/${name}/settings/access-tokens`
    : `${host}/${workspace}/${name}/admin/access-tokens`;
}

/** The workspaces of a person, with the way to the settings of each. */
export function toWorkspacesUrl(host: string): string {
  return `${host}/account/workspaces/`;
}

/** The programs that a person signed in to. */
export function toGrantsUrl(host: string): string {
  return `${host}/account/settings/app-authorizations/`;
}
