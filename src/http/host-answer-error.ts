import { GitlinkError, type ErrorCode } from '../errors.ts';
import { toPrintable } from '../printable.ts';
import { redact } from '../redaction.ts';
import type { HttpMethod } from './host-client.ts';

/** Headers that adapters may look at after a failure. The values can name people and organizations. */
const keptHeaders = [
  'retry-after',
  'x-github-sso',
  'x-oauth-scopes',
  'x-accepted-oauth-scopes',
  'x-credential-type',
] as const;
const requestIdHeaders = [
  'x-request-id',
  'x-github-request-id',
  'x-gitea-request-id',
  'x-arequestid',
  'x-vss-e2eid',
];

/** What the host said and where: everything in it is safe to print, but {@link HostAnswerError.headers}. */
export interface HostAnswer {
  readonly status: number;
  readonly method: HttpMethod;
  readonly origin: string;
  readonly template: string;
  /** What to quote to the host's support, or null. */
  readonly requestId: string | null;
  /** The host's own words, shortened and made printable, or null. */
  readonly hostMessage: string | null;
}

/** The host answered with a status that is no answer to the question. */
export class HostAnswerError extends GitlinkError implements HostAnswer {
  readonly code: ErrorCode;
  readonly status: number;
  readonly method: HttpMethod;
  readonly origin: string;
  readonly template: string;
  readonly requestId: string | null;
  readonly hostMessage: string | null;
  readonly #headers: ReadonlyMap<string, string>;

  constructor(answer: HostAnswer, headers: ReadonlyMap<string, string> = new Map()) {
    const said = answer.hostMessage === null ? '.' : `: ${answer.hostMessage}`;
    super(`${answer.origin} answered ${answer.status} to ${answer.method} ${answer.template}${said}`);
    this.code = toErrorCode(answer.status);
    this.status = answer.status;
    this.method = answer.method;
    this.origin = answer.origin;
    this.template = answer.template;
    this.requestId = answer.requestId;
    this.hostMessage = answer.hostMessage;
    this.#headers = headers;
  }

  /**
   * `retry-after`, `x-github-sso`, `x-oauth-scopes`, `x-accepted-oauth-scopes`, `x-credential-type` and the scheme
   * of `www-authenticate`, where the host sent them. Out of reach of anything that prints the error.
   */
  get headers(): ReadonlyMap<string, string> {
    return this.#headers;
  }
}

/** Whether an error is the host's answer with this status. */
export function isAnswer(error: unknown, status: number): error is HostAnswerError {
  return error instanceof HostAnswerError && error.status === status;
}

/** Whether an error is the host's word that it did nothing, so that all is as it was. */
export function isRefusal(error: unknown): boolean {
  return error instanceof HostAnswerError && error.status < 500 && error.code !== 'unreachable';
}

/**
 * Makes the error for an answer.
 *
 * @param body - The parsed body, null where it was no JSON.
 */
export function createHostAnswerError(
  where: Pick<HostAnswer, 'method' | 'origin' | 'template'>,
  answer: { readonly status: number; readonly headers: Headers; readonly body: unknown },
): HostAnswerError {
  const { status, headers, body } = answer;
  const kept = new Map<string, string>();
  for (const name of keptHeaders) {
    const value = headers.get(name);
    if (value !== null) kept.set(name, value);
  }
  const scheme = /^\s*([\w-]{1,40})/.exec(headers.get('www-authenticate') ?? '')?.[1];
  if (scheme !== undefined) kept.set('www-authenticate', scheme);
  const requestId = requestIdHeaders.map((name) => headers.get(name)).find((value) => value !== null) ?? null;
  return new HostAnswerError(
    {
      ...where,
      status,
      requestId: requestId === null ? null : toPrintable(redact(requestId), 100),
      hostMessage: readHostMessage(body),
    },
    kept,
  );
}

function toErrorCode(status: number): ErrorCode {
  if (status === 401) return 'auth';
  if (status === 403) return 'forbidden';
  if (status === 404 || status === 410) return 'notFound';
  if (status === 429) return 'rateLimited';
  return status === 408 || status === 425 || status >= 500 ? 'unreachable' : 'internal';
}

/** A longer message is a page or a trick, and cutting it before redaction could leave half a secret. */
const messageLengthLimit = 4_000;

/**
 * The host's own explanation, shortened and made safe to print: `message` (GitHub, Gitea, GitLab, Azure),
 * `error_description` or `error` (OAuth, GitLab), `error.message` (Bitbucket), `errors[0].message` (Data Center).
 */
function readHostMessage(body: unknown): string | null {
  const text = findMessage(body);
  if (text === null || text.trim() === '' || text.length > messageLengthLimit) return null;
  return toPrintable(redact(text), 200);
}

function findMessage(body: unknown): string | null {
  if (typeof body !== 'object' || body === null) return null;
  const { message, error_description: description, error, errors } = body as Record<string, unknown>;
  if (typeof message === 'string') return message;
  if (typeof description === 'string') return description;
  if (typeof error === 'string') return error;
  if (typeof error === 'object' && error !== null) return findMessage(error);
  if (Array.isArray(errors)) return typeof errors[0] === 'string' ? errors[0] : findMessage(errors[0]);
  // GitLab: {"message": {"url": ["is blocked"]}}
  return typeof message === 'object' && message !== null ? flatten(message) : null;
}

function flatten(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return value.map(flatten).join(', ');
  return Object.entries(value)
    .map(([field, problem]) => `${field} ${flatten(problem)}`)
    .join('; ');
}
