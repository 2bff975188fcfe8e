import type { Account } from '../provider.ts';

/** Where a person makes and deletes own tokens. */
export function toTokensUrl(host: string): string {
  return `${host}/plugins/servlet/access-tokens/manage`;
}

/** Where an administrator manages the tokens of somebody else. */
export function toTokensUrlOfUser(host: string, slug: string): string {
  return `${host}/plugins/servlet/access-tokens/users/${encodeURIComponent(slug)}/manage`;
}

/** Where the tokens of an account are made: those of a project or repository in its settings. */
export function toTokensUrlOf(host: string, { kind, login }: Account): string {
  const path = login === null ? null : toPagePath(kind, login);
  return path === null ? toTokensUrl(host) : `${host}/${path}/settings`;
}

/** The page of a project's or repository's webhooks. */
export function toHooksUrl(host: string, level: 'repository' | 'namespace', name: string): string {
  const path = toPagePath(level === 'namespace' ? 'project' : 'repository', name) ?? `projects/${name}`;
  return `${host}/plugins/servlet/webhooks/${path}`;
}

/** The programs that a person has signed in to. */
export function toGrantsUrl(host: string): string {
  return `${host}/plugins/servlet/oauth/users/access-tokens`;
}

/** Where an administrator registers a client. */
export function toClientsUrl(host: string): string {
  return `${host}/plugins/servlet/applinks/listApplicationLinks`;
}

function toPagePath(kind: Account['kind'], name: string): string | null {
  const [key, slug] = name.split('/');
  if (kind === 'project') return `projects/${key}`;
  return kind === 'repository' && slug !== undefined ? `projects/${key}/repos/${slug}` : null;
}
