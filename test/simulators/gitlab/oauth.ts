import type { ServerResponse } from 'node:http';
import type { Answer, PlainAnswer, Route, SimulatorRequest } from '../routes.ts';
import { addApplication, type GitlabApplication, type NewApplication } from './applications.ts';
import type { GitlabContext } from './call.ts';
import { createDevicePolls, decideDevice, showDevicePage, type DevicePolls } from './oauth-device.ts';
import { createOAuthEngine, type OAuthEngine, type OAuthLives } from './oauth-engine.ts';
import type { OAuthGrants } from './oauth-grants.ts';
import { authorize, decide, resume, type BrowserPerson } from './oauth-pages.ts';
import { describeToken, exchange, revoke, startDevice, type TokenTroubles } from './oauth-token.ts';

/** A request that the token endpoint was sent, without its secrets. */
interface TokenRequest {
  readonly grantType: string;
  /** Null where it gave tokens. */
  readonly error: string | null;
}

/** Signing in by OAuth, as tests look at it and change it. */
export interface GitlabOAuth {
  readonly person: BrowserPerson;
  readonly polls: DevicePolls;
  readonly lives: OAuthLives;
  readonly troubles: TokenTroubles;
  /** Every request of the token endpoint, in order. */
  readonly tokenRequests: readonly TokenRequest[];
  /** Registers a client: ada's, public, with gitlink's redirect, unless told otherwise. */
  addApplication(application?: NewApplication): GitlabApplication;
  /** How many requests of a grant type gave tokens. */
  countExchanges(grantType: 'authorization_code' | 'refresh_token' | 'device_code'): number;
  /** Answers the next request of the token endpoint in another way, after having done what it asks. */
  spoilNextTokenAnswer(answer: (response: ServerResponse) => void): void;
  /** How long access tokens live that are issued from now on. */
  setAccessTokenLife(lifeS: number): void;
  /** Lets all access tokens end now; refresh tokens stay good. */
  endAccessTokens(): Promise<void>;
  /** Every access and refresh token that was issued so far, alive or not, oldest first. */
  listIssued(kind?: 'AccessToken' | 'RefreshToken'): readonly string[];
  /** Whether an access token or a refresh token is good. */
  isAlive(token: string): Promise<boolean>;
  /** Does what a person does on the page of authorized applications. */
  revokeGrants(username: string): Promise<void>;
  /** Does what the person before the browser does on the device page. */
  decideDevice(userCode: string, decision: 'approve' | 'deny'): Promise<void>;
}

interface SimulatedOAuth {
  readonly oauth: GitlabOAuth;
  readonly grants: OAuthGrants;
  readonly routes: readonly Route[];
}

/** The authorization server (`providers/gitlab.md` §2.1, §2.3). */
export function createOAuth(context: () => GitlabContext, wish: Partial<BrowserPerson> = {}): SimulatedOAuth {
  const person: BrowserPerson = { signedInAs: 'ada', consent: 'ask', ...wish };
  const lives: OAuthLives = { accessTokenS: 7200, deviceCodeS: 300 };
  const troubles: TokenTroubles = { lostRefreshes: 0 };
  const polls = createDevicePolls();
  const tokenRequests: TokenRequest[] = [];
  const spoils: ((response: ServerResponse) => void)[] = [];
  let building: Promise<OAuthEngine> | undefined;
  let built: OAuthEngine | undefined;
  const engine = () => (building ??= createOAuthEngine(context(), lives).then((made) => (built = made)));
  let last: Promise<unknown> = Promise.resolve();

  /** One after the other, as the row of a token is locked: of two refreshes at once one finds it used. */
  async function answerToken(request: SimulatorRequest): Promise<Answer> {
    const turn = last.then(async () => exchange(context(), await engine(), polls, troubles, request));
    last = turn.catch(() => undefined);
    const { grantType, error, answer } = await turn;
    tokenRequests.push({ grantType, error });
    const spoil = spoils.shift();
    return spoil ? { stream: (response) => Promise.resolve(spoil(response)) } : answer;
  }

  function whereDevices(handle: Route['handle']): Route['handle'] {
    return (request) => (context().behaviour.hasDeviceFlow ? handle(request) : absentPage);
  }

  async function showDevice(request: SimulatorRequest): Promise<PlainAnswer> {
    return showDevicePage(await engine(), person, `${context().baseUrl()}/oauth/device`, request);
  }

  const route = (method: string, template: string, handle: Route['handle']): Route => ({
    method,
    template,
    undescribed: true,
    handle,
  });

  return {
    grants: {
      findAccess: async (secret) => (await building)?.findAccess(secret) ?? 'unknown',
      describe: (secret) => {
        const token = built?.findIssued(secret);
        return token ? `oauth:${token.username}` : null;
      },
      endAllOf: async (applicationId) => (await building)?.endAllOf(applicationId),
    },
    routes: [
      route('GET', '/oauth/authorize', async (request) => authorize(context(), await engine(), request)),
      route('GET', '/oauth/authorize/{uid}', async (request) => resume(await engine(), request)),
      route('GET', '/oauth/interaction/{uid}', async (request) =>
        decide(context(), await engine(), person, request),
      ),
      route('POST', '/oauth/interaction/{uid}', async (request) =>
        decide(context(), await engine(), person, request),
      ),
      route('POST', '/oauth/token', answerToken),
      route('GET', '/oauth/token/info', async (request) => describeToken(context(), await engine(), request)),
      route('POST', '/oauth/revoke', async (request) => revoke(context(), await engine(), request)),
      route(
        'POST',
        '/oauth/authorize_device',
        whereDevices(async (request) => startDevice(context(), await engine(), polls, request)),
      ),
      route('GET', '/oauth/device', whereDevices(showDevice)),
      route('POST', '/oauth/device', whereDevices(showDevice)),
    ],
    oauth: {
      person,
      polls,
      lives,
      troubles,
      tokenRequests,
      addApplication: (application) => addApplication(context().state, application ?? {}),
      countExchanges: (grantType) =>
        tokenRequests.filter((sent) => sent.error === null && sent.grantType.endsWith(grantType)).length,
      spoilNextTokenAnswer: (spoil) => void spoils.push(spoil),
      setAccessTokenLife: (lifeS) => {
        lives.accessTokenS = lifeS;
      },
      endAccessTokens: async () => (await engine()).expireAccessTokens(),
      listIssued: (kind) => built?.listIssued(kind) ?? [],
      isAlive: async (token) => (await engine()).isAlive(token),
      revokeGrants: async (username) => (await engine()).endGrants((token) => token.username === username),
      decideDevice: async (userCode, decision) =>
        decideDevice(await engine(), person.signedInAs, userCode, decision),
    },
  };
}

/** What the web part says to an address that it does not know. */
const absentPage: PlainAnswer = {
  status: 404,
  text: "<!doctype html><title>The page could not be found or you don't have permission to view it.</title>",
  contentType: 'text/html; charset=utf-8',
};
