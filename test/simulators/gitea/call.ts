import type { Answer, PlainAnswer, SimulatorRequest } from '../routes.ts';
import type { GiteaBehaviour } from './behaviour.ts';
import type { Deliveries } from './delivery.ts';
import { hasScope, type ScopeCategory } from './scopes.ts';
import type { GiteaState, GiteaToken, GiteaUser } from './state.ts';

/** The part of `app.ini` that shows at the API. Mutable, so that a test can change its mind. */
export interface GiteaSettings {
  /** `REQUIRE_SIGNIN_VIEW`. */
  requireSignIn: boolean;
  /** `DISABLE_WEBHOOKS`. */
  disableWebhooks: boolean;
  /** `ENABLE_BASIC_AUTHENTICATION`: whether passwords work. */
  enableBasicAuthentication: boolean;
  /** `MAX_RESPONSE_ITEMS`. */
  maxResponseItems: number;
  /** `DEFAULT_PAGING_NUM`. */
  defaultPagingNum: number;
  /** `[webhook] ALLOWED_HOST_LIST`. */
  allowedHosts: 'loopback' | 'external';
  /** `[oauth2] ENABLED`. */
  oauth2Enabled: boolean;
  /** `[oauth2] ACCESS_TOKEN_EXPIRATION_TIME`. */
  accessTokenLifeS: number;
  /** `[oauth2] REFRESH_TOKEN_EXPIRATION_TIME`, there in hours. */
  refreshTokenLifeS: number;
  /** `[oauth2] INVALIDATE_REFRESH_TOKENS`. */
  invalidateRefreshTokens: boolean;
}

/** What all handlers share. */
export interface GiteaContext {
  readonly state: GiteaState;
  readonly behaviour: GiteaBehaviour;
  readonly settings: GiteaSettings;
  readonly deliveries: Deliveries;
  /** `ROOT_URL` without the trailing slash. */
  readonly baseUrl: () => string;
}

/** Who asks. */
export interface Actor {
  readonly user: GiteaUser;
  /** `null` for a login by password, which may do everything. */
  readonly token: GiteaToken | null;
  readonly isBasic: boolean;
}

/** One authenticated API request. */
export interface Call extends GiteaContext {
  readonly request: SimulatorRequest;
  /** `null` for an anonymous caller. */
  readonly actor: Actor | null;
}

export type GiteaHandler = (call: Call) => Answer | Promise<Answer>;

/** Ends the handling of a request with an answer. */
export class Refusal extends Error {
  readonly answer: PlainAnswer;

  constructor(answer: PlainAnswer) {
    super(`refused with ${answer.status}`);
    this.answer = answer;
  }
}

/** An error in the servers' shape. */
export function refuse(context: GiteaContext, status: number, message: string): Refusal {
  return new Refusal({ status, json: { message, url: `${context.baseUrl()}/api/swagger` } });
}

/** The 404 of this version: a detail is the message where there are no `errors` to hold it. */
export function refuseNotFound(context: GiteaContext, detail?: string): Refusal {
  const { behaviour } = context;
  const hasErrors = behaviour.hasErrorsInNotFound;
  return new Refusal({
    status: 404,
    json: {
      ...(hasErrors ? { errors: detail === undefined ? [] : [detail] } : {}),
      message: (hasErrors ? undefined : detail) ?? behaviour.notFoundMessage,
      url: `${context.baseUrl()}/api/swagger`,
    },
  });
}

/**
 * Demands scopes of the token, if the caller uses one; categories asked for together are named together.
 * GET and HEAD need `read`, everything else `write`.
 *
 * @throws Refusal 403 with the wording of the version.
 */
export function requireScopes(call: Call, ...categories: readonly ScopeCategory[]): void {
  const token = call.actor?.token;
  if (!token) return;
  const level = call.request.method === 'GET' || call.request.method === 'HEAD' ? 'read' : 'write';
  if (categories.every((category) => hasScope(token.scopes, level, category))) return;
  const required = `[${categories.map((category) => `${level}:${category}`).join(' ')}]`;
  throw refuse(
    call,
    403,
    call.behaviour.tellsTokenScopes
      ? `token does not have at least one of required scope(s), required=${required}, token scope=${token.scopes.join(',')}`
      : `token does not have at least one of required scope(s): ${required}`,
  );
}

/** Demands somebody signed in. @throws Refusal 401. */
export function requireActor(call: Call): Actor {
  if (!call.actor) throw refuse(call, 401, 'token is required');
  return call.actor;
}

/** Refuses a `public-only` token where everything is private. @throws Refusal 403. */
export function rejectPublicOnly(call: Call): void {
  if (!isPublicOnly(call)) return;
  throw refuse(call, 403, 'this endpoint is not available for public-only tokens');
}

export function isPublicOnly(call: Call): boolean {
  return call.actor?.token?.scopes.includes('public-only') ?? false;
}

/**
 * The JSON body of a writing call.
 *
 * @param types - What each known field must be; other fields are ignored by the servers but fail the test.
 * @throws Refusal 422 for another content type, broken JSON or a field of the wrong type.
 */
export function readJson(
  call: Call,
  types: Readonly<Record<string, 'string' | 'boolean' | 'strings' | 'record' | 'records'>>,
): Readonly<Record<string, unknown>> {
  const { request } = call;
  const contentType = request.headers['content-type'] ?? '';
  if (!contentType.startsWith('application/json')) {
    request.recordFailure(`a body of type "${contentType}" instead of JSON`);
    throw refuse(call, 422, contentType === '' ? '[]: Empty Content-Type' : '[]: Unsupported Content-Type');
  }
  const { body } = request;
  if (!isRecord(body)) throw refuse(call, 422, '[]: invalid character in JSON');
  for (const [name, value] of Object.entries(body)) {
    const type = types[name];
    if (type === undefined) request.recordFailure(`unknown field "${name}" in the body`);
    else if (value !== null && !isOfType(value, type)) {
      request.recordFailure(`field "${name}" of the wrong type in the body`);
      throw refuse(call, 422, `[]: json: cannot unmarshal into Go struct field .${name}`);
    }
  }
  return body;
}

function isOfType(value: unknown, type: string): boolean {
  if (type === 'strings') return Array.isArray(value) && value.every((item) => typeof item === 'string');
  if (type === 'records') return Array.isArray(value) && value.every(isRecord);
  if (type === 'record')
    return isRecord(value) && Object.values(value).every((item) => typeof item === 'string');
  return typeof value === type;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
