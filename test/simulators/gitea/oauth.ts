import type { ServerResponse } from 'node:http';
import type { Answer, PlainAnswer, Route, SimulatorRequest } from '../routes.ts';
import type { GiteaContext } from './call.ts';
import { checkManners } from './manners.ts';
import { authorize, grant, type BrowserPerson } from './oauth-authorize.ts';
import { addApplication, findLiveToken, type GiteaApplication, type NewApplication } from './oauth-state.ts';
import { exchange, introspect } from './oauth-token.ts';

/** A request that the token endpoint was sent, without its secrets. */
interface TokenRequest {
  readonly grantType: string;
  /** Null where it gave tokens. */
  readonly error: string | null;
}

/** Signing in by OAuth, as tests look at it and change it. */
export interface GiteaOAuth {
  /** Who sits before the browser and what they press. */
  readonly person: BrowserPerson;
  /** Every request of the token endpoint, in order. */
  readonly tokenRequests: readonly TokenRequest[];
  /** Registers a client: ada's, public, with gitlink's redirect, unless told otherwise. */
  addApplication(application?: NewApplication): GiteaApplication;
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
  revokeGrants(login: string): void;
}

export interface SimulatedOAuth {
  readonly oauth: GiteaOAuth;
  readonly routes: readonly Route[];
}

/** The authorization server (`providers/gitea.md` §2a). */
export function createOAuth(context: () => GiteaContext, wish: Partial<BrowserPerson> = {}): SimulatedOAuth {
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

  function answerIntrospection(request: SimulatorRequest): PlainAnswer {
    checkManners(request);
    return introspect(context(), request);
  }

  const route = (method: string, template: string, handle: Route['handle']): Route => ({
    method,
    template,
    undescribed: true,
    handle: (request) =>
      context().settings.oauth2Enabled ? handle(request) : { status: 403, text: 'Forbidden\n' },
  });

  return {
    routes: [
      {
        method: 'GET',
        template: '/.well-known/openid-configuration',
        undescribed: true,
        handle: (request) => discover(context(), request),
      },
      route('GET', '/login/oauth/authorize', (request) => authorize(context(), person, request)),
      route('POST', '/login/oauth/grant', (request) => grant(context(), person, request)),
      route('POST', '/login/oauth/access_token', answerToken),
      route('POST', '/login/oauth/introspect', answerIntrospection),
    ],
    oauth: {
      person,
      tokenRequests,
      addApplication: (application = {}) => addApplication(context().state, application),
      countExchanges: (grantType) =>
        tokenRequests.filter((request) => request.error === null && request.grantType === grantType).length,
      spoilNextTokenAnswer: (spoil) => void spoils.push(spoil),
      setAccessTokenLife: (lifeS) => {
        context().settings.accessTokenLifeS = lifeS;
      },
      endAccessTokens: () => {
        for (const token of context().state.tokens.values()) if (token.grant) token.expiresAt = Date.now();
      },
      isAlive: (token) => isAlive(context(), token),
      revokeGrants: (login) => {
        const { grants } = context().state.oauth;
        for (const { id, user } of grants.values()) if (user.login === login) grants.delete(id);
      },
    },
  };
}

function isAlive({ state, settings }: GiteaContext, secret: string): boolean {
  const refreshToken = state.oauth.refreshTokens.get(secret);
  if (!refreshToken) return findLiveToken(state, secret) !== undefined;
  const { grant: given, counter, expiresAt } = refreshToken;
  const isCurrent = !settings.invalidateRefreshTokens || counter === given.counter;
  return state.oauth.grants.has(given.id) && expiresAt > Date.now() && isCurrent;
}

function discover({ settings, behaviour, baseUrl }: GiteaContext, request: SimulatorRequest): PlainAnswer {
  if (request.authorization) request.recordFailure('a credential sent to a page for everybody');
  if (!settings.oauth2Enabled) return { status: 404, text: '404 page not found\n' };
  const base = baseUrl();
  return {
    status: 200,
    json: {
      issuer: behaviour.hasSlashInIssuer ? `${base}/` : base,
      authorization_endpoint: `${base}/login/oauth/authorize`,
      token_endpoint: `${base}/login/oauth/access_token`,
      jwks_uri: `${base}/login/oauth/keys`,
      userinfo_endpoint: `${base}/login/oauth/userinfo`,
      introspection_endpoint: `${base}/login/oauth/introspect`,
      response_types_supported: ['code', 'id_token'],
      scopes_supported: ['openid', 'profile', 'email', 'groups'],
      code_challenge_methods_supported: ['plain', 'S256'],
      grant_types_supported: ['authorization_code', 'refresh_token'],
    },
  };
}
