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
