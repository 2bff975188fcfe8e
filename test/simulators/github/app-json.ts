import { nodeIdOf, toOrganization, toSimpleUser } from './account-json.ts';
import { installationsOf, pageOf } from './app-state.ts';
import type { GithubApp, Installation, InstallationRequest } from './app-state.ts';
import type { GithubContext } from './call.ts';

type Context = Pick<GithubContext, 'apiUrl' | 'webUrl' | 'flavour' | 'state'>;

/** The public page of an app. */
export function appPageOf(
  { flavour, webUrl }: Pick<Context, 'flavour' | 'webUrl'>,
  { slug }: GithubApp,
): string {
  return `${webUrl()}/${flavour === 'enterprise-server' ? 'github-apps' : 'apps'}/${slug}`;
}

/** `integration`. */
export function toAppJson(context: Context, app: GithubApp) {
  const createdAt = app.createdAt.toISOString();
  return {
    id: app.id,
    slug: app.slug,
    client_id: app.client.clientId,
    node_id: nodeIdOf('A', app.id),
    owner: toSimpleUser(context, app.owner),
    name: app.name,
    description: app.description,
    external_url: app.externalUrl,
    html_url: appPageOf(context, app),
    created_at: createdAt,
    updated_at: createdAt,
    permissions: app.permissions,
    events: app.events,
    installations_count: installationsOf(context.state, app).length,
  };
}

/** `installation`. */
export function toInstallationJson(context: Context, installation: Installation) {
  const { id, app, account, suspendedBy } = installation;
  const url = `${context.apiUrl()}/app/installations/${id}`;
  return {
    id,
    account: toSimpleUser(context, account),
    repository_selection: installation.selection,
    access_tokens_url: `${url}/access_tokens`,
    repositories_url: `${context.apiUrl()}/installation/repositories`,
    html_url: pageOf(context.webUrl(), installation),
    app_id: app.id,
    client_id: app.client.clientId,
    app_slug: app.slug,
    target_id: account.id,
    target_type: account.kind === 'user' ? 'User' : 'Organization',
    permissions: installation.permissions,
    events: installation.events,
    single_file_name: null,
    has_multiple_single_files: false,
    single_file_paths: [],
    contact_email: null,
    created_at: installation.createdAt.toISOString(),
    updated_at: installation.updatedAt.toISOString(),
    suspended_by: suspendedBy && toSimpleUser(context, suspendedBy),
    suspended_at: installation.suspendedAt?.toISOString() ?? null,
  };
}

/** `integration-installation-request`. */
export function toRequestJson(context: Context, request: InstallationRequest) {
  const { account } = request;
  return {
    id: request.id,
    node_id: nodeIdOf('IR', request.id),
    account: account.kind === 'user' ? toSimpleUser(context, account) : toOrganization(context, account),
    requester: toSimpleUser(context, request.requester),
    created_at: request.createdAt.toISOString(),
  };
}
