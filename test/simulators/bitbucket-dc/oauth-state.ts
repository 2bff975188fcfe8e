import { createHash, randomBytes } from 'node:crypto';
import type { DcUser } from './state.ts';

/** An incoming application link, as a system admin makes it. */
export interface DcApplication {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly name: string;
  /** Compared exactly. */
  readonly redirectUri: string;
  /** "Application permissions": no more can be asked for. */
  readonly scopes: readonly string[];
}

export interface NewApplication {
  readonly name?: string;
  /** Default `http://127.0.0.1:34119/callback`. */
  readonly redirectUri?: string;
  /** Default `REPO_ADMIN` and `PROJECT_ADMIN`. */
  readonly scopes?: readonly string[];
}

/** What a client asks for on its way through the browser. */
export interface AuthorizationRequest {
  readonly application: DcApplication;
  readonly redirectUri: string;
  readonly state: string;
  readonly scopes: readonly string[];
  readonly challenge: string;
  readonly challengeMethod: string;
}

interface IssuedCode {
  readonly request: AuthorizationRequest;
  readonly user: DcUser;
  readonly expiresAt: number;
}

/** One sign-in: an access token and the refresh token that came with it. */
interface Session {
  readonly application: DcApplication;
  readonly user: DcUser;
  readonly scopes: readonly string[];
  readonly redirectUri: string;
  readonly accessToken: string;
  readonly refreshToken: string;
  accessExpiresAt: number;
  readonly refreshExpiresAt: number;
}

/** All that signing in leaves behind. */
export interface OAuthState {
  /** By client id. */
  readonly applications: Map<string, DcApplication>;
  /** By the number in the consent page's address. */
  readonly requests: Map<string, AuthorizationRequest>;
  readonly codes: Map<string, IssuedCode>;
  readonly sessions: Set<Session>;
}

export function createOAuthState(): OAuthState {
  return { applications: new Map(), requests: new Map(), codes: new Map(), sessions: new Set() };
}

/** Registers a client as a system admin does under "Application links". */
export function addApplication(oauth: OAuthState, spec: NewApplication): DcApplication {
  const application: DcApplication = {
    clientId: randomBytes(16).toString('hex'),
    clientSecret: `canary${randomBytes(29).toString('hex')}`,
    name: spec.name ?? 'gitlink',
    redirectUri: spec.redirectUri ?? 'http://127.0.0.1:34119/callback',
    scopes: spec.scopes ?? ['REPO_ADMIN', 'PROJECT_ADMIN'],
  };
  oauth.applications.set(application.clientId, application);
  return application;
}

/** Looks like the servers' JWTs; nobody but this server reads it. */
function makeToken(): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const id = randomBytes(16).toString('hex');
  const signature = createHash('sha256').update(`gitlink simulator canary ${id}`).digest('base64url');
  return `${encode({ alg: 'HS256' })}.${encode({ id: `canary${id.slice(6)}` })}.${signature}`;
}

/** Begins a session, in the place of an older one. */
export function beginSession(
  oauth: OAuthState,
  what: Pick<Session, 'application' | 'user' | 'scopes' | 'redirectUri'>,
  lives: { readonly accessTokenLifeS: number; readonly refreshTokenLifeS: number },
  now: number,
): Session {
  const session: Session = {
    ...what,
    accessToken: makeToken(),
    refreshToken: makeToken(),
    accessExpiresAt: now + lives.accessTokenLifeS * 1000,
    refreshExpiresAt: now + lives.refreshTokenLifeS * 1000,
  };
  oauth.sessions.add(session);
  return session;
}

/** The session of an access token that is good now. */
export function findAccess(oauth: OAuthState, secret: string, now: number): Session | undefined {
  return [...oauth.sessions].find(
    ({ accessToken, accessExpiresAt }) => accessToken === secret && accessExpiresAt > now,
  );
}

/** The session of a refresh token that is good now. */
export function findRefresh(oauth: OAuthState, secret: string, now: number): Session | undefined {
  return [...oauth.sessions].find(
    ({ refreshToken, refreshExpiresAt }) => refreshToken === secret && refreshExpiresAt > now,
  );
}
