import { request as requestHttp, type IncomingHttpHeaders } from 'node:http';
import { request as requestHttps } from 'node:https';

export interface SentRequest {
  readonly method?: string;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** The whole `Authorization` header. */
  readonly authorization?: string;
  /** Override the defaults; `undefined` leaves one out. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** PEM of the authority to trust. */
  readonly ca?: string;
  /** Gives up after so many milliseconds. */
  readonly timeoutMs?: number;
}

export interface GotResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body, parsed; `undefined` where it is no JSON. */
  readonly json: unknown;
}

/** Sends one request the way gitlink does: the simulators' own tests speak to them with this. */
export async function sendRequest(url: string, sent: SentRequest = {}): Promise<GotResponse> {
  const body = sent.json === undefined ? undefined : JSON.stringify(sent.json);
  const headers = {
    'user-agent': 'gitlink/0.0.0-test',
    ...(body === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }),
    ...(sent.authorization === undefined ? {} : { authorization: sent.authorization }),
    ...sent.headers,
  };
  const send = url.startsWith('https:') ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const request = send(url, {
      method: sent.method ?? (body === undefined ? 'GET' : 'POST'),
      headers: Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined)),
      ...(sent.ca === undefined ? {} : { ca: sent.ca }),
      ...(sent.timeoutMs === undefined ? {} : { signal: AbortSignal.timeout(sent.timeoutMs) }),
    });
    request.once('error', reject);
    request.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: parse(text) });
      });
    });
    request.end(body);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
