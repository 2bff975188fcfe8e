import { createGitStorage } from '../git-storage.ts';
import { startSimulatorServer, type SimulatorServer, type SimulatorServerOptions } from '../http-server.ts';
import { createApi } from './api.ts';
import type { AzureDevopsContext, AzureDevopsSettings } from './call.ts';
import { findToken } from './authenticate.ts';
import { listConnectionRoutes, listProfileRoutes } from './connection.ts';
import { createDeliveries } from './delivery.ts';
import { checkDescribed } from './described.ts';
import { listCloudHosts, startFront } from './front.ts';
import type { BrowserPerson } from './entra-state.ts';
import { createEntra, type EntraOAuth } from './entra.ts';
import { listGitRoutes } from './git.ts';
import type { AzureDevopsNotification, AzureDevopsSubscription } from './hook-state.ts';
import { listHookRoutes } from './hooks.ts';
import { createLimits } from './limits.ts';
import { listNotificationRoutes } from './notifications.ts';
import { answerAbsent, listPageRoutes } from './pages.ts';
import { listPatRoutes } from './pats.ts';
import { listPermissionRoutes } from './permissions.ts';
import { listProjectRoutes } from './projects.ts';
import { requireOrganization, requireProject, requireUser } from './state.ts';
import type { AzureDevopsRepository, AzureDevopsState } from './state.ts';
import { addEntraToken, addPat } from './token-state.ts';
import type { EntraToken, NewEntraToken, NewPat, PersonalToken } from './token-state.ts';
import { createAzureDevopsWorld, smallWorld, type AzureDevopsWorld } from './world.ts';

export interface AzureDevopsSimulatorOptions extends Omit<
  SimulatorServerOptions,
  'routes' | 'check' | 'identifyToken' | 'notFound'
> {
  /** Default: {@link smallWorld}. */
  readonly world?: AzureDevopsWorld;
  readonly settings?: Partial<AzureDevopsSettings>;
  /** `onPremises` is Azure DevOps Server: its collections are the organizations. Default `hosted`. */
  readonly deployment?: AzureDevopsContext['deployment'];
  /** The newest version of the API. Default: 7.2, of which there is a preview alone, and 7.0 for Server. */
  readonly highestVersion?: string;
  /** As `https://dev.azure.com`: the simulator is all hosts of Services, and needs `tls`; see `cloudHosts`. */
  readonly rootUrl?: string;
  /** Who sits before the browser when somebody signs in. Default: ada, who is asked. */
  readonly person?: Partial<BrowserPerson>;
}

export interface AzureDevopsSimulator extends SimulatorServer {
  /** Everything the server knows; tests may look and change. */
  readonly state: AzureDevopsState;
  readonly settings: AzureDevopsSettings;
  /** Signing in at Entra; Server has none. */
  readonly oauth: EntraOAuth;
  /** Every delivery so far, tests too. */
  readonly deliveries: readonly AzureDevopsNotification[];
  /** The hosts that it is under its own names. */
  readonly cloudHosts: readonly string[];
  /** Where an organization or collection is. */
  urlOf(organization: string): string;
  /** Makes a PAT; its `secret` is what a person would paste. */
  addToken(token?: NewPat): PersonalToken;
  /** Makes an access token of Entra, as if somebody had signed in. */
  addEntraToken(token?: NewEntraToken): EntraToken;
  /** The hooks of an organization, or of a project by `acme/Platform`. */
  hooksOf(path: string): readonly AzureDevopsSubscription[];
  /** The password that a hook has now. */
  secretOf(subscriptionId: string): string | null;
  /** Tells the hooks of a push that never was. */
  announcePush(repository: AzureDevopsRepository, login: string, ref: string): void;
  /** Resolves when all deliveries are over. */
  settle(): Promise<void>;
}

/** Starts an Azure DevOps that behaves as `providers/azure-devops.md` says, on 127.0.0.1. */
export async function startAzureDevopsSimulator(
  options: AzureDevopsSimulatorOptions = {},
): Promise<AzureDevopsSimulator> {
  const { rootUrl, tls, port, deployment = 'hosted', ...rest } = options;
  const state = createAzureDevopsWorld(options.world ?? smallWorld);
  const settings: AzureDevopsSettings = {
    ...defaultSettings,
    // The real service never reaches this machine.
    allowsLoopback: rootUrl === undefined,
    ...options.settings,
  };
  const deliveries = createDeliveries(() => context);
  const storage = createGitStorage();
  const entra = createEntra(() => context, rootUrl !== undefined, options.person);
  const context: AzureDevopsContext = {
    state,
    settings,
    deliveries,
    deployment,
    highestVersion: options.highestVersion ?? (deployment === 'hosted' ? '7.2' : '7.0'),
    webUrl: () => rootUrl ?? server.url,
    vsspsUrl: () => rootUrl?.replace('://', '://vssps.') ?? `${server.url}/vssps`,
    loginUrl: () => (rootUrl === undefined ? `${server.url}/login` : 'https://login.microsoftonline.com'),
    now: () => Date.now() + settings.clockOffsetMs,
  };
  const limits = createLimits(context.now);
  const api = createApi(context, limits);
  const isHosted = deployment === 'hosted';
  const server: SimulatorServer = await startSimulatorServer({
    ...rest,
    // Under its own names another server stands before this one.
    ...(rootUrl === undefined ? { ...(tls ? { tls } : {}), ...(port === undefined ? {} : { port }) } : {}),
    routes: [
      ...(isHosted ? [...entra.routes, ...listProfileRoutes(api), ...listPatRoutes(api)] : []),
      ...listPageRoutes(context),
      ...listConnectionRoutes(api),
      ...listHookRoutes(api),
      ...listNotificationRoutes(api),
      ...listPermissionRoutes(api),
      ...listProjectRoutes(api),
      ...listGitRoutes(context, limits, storage),
    ],
    check: (request, route) => (route.undescribed ? [] : checkDescribed(request)),
    identifyToken: (authorization) => {
      const token = findToken(context, authorization);
      return token ? `${token.kind}:${token.name}` : null;
    },
    notFound: answerAbsent,
  });
  const front =
    rootUrl !== undefined && tls
      ? await startFront(
          tls,
          () => server.port,
          (problem) => server.recordFailure(problem),
          port,
        )
      : undefined;

  return {
    ...server,
    ...(front ? { port: front.port, url: `https://127.0.0.1:${front.port}` } : {}),
    state,
    settings,
    oauth: entra.oauth,
    deliveries: deliveries.records,
    cloudHosts: listCloudHosts(state.organizations),
    urlOf: (organization) => `${context.webUrl()}/${encodeURIComponent(organization)}`,
    addToken: (token = {}) => addPat(state, token, context.now()),
    addEntraToken: (token = {}) => addEntraToken(state, token, context.now()),
    hooksOf: (path) => {
      const place = path.includes('/') ? requireProject(state, path) : requireOrganization(state, path);
      return state.subscriptions.filter(({ project, organization }) =>
        [project, organization].includes(place),
      );
    },
    secretOf: (subscriptionId) => {
      const found = state.subscriptions.find(({ id }) => id === subscriptionId);
      return found?.consumerInputs['basicAuthPassword'] ?? null;
    },
    announcePush: (repository, login, ref) => {
      const change = { ref, before: '0'.repeat(40), after: '1'.repeat(40) };
      deliveries.announcePush(repository, requireUser(state, login), [change]);
    },
    settle: () => deliveries.settle(),
    close: async () => {
      await front?.close();
      await server.close();
      await storage.close();
    },
  };
}

const defaultSettings: Omit<AzureDevopsSettings, 'allowsLoopback'> = {
  signIn: 'page',
  suppressedBody: 'json',
  scopeRefusal: 401,
  delayS: null,
  throttle: null,
  queuesTests: false,
  failuresUntilProbation: 3,
  gitOffersWindows: false,
  clockOffsetMs: 0,
};
