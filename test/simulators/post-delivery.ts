import { request as requestHttp } from 'node:http';

/**
 * Delivers to a receiver. A simulator never leaves the machine: what is not loopback is not reached.
 *
 * @returns the status that the receiver answered; null where nobody did.
 */
export async function postDelivery(
  url: string,
  body: string,
  headers: Readonly<Record<string, string>>,
  { allowsLoopback, timeoutMs }: { readonly allowsLoopback: boolean; readonly timeoutMs: number },
): Promise<number | null> {
  const target = new URL(url);
  const isLoopback = ['127.0.0.1', '[::1]', 'localhost'].includes(target.hostname);
  if (!isLoopback || !allowsLoopback || target.protocol !== 'http:') return null;
  return new Promise((resolve) => {
    const request = requestHttp(target, {
      method: 'POST',
      headers: { ...headers, 'content-length': Buffer.byteLength(body) },
      timeout: timeoutMs,
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(null));
    request.on('response', (response) => {
      response.resume();
      response.on('error', () => resolve(null));
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    request.end(body);
  });
}
