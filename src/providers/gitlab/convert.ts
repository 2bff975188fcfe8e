import type { Account, Repository } from '../provider.ts';
import type { Webhook } from '../webhook-support.ts';
import type * as schemas from './schemas.ts';

/** The role from which on a member may manage webhooks. Custom roles may allow it to lower ones. */
export const maintainerRole = 40;

/** The names of the bots that project and group tokens act as; the number is the project's or group's. */
const botName = /^(project|group)_(\d+)_bot(?:\d+|_[0-9A-Za-z]+)?$/;

/** What a project or group token belongs to, by the name of its bot. */
export function toTokenOwner(
  login: string | null,
): { readonly kind: 'project' | 'group'; readonly id: string } | null {
  const [, kind, id] = botName.exec(login ?? '') ?? [];
  return (kind === 'project' || kind === 'group') && id !== undefined ? { kind, id } : null;
}

export function toAccount(user: schemas.User): Account {
  return { login: user.username, kind: toAccountKind(user), id: String(user.id) };
}

/** People may choose such names too, so the host's word on who is a bot counts before the name. */
function toAccountKind({ username, bot }: schemas.User): Account['kind'] {
  if (bot === false) return username.startsWith('service_account_') ? 'serviceAccount' : 'user';
  const owner = toTokenOwner(username);
  if (owner !== null) return owner.kind;
  return bot === true || username.startsWith('service_account_') ? 'serviceAccount' : 'user';
}

/** Tokens die at 00:00 UTC on the day that the host calls their expiry. */
export function toExpiry(date: string | null | undefined): number | null {
  const time = Date.parse(`${date ?? ''}T00:00:00Z`);
  return Number.isNaN(time) ? null : time;
}

/**
 * @param isManageable - Whether the account has the role for webhooks, where the project's own description
 * does not show it.
 */
export function toRepository(found: schemas.Project, isManageable = false): Repository {
  const fullName = found.path_with_namespace;
  return {
    id: String(found.id),
    fullName,
    namespace: fullName.slice(0, Math.max(0, fullName.lastIndexOf('/'))),
    cloneUrl: found.http_url_to_repo || `${found.web_url}.git`,
    webUrl: found.web_url,
    // An empty repository has the name of a branch that is not there yet.
    defaultBranch: found.empty_repo ? null : found.default_branch || null,
    private: found.visibility !== 'public',
    archived: found.archived ?? false,
    canManageWebhooks: isManageable || showsMaintainer(found),
  };
}

/** Whether the description of a project shows the role. That it does not means nothing: most inherited ones hide. */
export function showsMaintainer({ permissions }: schemas.Project): boolean {
  const levels = [permissions?.project_access?.access_level, permissions?.group_access?.access_level];
  return levels.some((level) => (level ?? 0) >= maintainerRole);
}

/** Deleted, and kept for some days in case somebody wants it back: there is nothing to be done with it. */
export function isBeingDeleted(found: schemas.Project): boolean {
  return Boolean(found.marked_for_deletion_on ?? found.marked_for_deletion_at);
}

/** What the adapter must know of a hook beside what every host's hooks have. */
export interface HookSettings extends Record<string, unknown> {
  /** Whether hooks have names here. */
  readonly isNameable: boolean;
  /** Whether parts of its address are hidden in variables, so that nobody can send it back unchanged. */
  readonly hasVariables: boolean;
  /** Whether GitLab will try it again by itself. */
  readonly isPaused: boolean;
}

export function toWebhook(found: schemas.Hook): Webhook & { readonly settings: HookSettings } {
  return {
    id: String(found.id),
    url: found.url,
    events: Object.keys(found).filter((name) => name.endsWith('_events') && found[name] === true),
    active: found.alert_status === 'executable',
    name: found.name || null,
    settings: {
      isNameable: found.name !== undefined,
      hasVariables: (found.url_variables ?? []).length > 0,
      isPaused: found.alert_status === 'temporarily_disabled',
    },
  };
}
