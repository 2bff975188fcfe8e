import type { ServerResponse } from 'node:http';
import type { Answer, Route, SimulatorRequest } from '../routes.ts';
import type { Api, GithubContext } from './call.ts';
import { listApplicationRoutes } from './oauth-applications.ts';
import { authorize, decideAsked } from './oauth-authorize.ts';
import { decideDevice, showDevicePage, startDevice, type DevicePolls } from './oauth-device.ts';
import { addClient, type NewClient, type OAuthClient } from './oauth-state.ts';
import { exchange } from './oauth-token.ts';
import { endGrant } from './oauth-tokens.ts';
import type { BrowserPerson } from './pages.ts';
import { listRevocationRoutes } from './revoke.ts';
import { isAlive } from './token-state.ts';

/** A request that the token endpoint was sent, without its secrets. */
interface TokenRequest {
  readonly grantType: string;
  /** Null where it gave tokens. */
  readonly error: string | null;
}

/** Signing in by OAuth, as tests look at it and change it. How long things live is in the settings. */
export interface GithubOAuth {
  readonly person: BrowserPerson;
  readonly polls: DevicePolls;
  /** Every request of the token endpoint, in order. */
  readonly tokenRequests: readonly TokenRequest[];
  /** Registers an OAuth App: ada's, with gitlink's redirect, unless told otherwise. */
  addApplication(application?: NewClient): OAuthClient;
  /** How many requests of a grant type gave tokens. */
  countExchanges(grantType: 'authorization_code' | 'refresh_token' | 'device_code'): number;
  /** Answers the next request of the token endpoint in another way, after having done what it asks. */
  spoilNextTokenAnswer(answer: (response: ServerResponse) => void): void;
  /** How long access tokens live that are issued from now on. */
  setAccessTokenLife(lifeS: number): void;
  /** Lets all access tokens end now; refresh tokens stay good. */
  endAccessTokens(): void;
  /** Every access and refresh token that was issued so far, alive or not, oldest first. */
  listIssued(kind?: 'AccessToken' | 'RefreshToken'): readonly string[];
  /** Whether an access token or a refresh token is good. */
  isAlive(token: string): boolean;
  /** Does what a person does on the page of authorized applications. */
  revokeGrants(login: string): void;
  /** Does what the person before the browser does on the device page. */
  decideDevice(userCode: string, decision: 'approve' | 'deny'): void;
}

interface SimulatedOAuth {
  readonly oauth: GithubOAuth;
  readonly webRoutes: readonly Route[];
  apiRoutes(this: void, api: Api): Route[];
}

/** The authorization server, which is GitHub's own (`providers/github.md` §2.3, §2.4). */
export function createOAuth(context: () => GithubContext, person: BrowserPerson): SimulatedOAuth {
  const polls: DevicePolls = { slowDowns: 0 };
  const tokenRequests: TokenRequest[] = [];
  const spoils: ((response: ServerResponse) => void)[] = [];

  const answerToken = (request: SimulatorRequest): Answer => {
    const { grantType, error, answer } = exchange(context(), polls, request);
    tokenRequests.push({ grantType, error });
    const spoil = spoils.shift();
    return spoil ? { stream: (response) => Promise.resolve(spoil(response)) } : answer;
  };

  const route = (method: string, template: string, handle: Route['handle']): Route => ({
    method,
    template,
    undescribed: true,
    handle,
  });
  const showDevice = (request: SimulatorRequest) => showDevicePage(context(), person, request, request.query);

  const issuedAccess = () =>
    [...context().state.tokens.values()].filter(({ grant }) => grant !== null).map(({ secret }) => secret);
  const issuedRefresh = () => [...context().state.oauth.refreshTokens.keys()];

  return {
    webRoutes: [
      route('GET', '/login/oauth/authorize', (request) => authorize(context(), person, request)),
      route('POST', '/login/oauth/authorize', (request) => decideAsked(context(), person, request)),
      route('POST', '/login/oauth/access_token', answerToken),
      route('POST', '/login/device/code', (request) => startDevice(context(), request)),
      route('GET', '/login/device', showDevice),
      route('POST', '/login/device', showDevice),
    ],
    apiRoutes: (api) => [
      ...listApplicationRoutes(context()),
      ...listRevocationRoutes(api, context().flavour === 'enterprise-server'),
    ],
    oauth: {
      person,
      polls,
      tokenRequests,
      addApplication: (application = {}) => addClient(context().state, application),
      countExchanges: (grantType) =>
        tokenRequests.filter((sent) => sent.error === null && sent.grantType.endsWith(grantType)).length,
      spoilNextTokenAnswer: (spoil) => void spoils.push(spoil),
      setAccessTokenLife: (lifeS) => {
        context().settings.accessTokenLifeS = lifeS;
      },
      endAccessTokens: () => {
        for (const token of context().state.tokens.values()) {
          if (token.grant) token.expiresAt = new Date(context().now());
        }
      },
      listIssued: (kind) => [
        ...(kind === 'RefreshToken' ? [] : issuedAccess()),
        ...(kind === 'AccessToken' ? [] : issuedRefresh()),
      ],
      isAlive: (secret) => {
        const { state, now } = context();
        const refresh = state.oauth.refreshTokens.get(secret);
        if (refresh) return !refresh.isSpent && refresh.expiresAt > now();
        const token = state.tokens.get(secret);
        return token !== undefined && isAlive(token, now());
      },
      revokeGrants: (login) => {
        for (const grant of context().state.oauth.grants)
          if (grant.user.login === login) endGrant(context(), grant);
      },
      decideDevice: (userCode, decision) => decideDevice(context(), person.signedInAs, userCode, decision),
    },
  };
}
