import { createRequestCheck } from '../../support/openapi-check.ts';
import { createGitStorage } from '../git-storage.ts';
import { startSimulatorServer } from '../http-server.ts';
import type { SimulatorServer, SimulatorServerOptions } from '../http-server.ts';
import type { PlainAnswer, Route, SimulatorRequest } from '../routes.ts';
import { authenticate, credentialTypeOf, findToken } from './authenticate.ts';
import { Refusal, requireScopes } from './call.ts';
import type { Actor, Api, BitbucketContext, BitbucketSettings } from './call.ts';
import { createDeliveries, type DeliveryRecord } from './delivery.ts';
import { listGitRoutes } from './git.ts';
import { listHookEventRoutes } from './hook-events.ts';
import type { BitbucketHook } from './hook-state.ts';
import { listHookRoutes } from './hooks.ts';
import { bucketOf, createLimits, realLimits } from './limits.ts';
import { checkManners } from './manners.ts';
import type { BrowserPerson } from './oauth-authorize.ts';
import { createOAuth, type BitbucketOAuth } from './oauth.ts';
import { listParameters } from './paging.ts';
import { listRemovedRoutes } from './removed.ts';
import { listRepositoryRoutes } from './repositories.ts';
import type { Need } from './scopes.ts';
import { requireRepository, requireWorkspace, type BitbucketState } from './state.ts';
import { addToken, type BitbucketToken, type NewToken } from './token-state.ts';
import { listUserRoutes } from './users.ts';
import { listWorkspaceRoutes } from './workspaces.ts';
import { createBitbucketWorld, smallWorld, type BitbucketWorld } from './world.ts';

export interface BitbucketSimulatorOptions extends Omit<
  SimulatorServerOptions,
  'routes' | 'check' | 'identifyToken' | 'notFound'
> {
  /** Default: {@link smallWorld}. */
  readonly world?: BitbucketWorld;
  readonly settings?: Partial<BitbucketSettings>;
  /** Where the web part is, if not where the simulator listens: `https://bitbucket.org` behind a proxy. */
  readonly rootUrl?: string;
  /** Where the API is then, without `/2.0`. Default: the same. */
  readonly apiRootUrl?: string;
  /** Who sits before the browser when somebody signs in. Default: ada, who is asked. */
  readonly person?: Partial<BrowserPerson>;
}

export interface BitbucketSimulator extends SimulatorServer {
  /** Everything the server knows; tests may look and change. */
  readonly state: BitbucketState;
  readonly settings: BitbucketSettings;
  readonly deliveries: readonly DeliveryRecord[];
  readonly oauth: BitbucketOAuth;
  /** Makes a token; its `secret` is what a person would paste. */
  addToken(token: NewToken): BitbucketToken;
  /** The hooks of a repository by `workspace/slug`, or of a workspace by its slug. */
  hooksOf(path: string): readonly BitbucketHook[];
  /** Resolves when all deliveries are over. */
  settle(): Promise<void>;
}

/** Starts a Bitbucket Cloud that behaves as `providers/bitbucket.md` says, on 127.0.0.1. */
export async function startBitbucketSimulator(
  options: BitbucketSimulatorOptions = {},
): Promise<BitbucketSimulator> {
  const state = createBitbucketWorld(options.world ?? smallWorld);
  const settings: BitbucketSettings = {
    ...defaultSettings,
    ...options.settings,
    limits: { ...realLimits, ...options.settings?.limits },
  };
  const deliveries = createDeliveries(() => context);
  const storage = createGitStorage();
  const { oauth, routes: oauthRoutes } = createOAuth(() => context, options.person);
  const context: BitbucketContext = {
    state,
    settings,
    deliveries,
    webUrl: () => options.rootUrl ?? server.url,
    apiUrl: () => `${options.apiRootUrl ?? options.rootUrl ?? server.url}/2.0`,
    now: () => Date.now() + settings.clockOffsetMs,
  };
  const limits = createLimits(context.now);

  const api: Api = (need, handler) => async (request) => {
    checkManners(request);
    let actor: Actor | null = null;
    try {
      actor = authenticate(context, request);
      const limited = limits.count(bucketOf(request.path, actor), actor, settings);
      if (limited) return limited;
      requireScopes({ actor }, need);
      const answer = await handler({ ...context, request, actor });
      return 'stream' in answer ? answer : withHeaders(answer, toHeaders(context, request, actor, need));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return withHeaders(error.answer, toHeaders(context, request, actor, need));
    }
  };

  /** Behind a proxy there are two hosts, and each has its own part. */
  const onlyAt = (url: () => string, routes: readonly Route[]): Route[] =>
    routes.map((route) => ({
      ...route,
      handle: (request) => {
        if (options.rootUrl === undefined || request.headers.host === new URL(url()).host) {
          return route.handle(request);
        }
        request.recordFailure(`sent to ${request.headers.host}, which has no such address`);
        return answerAbsent();
      },
    }));

  const checkDescribed = createRequestCheck('bitbucket-cloud.openapi-3.0.2026-06.json', '/2.0');
  const server: SimulatorServer = await startSimulatorServer({
    ...options,
    routes: [
      ...onlyAt(context.apiUrl, [
        ...listUserRoutes(api),
        ...listWorkspaceRoutes(api),
        ...listRepositoryRoutes(api),
        ...listHookRoutes(api),
        ...listHookEventRoutes(api),
        ...listRemovedRoutes(),
      ]),
      ...onlyAt(context.webUrl, [...oauthRoutes, ...listGitRoutes(context, limits, storage)]),
    ],
    check: (request, route) => (route.undescribed ? [] : checkDescribed(toDescribed(request))),
    identifyToken: (authorization) => {
      const token = findToken(context, authorization);
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
    addToken: (token) => addToken(state, token, context.now()),
    hooksOf: (path) => {
      const place = path.includes('/') ? requireRepository(state, path) : requireWorkspace(state, path);
      return state.hooks.get(place.uuid) ?? [];
    },
    settle: () => deliveries.settle(),
    close: async () => {
      await server.close();
      await storage.close();
    },
  };
}

const defaultSettings: BitbucketSettings = {
  allowsLoopback: true,
  maxHooks: 50,
  limits: realLimits,
  oauthCredentialType: 'oauth2',
  tellsUsername: true,
  redirectsRenamed: true,
  accessTokenLifeS: 3_600,
  refreshTokenLifeS: 90 * 86_400,
  refreshGraceS: 0,
  saysScopes: false,
  clockOffsetMs: 0,
};

/**
 * A request as far as the description goes: it leaves out the parameters of all lists, the `q` of the list of
 * workspaces, and the bodies of hooks, which `hook-fields.ts` checks.
 */
function toDescribed(request: SimulatorRequest) {
  const query = new URLSearchParams(request.query);
  const isOfWorkspaces = request.path === '/2.0/user/workspaces';
  for (const name of [...listParameters, ...(isOfWorkspaces ? ['q'] : [])]) query.delete(name);
  const body = request.path.includes('/hooks') ? undefined : request.body;
  const { method, path, headers } = request;
  return { method, path, query, body, contentType: headers['content-type'] };
}

/** What the service says of a credential that is good, also when it refuses. */
function toHeaders(
  context: BitbucketContext,
  { path }: SimulatorRequest,
  actor: Actor | null,
  need: Need,
): Readonly<Record<string, string>> {
  if (!actor) return {};
  const { token } = actor;
  const type = credentialTypeOf(context, token);
  const isScaled = path.startsWith('/2.0/repositories') && token.kind !== 'api' && token.kind !== 'oauth';
  return {
    ...(type === null ? {} : { 'x-credential-type': type }),
    'x-oauth-scopes': token.scopes.join(', '),
    'x-accepted-oauth-scopes': (token.kind === 'api' ? need.api : need.classic).join(', '),
    ...(isScaled
      ? {
          'x-ratelimit-limit': String(context.settings.limits.api.requests),
          'x-ratelimit-resource': 'api',
          'x-ratelimit-nearlimit': 'false',
        }
      : {}),
  };
}

function withHeaders(answer: PlainAnswer, headers: Readonly<Record<string, string>>): PlainAnswer {
  return { ...answer, headers: { ...headers, ...answer.headers } };
}

/** What the web part says to an address that it does not know. */
function answerAbsent(): PlainAnswer {
  return {
    status: 404,
    text: '<!doctype html><title>Page not found &mdash; Bitbucket</title>',
    contentType: 'text/html; charset=utf-8',
  };
}
