import type { Answer, PlainAnswer, SimulatorRequest } from '../routes.ts';
import type { Deliveries } from './delivery.ts';
import type { Bucket, Throttle } from './limits.ts';
import { findMissing, type Need } from './scopes.ts';
import type { BitbucketState, BitbucketUser } from './state.ts';
import type { BitbucketToken } from './token-state.ts';

/** What the sheet leaves open, and what tests want to change. Mutable. */
export interface BitbucketSettings {
  /** Whether hooks may go to this machine, which the real service never allows. */
  allowsLoopback: boolean;
  /** Hooks of one repository or workspace. */
  maxHooks: number;
  readonly limits: Record<Bucket, Throttle>;
  /** What `x-credential-type` says of OAuth tokens; null for no header. */
  oauthCredentialType: string | null;
  /** Whether `/2.0/user` still has `username`. */
  tellsUsername: boolean;
  /** Whether an old name of a repository leads to the new one. */
  redirectsRenamed: boolean;
  accessTokenLifeS: number;
  refreshTokenLifeS: number;
  /** How long a refresh token that was used may be used again. */
  refreshGraceS: number;
  /** Names the granted scopes as the backend before 2026 did. */
  saysScopes: boolean;
  /** Of the clock that tokens and limits go by. */
  clockOffsetMs: number;
}

/** What all handlers share. */
export interface BitbucketContext {
  readonly state: BitbucketState;
  readonly settings: BitbucketSettings;
  readonly deliveries: Deliveries;
  /** The web's root, without a trailing slash. */
  readonly webUrl: () => string;
  /** With `/2.0`. */
  readonly apiUrl: () => string;
  readonly now: () => number;
}

/** Who asks, and with what. */
export interface Actor {
  readonly token: BitbucketToken;
  /** Null for access tokens. */
  readonly user: BitbucketUser | null;
}

/** One API request. */
export interface Call extends BitbucketContext {
  readonly request: SimulatorRequest;
  /** Null for an anonymous caller. */
  readonly actor: Actor | null;
}

export type BitbucketHandler = (call: Call) => Answer | Promise<Answer>;

/** Makes the handler of an API route: authentication, limits, scopes, the service's own headers. */
export type Api = (need: Need, handler: BitbucketHandler) => (request: SimulatorRequest) => Promise<Answer>;

/** Ends the handling of a request with an answer. */
export class Refusal extends Error {
  readonly answer: PlainAnswer;

  constructor(answer: PlainAnswer) {
    super(`refused with ${answer.status}`);
    this.answer = answer;
  }
}

/** More of an error than its message; `detail` is text or an object, as the service pleases. */
export interface ErrorDetails {
  readonly detail?: string | object;
  readonly fields?: Readonly<Record<string, readonly string[]>>;
  readonly data?: object;
}

/** An error in the service's shape (`providers/bitbucket.md` §9). */
export function toErrorAnswer(status: number, message: string, details: ErrorDetails = {}): PlainAnswer {
  return { status, json: { type: 'error', error: { message, ...details } } };
}

export function refuse(status: number, message: string, details?: ErrorDetails): Refusal {
  return new Refusal(toErrorAnswer(status, message, details));
}

export function refuseFields(fields: Readonly<Record<string, readonly string[]>>): Refusal {
  return refuse(400, 'Bad request', { fields, detail: 'There are errors in your request.' });
}

export function refuseForbidden(detail?: string): Refusal {
  return refuse(403, 'Forbidden', detail === undefined ? {} : { detail });
}

export function refuseToken(
  message = 'Token is invalid, expired, or not supported for this endpoint.',
): Refusal {
  const headers = { 'www-authenticate': 'Basic realm="Bitbucket.org HTTP"' };
  return new Refusal({ ...toErrorAnswer(401, message), headers });
}

/**
 * Demands scopes of the caller's token.
 *
 * @throws Refusal 403 that names one of those that are missing, though there may be more.
 */
export function requireScopes({ actor }: Pick<Call, 'actor'>, need: Need): void {
  if (!actor) return;
  const [missing] = findMissing(actor.token, need);
  if (missing === undefined) return;
  throw refuse(403, 'Your credentials lack one or more required privilege scopes.', {
    detail: { required: [missing], granted: actor.token.scopes },
  });
}

/** Demands a credential. @throws Refusal 401. */
export function requireActor({ actor }: Call): Actor {
  if (!actor) throw refuseToken();
  return actor;
}

/** Demands a credential with a user behind it. @throws Refusal 401, or 403 for access tokens. */
export function requireUserOfCall(call: Call): BitbucketUser {
  const { user } = requireActor(call);
  if (!user) throw refuseForbidden();
  return user;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
