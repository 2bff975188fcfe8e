import { UsageError } from '../../errors.ts';
import type { HostAccess, HostDescription } from '../provider.ts';
import { cloudHost } from './pages.ts';

/** Where an address leads to. */
export interface NamedPlace {
  /** The base under which organizations or collections are. */
  readonly host: string;
  readonly organization: string | null;
  /** The path of the organization below the address that was named. */
  readonly isBelow: boolean;
}

/** An organization of Services in its old form: one name before the domain, and nothing else. */
const legacyHost = /^https:\/\/([a-z0-9][a-z0-9-]{0,62})\.visualstudio\.com(?:\/|$)/;

/** Names under that domain that are services, not organizations. */
const serviceNames = ['app', 'vssps', 'vs-ssh', 'www', 'marketplace', 'status'];

/** Azure DevOps Services by any of its own names; null for every other address. */
export function parseCloudAddress(address: string): { readonly organization: string | null } | null {
  const legacy = legacyHost.exec(address)?.[1];
  if (legacy !== undefined) return serviceNames.includes(legacy) ? null : { organization: legacy };
  if (address !== cloudHost && !address.startsWith(`${cloudHost}/`)) return null;
  const name = address.slice(cloudHost.length + 1).split('/')[0];
  return { organization: name && !name.startsWith('_') ? name : null };
}

/**
 * Finds out what an address on another host names, which its server does not tell: it asks for a credential whatever
 * the path. Below the base comes the organization or collection, so an address with more names than that is one too
 * many, and the caller shortens it.
 *
 * @param organization - What the person named; the base may then have any path, else none but `/tfs`.
 * @returns null for an address that goes deeper.
 */
export function parseAddress(address: string, organization: string | null): NamedPlace | null {
  const [, origin = '', path = ''] = /^(https?:\/\/[^/]+)(\/.*)?$/.exec(address) ?? [];
  const names = path.split('/').filter((name) => name !== '');
  if (names.some((name) => name.startsWith('_'))) return null;
  if (organization !== null) {
    const index = names.findIndex((name) => name.toLowerCase() === organization.toLowerCase());
    if (index === -1) return { host: address, organization, isBelow: true };
    const host = [origin, ...names.slice(0, index)].join('/');
    return index === names.length - 1 ? { host, organization, isBelow: false } : null;
  }
  const hasUsualBase = names[0]?.toLowerCase() === 'tfs';
  const [collection = null, ...more] = names.slice(hasUsualBase ? 1 : 0);
  if (more.length > 0) return null;
  const host = hasUsualBase ? `${origin}/${names[0]}` : origin;
  return { host, organization: collection, isBelow: collection === null };
}

/**
 * The organization, or the collection of a server, that an access is for.
 *
 * @throws UsageError where none was named.
 */
export function requireOrganization({
  host,
  organization,
}: Pick<HostDescription, 'host' | 'organization'>): string {
  if (organization) return organization;
  throw new UsageError(`${host} serves many organizations, and none is named.`, {
    hint: 'Name it with --organization (on a server: the collection)',
  });
}

/** Azure DevOps Server, as against Services, which goes by the provider's name. */
export const serverFlavour = 'azure-devops-server';

export function isServer({ flavour }: Pick<HostDescription, 'flavour'>): boolean {
  return flavour === serverFlavour;
}

/** Whether a name is that of the access's own organization. No two of them differ by case alone. */
export function isOwnOrganization(access: HostAccess, name: string | undefined): boolean {
  return name?.toLowerCase() === requireOrganization(access).toLowerCase();
}
