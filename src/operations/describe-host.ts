import type { HostDescription } from '../providers/provider.ts';
import type { LinkRecord } from '../store/link-schema.ts';

/** What a link's host said of itself when it was linked. */
export function describeHost(link: LinkRecord): HostDescription {
  const { host, flavour, hostVersion, organization, tenant } = link;
  return { host, flavour, version: hostVersion, organization, tenant };
}
