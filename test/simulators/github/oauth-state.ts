import { randomBytes } from 'node:crypto';
import type { GithubApp } from './app-state.ts';
import { requireAccount } from './state.ts';
import type { GithubAccount, GithubState, GithubUser } from './state.ts';

/** A registered client: an OAuth App, or the half of a GitHub App that signs people in. */
export interface OAuthClient {
  readonly kind: 'oauthApp' | 'githubApp';
  readonly clientId: string;
  clientSecret: string;
  readonly name: string;
  readonly owner: GithubAccount;
  /** The first is what counts where none is sent. */
  callbackUrls: readonly string[];
  /** "Enable Device Flow". */
  deviceFlow: boolean;
  /** "User-to-server token expiration"; for OAuth Apps since 2026. */
  expiresTokens: boolean;
  /** The app that it belongs to. */
  app: GithubApp | null;
}

/** What a person allowed a client. */
export interface OAuthGrant {
  readonly client: OAuthClient;
  readonly user: GithubUser;
  isAlive: boolean;
}

/** What a client asks for on its way through the browser. */
export interface AuthorizationRequest {
  readonly client: OAuthClient;
  /** Null where it was left out, and the registered one counts. */
  readonly redirectUri: string | null;
  readonly state: string;
  readonly scopes: readonly string[];
  readonly challenge: string;
}

interface IssuedCode {
  readonly user: GithubUser;
  readonly request: AuthorizationRequest;
  readonly expiresAt: number;
}

export interface RefreshToken {
  readonly secret: string;
  readonly grant: OAuthGrant;
  readonly scopes: readonly string[];
  /** The access token that was issued with it. */
  readonly accessSecret: string;
  /** From the device flow: then it needs no client secret. */
  readonly isOfDevice: boolean;
  expiresAt: number;
  isSpent: boolean;
}

export interface DeviceCode {
  readonly deviceCode: string;
  readonly userCode: string;
  readonly client: OAuthClient;
  readonly scopes: readonly string[];
  readonly expiresAt: number;
  intervalS: number;
  askedAt: number;
  decision: 'pending' | 'denied' | { readonly user: GithubUser };
}

/** All that signing in leaves behind. */
export interface OAuthState {
  /** By client id. */
  readonly clients: Map<string, OAuthClient>;
  readonly grants: Set<OAuthGrant>;
  /** By the number in the consent page's address. */
  readonly requests: Map<string, AuthorizationRequest>;
  readonly codes: Map<string, IssuedCode>;
  readonly refreshTokens: Map<string, RefreshToken>;
  readonly devices: Map<string, DeviceCode>;
}

export function createOAuthState(): OAuthState {
  return {
    clients: new Map(),
    grants: new Set(),
    requests: new Map(),
    codes: new Map(),
    refreshTokens: new Map(),
    devices: new Map(),
  };
}

export interface NewClient {
  /** Default `oauthApp`. */
  readonly kind?: OAuthClient['kind'];
  /** A login. Default `ada`. */
  readonly owner?: string;
  /** Default `gitlink`. */
  readonly name?: string;
  /** Default: the one that gitlink registers. */
  readonly callbackUrls?: readonly string[];
  readonly deviceFlow?: boolean;
  readonly expiresTokens?: boolean;
}

/** Registers a client. @throws Error for an owner that is not there: the test is wrong then. */
export function addClient(state: GithubState, spec: NewClient): OAuthClient {
  const kind = spec.kind ?? 'oauthApp';
  const hex = randomBytes(40).toString('hex');
  const client: OAuthClient = {
    kind,
    clientId: kind === 'githubApp' ? `Iv23licanary${hex.slice(0, 8)}` : `Ov23licanary${hex.slice(0, 8)}`,
    clientSecret: `canary${hex.slice(8, 42)}`,
    name: spec.name ?? 'gitlink',
    owner: requireAccount(state, spec.owner ?? 'ada'),
    callbackUrls: spec.callbackUrls ?? ['http://127.0.0.1/callback'],
    deviceFlow: spec.deviceFlow ?? false,
    expiresTokens: spec.expiresTokens ?? false,
    app: null,
  };
  state.oauth.clients.set(client.clientId, client);
  return client;
}
