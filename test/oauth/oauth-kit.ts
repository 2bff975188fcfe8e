import { setMaxListeners } from 'node:events';
import { onTestFinished } from 'vitest';
import type { BrowserSignIn } from '../../src/oauth/authorization-code.ts';
import type { OAuthClient, OAuthNetwork } from '../../src/oauth/oauth-client.ts';
import type { TokenSet } from '../../src/oauth/token-set.ts';
import { systemClock, systemRandom, type Clock } from '../../src/runtime.ts';
import { Secret } from '../../src/secret.ts';
import { visit } from '../support/browser.ts';
import { startOAuthServer, type OAuthServer, type OAuthServerOptions } from '../support/oauth-server.ts';

/** Starts an authorization server that ends with the test. */
export async function startServer(options: OAuthServerOptions = {}): Promise<OAuthServer> {
  const server = await startOAuthServer(options);
  onTestFinished(() => server.close());
  return server;
}

export function createNetwork(overrides: Partial<OAuthNetwork> = {}): OAuthNetwork {
  const { signal } = new AbortController();
  // Virtual clocks leave a listener behind for every wait.
  setMaxListeners(0, signal);
  return {
    fetch: globalThis.fetch,
    clock: systemClock,
    userAgent: 'gitlink-test',
    signal,
    ...overrides,
  };
}

export function toClient(server: OAuthServer): OAuthClient {
  return {
    host: 'git.example',
    issuer: server.issuer,
    sendsIssuer: true,
    tokenEndpoint: server.tokenEndpoint,
    clientId: server.clientId,
    clientSecret: server.clientSecret === null ? null : new Secret(server.clientSecret),
    clientAuthentication: server.clientSecret === null ? 'none' : 'basic',
  };
}

/** A sign-in at a server; the flow's parts can be replaced one by one. */
export function createFlow(server: OAuthServer, overrides: Partial<BrowserSignIn> = {}): BrowserSignIn {
  return {
    client: toClient(server),
    network: createNetwork(),
    authorizationEndpoint: server.authorizationEndpoint,
    scope: 'api read_user',
    redirect: { host: '127.0.0.1', path: '/callback', port: null },
    random: systemRandom,
    openBrowser: (url) => {
      void visit(url).catch(() => undefined);
      return Promise.resolve();
    },
    onWaiting: () => undefined,
    store: () => Promise.resolve(),
    ...overrides,
  };
}

export function createTokens(overrides: Partial<TokenSet> = {}): TokenSet {
  return {
    accessToken: new Secret('canary-access-token'),
    refreshToken: new Secret('canary-refresh-token'),
    obtainedAt: 0,
    expiresAt: 7_200_000,
    refreshExpiresAt: null,
    scopes: ['api'],
    clockSkewMs: 0,
    ...overrides,
  };
}

/** A value that is handed over later. */
export function createDeferred<T>(): {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
} {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
}

/** A clock in real time but for its waits, which end when told to. */
export function createStoppedClock(): Clock & { readonly waits: number[]; elapse(): void } {
  const waits: number[] = [];
  const wakers = new Set<() => void>();
  return {
    ...systemClock,
    waits,
    elapse: () => wakers.forEach((wake) => wake()),
    sleep: (durationMs, signal) =>
      new Promise((resolve, reject) => {
        waits.push(durationMs);
        wakers.add(resolve);
        signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      }),
  };
}
