import type { Answer, PlainAnswer, SimulatorRequest } from '../routes.ts';
import type { GithubApp, Permissions } from './app-state.ts';
import type { Deliveries } from './delivery.ts';
import type { Bucket, Throttle } from './limits.ts';
import type { GithubState, GithubUser } from './state.ts';
import type { GithubToken } from './token-state.ts';

export type GithubFlavour = 'enterprise-server' | 'github.com' | 'tenant';

/** What an admin sets, what the sheet leaves open, and what tests want to change. Mutable. */
export interface GithubSettings {
  /** `installed_version` of an Enterprise Server. */
  installedVersion: string;
  /** An Enterprise Server that tells strangers nothing. */
  privateMode: boolean;
  /** Whether a proxy leaves the server's own headers in. */
  tellsVersion: boolean;
  /** How the end of a token is written. */
  expiryFormat: 'utc' | 'offset';
  /** `ghs_` with a JWT in it, as github.com makes them since 2026. */
  statelessTokens: boolean;
  /** Whether hooks may go to this machine; github.com never lets them. */
  allowsLocalWebhooks: boolean;
  maxHooksPerEvent: number;
  /** Whether old names of repositories redirect. */
  redirectsRenamed: boolean;
  /** Wrong credentials in an hour; then everything is refused for a while. */
  maxFailedLogins: number;
  /** Whether there are limits, with their headers. */
  hasRateLimits: boolean;
  readonly limits: Record<Bucket, Throttle>;
  /** How secondary limits say when to come back. */
  secondaryRetryAfter: boolean;
  /** What is refused for its rate is answered so. */
  limitStatus: 403 | 429;
  accessTokenLifeS: number;
  refreshTokenLifeS: number;
  deviceCodeLifeS: number;
  /** What devices are told. */
  deviceIntervalS: number;
  /** Only for the clients that the scope `offline_access` reaches. */
  knowsOfflineAccess: boolean;
  /** How long a new installation token is not known everywhere yet. */
  replicationLagMs: number;
  /** Of the clock that tokens, codes and limits go by. */
  clockOffsetMs: number;
}

/** What all handlers share. */
export interface GithubContext {
  readonly flavour: GithubFlavour;
  readonly state: GithubState;
  readonly settings: GithubSettings;
  readonly deliveries: Deliveries;
  /** The web's root, without a trailing slash. */
  readonly webUrl: () => string;
  /** The API's root, with `/api/v3` where it has that. */
  readonly apiUrl: () => string;
  readonly now: () => number;
}

/** Who asks, and with what. */
export type Actor =
  | { readonly kind: 'token'; readonly token: GithubToken; readonly user: GithubUser | null }
  /** An app that signed the request with its key. */
  | { readonly kind: 'app'; readonly app: GithubApp }
  | { readonly kind: 'nobody' };

/** What a route demands. */
export interface Need {
  /**
   * `anyone`: also without a credential. `token`: somebody's. `user`: a person's. `app`: a signed request.
   * `installation`: an installation's token.
   */
  readonly who: 'anyone' | 'token' | 'user' | 'app' | 'installation';
  /** Of classic tokens, one of these suffices; for the header, handlers ask themselves. */
  readonly scopes?: readonly string[];
  /** Of fine-grained tokens and apps; for the header, handlers ask themselves. */
  readonly permissions?: Permissions;
  /** The page of the documentation that errors name, below `rest/`. */
  readonly page: string;
}

/** One request to the API. */
export interface Call extends GithubContext {
  readonly request: SimulatorRequest;
  readonly actor: Actor;
  readonly need: Need;
}

type GithubHandler = (call: Call) => Answer | Promise<Answer>;

/** Makes the handler of an API route: authentication, limits, the service's own headers. */
export type Api = (need: Need, handler: GithubHandler) => (request: SimulatorRequest) => Promise<Answer>;

/** Ends the handling of a request with an answer. */
export class Refusal extends Error {
  readonly answer: PlainAnswer;

  constructor(answer: PlainAnswer) {
    super(`refused with ${answer.status}`);
    this.answer = answer;
  }
}

const documentation = 'https://docs.github.com/rest';

/** An error in the service's shape (`providers/github.md` §10): the status once more, as text. */
export function toErrorAnswer(
  status: number,
  message: string,
  details: { readonly page?: string; readonly errors?: readonly unknown[] } = {},
): PlainAnswer {
  return {
    status,
    json: {
      message,
      ...(details.errors ? { errors: details.errors } : {}),
      documentation_url: details.page === undefined ? documentation : `${documentation}/${details.page}`,
      status: String(status),
    },
  };
}

export function refuse(
  status: number,
  message: string,
  details: { readonly page?: string; readonly errors?: readonly unknown[] } = {},
): Refusal {
  return new Refusal(toErrorAnswer(status, message, details));
}

export function refuseCredentials(): Refusal {
  return refuse(401, 'Bad credentials');
}

/** What is neither there nor visible; the service does not tell which. */
export function refuseNotFound({ need }: Pick<Call, 'need'>): Refusal {
  return refuse(404, 'Not Found', { page: need.page });
}

/** What a token may not do that has permissions instead of scopes, or that is nobody's. */
export function refuseResource({ actor, need }: Pick<Call, 'actor' | 'need'>): Refusal {
  const isPersonal = actor.kind === 'token' && actor.token.kind === 'fineGrained';
  const who = isPersonal ? 'personal access token' : 'integration';
  return refuse(403, `Resource not accessible by ${who}`, { page: need.page });
}

export function refuseInvalid(
  { need }: Pick<Call, 'need'>,
  errors: readonly unknown[],
  message = 'Validation Failed',
): Refusal {
  return refuse(422, message, { page: need.page, ...(errors.length > 0 ? { errors } : {}) });
}

/** The token of a call that has one. @throws Refusal 401. */
export function requireToken({ actor }: Pick<Call, 'actor'>): GithubToken {
  if (actor.kind !== 'token') throw refuse(401, 'Requires authentication');
  return actor.token;
}

/** The person behind a call. @throws Refusal 401, or 403 for an installation. */
export function requirePerson(call: Pick<Call, 'actor' | 'need'>): GithubUser {
  const { user } = requireToken(call);
  if (!user) throw refuseResource(call);
  return user;
}

/** The app that signed a call. @throws Refusal 401. */
export function requireApp({ actor }: Pick<Call, 'actor'>): GithubApp {
  if (actor.kind !== 'app') throw refuse(401, 'A JSON web token could not be decoded');
  return actor.app;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The JSON object of a request; empty where there is no body. @throws Refusal 400. */
export function readBody({
  request,
  need,
}: Pick<Call, 'request' | 'need'>): Readonly<Record<string, unknown>> {
  const { body } = request;
  if (body === undefined) return {};
  if (!isRecord(body)) throw refuse(400, 'Problems parsing JSON', { page: need.page });
  return body;
}
