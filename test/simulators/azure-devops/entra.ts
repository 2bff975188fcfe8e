import type { ServerResponse } from 'node:http';
import type { Answer, PlainAnswer, Route, SimulatorRequest } from '../routes.ts';
import type { AzureDevopsContext } from './call.ts';
import { createApplication, type EntraApplication, type NewApplication } from './entra-applications.ts';
import {
  createEntraEngine,
  offlineScope,
  pathOfLogin,
  type EntraEngine,
  type EntraLives,
} from './entra-engine.ts';
import { renderError, type EntraErrorCode } from './entra-errors.ts';
import { authorize, decide, decideDevice, resume, showDevicePage } from './entra-pages.ts';
import { findTenant, isAtHome, type BrowserPerson, type DevicePolls, type Entra } from './entra-state.ts';
import { exchange, startDevice } from './entra-token.ts';
import { listScopes } from './scopes.ts';
import { resourceId } from './token-state.ts';

/** A request that the token endpoint was sent, without its secrets. */
interface TokenRequest {
  readonly grantType: string;
  /** Null where it gave tokens. */
  readonly error: string | null;
}

/** Signing in at Entra, as tests look at it and change it. */
export interface EntraOAuth {
  readonly person: BrowserPerson;
  readonly polls: DevicePolls;
  readonly lives: EntraLives;
  /** Every request of the token endpoint, in order. */
  readonly tokenRequests: readonly TokenRequest[];
  /** Registers a client: public, known in every tenant, with gitlink's redirect, unless told otherwise. */
  addApplication(application?: NewApplication): EntraApplication;
  /** How many requests of a grant type gave tokens. */
  countExchanges(
    grantType: 'authorization_code' | 'refresh_token' | 'device_code' | 'client_credentials',
  ): number;
  /** Answers the next request of the token endpoint in another way, after having done what it asks. */
  spoilNextTokenAnswer(answer: (response: ServerResponse) => void): void;
  /** Refuses refreshes by this number of Entra's from now on: 50173, 65001, 700082 and so on; null ends that. */
  refuseRefreshes(code: EntraErrorCode | null): void;
  /** Lets all access tokens end now; refresh tokens stay good. */
  endAccessTokens(): void;
  /** Every refresh token that was issued and not revoked, oldest first. */
  listRefreshTokens(): readonly string[];
  /** Does what a new password does to somebody: their refresh tokens end, access tokens do not. */
  endSignIns(login: string): Promise<void>;
  /** Does what the person before the browser does on the device page. @throws Error where they may not. */
  decideDevice(userCode: string, decision: 'approve' | 'deny'): Promise<void>;
}

interface SimulatedEntra {
  readonly oauth: EntraOAuth;
  readonly routes: readonly Route[];
}

/** The authorization server (`providers/azure-devops.md` §2a). */
export function createEntra(
  context: () => AzureDevopsContext,
  isUnderOwnName: boolean,
  wish: Partial<BrowserPerson> = {},
): SimulatedEntra {
  const lives: EntraLives = { accessTokenS: 4_500, refreshTokenS: 90 * 86_400, deviceCodeS: 900 };
  const applications = new Map<string, EntraApplication>();
  const tokenRequests: TokenRequest[] = [];
  const spoils: ((response: ServerResponse) => void)[] = [];
  let trouble: EntraErrorCode | null = null;
  let building: Promise<EntraEngine> | undefined;
  let built: EntraEngine | undefined;

  const entra: Entra = {
    get context() {
      return context();
    },
    person: { signedInAs: 'ada', consent: 'ask', ...wish },
    lives,
    polls: { intervalS: 5, slowDowns: 0 },
    applications,
    devices: new Map(),
    engine: () =>
      (building ??= createEntraEngine(context(), applications, lives, engineScopes).then(
        (made) => (built = made),
      )),
    built: () => built,
    devicePage: () =>
      isUnderOwnName
        ? 'https://microsoft.com/devicelogin'
        : `${context().loginUrl()}/common/oauth2/deviceauth`,
    path: () => pathOfLogin(context()),
    findTenant: (name) => findTenant(context(), name),
    findApplication: (clientId, tenant) => {
      const application = applications.get(clientId);
      const isKnown = application?.tenant === null || application?.tenant === tenant;
      return isKnown ? application : undefined;
    },
    isAtHome,
  };

  async function answerToken(request: SimulatorRequest): Promise<Answer> {
    const { grantType, error, answer } = await exchange(entra, request, trouble);
    tokenRequests.push({ grantType, error });
    const spoil = spoils.shift();
    return spoil ? { stream: (response) => Promise.resolve(spoil(response)) } : answer;
  }

  const route = (method: string, template: string, handle: Route['handle']): Route => ({
    method,
    template: `/login${template}`,
    undescribed: true,
    handle,
  });

  return {
    routes: [
      route('GET', '/common/oauth2/deviceauth', (request) => showDevicePage(entra, request)),
      route('POST', '/common/oauth2/deviceauth', (request) => showDevicePage(entra, request)),
      route('GET', '/interaction/{uid}', (request) => decide(entra, request)),
      route('POST', '/interaction/{uid}', (request) => decide(entra, request)),
      route('GET', '/oauth2/v2.0/authorize/{uid}', (request) => resume(entra, request)),
      route('GET', '/{tenant}/oauth2/v2.0/authorize', (request) => authorize(entra, request)),
      route('POST', '/{tenant}/oauth2/v2.0/token', answerToken),
      route('POST', '/{tenant}/oauth2/v2.0/devicecode', (request) => startDevice(entra, request)),
      route('GET', '/{tenant}/v2.0/.well-known/openid-configuration', (request) =>
        describeTenant(context(), request.params['tenant'] ?? ''),
      ),
    ],
    oauth: {
      person: entra.person,
      polls: entra.polls,
      lives,
      tokenRequests,
      addApplication: (application = {}) => {
        const made = createApplication(context().state, application);
        applications.set(made.clientId, made);
        return made;
      },
      countExchanges: (grantType) =>
        tokenRequests.filter((sent) => sent.error === null && sent.grantType.endsWith(grantType)).length,
      spoilNextTokenAnswer: (spoil) => void spoils.push(spoil),
      refuseRefreshes: (code) => {
        trouble = code;
      },
      endAccessTokens: () => {
        for (const token of context().state.tokens.values()) if (token.kind === 'entra') token.expiresAt = 0;
      },
      listRefreshTokens: () => built?.listRefreshTokens() ?? [],
      endSignIns: async (login) => built?.endRefreshTokens((grant) => grant.login === login),
      decideDevice: async (userCode, decision) => {
        const refused = await decideDevice(entra, userCode, decision);
        if (refused !== null) throw new Error(`Entra says AADSTS${refused}.`);
      },
    },
  };
}

const engineScopes = [
  'openid',
  offlineScope,
  ...[...listScopes(), '.default'].map((name) => `${resourceId}/${name}`),
];

/** For `organizations` the issuer says literally that the tenant goes there. */
function describeTenant(context: AzureDevopsContext, name: string): PlainAnswer {
  const tenant = findTenant(context, name);
  if (typeof tenant === 'number') return renderError(tenant);
  const root = `${context.loginUrl()}/${name}`;
  const json = {
    issuer: `${context.loginUrl()}/${tenant ?? '{tenantid}'}/v2.0`,
    authorization_endpoint: `${root}/oauth2/v2.0/authorize`,
    token_endpoint: `${root}/oauth2/v2.0/token`,
    device_authorization_endpoint: `${root}/oauth2/v2.0/devicecode`,
    response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token'],
  };
  return { status: 200, json };
}
