import { Secret } from '../../secret.ts';
import type { Repository } from '../provider.ts';
import type { Webhook } from '../webhook-support.ts';
import type * as schemas from './schemas.ts';

/** `KEY`, or `~slug` for what belongs to a person, whose key is written in other cases here and there. */
export function toNamespace({ key, type, owner }: schemas.Project): string {
  if (type !== 'PERSONAL') return key;
  return owner ? `~${owner.slug}` : key.toLowerCase();
}

/** @param canManageWebhooks - Whether the account has the permission, which the description does not tell. */
export function toRepository(
  host: string,
  found: schemas.Repository,
  canManageWebhooks: boolean,
): Repository {
  const namespace = toNamespace(found.project);
  const http = found.links?.clone?.find(({ name }) => name === 'http' || name === 'https');
  const self = found.links?.self?.[0]?.href.replace(/\/browse\/?$/, '');
  return {
    id: String(found.id),
    fullName: `${namespace}/${found.slug}`,
    namespace,
    cloneUrl: toPlainUrl(http?.href) ?? `${host}/scm/${namespace.toLowerCase()}/${found.slug}.git`,
    webUrl: self ?? `${host}/projects/${namespace}/repos/${found.slug}`,
    defaultBranch: found.defaultBranch || null,
    private: !found.public && !found.project.public,
    archived: found.archived,
    canManageWebhooks,
  };
}

/** Whoever asks gets an address with the own user name in it, which would bind a clone to one account. */
function toPlainUrl(address: string | undefined): string | null {
  if (address === undefined || !URL.canParse(address)) return null;
  const url = new URL(address);
  url.username = '';
  url.password = '';
  return url.href;
}

/** What a change must send along, because it replaces the whole hook. */
export interface HookSettings extends Record<string, unknown> {
  /** Its `secret`, which the host shows, is a {@link Secret}. */
  readonly configuration: Readonly<Record<string, unknown>>;
  /** For receivers that want a user name and password; the password is a {@link Secret}. */
  readonly credentials: Readonly<Record<string, unknown>> | null;
  readonly sslVerificationRequired: boolean;
}

export function toWebhook(found: schemas.Hook): Webhook {
  return {
    id: String(found.id),
    url: found.url,
    events: found.events,
    active: found.active,
    name: found.name || null,
    settings: {
      configuration: wrap(found.configuration ?? {}, 'secret'),
      credentials: found.credentials ? wrap(found.credentials, 'password') : null,
      sslVerificationRequired: found.sslVerificationRequired,
    } satisfies HookSettings,
  };
}

/** Puts one value into a {@link Secret}, so that it prints nowhere. What only stands for it is left out. */
function wrap(values: Readonly<Record<string, unknown>>, key: string): Readonly<Record<string, unknown>> {
  const { [key]: value, ...others } = values;
  const isShown = typeof value === 'string' && !/^[*•●.]*$/u.test(value);
  return isShown ? { ...others, [key]: new Secret(value) } : others;
}
