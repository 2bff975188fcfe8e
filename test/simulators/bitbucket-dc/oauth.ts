import type { ServerResponse } from 'node:http';
import type { Answer, Route, SimulatorRequest } from '../routes.ts';
import { answerAbsent, type DcContext } from './call.ts';
import { authorize, decide, type BrowserPerson } from './oauth-authorize.ts';
import { addApplication, findAccess, findRefresh } from './oauth-state.ts';
import type { DcApplication, NewApplication } from './oauth-state.ts';
import { exchange, revoke } from './oauth-token.ts';

/** A request that the token endpoint was sent, without its secrets. */
interface TokenRequest {
  readonly grantType: string;
  /** Null where it gave tokens. */
  readonly error: string | null;
}

/** Signing in by OAuth, as tests look at it and change it. */
export interface DcOAuth {
  /** Who sits before the browser and what they press. */
  readonly person: BrowserPerson;
  /** Every request of the token endpoint, in order. */
  readonly tokenRequests: readonly TokenRequest[];
  /** Registers a client, with gitlink's redirect unless told otherwise. */
  addApplication(application?: NewApplication): DcApplication;
  /** How many requests of a grant type gave tokens. */
  countExchanges(grantType: 'authorization_code' | 'refresh_token'): number;
  /** Answers the next request of the token endpoint in another way, after having done what it asks. */
  spoilNextTokenAnswer(answer: (response: ServerResponse) => void): void;
  /** How long access tokens live that are issued from now on. */
  setAccessTokenLife(lifeS: number): void;
  /** Lets all access tokens end now; refresh tokens stay good. */
  endAccessTokens(): void;
  /** Whether an access token or a refresh token is good. */
  isAlive(token: string): boolean;
  /** Does what a person does on the page of authorized applications. */
  revokeGrants(userName: string): void;
}

interface SimulatedOAuth {
  readonly oauth: DcOAuth;
  readonly routes: readonly Route[];
}

/** The authorization server (`providers/bitbucket-data-center.md` §2b). */
export function createOAuth(context: () => DcContext, wish: Partial<BrowserPerson> = {}): SimulatedOAuth {
  const person: BrowserPerson = { signedInAs: 'ada', consent: 'ask', ...wish };
  const tokenRequests: TokenRequest[] = [];
  const spoils: ((response: ServerResponse) => void)[] = [];

  function answerToken(request: SimulatorRequest): Answer {
    const { grantType, error, answer } = exchange(context(), request);
    tokenRequests.push({ grantType, error });
    const spoil = spoils.shift();
    return spoil ? { stream: (response) => Promise.resolve(spoil(response)) } : answer;
  }

  const route = (
    method: string,
    template: string,
    handle: Route['handle'],
    isThere: (context: DcContext) => boolean = () => true,
  ): Route => ({
    method,
    template,
    undescribed: true,
    handle: (request) =>
      context().behaviour.hasOAuth && isThere(context()) ? handle(request) : answerAbsent(),
  });

  const sessions = () => context().state.oauth.sessions;
  return {
    routes: [
      route('GET', '/rest/oauth2/latest/authorize', (request) => authorize(context(), person, request)),
      route('POST', '/plugins/servlet/oauth2/consent', (request) => decide(context(), person, request)),
      route('POST', '/rest/oauth2/latest/token', answerToken),
      route(
        'POST',
        '/rest/oauth2/latest/revoke',
        (request) => revoke(context(), request),
        ({ settings }) => settings.hasOAuthRevocation,
      ),
    ],
    oauth: {
      person,
      tokenRequests,
      addApplication: (application = {}) => addApplication(context().state.oauth, application),
      countExchanges: (grantType) =>
        tokenRequests.filter((sent) => sent.error === null && sent.grantType === grantType).length,
      spoilNextTokenAnswer: (spoil) => void spoils.push(spoil),
      setAccessTokenLife: (lifeS) => {
        context().settings.accessTokenLifeS = lifeS;
      },
      endAccessTokens: () => {
        for (const session of sessions()) session.accessExpiresAt = 0;
      },
      isAlive: (token) => {
        const { state, now } = context();
        return [findAccess, findRefresh].some((find) => find(state.oauth, token, now()) !== undefined);
      },
      revokeGrants: (userName) => {
        for (const session of sessions()) if (session.user.name === userName) sessions().delete(session);
      },
    },
  };
}
