import type { AppRegistrationWish, RegistrationForm } from '../app-support.ts';
import type { Capability } from '../provider.ts';

/** What each capability takes, as a manifest writes it. Later ones take more of the same. */
function toPermissions(capabilities: readonly Capability[]): Readonly<Record<string, string>> {
  const has = (capability: Capability): boolean => capabilities.includes(capability);
  return {
    metadata: 'read',
    ...(has('clone') ? { contents: 'read' } : {}),
    ...(has('push') ? { contents: 'write' } : {}),
    ...(has('webhooks') ? { repository_hooks: 'write' } : {}),
    ...(has('namespace-webhooks') ? { organization_hooks: 'write' } : {}),
    ...(has('admin') ? { members: 'read', organization_administration: 'read' } : {}),
  };
}

/** What it takes to be told of an event, beyond that. */
const eventPermissions: Readonly<Record<string, string>> = {
  pull_request: 'pull_requests',
  pull_request_review: 'pull_requests',
  pull_request_review_comment: 'pull_requests',
  issues: 'issues',
  issue_comment: 'issues',
  workflow_run: 'actions',
  workflow_job: 'actions',
};

/**
 * The form that registers an App. There is no `setup_url`: it would be asked for ever, with the port of today; and no
 * `hook_attributes` for an App without a webhook, because they would have to name an address all the same.
 *
 * @see https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
 */
export function toRegistrationForm(host: string, wish: AppRegistrationWish): RegistrationForm {
  const { name, organization, isPublic, redirectUri, state, webhook } = wish;
  const events = [...new Set(webhook?.events ?? [])];
  const manifest = {
    name,
    url: host,
    redirect_url: redirectUri,
    callback_urls: [toCallbackUrl(redirectUri)],
    public: isPublic,
    default_permissions: {
      ...toPermissions(wish.capabilities),
      ...Object.fromEntries(
        events.flatMap((event) => {
          const subject = eventPermissions[event];
          return subject === undefined ? [] : [[subject, 'read'] as const];
        }),
      ),
    },
    ...(webhook === null
      ? {}
      : { hook_attributes: { url: webhook.url, active: true }, default_events: events }),
  };
  const owner = organization === null ? '' : `/organizations/${encodeURIComponent(organization)}`;
  return {
    action: `${host}${owner}/settings/apps/new?${new URLSearchParams({ state }).toString()}`,
    fields: { manifest: JSON.stringify(manifest) },
  };
}

/** Where people who sign in come back to: any port of this machine will do, and the path is that of every sign-in. */
function toCallbackUrl(redirectUri: string): string {
  return `http://${new URL(redirectUri).hostname}/callback`;
}
