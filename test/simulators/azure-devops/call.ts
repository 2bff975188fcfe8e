import type { Answer, PlainAnswer, Route, SimulatorRequest } from '../routes.ts';
import type { Deliveries } from './delivery.ts';
import type { AzureDevopsOrganization, AzureDevopsState, AzureDevopsUser } from './state.ts';
import type { AzureDevopsToken } from './token-state.ts';

/** What the sheet leaves open, and what tests want to change. Mutable. */
export interface AzureDevopsSettings {
  /** Whether hooks may go to this machine, by http also with a password: never so under its own names. */
  allowsLoopback: boolean;
  /** What somebody gets who does not send `X-TFS-FedAuthRedirect: Suppress`: the page itself, or the way to it. */
  signIn: 'page' | 'redirect';
  /** What the 401 says that comes instead. */
  suppressedBody: 'json' | 'empty';
  /** How a token with too few scopes is refused. */
  scopeRefusal: 401 | 403 | 203;
  /** Slows everybody down: good answers say `Retry-After`, in seconds. */
  delayS: number | null;
  /** So many requests of one identity in a window; more are answered 429 (TF400733). */
  throttle: { readonly requests: number; readonly windowMs: number } | null;
  /** Whether a test notification is answered before it was delivered. */
  queuesTests: boolean;
  /** After so many failures in a row a hook is on probation, after twice as many it is disabled. */
  failuresUntilProbation: number;
  /**
   * Whether a Server offers git to sign in with Windows beside Basic. libcurl then prefers that, and a PAT in the
   * URL or by `username` and `password` fails (swellaby/vsts-mirror-git-repository#84); a header of one's own works.
   */
  gitOffersWindows: boolean;
  /** Of the clock that tokens and limits go by. */
  clockOffsetMs: number;
}

/** What all handlers share. */
export interface AzureDevopsContext {
  readonly state: AzureDevopsState;
  readonly settings: AzureDevopsSettings;
  readonly deliveries: Deliveries;
  readonly deployment: 'hosted' | 'onPremises';
  /** As `7.2`: what is newer is refused. */
  readonly highestVersion: string;
  /** Where organizations or collections are, without a trailing slash. */
  readonly webUrl: () => string;
  /** Where the identity service of each of them is. */
  readonly vsspsUrl: () => string;
  readonly loginUrl: () => string;
  readonly now: () => number;
}

/** Who asks, and with what. */
export interface Actor {
  readonly token: AzureDevopsToken;
  readonly user: AzureDevopsUser;
}

/** One request to the API of an organization. */
export interface Call extends AzureDevopsContext {
  readonly request: SimulatorRequest;
  readonly organization: AzureDevopsOrganization;
  readonly actor: Actor;
}

/** One request to what belongs to no organization. */
export type DeploymentCall = Omit<Call, 'organization'>;

/** What a route wants of its caller. */
export interface Need {
  /** One of these; none: any token will do. */
  readonly scopes: readonly string[];
  /** Whether the version must say `-preview`: so it is where nothing else was ever released. */
  readonly isPreview?: boolean;
}

type Handle = Route['handle'];

/** Makes the handlers of API routes: authentication, version, limits, scopes. */
export interface Api {
  ofOrganization(need: Need, handler: (call: Call) => Answer | Promise<Answer>): Handle;
  ofDeployment(need: Need, handler: (call: DeploymentCall) => Answer | Promise<Answer>): Handle;
  /** The one call that some organizations answer without a credential. */
  maybeAnonymous(
    need: Need,
    handler: (call: Omit<Call, 'actor'> & { actor: Actor | null }) => Answer,
  ): Handle;
}

/** Ends the handling of a request with an answer. */
export class Refusal extends Error {
  readonly answer: PlainAnswer;

  constructor(answer: PlainAnswer) {
    super(`refused with ${answer.status}`);
    this.answer = answer;
  }
}

/** An error in the service's shape (`providers/azure-devops.md` §8). */
export function toErrorAnswer(status: number, typeKey: string, message: string): PlainAnswer {
  const json = {
    $id: '1',
    innerException: null,
    message,
    typeName: `Microsoft.TeamFoundation.Framework.Server.${typeKey}, Microsoft.TeamFoundation.Framework.Server`,
    typeKey,
    errorCode: 0,
    eventId: 3000,
  };
  return { status, json };
}

export function refuse(status: number, typeKey: string, message: string): Refusal {
  return new Refusal(toErrorAnswer(status, typeKey, message));
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A list in the envelope that all lists have. */
export function answerList(value: readonly unknown[], headers: Readonly<Record<string, string>> = {}) {
  return { status: 200, headers, json: { count: value.length, value } };
}

/** Where an organization or collection is. */
export function urlOf({ webUrl }: AzureDevopsContext, { name }: AzureDevopsOrganization): string {
  return `${webUrl()}/${encodeURIComponent(name)}`;
}

/** What no server demands but gitlink promises. */
export function checkManners({ headers, recordFailure }: SimulatorRequest): void {
  if (!headers['user-agent']?.startsWith('gitlink/')) {
    recordFailure('a User-Agent that does not begin with "gitlink/"');
  }
}
