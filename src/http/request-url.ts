import { InternalError } from '../errors.ts';
import type { HostRequest } from './host-client.ts';

/**
 * The address of a request. It is checked after the URL parser has had its say, so that no path can leave the
 * API's base.
 *
 * @param base - The base URL without trailing slash.
 * @throws InternalError for a path that leads elsewhere.
 */
export function buildRequestUrl(base: string, request: Pick<HostRequest, 'route' | 'query'>): URL {
  const pairs = Object.entries(request.query ?? {}).flatMap(([name, value]) =>
    value === undefined ? [] : [`${encodeURIComponent(name)}=${encodeURIComponent(value)}`],
  );
  const { path } = request.route;
  const query = pairs.length === 0 ? '' : `${path.includes('?') ? '&' : '?'}${pairs.join('&')}`;
  const url = new URL(base + path + query);
  if (!isUnderBase(base, url)) {
    throw new InternalError(`The path ${request.route.template} leads outside ${base}.`);
  }
  return url;
}

/** Whether an address has the base's origin, no user name, and a path inside the base's. */
export function isUnderBase(base: string, url: URL): boolean {
  const baseUrl = new URL(base);
  const basePath = baseUrl.pathname.replace(/\/$/, '');
  const hasUser = url.username !== '' || url.password !== '';
  return url.origin === baseUrl.origin && !hasUser && url.pathname.startsWith(`${basePath}/`);
}

/** An address for traces: values of the query are shown only where they cannot be a secret. */
export function toTraceableUrl(url: URL): string {
  const pairs = [...url.searchParams].map(
    ([name, value]) => `${name}=${/^(?:\d{1,9}|true|false)$/.test(value) ? value : '…'}`,
  );
  return `${url.origin}${url.pathname}${pairs.length === 0 ? '' : `?${pairs.join('&')}`}`;
}
