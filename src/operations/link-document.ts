import type { LinkRecord, LinkStatus } from '../store/link-schema.ts';
import { isInstallation } from './is-installation.ts';

/** A link as `--json` shows it. A closed list: nothing reaches the output that is not named here. */
export interface LinkDocument {
  readonly id: string;
  readonly name: string;
  readonly provider: string;
  readonly flavour: string;
  readonly host: string;
  readonly organization: string | null;
  readonly method: string;
  readonly account: { readonly login: string | null; readonly kind: string; readonly id: string | null };
  readonly restriction: {
    readonly mode: string;
    readonly namespaces: readonly string[];
    readonly repositories: readonly string[];
  };
  readonly enforcement: 'provider' | 'local' | 'none';
  readonly status: LinkStatus;
  readonly statusReason: string | null;
  readonly checkedAt: string | null;
  readonly scopes: readonly string[] | null;
  readonly expiresAt: string | null;
  readonly createdAt: string;
  readonly lastUsedAt: string | null;
  readonly storage: string;
  readonly webhook: {
    readonly url: string;
    readonly events: readonly string[];
    readonly at: string;
    readonly regeneratedAt: string | null;
  } | null;
}

const dayMs = 24 * 60 * 60 * 1000;
const expiringWithinMs = 14 * dayMs;

/**
 * @param lastUsedAt - Milliseconds since the epoch; null when the link was never used.
 * @param now - Milliseconds since the epoch, to tell what is expiring.
 */
export function toLinkDocument(link: LinkRecord, lastUsedAt: number | null, now: number): LinkDocument {
  const { restriction, webhook } = link;
  return {
    id: link.id,
    name: link.name,
    provider: link.provider,
    flavour: link.flavour,
    host: link.host,
    organization: link.organization,
    method: link.method,
    account: { login: link.account.login, kind: link.account.kind, id: link.account.id },
    restriction: {
      mode: restriction.mode,
      namespaces: restriction.mode === 'restricted' ? restriction.namespaces : [],
      repositories:
        restriction.mode === 'restricted' ? restriction.repositories.map(({ fullName }) => fullName) : [],
    },
    enforcement: toEnforcement(link),
    status: toStatus(link, now),
    statusReason: link.statusReason,
    checkedAt: toTime(link.checkedAt),
    scopes: link.scopes,
    expiresAt: toTime(link.expiresAt),
    createdAt: new Date(link.createdAt).toISOString(),
    lastUsedAt: toTime(lastUsedAt),
    storage: link.storage,
    webhook: webhook && {
      url: webhook.url,
      events: webhook.events,
      at: webhook.at,
      regeneratedAt: toTime(webhook.regeneratedAt),
    },
  };
}

/** Accounts that are places: their tokens reach nothing else, whoever holds them. */
const places: ReadonlySet<string> = new Set(['installation', 'workspace', 'project', 'repository', 'group']);

function toEnforcement(link: LinkRecord): LinkDocument['enforcement'] {
  const { account, restriction } = link;
  // Each token that leaves gitlink is minted for one repository.
  if (isInstallation(link)) return 'provider';
  if (restriction.mode === 'restricted' && !isWithin(account, restriction)) return 'local';
  return places.has(account.kind) ? 'provider' : 'none';
}

/** Whether a restriction leaves out nothing of the place that a token is of. */
function isWithin(
  { kind, login }: LinkRecord['account'],
  { namespaces, repositories }: Extract<LinkRecord['restriction'], { mode: 'restricted' }>,
): boolean {
  if (login === null || !places.has(kind)) return false;
  const place = login.toLowerCase();
  // A project and a repository may have the same name.
  const own = kind === 'repository' ? repositories.map(({ fullName }) => fullName) : namespaces;
  return (
    own.some((name) => name.toLowerCase() === place) ||
    namespaces.some((name) => place.startsWith(`${name.toLowerCase()}/`))
  );
}

/** The stored status, overtaken by the calendar. */
function toStatus(link: LinkRecord, now: number): LinkStatus {
  const isAlive = link.status === 'ok' || link.status === 'expiring' || link.status === 'unchecked';
  if (!isAlive || link.expiresAt === null) return link.status;
  if (link.expiresAt <= now) return 'expired';
  return link.expiresAt - now <= expiringWithinMs ? 'expiring' : link.status;
}

function toTime(milliseconds: number | null): string | null {
  return milliseconds === null ? null : new Date(milliseconds).toISOString();
}
