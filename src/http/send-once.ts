import { GitlinkError, UnreachableError } from '../errors.ts';
import { ConnectionFault, toConnectionFault } from './connection-fault.ts';

/** What one try may cost. */
export interface TryLimits {
  /** From the start to the answer's head, connecting included. */
  readonly firstByteMs: number;
  /** From the start to the answer's end. */
  readonly totalMs: number;
  /** Of the decoded body. */
  readonly bodyBytes: number;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Empty for a redirect, whose body nobody needs. */
  readonly text: string;
}

export interface WireRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

const headerCountLimit = 100;

/**
 * Sends one request once and reads its whole answer within the limits. Redirects are handed back.
 *
 * @param signal - Ends the try, down to the socket; its reason is thrown.
 * @throws ConnectionFault when there is no answer, UnreachableError for an answer beyond the limits.
 */
export async function sendOnce(
  fetch: typeof globalThis.fetch,
  request: WireRequest,
  limits: TryLimits,
  signal: AbortSignal,
): Promise<RawAnswer> {
  signal.throwIfAborted();
  const ending = new AbortController();
  const stop = () => ending.abort(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  const expire = (durationMs: number, what: string) =>
    setTimeout(() => {
      const seconds = Math.round(durationMs / 100) / 10;
      ending.abort(new ConnectionFault('timeout', `${what} within ${seconds} s`, { isSent: true }));
    }, durationMs);
  // Real timers on purpose: sockets live in real time even where a test owns the clock.
  const firstByteTimer = expire(limits.firstByteMs, 'did not answer');
  const totalTimer = expire(limits.totalMs, 'did not finish its answer');
  try {
    const { url, method, headers, body } = request;
    const response = await fetch(url, {
      method,
      headers,
      redirect: 'manual',
      signal: ending.signal,
      ...(body === undefined ? {} : { body }),
    });
    clearTimeout(firstByteTimer);
    if ([...response.headers].length > headerCountLimit)
      throw tooMuch(url, `more than ${headerCountLimit} headers`);
    const { status } = response;
    if (status >= 300 && status <= 399) {
      await response.body?.cancel();
      return { status, headers: response.headers, text: '' };
    }
    return { status, headers: response.headers, text: await readText(response, limits.bodyBytes, url) };
  } catch (error) {
    // Gives the socket back where the answer was not read to its end.
    ending.abort();
    if (signal.aborted) throw signal.reason;
    if (ending.signal.reason instanceof ConnectionFault) throw ending.signal.reason;
    throw error instanceof GitlinkError ? error : toConnectionFault(error);
  } finally {
    clearTimeout(firstByteTimer);
    clearTimeout(totalTimer);
    signal.removeEventListener('abort', stop);
  }
}

async function readText(response: Response, limitBytes: number, url: URL): Promise<string> {
  if (response.body === null) return '';
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body as ReadableStream<Uint8Array>) {
    size += chunk.byteLength;
    if (size > limitBytes) throw tooMuch(url, `more than ${limitBytes / 1_048_576} MiB`);
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

function tooMuch(url: URL, what: string): UnreachableError {
  return new UnreachableError(`${url.origin} answered with ${what}, which gitlink does not accept.`);
}
