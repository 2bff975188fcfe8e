import { createRequestCheck } from '../../support/openapi-check.ts';
import { createGitStorage } from '../git-storage.ts';
import { startSimulatorServer } from '../http-server.ts';
import type { SimulatorServer, SimulatorServerOptions } from '../http-server.ts';
import type { Route } from '../routes.ts';
import { listApplicationRoutes } from './applications.ts';
import { authenticate, findToken } from './authenticate.ts';
import { describeBehaviour, type GiteaFlavour } from './behaviour.ts';
import { Refusal, type GiteaContext, type GiteaHandler, type GiteaSettings } from './call.ts';
import { createDeliveries, type DeliveryRecord } from './delivery.ts';
import { listGitRoutes } from './git.ts';
import { listHookRoutes } from './hooks.ts';
import { checkManners } from './manners.ts';
import type { BrowserPerson } from './oauth-authorize.ts';
import { createOAuth, type GiteaOAuth } from './oauth.ts';
import { listOrganizationRoutes } from './organizations.ts';
import { listRepositoryRoutes } from './repositories.ts';
import { addToken, requireRepository } from './state.ts';
import type { GiteaHook, GiteaState, GiteaToken, NewToken } from './state.ts';
import { listTokenRoutes } from './tokens.ts';
import { answerAbsent, listUserRoutes } from './users.ts';
import { createGiteaWorld, smallWorld, type GiteaWorld } from './world.ts';

export interface GiteaSimulatorOptions extends Omit<
  SimulatorServerOptions,
  'routes' | 'check' | 'identifyToken' | 'notFound'
> {
  readonly flavour?: GiteaFlavour;
  /** As `1.26.2`; `16.0.0` for Forgejo. Default: the newest that the fact sheet describes. */
  readonly version?: string;
  /** Default: {@link smallWorld}. */
  readonly world?: GiteaWorld;
  readonly settings?: Partial<GiteaSettings>;
  /** `ROOT_URL` where it is not the address that the simulator listens on, as behind a proxy. */
  readonly rootUrl?: string;
  /** Who sits before the browser when somebody signs in. */
  readonly person?: Partial<BrowserPerson>;
}

export interface GiteaSimulator extends SimulatorServer {
  /** Everything the server knows; tests may look and change. */
  readonly state: GiteaState;
  readonly settings: GiteaSettings;
  readonly deliveries: readonly DeliveryRecord[];
  readonly oauth: GiteaOAuth;
  /** Adds a personal access token; its `secret` is what a person would paste. */
  addToken(token: NewToken): GiteaToken;
  /** The hooks of one repository, by `owner/name`. */
  hooksOf(fullName: string): readonly GiteaHook[];
  /** Resolves when all deliveries are over. */
  settle(): Promise<void>;
}

/** Starts a Gitea or Forgejo that behaves as `providers/gitea.md` says, on 127.0.0.1. */
export async function startGiteaSimulator(options: GiteaSimulatorOptions = {}): Promise<GiteaSimulator> {
  const behaviour = describeBehaviour(options.flavour ?? 'gitea', options.version);
  const state = createGiteaWorld(options.world ?? smallWorld);
  const settings: GiteaSettings = {
    requireSignIn: false,
    disableWebhooks: false,
    enableBasicAuthentication: true,
    maxResponseItems: 50,
    defaultPagingNum: 30,
    allowedHosts: 'loopback',
    oauth2Enabled: true,
    accessTokenLifeS: 3600,
    refreshTokenLifeS: 730 * 3600,
    invalidateRefreshTokens: behaviour.invalidatesRefreshTokens,
    ...options.settings,
  };
  const deliveries = createDeliveries(() => context);
  const storage = createGitStorage();
  const { oauth, routes: oauthRoutes } = createOAuth(() => context, options.person);
  const context: GiteaContext = {
    state,
    behaviour,
    settings,
    deliveries,
    baseUrl: () => options.rootUrl ?? server.url,
  };

  const api =
    (handler: GiteaHandler): Route['handle'] =>
    async (request) => {
      checkManners(request);
      try {
        return await handler({ ...context, request, actor: authenticate(context, request) });
      } catch (error) {
        if (error instanceof Refusal) return error.answer;
        throw error;
      }
    };

  const checkDescribed = createRequestCheck(
    behaviour.flavour === 'gitea' ? 'gitea.openapi-3.0.1.27.json' : 'forgejo.swagger-2.0.16.0.json',
    '/api/v1',
  );

  const server: SimulatorServer = await startSimulatorServer({
    ...options,
    routes: [
      ...listUserRoutes(behaviour, api),
      ...listRepositoryRoutes(api),
      ...listOrganizationRoutes(api),
      ...listHookRoutes(api),
      ...listTokenRoutes(behaviour, api),
      ...listApplicationRoutes(api),
      ...oauthRoutes,
      ...listGitRoutes(context, storage),
    ],
    check: (request, route) => {
      if (route.undescribed) return [];
      return checkDescribed({ ...request, contentType: request.headers['content-type'] });
    },
    identifyToken: (authorization) => {
      const token = findToken(state, authorization);
      return token ? `${token.kind}:${token.name}` : null;
    },
    notFound: answerAbsent,
  });

  return {
    ...server,
    state,
    settings,
    deliveries: deliveries.records,
    oauth,
    addToken: (token) => addToken(state, token),
    hooksOf: (fullName) => {
      const { id } = requireRepository(state, fullName);
      return state.hooks.at('repository', id);
    },
    settle: () => deliveries.settle(),
    close: async () => {
      await server.close();
      await storage.close();
    },
  };
}
