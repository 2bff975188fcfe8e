import { randomBytes } from 'node:crypto';
import { createGitStorage } from '../git-storage.ts';
import { startSimulatorServer } from '../http-server.ts';
import type { SimulatorServer, SimulatorServerOptions } from '../http-server.ts';
import type { PlainAnswer, Route } from '../routes.ts';
import { listApplicationRoutes } from './applications.ts';
import { authenticate, secretOf } from './authenticate.ts';
import { describeBehaviour } from './behaviour.ts';
import { Refusal, answerAbsent } from './call.ts';
import type { GitlabContext, GitlabHandler, GitlabSettings, Need } from './call.ts';
import { listConnectionRoutes } from './connections.ts';
import { createDeliveries } from './delivery.ts';
import { listGitRoutes } from './git.ts';
import { listHookCallRoutes } from './hook-calls.ts';
import { hooksAt, type GitlabHook, type HookDelivery } from './hook-state.ts';
import { listHookRoutes } from './hooks.ts';
import { listInstanceRoutes } from './instance.ts';
import { createLimits } from './limits.ts';
import { listNamespaceRoutes } from './namespaces.ts';
import { createOAuth, type GitlabOAuth } from './oauth.ts';
import type { BrowserPerson } from './oauth-pages.ts';
import { listProjectRoutes } from './projects.ts';
import { requireGroup } from './state.ts';
import type { GitlabState } from './state.ts';
import { addToken, type GitlabToken, type NewToken } from './token-state.ts';
import { listTokenRoutes } from './tokens.ts';
import { createGitlabWorld, smallWorld, type GitlabWorld } from './world.ts';

export interface GitlabSimulatorOptions extends Omit<
  SimulatorServerOptions,
  'routes' | 'check' | 'identifyToken' | 'notFound'
> {
  /** As `17.11.0-ee`; without `-ee` the community edition. Default: the newest that the fact sheet describes. */
  readonly version?: string;
  /** Default: {@link smallWorld}. */
  readonly world?: GitlabWorld;
  readonly settings?: Partial<GitlabSettings>;
  /** `external_url` where it is not the address that the simulator listens on, as behind a proxy. */
  readonly rootUrl?: string;
  /** Who signs in. Default: ada, who is asked. */
  readonly person?: Partial<BrowserPerson>;
}

export interface GitlabSimulator extends SimulatorServer {
  /** Everything the server knows; tests may look and change. */
  readonly state: GitlabState;
  readonly settings: GitlabSettings;
  readonly deliveries: readonly HookDelivery[];
  readonly oauth: GitlabOAuth;
  /** Adds a token; its `secret` is what a person would paste. */
  addToken(token: NewToken): GitlabToken;
  /** The hooks of one project or group, by full path. */
  hooksOf(fullPath: string): readonly GitlabHook[];
  /** Resolves when all deliveries are over. */
  settle(): Promise<void>;
}

/** Makes the handler of an API route: authentication, limits, the servers' own headers. */
export type Api = (need: Need, handler: GitlabHandler) => Route['handle'];

/** Starts a GitLab that behaves as `providers/gitlab.md` says, on 127.0.0.1. */
export async function startGitlabSimulator(options: GitlabSimulatorOptions = {}): Promise<GitlabSimulator> {
  const behaviour = describeBehaviour(options.version ?? '19.6.0-ee');
  const state = createGitlabWorld(options.world ?? smallWorld);
  const settings: GitlabSettings = { ...defaultSettings, ...options.settings };
  const deliveries = createDeliveries(() => context);
  const limits = createLimits();
  const storage = createGitStorage();
  const { oauth, grants, routes: oauthRoutes } = createOAuth(() => context, options.person);
  const context: GitlabContext = {
    state,
    behaviour,
    settings,
    deliveries,
    grants,
    baseUrl: () => options.rootUrl ?? server.url,
    now: () => Date.now() + settings.clockOffsetMs,
  };

  const api: Api = (need, handler) => async (request) => {
    const headers = { 'x-request-id': randomBytes(13).toString('hex'), 'x-gitlab-meta': '{"version":"1"}' };
    const counted = limits.count(request, templateOf(request.path), settings);
    if (counted.refusal) return withHeaders(counted.refusal, headers);
    try {
      const actor = await authenticate(context, request, need);
      const answer = await handler({ ...context, request, actor, need });
      return 'stream' in answer ? answer : withHeaders(answer, { ...headers, ...counted.headers });
    } catch (error) {
      if (error instanceof Refusal) return withHeaders(error.answer, { ...headers, ...counted.headers });
      throw error;
    }
  };

  const server: SimulatorServer = await startSimulatorServer({
    ...options,
    routes: [
      ...listInstanceRoutes(context, api),
      ...listTokenRoutes(context, api),
      ...listConnectionRoutes(context, api),
      ...listApplicationRoutes(context, api),
      ...listNamespaceRoutes(api),
      ...listProjectRoutes(api),
      ...listHookCallRoutes(context, limits, api),
      ...listHookRoutes(context, api),
      ...oauthRoutes,
      ...listGitRoutes(context, limits, storage),
    ],
    identifyToken: (authorization) => {
      const secret = secretOf(authorization);
      const token = state.tokens.get(secret);
      return token ? `${token.kind}:${token.name}` : grants.describe(secret);
    },
    notFound: () => settings.absentPage ?? answerAbsent(),
  });

  return {
    ...server,
    state,
    settings,
    deliveries: deliveries.records,
    oauth,
    addToken: (token) => addToken(state, token, context.now()),
    hooksOf: (fullPath) => {
      const project = state.findProject(fullPath);
      return hooksAt(
        state,
        project ? { level: 'project', project } : { level: 'group', group: requireGroup(state, fullPath) },
      );
    },
    settle: () => deliveries.settle(),
    close: async () => {
      await server.close();
      await storage.close();
    },
  };
}

const defaultSettings: GitlabSettings = {
  isGitlabCom: false,
  hasLicence: true,
  allowsLocalWebhooks: true,
  maxProjectHooks: 100,
  maxGroupHooks: 50,
  maxOffset: 50_000,
  maxCountedRows: 10_000,
  linkBaseUrl: null,
  maxHookTests: 5,
  throttle: null,
  applicationLimits: {},
  maxFailedGitLogins: 300,
  enforcesFineGrainedTokens: false,
  maxTokenLifeDays: 365,
  impersonation: true,
  clockOffsetMs: 0,
  absentPage: null,
};

/** The path with every id in it replaced, as limits are counted by. */
function templateOf(path: string): string {
  return path
    .replace(/\/(projects|groups|namespaces)\/[^/]+/, '/$1/{id}')
    .replace(/\/hooks\/\d+/, '/hooks/{hook_id}');
}

function withHeaders(answer: PlainAnswer, headers: Readonly<Record<string, string>>): PlainAnswer {
  return { ...answer, headers: { ...headers, ...answer.headers } };
}
