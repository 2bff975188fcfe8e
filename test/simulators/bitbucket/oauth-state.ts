import { createHash, randomBytes } from 'node:crypto';
import { scopesOf } from './scopes.ts';
import { requireWorkspace } from './state.ts';
import type { BitbucketState, BitbucketUser, BitbucketWorkspace } from './state.ts';

/** A registered client, which Bitbucket calls a consumer. */
export interface BitbucketConsumer {
  readonly key: string;
  secret: string;
  readonly name: string;
  readonly workspace: BitbucketWorkspace;
  /** Null where nobody entered one. */
  callbackUrl: string | null;
  /** "This is a private consumer": may act for itself. */
  isPrivate: boolean;
  /** What its checkboxes say. */
  scopes: readonly string[];
}

/** What a person, or a consumer for itself, signed in to. */
export interface OAuthGrant {
  readonly consumer: BitbucketConsumer;
  readonly user: BitbucketUser;
  isAlive: boolean;
}

/** What a client asks for on its way through the browser. */
export interface AuthorizationRequest {
  readonly consumer: BitbucketConsumer;
  /** Null where it was left out, and the registered one counts. */
  readonly redirectUri: string | null;
  readonly state: string;
  readonly challenge: string;
  readonly challengeMethod: string;
}

interface IssuedCode {
  readonly grant: OAuthGrant;
  readonly request: AuthorizationRequest;
  readonly expiresAt: number;
}

export interface RefreshToken {
  readonly grant: OAuthGrant;
  expiresAt: number;
  /** When it was used for the first time; null for not yet. */
  usedAt: number | null;
}

/** All that signing in leaves behind. */
export interface OAuthState {
  /** By key. */
  readonly consumers: Map<string, BitbucketConsumer>;
  readonly grants: Set<OAuthGrant>;
  /** By the number in the consent page's address. */
  readonly requests: Map<string, AuthorizationRequest>;
  readonly codes: Map<string, IssuedCode>;
  readonly refreshTokens: Map<string, RefreshToken>;
}

export function createOAuthState(): OAuthState {
  return {
    consumers: new Map(),
    grants: new Set(),
    requests: new Map(),
    codes: new Map(),
    refreshTokens: new Map(),
  };
}

export interface NewConsumer {
  /** Slug. Default `ada`: her personal workspace. */
  readonly workspace?: string;
  /** Default `gitlink`. */
  readonly name?: string;
  /** The one address to come back to; null for none. */
  readonly callbackUrl?: string | null;
  /** Instead: gitlink's path at this port of 127.0.0.1. */
  readonly callbackPort?: number;
  readonly isPrivate?: boolean;
  /** Default: what gitlink needs for everything. */
  readonly scopes?: readonly string[];
}

const usualScopes = ['account', 'project', 'repository:write', 'pullrequest', 'webhook'];

/** Where nothing is said, a port that is never listened on: tests that come back name theirs. */
const defaultCallback = 'http://127.0.0.1:34119/callback';

/**
 * Registers a consumer, as a person does on the page of a workspace.
 *
 * @throws Error for an unknown workspace or scope: the test is wrong then.
 */
export function addConsumer(state: BitbucketState, spec: NewConsumer): BitbucketConsumer {
  const scopes = spec.scopes ?? usualScopes;
  const unknown = scopes.find((scope) => !scopesOf.consumer.includes(scope));
  if (unknown !== undefined) throw new Error(`No scope ${unknown} for a consumer.`);
  const port = spec.callbackPort;
  const consumer: BitbucketConsumer = {
    key: `canary${randomBytes(13).toString('hex')}`,
    secret: `canary${randomBytes(35).toString('hex')}`,
    name: spec.name ?? 'gitlink',
    workspace: requireWorkspace(state, spec.workspace ?? 'ada'),
    callbackUrl:
      port === undefined
        ? spec.callbackUrl === undefined
          ? defaultCallback
          : spec.callbackUrl
        : `http://127.0.0.1:${port}/callback`,
    isPrivate: spec.isPrivate ?? false,
    scopes,
  };
  state.oauth.consumers.set(consumer.key, consumer);
  return consumer;
}

/** What the new backend hands out: like a JWT, and longer than the Windows keychain takes in one piece. */
export function makeLongToken(claims: Readonly<Record<string, unknown>>): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const jti = randomBytes(16).toString('hex');
  const padding = createHash('shake256', { outputLength: 1_200 }).update(jti).digest('hex').slice(0, 1_500);
  const head = encode({ typ: 'JWT', alg: 'RS256', kid: 'canary' });
  return `${head}.${encode({ ...claims, jti, context: padding })}.${randomBytes(256).toString('base64url')}`;
}
