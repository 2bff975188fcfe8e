const cloud = /^https:\/\/(?:(?:www|api|gist)\.)?github\.com(?=\/|$)/;
/** `myghe.com` is none: the dot belongs to it. */
const tenant = /^https:\/\/(?:api\.)?([a-z0-9-]+)\.ghe\.com(?=\/|$)/;

/** github.com's address, whose own names people also copy from its subdomains. */
export const cloudHost = 'https://github.com';

/**
 * The address of github.com, or of a tenant of `ghe.com`, by any address of theirs.
 *
 * @returns null for all others, which can only be Enterprise Servers.
 */
export function toCloudHost(address: string): string | null {
  if (cloud.test(address)) return cloudHost;
  const name = tenant.exec(address)?.[1];
  return name === undefined ? null : `https://${name}.ghe.com`;
}

/** @see https://docs.github.com/enterprise-cloud@latest/rest/about-the-rest-api/about-the-rest-api */
export function toApiBase(host: string): string {
  const known = toCloudHost(host);
  return known === null ? `${host}/api/v3` : known.replace('https://', 'https://api.');
}

/** The address that people know, by that of the API. */
export function toHost(apiBase: string): string {
  return toCloudHost(apiBase) ?? apiBase.replace(/\/api\/v3$/, '');
}

/** The flavour of servers that companies run themselves. */
export const serverFlavour = 'github-enterprise-server';

export function isEnterpriseServer({ flavour }: { readonly flavour: string }): boolean {
  return flavour === serverFlavour;
}
