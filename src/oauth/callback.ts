import { createHash, timingSafeEqual } from 'node:crypto';
import { toPrintable } from '../printable.ts';
import { redact } from '../redaction.ts';
import { describe, type OAuthError } from './token-response.ts';

/** What came back from the browser. */
export type Callback =
  /** A code of this flow. The parameters are to be sent on as they are. */
  | { readonly outcome: 'code'; readonly parameters: URLSearchParams }
  /** The server ended this flow. */
  | OAuthError
  /** It belongs to this flow and names another server: a mix-up (RFC 9207). */
  | { readonly outcome: 'otherIssuer' }
  /** It does not belong to this flow, or nobody can tell. */
  | { readonly outcome: 'wrong'; readonly reason: string };

/** What a callback must agree with. */
export interface ExpectedCallback {
  readonly state: string;
  readonly issuer: string | null;
  readonly sendsIssuer: boolean;
  /** Whose origin an issuer must have where none is configured. */
  readonly authorizationEndpoint: string;
}

const singleParameters = ['state', 'code', 'error', 'error_description', 'iss'];
/** Answers of other kinds: signed ones and those of flows that gitlink never starts. */
const foreignParameters = ['response', 'id_token', 'token', 'access_token'];

/**
 * Judges the parameters of a callback (RFC 6749 §4.1.2, RFC 9207 §2.4, RFC 9700 §4.4, §4.7). Missing is never
 * taken for matching.
 */
export function judgeCallback(parameters: URLSearchParams, expected: ExpectedCallback): Callback {
  if (singleParameters.some((name) => parameters.getAll(name).length > 1)) {
    return { outcome: 'wrong', reason: 'it holds a parameter twice' };
  }
  if (!equalsInConstantTime(parameters.get('state') ?? '', expected.state)) {
    return { outcome: 'wrong', reason: 'its state is not that of this sign-in' };
  }
  if (foreignParameters.some((name) => parameters.has(name))) {
    return { outcome: 'wrong', reason: 'it is an answer of another kind' };
  }
  const code = parameters.get('code') ?? '';
  const error = parameters.get('error') ?? '';
  if ((code === '') === (error === '')) {
    return { outcome: 'wrong', reason: 'it holds neither or both of a code and an error' };
  }
  if (!isIssuerRight(parameters.get('iss'), expected)) return { outcome: 'otherIssuer' };
  if (code !== '') return { outcome: 'code', parameters };
  const description = parameters.get('error_description') ?? '';
  return {
    outcome: 'error',
    error: toPrintable(redact(error), 60),
    description: description === '' ? null : describe(description),
    intervalMs: null,
  };
}

function isIssuerRight(issuer: string | null, expected: ExpectedCallback): boolean {
  if (issuer === null) return !expected.sendsIssuer;
  if (expected.issuer !== null) return issuer === expected.issuer;
  return URL.canParse(issuer) && new URL(issuer).origin === new URL(expected.authorizationEndpoint).origin;
}

/** Hashed first, so that lengths may differ. */
function equalsInConstantTime(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return b !== '' && timingSafeEqual(digest(a), digest(b));
}
