import type { ServerResponse } from 'node:http';
import type { Answer, Route, SimulatorRequest } from '../routes.ts';
import type { BitbucketContext } from './call.ts';
import { checkManners } from './manners.ts';
import { authorize, decideAsked, type BrowserPerson } from './oauth-authorize.ts';
import { addConsumer, type BitbucketConsumer, type NewConsumer } from './oauth-state.ts';
import { exchange } from './oauth-token.ts';
import { findDefect } from './token-state.ts';

/** A request that the token endpoint was sent, without its secrets. */
interface TokenRequest {
  readonly grantType: string;
  /** Null where it gave tokens. */
  readonly error: string | null;
}

/** Signing in by OAuth, as tests look at it and change it. */
export interface BitbucketOAuth {
  /** Who sits before the browser and what they press. */
  readonly person: BrowserPerson;
  /** Every request of the token endpoint, in order. */
  readonly tokenRequests: readonly TokenRequest[];
  /** Registers a consumer: in ada's workspace, with gitlink's scopes, unless told otherwise. */
  addApplication(consumer?: NewConsumer): BitbucketConsumer;
  /** How many requests of a grant type gave tokens. */
  countExchanges(grantType: 'authorization_code' | 'refresh_token' | 'client_credentials'): number;
  /** Answers the next request of the token endpoint in another way, after having done what it asks. */
  spoilNextTokenAnswer(answer: (response: ServerResponse) => void): void;
  /** How long access tokens live that are issued from now on. */
  setAccessTokenLife(lifeS: number): void;
  /** Lets all access tokens end now; refresh tokens stay good. */
  endAccessTokens(): void;
  /** Whether an access token or a refresh token is good. */
  isAlive(token: string): boolean;
  /** Does what a person does on the page of app authorizations. */
  revokeGrants(username: string): void;
}

export interface SimulatedOAuth {
  readonly oauth: BitbucketOAuth;
  readonly routes: readonly Route[];
}

/** The authorization server (`providers/bitbucket.md` §2a). */
export function createOAuth(
  context: () => BitbucketContext,
  wish: Partial<BrowserPerson> = {},
): SimulatedOAuth {
  const person: BrowserPerson = { signedInAs: 'ada', consent: 'ask', ...wish };
  const tokenRequests: TokenRequest[] = [];
  const spoils: ((response: ServerResponse) => void)[] = [];

  function answerToken(request: SimulatorRequest): Answer {
    checkManners(request);
    const { grantType, error, answer } = exchange(context(), request);
    tokenRequests.push({ grantType, error });
    const spoil = spoils.shift();
    return spoil ? { stream: (response) => Promise.resolve(spoil(response)) } : answer;
  }

  const route = (method: string, template: string, handle: Route['handle']): Route => ({
    method,
    template,
    undescribed: true,
    handle,
  });

  return {
    routes: [
      route('GET', '/site/oauth2/authorize', (request) => authorize(context(), person, request)),
      route('POST', '/site/oauth2/authorize', (request) => decideAsked(context(), person, request)),
      route('POST', '/site/oauth2/access_token', answerToken),
    ],
    oauth: {
      person,
      tokenRequests,
      addApplication: (consumer = {}) => addConsumer(context().state, consumer),
      countExchanges: (grantType) =>
        tokenRequests.filter((sent) => sent.error === null && sent.grantType === grantType).length,
      spoilNextTokenAnswer: (spoil) => void spoils.push(spoil),
      setAccessTokenLife: (lifeS) => {
        context().settings.accessTokenLifeS = lifeS;
      },
      endAccessTokens: () => {
        const { state, now } = context();
        for (const token of state.tokens.values()) if (token.grant) token.expiresAt = now();
      },
      isAlive: (secret) => {
        const { state, now } = context();
        const refreshToken = state.oauth.refreshTokens.get(secret);
        if (refreshToken) return refreshToken.grant.isAlive && refreshToken.expiresAt > now();
        const token = state.tokens.get(secret);
        return token !== undefined && findDefect(token, now()) === null;
      },
      revokeGrants: (username) => {
        for (const grant of context().state.oauth.grants) {
          if (grant.user.username === username) grant.isAlive = false;
        }
      },
    },
  };
}
