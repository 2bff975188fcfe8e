import type { Answer, PlainAnswer, SimulatorRequest } from '../routes.ts';
import type { GitlabBehaviour } from './behaviour.ts';
import type { Deliveries } from './delivery.ts';
import type { Throttle } from './limits.ts';
import type { OAuthGrants } from './oauth-grants.ts';
import type { GitlabState, GitlabUser } from './state.ts';
import type { GitlabToken } from './token-state.ts';

/** What an admin sets. Mutable, so that a test can change its mind. */
export interface GitlabSettings {
  /** gitlab.com: no applications by API. */
  isGitlabCom: boolean;
  /** Without a licence there are no group webhooks. */
  hasLicence: boolean;
  /** Whether webhooks may go to the local network. */
  allowsLocalWebhooks: boolean;
  maxProjectHooks: number;
  maxGroupHooks: number;
  /** Rows behind which offset paging is refused. */
  maxOffset: number;
  /** Rows above which `x-total`, `x-total-pages` and `rel="last"` are left out. */
  maxCountedRows: number;
  /** What a misconfigured proxy makes of the addresses in `Link`; null for what they should be. */
  linkBaseUrl: string | null;
  /** Hook tests in a minute, by project and user. */
  maxHookTests: number;
  /** Rack::Attack: has headers and answers in plain text. */
  throttle: Throttle | null;
  /** The application's own limits: no headers, JSON. By method and template, as `GET /api/v4/projects`. */
  applicationLimits: Readonly<Record<string, Throttle>>;
  /** Wrong credentials for git in a minute; then everything of git is refused. */
  maxFailedGitLogins: number;
  /** Refuses to rotate the legacy tokens of people. */
  enforcesFineGrainedTokens: boolean;
  /** The longest life of a token, in days. */
  maxTokenLifeDays: number;
  impersonation: boolean;
  /** Of the clock that tokens die by. */
  clockOffsetMs: number;
  /** What addresses outside of the API are answered that belong to no page; null for a 404 of the API. */
  absentPage: PlainAnswer | null;
}

/** What all handlers share. */
export interface GitlabContext {
  readonly state: GitlabState;
  readonly behaviour: GitlabBehaviour;
  readonly settings: GitlabSettings;
  readonly deliveries: Deliveries;
  readonly grants: OAuthGrants;
  /** The root of the instance without a trailing slash. */
  readonly baseUrl: () => string;
  readonly now: () => number;
}

/** Who asks, and with what. */
export interface Actor {
  readonly user: GitlabUser;
  /** Null for an OAuth access token. */
  readonly token: GitlabToken | null;
  readonly scopes: readonly string[];
}

/** What a route demands of the credential. */
export interface Need {
  /** One of these; `any` takes every token. */
  readonly scopes: readonly string[] | 'any';
  /** Of a fine-grained token, as `read_webhook`; null where none is asked for. */
  readonly permission: string | null;
  /** Where that permission must hold: told by the route, or found out by the handler. */
  readonly boundary: 'user' | 'instance' | 'resource';
}

/** One authenticated API request. */
export interface Call extends GitlabContext {
  readonly request: SimulatorRequest;
  readonly actor: Actor;
  readonly need: Need;
}

export type GitlabHandler = (call: Call) => Answer | Promise<Answer>;

/** Ends the handling of a request with an answer. */
export class Refusal extends Error {
  readonly answer: PlainAnswer;

  constructor(answer: PlainAnswer) {
    super(`refused with ${answer.status}`);
    this.answer = answer;
  }
}

/** An error of the application: `{"message": …}`. */
export function refuse(status: number, message: unknown): Refusal {
  return new Refusal({ status, json: { message } });
}

/** An error of the API's frame, such as its validation: `{"error": …}`. */
export function refuseRequest(status: number, error: string): Refusal {
  return new Refusal({ status, json: { error } });
}

/** What is neither there nor visible; the servers do not tell which. */
export function refuseNotFound(what?: 'Project' | 'Group' | 'Namespace' | 'Application'): Refusal {
  return refuse(404, what === undefined ? '404 Not found' : `404 ${what} Not Found`);
}

export function refuseForbidden(): Refusal {
  return refuse(403, '403 Forbidden');
}

/** What the API says to an address that this version does not have. */
export function answerAbsent(): PlainAnswer {
  return { status: 404, json: { error: '404 Not Found' } };
}

/** An error in the form of RFC 6750 §3.1. */
export function refuseToken(status: 401 | 403, error: string, description: string, scope?: string): Refusal {
  const challenge = `Bearer realm="Protected by OAuth 2.0", error="${error}", error_description="${description}"`;
  return new Refusal({
    status,
    // The servers leave the challenge out of a 403.
    ...(status === 401 ? { headers: { 'www-authenticate': challenge } } : {}),
    json: { error, error_description: description, ...(scope === undefined ? {} : { scope }) },
  });
}
