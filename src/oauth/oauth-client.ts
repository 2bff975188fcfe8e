import type { GitlinkError } from '../errors.ts';
import type { Clock } from '../runtime.ts';
import type { Secret } from '../secret.ts';

/** A client registered at an authorization server: all that the shared flows know of a host. */
export interface OAuthClient {
  /** The host as people know it, for messages and the final page. */
  readonly host: string;
  /** The server's issuer identifier, or null where it has or tells none. */
  readonly issuer: string | null;
  /** Whether the server is known to send `iss` with every callback (RFC 9207): then it may not be missing. */
  readonly sendsIssuer: boolean;
  readonly tokenEndpoint: string;
  readonly clientId: string;
  readonly clientSecret: Secret | null;
  /** How the client proves itself at the token endpoint (RFC 6749 §2.3.1). */
  readonly clientAuthentication: 'none' | 'post' | 'basic';
  /** What an error of this server means where it is not what the standard says; null for what is. */
  readonly explain?: (failure: {
    readonly error: string;
    readonly description: string | null;
  }) => GitlinkError | null;
}

/** How the flows reach the network. */
export interface OAuthNetwork {
  /** The transport of this machine: proxy, authorities. */
  readonly fetch: typeof globalThis.fetch;
  readonly clock: Clock;
  readonly userAgent: string;
  /** Ends what is under way; its reason is thrown. */
  readonly signal: AbortSignal;
  /** The most time for one request, in milliseconds. Default: 30 seconds. */
  readonly requestTimeoutMs?: number;
}
