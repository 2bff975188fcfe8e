import type { Repository } from '../provider.ts';
import type { Webhook } from '../webhook-support.ts';
import type * as schemas from './schemas.ts';

export function toRepository(found: schemas.Repository): Repository {
  return {
    id: String(found.id),
    fullName: found.full_name,
    namespace: found.owner.login,
    cloneUrl: found.clone_url,
    webUrl: found.html_url,
    // An empty repository has the name of a branch that is not there yet.
    defaultBranch: found.empty || found.default_branch === '' ? null : found.default_branch,
    private: found.private,
    archived: found.archived,
    canManageWebhooks: found.permissions.admin,
  };
}

/** What a rewrite must send along because an omitted field is cleared. */
export interface HookSettings extends Record<string, unknown> {
  readonly type: string;
  readonly contentType: string;
  readonly branchFilter: string;
  readonly authorizationHeader: string;
}

export function toWebhook(found: schemas.Hook): Webhook {
  return {
    id: String(found.id),
    url: found.config.url,
    events: found.events,
    active: found.active,
    name: found.name === '' ? null : found.name,
    settings: {
      type: found.type,
      contentType: found.config.content_type,
      branchFilter: found.branch_filter,
      authorizationHeader: found.authorization_header,
    } satisfies HookSettings,
  };
}
