import { createRequestCheck } from '../../support/openapi-check.ts';
import { createGitStorage } from '../git-storage.ts';
import { startSimulatorServer } from '../http-server.ts';
import type { SimulatorServer, SimulatorServerOptions } from '../http-server.ts';
import type { Answer, PlainAnswer, Route, SimulatorRequest } from '../routes.ts';
import { listAppRoutes } from './app-calls.ts';
import { createManifestFlow } from './app-manifest.ts';
import { listAppPageRoutes } from './app-pages.ts';
import { listInstallationTokenRoutes } from './app-tokens.ts';
import { authenticate, createFailedLogins, secretOf } from './authenticate.ts';
import { Refusal, type Actor, type Api, type GithubContext, type GithubFlavour } from './call.ts';
import type { GithubSettings } from './call.ts';
import { createControls, type GithubControls } from './controls.ts';
import { createDeliveries } from './delivery.ts';
import { listGitRoutes } from './git.ts';
import { toCommonHeaders, toTokenHeaders } from './headers.ts';
import { listAppHookRoutes } from './hook-deliveries.ts';
import type { HookDelivery } from './hook-state.ts';
import { listHookRoutes } from './hooks.ts';
import { listInstanceRoutes } from './instance.ts';
import { createLimits } from './limits.ts';
import { checkManners } from './manners.ts';
import { createOAuth, type GithubOAuth } from './oauth.ts';
import { listOrganizationConnectionRoutes } from './organization-connections.ts';
import { answerAbsentPage, type BrowserPerson } from './pages.ts';
import { listRepositoryRoutes } from './repositories.ts';
import { listSettingsPageRoutes } from './settings-pages.ts';
import { defaultSettings } from './settings.ts';
import type { GithubState } from './state.ts';
import { listUserInstallationRoutes } from './user-installations.ts';
import { listUserRoutes } from './users.ts';
import { createGithubWorld, smallWorld, type GithubWorld } from './world.ts';

export interface GithubSimulatorOptions extends Omit<
  SimulatorServerOptions,
  'routes' | 'check' | 'identifyToken' | 'notFound'
> {
  /** Default `enterprise-server`, which is what loopback hosts are. */
  readonly flavour?: GithubFlavour;
  /** Default: {@link smallWorld}. */
  readonly world?: GithubWorld;
  readonly settings?: Partial<GithubSettings>;
  /** Where the web part is, if not where the simulator listens: `https://github.com` behind a proxy. */
  readonly rootUrl?: string;
  /** Where the API is, if not below `/api/v3`: `https://api.github.com`. */
  readonly apiRootUrl?: string;
  /** Who sits before the browser. Default: ada, who is asked. */
  readonly person?: Partial<BrowserPerson>;
}

export interface GithubSimulator extends SimulatorServer, GithubControls {
  /** Everything the server knows; tests may look and change. */
  readonly state: GithubState;
  readonly settings: GithubSettings;
  readonly person: BrowserPerson;
  readonly deliveries: readonly HookDelivery[];
  readonly oauth: GithubOAuth;
  /** The web's root and the API's, as gitlink names them. */
  readonly webUrl: string;
  readonly apiUrl: string;
  /** Resolves when all deliveries are over. */
  settle(): Promise<void>;
}

/** Starts a GitHub that behaves as `providers/github.md` says, on 127.0.0.1. */
export async function startGithubSimulator(options: GithubSimulatorOptions = {}): Promise<GithubSimulator> {
  const flavour = options.flavour ?? 'enterprise-server';
  const state = createGithubWorld(options.world ?? smallWorld);
  const settings = { ...defaultSettings(flavour), ...options.settings };
  const person: BrowserPerson = { signedInAs: 'ada', consent: 'ask', ...options.person };
  const prefix = options.apiRootUrl === undefined ? '/api/v3' : '';
  const deliveries = createDeliveries(() => context);
  const limits = createLimits();
  const failed = createFailedLogins();
  const storage = createGitStorage();
  const context: GithubContext = {
    flavour,
    state,
    settings,
    deliveries,
    webUrl: () => options.rootUrl ?? server.url,
    apiUrl: () => options.apiRootUrl ?? `${options.rootUrl ?? server.url}${prefix}`,
    now: () => Date.now() + settings.clockOffsetMs,
  };
  const { oauth, webRoutes: signInPages, apiRoutes: clientCalls } = createOAuth(() => context, person);
  const manifest = createManifestFlow(() => context, person);

  const api: Api = (need, handler) => async (request) => {
    let actor: Actor | null = null;
    let counted: Readonly<Record<string, string>> = {};
    const finish = (answer: PlainAnswer) =>
      withHeaders(answer, { ...toTokenHeaders(context, actor, need), ...counted });
    try {
      checkManners(request, flavour);
      actor = authenticate(context, request, need, failed);
      const { refusal, headers } = limits.count(context, request, actor);
      counted = headers;
      if (refusal) return finish(refusal);
      const answer = await handler({ ...context, request, actor, need });
      return 'stream' in answer ? answer : finish(answer);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return finish(error.answer);
    }
  };

  /** Behind a proxy there are two hosts, and each has its own part. */
  const onlyAt = (url: () => string, routes: readonly Route[]): Route[] =>
    routes.map((route) => ({
      ...route,
      handle: async (request) => {
        if (options.rootUrl !== undefined && request.headers.host !== new URL(url()).host) {
          request.recordFailure(`sent to ${String(request.headers.host)}, which has no such address`);
          return answerAbsentPage();
        }
        const answer: Answer = await route.handle(request);
        return 'stream' in answer ? answer : withHeaders(answer, toCommonHeaders(context));
      },
    }));

  const apiRoutes = [
    ...listInstanceRoutes(context, limits, api),
    ...manifest.apiRoutes(api),
    ...listAppRoutes(api),
    ...listAppHookRoutes(api),
    ...listInstallationTokenRoutes(api),
    ...listUserInstallationRoutes(api),
    ...listUserRoutes(api),
    ...listRepositoryRoutes(api),
    ...listHookRoutes(api),
    ...listOrganizationConnectionRoutes(api),
    ...clientCalls(api),
  ];
  const checkDescribed = createRequestCheck(
    flavour === 'enterprise-server'
      ? 'github-enterprise-server-3.19.openapi-3.0-excerpt.json'
      : 'github.openapi-3.0.23.0.2-excerpt.json',
    prefix,
  );
  const server: SimulatorServer = await startSimulatorServer({
    ...options,
    routes: [
      ...onlyAt(
        context.apiUrl,
        apiRoutes.map((route) => ({ ...route, template: `${prefix}${route.template}` })),
      ),
      ...onlyAt(context.webUrl, [
        ...signInPages,
        ...manifest.webRoutes,
        ...listAppPageRoutes(() => context, person),
        ...listSettingsPageRoutes(),
        ...listGitRoutes(context, storage),
      ]),
    ],
    check: (request, route) => (route.undescribed ? [] : checkDescribed(toDescribed(request))),
    identifyToken: (authorization) => {
      const token = state.tokens.get(secretOf(authorization));
      return token ? `${token.kind}:${token.name}` : null;
    },
    notFound: answerAbsentPage,
  });

  return {
    ...server,
    ...createControls(context),
    state,
    settings,
    person,
    deliveries: deliveries.records,
    oauth,
    webUrl: context.webUrl(),
    apiUrl: context.apiUrl(),
    settle: () => deliveries.settle(),
    close: async () => {
      await server.close();
      await storage.close();
    },
  };
}

function toDescribed({ method, path, query, headers, body }: SimulatorRequest) {
  return { method, path, query, body, contentType: headers['content-type'] };
}

function withHeaders(answer: PlainAnswer, headers: Readonly<Record<string, string>>): PlainAnswer {
  return { ...answer, headers: { ...headers, ...answer.headers } };
}
