import { createHash } from 'node:crypto';
import { isPatScope, isScope } from './scopes.ts';
import {
  requireOrganization,
  requireUser,
  type AzureDevopsOrganization,
  type AzureDevopsState,
  type AzureDevopsUser,
} from './state.ts';

/** A personal access token, good for one organization. */
export interface PersonalToken {
  readonly kind: 'pat';
  /** Its name on the page. */
  name: string;
  readonly secret: string;
  readonly user: AzureDevopsUser;
  readonly organization: AzureDevopsOrganization;
  scopes: readonly string[];
  readonly authorizationId: string;
  /** In milliseconds since the epoch, as all times here. */
  readonly createdAt: number;
  expiresAt: number;
  revoked: boolean;
}

/** An access token of Entra for Azure DevOps. */
export interface EntraToken {
  readonly kind: 'entra';
  readonly name: string;
  readonly secret: string;
  readonly user: AzureDevopsUser;
  /** Where it was issued. */
  readonly tenant: string;
  /** Empty for service principals, whose rights come from their membership. */
  readonly scopes: readonly string[];
  readonly createdAt: number;
  expiresAt: number;
  /** What no Entra token can be, but a test may want. */
  revoked: boolean;
}

export type AzureDevopsToken = PersonalToken | EntraToken;

export interface NewPat {
  readonly name?: string;
  /** Default `ada`. */
  readonly user?: string;
  /** Default `acme`. */
  readonly organization?: string;
  /** Default `vso.code_write`. */
  readonly scopes?: readonly string[];
  /** `new`: 84 characters; `old`: the 52 of before July 2024 and of Server. Default `new`. */
  readonly shape?: 'new' | 'old';
  /** Milliseconds since the epoch. Default: in 90 days. */
  readonly expiresAt?: number;
}

export interface NewEntraToken {
  /** Default `ada`. */
  readonly user?: string;
  /** The id of the tenant that issues it. Default: the user's. */
  readonly tenant?: string;
  /** Without the resource. Default `vso.code_write`; ignored for service principals. */
  readonly scopes?: readonly string[];
  /** Default: in 75 minutes. */
  readonly expiresAt?: number;
}

/** The application id of Azure DevOps in Entra. */
export const resourceId = '499b84ac-1321-427f-aa17-267ca6975798';

const dayMs = 86_400_000;

/**
 * Makes a PAT as a person does on the page.
 *
 * @throws Error for an unknown user, organization or scope: the test is wrong then.
 */
export function addPat(state: AzureDevopsState, spec: NewPat, now: number): PersonalToken {
  const scopes = spec.scopes ?? ['vso.code_write'];
  for (const scope of scopes) if (!isPatScope(scope)) throw new Error(`No scope ${scope} for a PAT.`);
  const id = state.nextId();
  const token: PersonalToken = {
    kind: 'pat',
    name: spec.name ?? `pat-${id}`,
    secret: makePat(spec.shape ?? 'new', `${state.number} ${id}`),
    user: requireUser(state, spec.user ?? 'ada'),
    organization: requireOrganization(state, spec.organization ?? 'acme'),
    scopes,
    authorizationId: state.makeGuid('authorization', id),
    createdAt: now,
    expiresAt: spec.expiresAt ?? now + 90 * dayMs,
    revoked: false,
  };
  state.tokens.set(token.secret, token);
  return token;
}

/**
 * Makes an access token without a sign-in.
 *
 * @throws Error for an unknown user or scope: the test is wrong then.
 */
export function addEntraToken(state: AzureDevopsState, spec: NewEntraToken, now: number): EntraToken {
  const user = requireUser(state, spec.user ?? 'ada');
  const wanted = spec.scopes ?? ['vso.code_write'];
  for (const scope of wanted) if (!isScope(scope)) throw new Error(`No scope ${scope}.`);
  const issued = {
    user,
    tenant: spec.tenant ?? user.tenant,
    scopes: user.kind === 'user' ? wanted : [],
    clientId: state.makeGuid('client', 'of addEntraToken'),
    createdAt: now,
    expiresAt: spec.expiresAt ?? now + 75 * 60_000,
  };
  return registerEntraToken(state, makeJwt(state, issued), issued);
}

export interface EntraGrant {
  readonly user: AzureDevopsUser;
  readonly tenant: string;
  readonly scopes: readonly string[];
  readonly clientId: string;
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** Lets the services know an access token. */
export function registerEntraToken(state: AzureDevopsState, secret: string, grant: EntraGrant): EntraToken {
  const { user, tenant, scopes, createdAt, expiresAt } = grant;
  const name = `${user.login}-${state.tokens.size}`;
  const token = {
    kind: 'entra' as const,
    name,
    secret,
    user,
    tenant,
    scopes,
    createdAt,
    expiresAt,
    revoked: false,
  };
  state.tokens.set(secret, token);
  return token;
}

/** An access token in Entra's form: readable claims, as long as real ones are, and no signature that is any good. */
export function makeJwt(state: AzureDevopsState, grant: EntraGrant): string {
  const { user, tenant, scopes, clientId, createdAt, expiresAt } = grant;
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const claims = {
    aud: resourceId,
    iss: `https://sts.windows.net/${tenant}/`,
    iat: Math.floor(createdAt / 1000),
    exp: Math.floor(expiresAt / 1000),
    appid: clientId,
    oid: user.objectId,
    tid: tenant,
    sub: state.makeGuid('subject', user.id, clientId),
    ...(user.kind === 'user'
      ? { name: user.displayName, upn: user.account, unique_name: user.account, scp: scopes.join(' ') }
      : { idtyp: 'app' }),
    uti: `canary-${state.nextId()}`,
    ver: '1.0',
    xms_filler: 'canary '.repeat(150),
  };
  const signature = createHash('sha512')
    .update(`canary ${JSON.stringify(claims)}`)
    .digest('base64url');
  return `${encode({ typ: 'JWT', alg: 'RS256', kid: 'canary' })}.${encode(claims)}.${signature.repeat(4)}`;
}

/** The shapes of §2c; `canary` at the start shows that nobody ever issued it. */
function makePat(shape: 'new' | 'old', seed: string): string {
  const digest = (text: string) => createHash('sha512').update(`gitlink simulator canary ${text}`).digest();
  if (shape === 'old') return `canary${toLetters(digest(seed), 'abcdefghijklmnopqrstuvwxyz234567', 46)}`;
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  const body = `canary${toLetters(digest(seed), letters, 46)}`;
  return `${body}JQQJ99CA${toLetters(digest(`${seed} more`), letters, 12)}AAAAAZDO${toLetters(digest(`${seed} sum`), letters, 4)}`;
}

function toLetters(bytes: Buffer, alphabet: string, length: number): string {
  return [...bytes.subarray(0, length)].map((byte) => alphabet[byte % alphabet.length]).join('');
}

/** Whether a token is good now, wherever it may be good for. */
export function isAlive(token: AzureDevopsToken, now: number): boolean {
  return !token.revoked && token.expiresAt > now;
}
