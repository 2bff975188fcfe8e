import { randomBytes } from 'node:crypto';
import { isScoped } from './access.ts';
import type { Actor, GithubContext, Need } from './call.ts';

type Headers = Readonly<Record<string, string>>;

/** What every answer carries, of pages too. */
export function toCommonHeaders({ flavour, settings, now }: GithubContext): Headers {
  return {
    date: new Date(now()).toUTCString(),
    'x-github-request-id': randomBytes(8).toString('hex').toUpperCase(),
    ...(flavour === 'enterprise-server' && settings.tellsVersion
      ? { 'x-github-enterprise-version': settings.installedVersion }
      : {}),
  };
}

/** What the API says of a credential that is good, also when it refuses (`providers/github.md` §3). */
export function toTokenHeaders({ settings }: GithubContext, actor: Actor | null, need: Need): Headers {
  const media = { 'x-github-media-type': 'github.v3; format=json' };
  if (actor?.kind !== 'token') return media;
  const { token } = actor;
  const permissions = Object.entries(need.permissions ?? {}).map(([name, level]) => `${name}=${level}`);
  return {
    ...media,
    ...(isScoped(token)
      ? {
          'x-oauth-scopes': token.scopes.join(', '),
          'x-accepted-oauth-scopes': (need.scopes ?? []).join(', '),
          ...(token.client ? { 'x-oauth-client-id': token.client.clientId } : {}),
        }
      : { 'x-accepted-github-permissions': permissions.join(',') || 'allows_permissionless_access=true' }),
    ...(token.expiresAt && token.kind !== 'installation'
      ? { 'github-authentication-token-expiration': writeExpiry(token.expiresAt, settings.expiryFormat) }
      : {}),
  };
}

/** The same moment in both ways that the service has of writing it. */
function writeExpiry(expiresAt: Date, format: 'utc' | 'offset'): string {
  const write = (date: Date) => date.toISOString().slice(0, 19).replace('T', ' ');
  if (format === 'utc') return `${write(expiresAt)} UTC`;
  return `${write(new Date(expiresAt.getTime() - 5 * 3_600_000))} -0500`;
}
