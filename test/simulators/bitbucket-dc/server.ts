import { randomBytes } from 'node:crypto';
import { createGitStorage } from '../git-storage.ts';
import { startSimulatorServer } from '../http-server.ts';
import type { SimulatorServer, SimulatorServerOptions } from '../http-server.ts';
import type { PlainAnswer, Route } from '../routes.ts';
import { authenticate, secretOf } from './authenticate.ts';
import { describeBehaviour } from './behaviour.ts';
import { Refusal, answerAbsent } from './call.ts';
import type { Actor, DcContext, DcHandler, DcSettings } from './call.ts';
import { createDeliveries } from './delivery.ts';
import { createDcRequestCheck } from './described.ts';
import { listGitRoutes } from './git.ts';
import { listHookCallRoutes } from './hook-calls.ts';
import { hooksAt, type DcHook, type Invocation } from './hook-state.ts';
import { listHookRoutes } from './hooks.ts';
import { listInstanceRoutes } from './instance.ts';
import { createLimits } from './limits.ts';
import type { BrowserPerson } from './oauth-authorize.ts';
import { findAccess } from './oauth-state.ts';
import { createOAuth, type DcOAuth } from './oauth.ts';
import { listRepositoryRoutes } from './repositories.ts';
import { requireProject, requireRepository, type DcState } from './state.ts';
import { addToken, type DcToken, type NewToken } from './token-state.ts';
import { listTokenRoutes } from './tokens.ts';
import { listUserRoutes } from './users.ts';
import { createDcWorld, smallWorld, type DcWorld } from './world.ts';

export interface BitbucketDcSimulatorOptions extends Omit<
  SimulatorServerOptions,
  'routes' | 'check' | 'identifyToken' | 'notFound'
> {
  /** Default: of the line that the official description is of. */
  readonly version?: string;
  /** Default: {@link smallWorld}. */
  readonly world?: DcWorld;
  readonly settings?: Partial<DcSettings>;
  /** The base URL where it is not the address that the simulator listens on, as behind a proxy. */
  readonly rootUrl?: string;
  /** Who sits before the browser when somebody signs in. */
  readonly person?: Partial<BrowserPerson>;
}

export interface BitbucketDcSimulator extends SimulatorServer {
  /** Everything the server knows; tests may look and change. */
  readonly state: DcState;
  readonly settings: DcSettings;
  readonly deliveries: readonly Invocation[];
  readonly oauth: DcOAuth;
  /** Adds an HTTP access token; its `secret` is what a person would paste. */
  addToken(token?: NewToken): DcToken;
  /** The hooks of one repository (`KEY/slug`) or project (`KEY`). */
  hooksOf(place: string): readonly DcHook[];
  /** Resolves when all deliveries are over. */
  settle(): Promise<void>;
}

/** Makes the handler of an API route: authentication, limits, the servers' own headers. */
export type Api = (handler: DcHandler) => Route['handle'];

/** Starts a Bitbucket Data Center that behaves as `providers/bitbucket-data-center.md` says, on 127.0.0.1. */
export async function startBitbucketDcSimulator(
  options: BitbucketDcSimulatorOptions = {},
): Promise<BitbucketDcSimulator> {
  const behaviour = describeBehaviour(options.version ?? '9.4.3');
  const state = createDcWorld(options.world ?? smallWorld);
  const settings: DcSettings = { ...defaultSettings, ...options.settings };
  const deliveries = createDeliveries(() => context);
  const limits = createLimits();
  const storage = createGitStorage();
  const { oauth, routes: oauthRoutes } = createOAuth(() => context, options.person);
  const context: DcContext = {
    state,
    behaviour,
    settings,
    deliveries,
    baseUrl: () => options.rootUrl ?? server.url,
    now: () => Date.now() + settings.clockOffsetMs,
  };

  const api: Api = (handler) => async (request) => {
    // Both name the same; of other numbers the servers know nothing.
    const { api: version = 'latest' } = request.params;
    if (version !== 'latest' && version !== '1.0') return answerAbsent();
    let headers: Readonly<Record<string, string>> = { 'x-arequestid': `@${randomBytes(5).toString('hex')}` };
    try {
      const actor = authenticate(context, request, 'rest');
      headers = { ...headers, ...headersOf(actor) };
      const limited = actor && limits.count(actor, settings);
      if (limited) return withHeaders(limited, headers);
      const answer = await handler({ ...context, request, actor });
      return 'stream' in answer ? answer : withHeaders(answer, headers);
    } catch (error) {
      if (error instanceof Refusal) return withHeaders(error.answer, headers);
      throw error;
    }
  };

  const checkDescribed = createDcRequestCheck();
  const server: SimulatorServer = await startSimulatorServer({
    ...options,
    routes: [
      ...listInstanceRoutes(context, api),
      ...listUserRoutes(api),
      ...listRepositoryRoutes(api),
      ...listHookCallRoutes(context, api),
      ...listHookRoutes(context, api),
      ...listTokenRoutes(api),
      ...oauthRoutes,
      ...listGitRoutes(context, limits, storage),
    ],
    check: (request, route) => {
      if (route.undescribed) return [];
      return checkDescribed({ ...request, contentType: request.headers['content-type'] });
    },
    identifyToken: (authorization) => {
      const secret = secretOf(authorization);
      const token = state.tokens.get(secret);
      if (token) return `${token.place.kind}:${token.name}`;
      const session = findAccess(state.oauth, secret, context.now());
      return session ? `oauth:${session.user.name}` : null;
    },
    notFound: answerAbsent,
  });

  return {
    ...server,
    state,
    settings,
    deliveries: deliveries.records,
    oauth,
    addToken: (token = {}) => addToken(state, token, context.now()),
    hooksOf: (place) =>
      hooksAt(
        state,
        place.includes('/')
          ? { level: 'repository', repository: requireRepository(state, place) }
          : { level: 'project', project: requireProject(state, place) },
      ),
    settle: () => deliveries.settle(),
    close: async () => {
      await server.close();
      await storage.close();
    },
  };
}

const defaultSettings: DcSettings = {
  publicAccess: true,
  hidesRepositories: true,
  listsPersonalProjects: true,
  maxPageSize: 1000,
  hiddenRows: 2,
  allowsBasicAtRest: true,
  allowsBasicAtGit: true,
  maxFailedLogins: 5,
  rateLimit: null,
  hasDataCenterLicence: true,
  isLicenceExpired: false,
  maxTokensPerOwner: 100,
  expiryRequired: false,
  maxExpiryDays: null,
  tokensReachThemselves: false,
  secretsMasked: false,
  hookCreationStatus: 201,
  hasCircuitBreaker: true,
  requiresHttpsRedirect: true,
  codeLifeS: 10,
  accessTokenLifeS: 3600,
  refreshTokenLifeS: 90 * 86_400,
  refreshNeedsRedirect: true,
  hasOAuthRevocation: false,
  clockOffsetMs: 0,
};

/** Who somebody is comes with every answer to those who are signed in, and with no other. */
function headersOf(actor: Actor | null): Readonly<Record<string, string>> {
  if (!actor) return {};
  return { 'x-ausername': encodeURIComponent(actor.user.name), 'x-auserid': String(actor.user.id) };
}

function withHeaders(answer: PlainAnswer, headers: Readonly<Record<string, string>>): PlainAnswer {
  return { ...answer, headers: { ...headers, ...answer.headers } };
}
