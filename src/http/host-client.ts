import type { Secret } from '../secret.ts';

/** How a request proves who it is. The secret is revealed at the last moment, after the origin was checked. */
export type Authorization =
  | { readonly scheme: 'Bearer' | 'token'; readonly secret: Secret }
  | { readonly scheme: 'Basic'; readonly username: string; readonly secret: Secret };

export type HttpMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** A path made by the `route` tag: every value in it encoded, and its template kept for traces and errors. */
export interface Route {
  /** Encoded, beginning with `/`, relative to the client's base. */
  readonly path: string;
  /** The same with `{}` in place of each value: safe to print. */
  readonly template: string;
}

export interface HostRequest {
  readonly method: HttpMethod;
  readonly route: Route;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** The body as JSON; `Secret` values anywhere in it are revealed while it is written. */
  readonly json?: unknown;
  /** The body as a form; `Secret` values are revealed while it is written. */
  readonly form?: Readonly<Record<string, string | Secret>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Replaces the client's own authorization; `null` sends none. */
  readonly authorization?: Authorization | null;
  /**
   * Whether the same request may be sent twice. Default: all methods but POST, which is sent once unless the
   * connection could not be made at all or the host refused it for its rate limit alone.
   */
  readonly repeat?: 'safe' | 'never';
  /** Statuses that are answers to this question, beside 2xx. Every other status throws. */
  readonly accept?: readonly number[];
  /** The most time for this request with all its tries, in milliseconds. Default: the client's. */
  readonly deadlineMs?: number;
}

export interface HostResponse {
  readonly status: number;
  readonly headers: Headers;
  /**
   * The parsed JSON, or `null` where the answer has no body, or one that is no JSON with a status in `accept`.
   * Foreign data: narrow it by a schema.
   */
  readonly body: unknown;
}

/** The way to one host: requests go to its origin only. */
export interface HostClient {
  /** The API's base URL without trailing slash: what every address begins with. */
  readonly base: string;
  /**
   * Sends one request, repeating it where that is safe.
   *
   * @throws HostAnswerError for a status that is neither 2xx nor in `accept`.
   * @throws UnreachableError for network faults, time-outs, HTML or broken JSON, a redirect to elsewhere.
   * @throws RateLimitError when the host asks for a longer wait than the deadline allows.
   */
  request(request: HostRequest): Promise<HostResponse>;
}
