import { toPrintable } from '../printable.ts';
import { redact } from '../redaction.ts';
import { Secret } from '../secret.ts';
import type { EndpointAnswer } from './endpoint.ts';
import type { TokenSet } from './token-set.ts';

/** What an endpoint's answer means. Nothing unknown falls through to success. */
export type TokenAnswer =
  { readonly outcome: 'tokens'; readonly tokens: TokenSet } | OAuthError | UnexpectedAnswer;

/** The server named an error (RFC 6749 §5.2, RFC 8628 §3.5). */
export interface OAuthError {
  readonly outcome: 'error';
  readonly error: string;
  /** Printable and free of secrets. */
  readonly description: string | null;
  /** The pause that a device flow should keep from now on, in milliseconds, where the server tells one. */
  readonly intervalMs: number | null;
}

/** An answer that no authorization server should give. */
export interface UnexpectedAnswer {
  readonly outcome: 'unexpected';
  /** Why, without quoting the answer. */
  readonly reason: string;
  /** Whether the same request may succeed later: 429 and 5xx. */
  readonly isTransient: boolean;
  /** How long the server asked to be left alone, in milliseconds; null where it did not say. */
  readonly retryAfterMs: number | null;
}

/** RFC 6749 sets no limit; this one keeps a hostile server from filling the keychain. */
const tokenLengthLimit = 16_000;
/** Ten years: more is a unit mistaken or a lie. */
const longestLifeS = 10 * 365 * 86_400;

type Fields = Readonly<Record<string, unknown>>;

/**
 * Judges the answer of a token endpoint, whatever its grant (RFC 6749 §5). A 200 with `error` is an error.
 * Tokens are opaque: any visible ASCII is one. Unknown fields are ignored.
 */
export function judgeTokenAnswer(answer: EndpointAnswer): TokenAnswer {
  const body = toFields(answer.body);
  const failure = judgeFailure(answer, body);
  if (failure !== null) return failure;
  if (body === null) return unexpected(answer, 'the answer is no JSON object');

  const accessToken = readToken(body['access_token']);
  if (accessToken === null || accessToken === 'invalid')
    return unexpected(answer, 'it holds no access token');
  const { token_type: type } = body;
  // RFC 6749 §5.1: the type's case does not matter. Other types need proof that a bearer request lacks.
  if (typeof type !== 'string' || type.toLowerCase() !== 'bearer')
    return unexpected(answer, 'the token is no bearer token');
  const refreshToken = readToken(body['refresh_token']);
  if (refreshToken === 'invalid') return unexpected(answer, 'its refresh token is malformed');
  const lifeS = readSeconds(body['expires_in']);
  const refreshLifeS = readSeconds(body['refresh_token_expires_in']);
  if (lifeS === 'invalid' || refreshLifeS === 'invalid')
    return unexpected(answer, 'the lifetime it names makes no sense');

  const { wall, monotonic } = answer.arrivedAt;
  const serverTime = Date.parse(answer.headers.get('date') ?? '');
  return {
    outcome: 'tokens',
    tokens: {
      accessToken,
      refreshToken,
      obtainedAt: wall,
      expiresAt: lifeS === null ? null : wall + lifeS * 1000,
      refreshExpiresAt: refreshLifeS === null ? null : wall + refreshLifeS * 1000,
      // Some servers, and older versions of others, write the plural.
      scopes: readScopes(body['scope'] ?? body['scopes']),
      clockSkewMs: Number.isNaN(serverTime) ? null : serverTime - wall,
      ...(lifeS === null ? {} : { monotonicExpiresAt: monotonic + lifeS * 1000 }),
    },
  };
}

/**
 * The part of judging that all endpoints share.
 *
 * @returns null for a 200 that names no error.
 */
export function judgeFailure(
  answer: EndpointAnswer,
  body: Fields | null,
): OAuthError | UnexpectedAnswer | null {
  const { status } = answer;
  const error = body?.['error'];
  // A 429 or 5xx says nothing about the token, whatever a gateway writes into it; but hosts pace polls by 429.
  if (isTransient(status) && !(status === 429 && isPollAnswer(error))) return unexpectedStatus(answer);
  if (typeof error === 'string' && error !== '') {
    const description = body?.['error_description'];
    const intervalS = readSeconds(body?.['interval']);
    return {
      outcome: 'error',
      error: toPrintable(redact(error), 60),
      description: typeof description === 'string' && description !== '' ? describe(description) : null,
      intervalMs: typeof intervalS === 'number' ? intervalS * 1000 : null,
    };
  }
  if (error !== undefined && error !== null && error !== '')
    return unexpected(answer, 'it names an error that is no text');
  return status === 200 ? null : unexpectedStatus(answer);
}

/** Makes a server's description of an error fit for people: one line, no control characters, no secrets. */
export function describe(description: string): string {
  return toPrintable(redact(description.slice(0, 2_000)), 300);
}

export function toFields(body: unknown): Fields | null {
  return typeof body === 'object' && body !== null && !Array.isArray(body) ? (body as Fields) : null;
}

/**
 * Reads a number of seconds: a positive, finite one, also as text.
 *
 * @returns null where it is absent.
 */
export function readSeconds(value: unknown): number | null | 'invalid' {
  if (value === undefined || value === null) return null;
  const seconds = typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value;
  if (typeof seconds !== 'number' || !Number.isFinite(seconds)) return 'invalid';
  return seconds > 0 && seconds <= longestLifeS ? seconds : 'invalid';
}

function readToken(value: unknown): Secret | null | 'invalid' {
  if (value === undefined || value === null || value === '') return null;
  if (typeof value !== 'string' || value.length > tokenLengthLimit) return 'invalid';
  // A line break or a space would end the token in a header, or in git's protocol.
  return /^[\x21-\x7e]+$/.test(value) ? new Secret(value) : 'invalid';
}

/** Some servers separate by commas. */
function readScopes(value: unknown): readonly string[] | null {
  if (typeof value !== 'string') return null;
  return [...new Set(value.split(/[\s,]+/).filter((scope) => scope !== ''))].sort();
}

function isPollAnswer(error: unknown): boolean {
  return error === 'slow_down' || error === 'authorization_pending';
}

function isTransient(status: number): boolean {
  return status === 429 || status >= 500;
}

function unexpectedStatus(answer: EndpointAnswer): UnexpectedAnswer {
  return unexpected(answer, `the status is ${answer.status}`);
}

function unexpected({ status, headers }: EndpointAnswer, reason: string): UnexpectedAnswer {
  const retryAfterS = readSeconds(headers.get('retry-after'));
  return {
    outcome: 'unexpected',
    reason,
    isTransient: isTransient(status),
    retryAfterMs: typeof retryAfterS === 'number' ? retryAfterS * 1000 : null,
  };
}
