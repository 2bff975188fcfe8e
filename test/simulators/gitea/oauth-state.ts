import { createHash, randomUUID } from 'node:crypto';
import type { GiteaBehaviour } from './behaviour.ts';
import type { GiteaSettings } from './call.ts';
import { normalizeScopes } from './scopes.ts';
import type { GiteaState, GiteaToken, GiteaUser } from './state.ts';

/** A registered client. */
export interface GiteaApplication {
  readonly id: number;
  readonly owner: GiteaUser;
  name: string;
  readonly clientId: string;
  clientSecret: string;
  redirectUris: readonly string[];
  confidential: boolean;
  skipsConsent: boolean;
  readonly createdAt: Date;
}

/** What a person allowed a client: there is one for both, whose scopes never change. */
export interface GiteaGrant {
  readonly id: number;
  readonly application: GiteaApplication;
  readonly user: GiteaUser;
  /** As it was asked for. */
  readonly scope: string;
  /** Which refresh token is the valid one, where they are good for one use; else 0. */
  counter: number;
}

/** What a client asks for on its way through the browser. */
export interface AuthorizationRequest {
  readonly application: GiteaApplication;
  readonly redirectUri: string;
  readonly state: string;
  readonly scope: string;
  readonly challenge: string;
  readonly challengeMethod: string;
}

interface IssuedCode {
  readonly grant: GiteaGrant;
  readonly request: AuthorizationRequest;
  readonly expiresAt: number;
}

interface RefreshToken {
  readonly grant: GiteaGrant;
  readonly counter: number;
  readonly expiresAt: number;
}

/** All that signing in leaves behind. */
export interface OAuthState {
  readonly applications: Map<number, GiteaApplication>;
  readonly grants: Map<number, GiteaGrant>;
  /** By the number in the consent page's address. */
  readonly requests: Map<string, AuthorizationRequest>;
  readonly codes: Map<string, IssuedCode>;
  readonly refreshTokens: Map<string, RefreshToken>;
  nextId(): number;
}

export function createOAuthState(): OAuthState {
  let last = 50;
  return {
    applications: new Map(),
    grants: new Map(),
    requests: new Map(),
    codes: new Map(),
    refreshTokens: new Map(),
    nextId: () => (last += 1),
  };
}

export interface NewApplication {
  /** The login of the owner. Default `ada`. */
  readonly owner?: string;
  /** Default `gitlink`. */
  readonly name?: string;
  /** Default: the one that gitlink registers. */
  readonly redirectUris?: readonly string[];
  /** Default false: a public client. */
  readonly confidential?: boolean;
  readonly skipsConsent?: boolean;
}

/**
 * Registers a client.
 *
 * @throws Error for an unknown owner: the test is wrong then.
 */
export function addApplication(state: GiteaState, spec: NewApplication): GiteaApplication {
  const owner = state.findOwner(spec.owner ?? 'ada');
  if (owner?.kind !== 'user') throw new Error(`No simulated user ${String(spec.owner)}.`);
  const id = state.oauth.nextId();
  const application: GiteaApplication = {
    id,
    owner,
    name: spec.name ?? 'gitlink',
    clientId: randomUUID(),
    clientSecret: makeClientSecret(),
    redirectUris: spec.redirectUris ?? ['http://127.0.0.1/callback'],
    confidential: spec.confidential ?? false,
    skipsConsent: spec.skipsConsent ?? false,
    createdAt: new Date(),
  };
  state.oauth.applications.set(id, application);
  return application;
}

/** In the servers' form: `gto_` and 52 characters. */
export function makeClientSecret(): string {
  return `gto_canary${createHash('sha256').update(randomUUID()).digest('hex').slice(0, 46)}`;
}

/** Deletes a client with its grants; their tokens are dead from then on. */
export function deleteApplication({ oauth }: GiteaState, application: GiteaApplication): void {
  oauth.applications.delete(application.id);
  for (const grant of oauth.grants.values()) {
    if (grant.application === application) oauth.grants.delete(grant.id);
  }
}

export function findGrant(
  { oauth }: GiteaState,
  application: GiteaApplication,
  user: GiteaUser,
): GiteaGrant | undefined {
  return [...oauth.grants.values()].find((grant) => grant.application === application && grant.user === user);
}

export interface IssuedTokens {
  readonly accessToken: string;
  readonly refreshToken: string;
}

/** Issues a pair for a grant; where refresh tokens are good for one use, all older ones end with it. */
export function issueTokens(
  state: GiteaState,
  behaviour: GiteaBehaviour,
  settings: GiteaSettings,
  grant: GiteaGrant,
): IssuedTokens {
  if (settings.invalidateRefreshTokens) grant.counter += 1;
  const now = Date.now();
  const expiresAt = now + settings.accessTokenLifeS * 1000;
  const refreshExpiresAt = now + settings.refreshTokenLifeS * 1000;
  const accessToken = makeJwt(state, { gnt: grant.id, tt: 0, exp: toSeconds(expiresAt) });
  const refreshToken = makeJwt(state, {
    gnt: grant.id,
    tt: 1,
    ...(grant.counter === 0 ? {} : { cnt: grant.counter }),
    exp: toSeconds(refreshExpiresAt),
  });
  state.tokens.set(accessToken, {
    id: state.nextId('token'),
    kind: 'oauth',
    user: grant.user,
    name: grant.application.name,
    secret: accessToken,
    scopes: toEffectiveScopes(behaviour, grant.scope),
    repositories: null,
    grant,
    expiresAt,
    createdAt: new Date(),
    lastUsedAt: null,
  });
  state.oauth.refreshTokens.set(refreshToken, {
    grant,
    counter: grant.counter,
    expiresAt: refreshExpiresAt,
  });
  return { accessToken, refreshToken };
}

/** The token of a secret, if it is good now. */
export function findLiveToken(state: GiteaState, secret: string): GiteaToken | undefined {
  const token = state.tokens.get(secret);
  if (token?.grant && !state.oauth.grants.has(token.grant.id)) return undefined;
  return token?.expiresAt !== undefined && token.expiresAt <= Date.now() ? undefined : token;
}

/** Looks like a JWT; nobody but this server reads it. */
function makeJwt(state: GiteaState, claims: Readonly<Record<string, number>>): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const signature = createHash('sha256')
    .update(`gitlink simulator canary ${state.number} ${state.oauth.nextId()}`)
    .digest('base64url');
  return `${encode({ alg: 'ES256', typ: 'JWT' })}.${encode({ ...claims, iat: toSeconds(Date.now()) })}.${signature}`;
}

function toSeconds(timeMs: number): number {
  return Math.floor(timeMs / 1000);
}

const openIdScopes = ['openid', 'profile', 'email', 'groups'];

/** What a scope string lets a token do (`providers/gitea.md` §2a); `all` where it limits nothing. */
function toEffectiveScopes(behaviour: GiteaBehaviour, scope: string): readonly string[] {
  const asked = scope.split(' ').filter((name) => name !== '' && !openIdScopes.includes(name));
  if (!behaviour.honoursOAuthScopes) return ['all'];
  const names = behaviour.splitsScopesAtCommas ? asked.flatMap((name) => name.split(',')) : asked;
  const known = behaviour.dropsUnknownScopes
    ? names.filter((name) => !('invalid' in normalizeScopes([name])))
    : names;
  const scopes = normalizeScopes(known);
  return 'invalid' in scopes || scopes.length === 0 ? ['all'] : scopes;
}
