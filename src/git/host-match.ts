import { parseRepositoryPath, stripBasePath } from './repository-path.ts';

/** The part of git's request that names a place. */
export interface RequestedPlace {
  readonly protocol: string;
  readonly host: string;
  readonly path: string | null;
}

const defaultPorts: Readonly<Record<string, string>> = { https: ':443', http: ':80', ssh: ':22' };

const authorityPattern = /^(?:[\w-]+(?:\.[\w-]+)*|\[[\dA-Fa-f:.]+\])(?::[1-9]\d{0,4})?$/;

/**
 * Whether git asks for something on this host: the same scheme, host name, port and base path. Nothing is
 * guessed: no wildcard, suffix, trailing dot, other spelling of an address or decoded name is the same host.
 *
 * @param request - As git sent it.
 * @param linkHost - The base URL of a link (`https://git.acme.dev:8443/gitea`).
 * @param options - `allowHttp`: the link was made with `--allow-http`, for this host and port.
 */
export function matchesHost(
  request: RequestedPlace,
  linkHost: string,
  { allowHttp }: { readonly allowHttp: boolean },
): boolean {
  const [, protocol, linkAuthority, basePath] =
    /^(https?):\/\/([^/]+)((?:\/[^/]+)*)\/?$/.exec(linkHost) ?? [];
  if (protocol === undefined || linkAuthority === undefined || basePath === undefined) return false;
  if (request.protocol !== protocol) return false;
  const authority = normaliseAuthority(request.host, protocol);
  if (authority === null || authority !== normaliseAuthority(linkAuthority, protocol)) return false;
  if (protocol === 'http' && !allowHttp && !isLoopback(authority)) return false;
  if (basePath === '') return true;
  const path = request.path === null ? null : parseRepositoryPath(request.path);
  return path !== null && stripBasePath(path.segments, basePath) !== null;
}

/** An organization of Azure DevOps under its own name, as all had one before 2018. Nothing may stand before or behind it. */
const azureOrganizationHost = /^([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\.visualstudio\.com$/;

/** Where Azure DevOps takes SSH; the path begins with the version of that form. */
const azureSshHosts = ['ssh.dev.azure.com', 'vs-ssh.visualstudio.com'];

/**
 * The address under which a link knows what is asked for, where Azure DevOps answers under two: an organization's own
 * domain stands for the organization at `dev.azure.com`. Both are the same servers with the same rights. Any other
 * place stays as it is.
 */
export function toCurrentPlace<Place extends RequestedPlace>(place: Place): Place {
  const { protocol, path } = place;
  const host = normaliseAuthority(place.host, protocol);
  if (host === null) return place;
  if (protocol === 'ssh') {
    const [, names, name] = /^v3\/([^/]+\/[^/]+)\/([^/]+)$/.exec(path ?? '') ?? [];
    return azureSshHosts.includes(host) && names !== undefined && name !== undefined
      ? { ...place, host: 'dev.azure.com', path: `${names}/_git/${name}` }
      : place;
  }
  const organization = protocol === 'https' ? azureOrganizationHost.exec(host)?.[1] : undefined;
  if (organization === undefined || azureSshHosts.includes(host)) return place;
  const below = path?.replace(/^DefaultCollection\//i, '') ?? null;
  return { ...place, host: 'dev.azure.com', path: below === null ? null : `${organization}/${below}` };
}

/**
 * The one spelling of a host and port: lower case, without the protocol's default port.
 *
 * @returns `null` for what is not a plain host: user names, non-ASCII letters, a trailing dot, an empty port.
 */
export function normaliseAuthority(authority: string, protocol: string): string | null {
  if (!authorityPattern.test(authority)) return null;
  const lower = authority.toLowerCase();
  const port = defaultPorts[protocol];
  return port !== undefined && lower.endsWith(port) ? lower.slice(0, -port.length) : lower;
}

/** Whether a normalised authority is this machine: `localhost`, 127.0.0.0/8 in full, or `[::1]`. */
export function isLoopback(authority: string): boolean {
  const host = authority.replace(/:[0-9]+$/, '');
  if (host === 'localhost' || host === '[::1]') return true;
  const octets = /^127\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(host)?.slice(1);
  return octets?.every((octet) => Number(octet) <= 255 && String(Number(octet)) === octet) ?? false;
}
