import type { IncomingMessage } from 'node:http';

/** Where a request must be aimed at. */
export interface LoopbackTarget {
  /** `127.0.0.1:<port>` or `localhost:<port>`. */
  readonly authority: string;
}

/** The most of one request's head: codes of some servers have two thousand characters. */
export const headLimitBytes = 16_384;
export const headerCountLimit = 64;

/**
 * Says why a request cannot come from the browser of this sign-in. Whatever else runs on this machine, and every
 * page that is open in its browsers, can reach the listener: by other methods, by other names for its address
 * (DNS rebinding), or hidden in a page.
 *
 * @returns the status to refuse it with, or null.
 */
export function findRefusal(request: IncomingMessage, target: LoopbackTarget): number | null {
  const { method, url = '', rawHeaders, headers } = request;
  if (method !== 'GET') return 405;
  // Absolute form would let a request name another host than its Host header.
  if (!url.startsWith('/') || url.startsWith('//')) return 400;
  if (rawHeaders.length / 2 > headerCountLimit) return 431;
  // The parser keeps the first of several Host headers.
  const hosts = rawHeaders.filter((text, index) => index % 2 === 0 && text.toLowerCase() === 'host');
  if (hosts.length !== 1 || headers.host !== target.authority) return 421;
  if (headers['transfer-encoding'] !== undefined || !/^0*$/.test(headers['content-length'] ?? '')) return 413;
  // `Sec-Fetch-Site` says nothing here: a genuine callback comes from another site.
  const { 'sec-fetch-dest': destination = 'document', 'sec-fetch-mode': mode = 'navigate' } = headers;
  return destination === 'document' && mode === 'navigate' ? null : 403;
}
