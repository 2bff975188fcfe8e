import type { Answer, PlainAnswer, SimulatorRequest } from '../routes.ts';
import type { DcBehaviour } from './behaviour.ts';
import type { Deliveries } from './delivery.ts';
import type { DcState, DcUser, Level } from './state.ts';
import type { DcToken } from './token-state.ts';

/** What an admin sets, and what is not verified in public sources. Mutable, so that a test can change its mind. */
export interface DcSettings {
  /** "Public access": strangers may read public repositories. */
  publicAccess: boolean;
  /** Whether repositories that one may not see are 404; else 401. */
  hidesRepositories: boolean;
  /** Whether `/projects` lists personal projects. */
  listsPersonalProjects: boolean;
  /** The most that a page holds. */
  maxPageSize: number;
  /** Rows between any two of a list that nobody may see, so that `start + size` leads astray. */
  hiddenRows: number;
  /** Basic authentication at REST and at git (9.4 and newer). */
  allowsBasicAtRest: boolean;
  allowsBasicAtGit: boolean;
  /** Wrong passwords of a user, after which only a CAPTCHA in the browser helps. */
  maxFailedLogins: number;
  /** Token bucket of each user; null for none. */
  rateLimit: BucketLimit | null;
  /** Without it there are no tokens of projects and repositories. */
  hasDataCenterLicence: boolean;
  /** Everything is read-only then. */
  isLicenceExpired: boolean;
  maxTokensPerOwner: number;
  expiryRequired: boolean;
  maxExpiryDays: number | null;
  /** Whether a token may read and delete its own record. */
  tokensReachThemselves: boolean;
  /** Webhook secrets come back as asterisks. */
  secretsMasked: boolean;
  hookCreationStatus: 200 | 201;
  hasCircuitBreaker: boolean;
  /** Whether OAuth 2.0 refuses to come back to http. */
  requiresHttpsRedirect: boolean;
  /** Life of an authorization code. */
  codeLifeS: number;
  accessTokenLifeS: number;
  refreshTokenLifeS: number;
  /** Whether a refresh must name the redirect again. */
  refreshNeedsRedirect: boolean;
  /** `POST …/revoke`. */
  hasOAuthRevocation: boolean;
  /** Of the clock that tokens die by. */
  clockOffsetMs: number;
}

export interface BucketLimit {
  readonly capacity: number;
  /** So many requests come back each second. */
  readonly fillRate: number;
  /** Whether the 429 says when to come back. */
  readonly hasRetryAfter?: boolean;
}

/** What all handlers share. */
export interface DcContext {
  readonly state: DcState;
  readonly behaviour: DcBehaviour;
  readonly settings: DcSettings;
  readonly deliveries: Deliveries;
  /** The root of the instance with its context path, without a trailing slash. */
  readonly baseUrl: () => string;
  readonly now: () => number;
}

/** Who asks, and with what. */
export interface Actor {
  readonly user: DcUser;
  readonly kind: 'password' | 'token' | 'oauth';
  readonly token: DcToken | null;
  /** The most that the credential allows, whatever its owner may. */
  readonly limits: CredentialLimits;
}

export interface CredentialLimits {
  readonly repository: Level;
  readonly project: Level;
  /** Managing the own account, its tokens among it. */
  readonly account: boolean;
  readonly administration: boolean;
}

/** One API request. */
export interface Call extends DcContext {
  readonly request: SimulatorRequest;
  /** Null for a stranger, who may have sent a dead credential. */
  readonly actor: Actor | null;
}

export type DcHandler = (call: Call) => Answer | Promise<Answer>;

/** Ends the handling of a request with an answer. */
export class Refusal extends Error {
  readonly answer: PlainAnswer;

  constructor(answer: PlainAnswer) {
    super(`refused with ${answer.status}`);
    this.answer = answer;
  }
}

/**
 * An error in the servers' form (`providers/bitbucket-data-center.md` §9).
 *
 * @param context - The field that it is about.
 */
export function refuse(
  status: number,
  message: string,
  exceptionName: string | null = null,
  context: string | null = null,
): Refusal {
  return new Refusal({ status, json: { errors: [{ context, message, exceptionName }] } });
}

/** A field that is wrong. */
export function refuseField(context: string, message: string): Refusal {
  return refuse(400, message, null, context);
}

/** Also for those who signed in but may not. */
export function refusePermission(): Refusal {
  return refuse(
    401,
    'You are not permitted to access this resource',
    'com.atlassian.bitbucket.AuthorisationException',
  );
}

/** @param what - As `Repository ACME/api`. */
export function refuseNotFound(what: string): Refusal {
  const kind = what.split(' ')[0] ?? '';
  return refuse(404, `${what} does not exist.`, `com.atlassian.bitbucket.NoSuch${kind}Exception`);
}

/** What the servers say to an address that they do not know. */
export function answerAbsent(): PlainAnswer {
  return { status: 404, json: { message: 'null for uri', 'status-code': 404 } };
}

/** @throws Refusal 401 for a stranger. */
export function requireActor({ actor }: Pick<Call, 'actor'>): Actor {
  if (actor) return actor;
  throw refuse(
    401,
    'Authentication failed. Please check your credentials and try again.',
    'com.atlassian.bitbucket.auth.NoSuchUserException',
  );
}
