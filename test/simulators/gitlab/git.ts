import { gitServices, listRefChanges, type GitStorage } from '../git-storage.ts';
import type { Answer, PlainAnswer, Route, SimulatorRequest } from '../routes.ts';
import { covers, isProjectVisible, roleInProject } from './access.ts';
import type { Actor, GitlabContext } from './call.ts';
import type { Limits } from './limits.ts';
import { isGroup, listAncestors } from './state.ts';
import type { GitlabProject } from './state.ts';
import { isExpired, type GitlabToken } from './token-state.ts';

/** Groups nest up to 20 deep. */
const deepestPath = 21;

/** Git over HTTP (`providers/gitlab.md` §10). To be registered last: the paths begin with any name. */
export function listGitRoutes(context: GitlabContext, limits: Limits, storage: GitStorage): Route[] {
  const paths = Array.from({ length: deepestPath - 1 }, (_, index) =>
    Array.from({ length: index + 2 }, (__, level) => `{p${level}}`).join('/'),
  );
  return paths.flatMap((path) =>
    gitServices.map(([method, service]) => ({
      method,
      template: `/${path}/${service}`,
      stream: true,
      undescribed: true,
      handle: (request: SimulatorRequest) => serve(context, limits, storage, request, service),
    })),
  );
}

async function serve(
  context: GitlabContext,
  limits: Limits,
  storage: GitStorage,
  request: SimulatorRequest,
  service: string,
): Promise<Answer> {
  const path = Object.values(request.params).join('/');
  const query = request.query.toString();
  if (!path.endsWith('.git')) {
    const target = `${context.baseUrl()}/${path}.git/${service}?${query}`;
    return service === 'info/refs' ? { status: 301, headers: { location: target } } : missing;
  }
  const isPush = service === 'git-receive-pack' || request.query.get('service') === 'git-receive-pack';
  const allowed = await allow(context, limits, request, path.slice(0, -'.git'.length), isPush);
  if (!('project' in allowed)) return allowed;
  const { project, actor } = allowed;
  const user = actor?.user ?? null;
  const served = { repository: project, target: `${service}?${query}`, user: user?.username ?? null };
  if (!user || service !== 'git-receive-pack') {
    return { stream: (response) => storage.serve(request.incoming, response, served) };
  }
  return {
    stream: async (response) => {
      const before = await storage.listRefs(project);
      const beforeEnd = async () => {
        const after = await storage.listRefs(project);
        if (after.size > 0) project.empty = false;
        const changes = listRefChanges(before, after);
        // Pushes of many branches at once tell nobody.
        if (changes.length > 3) return;
        for (const change of changes)
          context.deliveries.announce(project, context.deliveries.describePush(project, user, change));
      };
      await storage.serve(request.incoming, response, { ...served, beforeEnd });
    },
  };
}

const missing: PlainAnswer = {
  status: 404,
  text: "The project you were looking for could not be found or you don't have permission to view it.\n",
};

const challenge: PlainAnswer = {
  status: 401,
  headers: { 'www-authenticate': 'Basic realm="GitLab"' },
  text: 'HTTP Basic: Access denied. The provided password or token is incorrect or your account has 2FA enabled and you must use a personal access token instead of a password.\n',
};

interface Allowed {
  readonly project: GitlabProject;
  /** Null for nobody in particular: an anonymous reader, or a deploy token. */
  readonly actor: Actor | null;
}

async function allow(
  context: GitlabContext,
  limits: Limits,
  request: SimulatorRequest,
  path: string,
  isPush: boolean,
): Promise<PlainAnswer | Allowed> {
  const { state, settings } = context;
  const moved = state.projects.get(state.projectRedirects.get(path.toLowerCase()) ?? 0);
  const project = state.findProject(path) ?? moved;
  if (!request.authorization) {
    return project?.visibility === 'public' && !isPush ? { project, actor: null } : challenge;
  }
  const credential = await identify(context, request);
  if (credential === null) {
    const throttle = { requests: settings.maxFailedGitLogins, windowMs: 60_000 };
    return limits.take('failed git logins', throttle) ? challenge : forbid('Forbidden');
  }
  if ('deployToken' in credential) return allowDeployToken(credential.deployToken, project, isPush);
  const { actor } = credential;
  if (!project || !isProjectVisible(actor.user, project)) return missing;
  if (!hasGitScope(actor, project, isPush)) {
    return forbid(`You are not allowed to ${isPush ? 'push code to' : 'download code from'} this project.`);
  }
  const role = actor.user.isAdmin ? 50 : roleInProject(actor.user, project);
  if (!isPush && role < 20 && project.visibility === 'private') {
    return forbid('You are not allowed to download code from this project.');
  }
  if (isPush && project.archived) {
    return forbid('The repository is temporarily read-only. Please try again later.');
  }
  if (isPush && role < 30) return forbid('You are not allowed to push code to this project.');
  return { project, actor };
}

function forbid(text: string): PlainAnswer {
  return { status: 403, text: `${text}\n` };
}

/** Null for what is wrong. The user name must be there, and counts for deploy tokens only. */
async function identify(
  context: GitlabContext,
  { authorization, recordFailure }: SimulatorRequest,
): Promise<{ readonly actor: Actor } | { readonly deployToken: GitlabToken } | null> {
  if (authorization?.scheme !== 'basic') {
    recordFailure('git without Basic authentication');
    return null;
  }
  const { username, password } = authorization;
  const token = context.state.tokens.get(password);
  if (username === '') return null;
  if (token) {
    if (token.revoked || isExpired(token, context.now()) || token.user.state === 'blocked') return null;
    if (token.kind === 'deploy') return username === token.deployUsername ? { deployToken: token } : null;
    token.lastUsedAt = new Date(context.now());
    return { actor: { user: token.user, token, scopes: token.scopes } };
  }
  const access = await context.grants.findAccess(password);
  if (typeof access === 'string') return null;
  return { actor: { user: access.user, token: null, scopes: access.scopes } };
}

/** For tokens of projects and groups `api` is not enough. */
function hasGitScope({ token, scopes, user }: Actor, project: GitlabProject, isPush: boolean): boolean {
  if (token?.granularScopes) {
    return covers({ token, scopes, user }, project, isPush ? 'push_code' : 'download_code');
  }
  const isBot = token?.kind === 'project' || token?.kind === 'group';
  const readers = isBot ? ['read_repository'] : ['read_repository', 'read_api', 'api'];
  const writers = isBot ? ['write_repository'] : ['write_repository', 'api'];
  return (isPush ? writers : [...readers, ...writers]).some((scope) => scopes.includes(scope));
}

/** Reads what belongs to its project or group. */
function allowDeployToken(
  { resource, scopes }: GitlabToken,
  project: GitlabProject | undefined,
  isPush: boolean,
): PlainAnswer | Allowed {
  const isInside =
    project !== undefined &&
    (project === resource ||
      (isGroup(project.owner) && listAncestors(project.owner).some((group) => group === resource)));
  if (!isInside) return missing;
  if (isPush) return forbid('You are not allowed to push code to this project.');
  if (!scopes.includes('read_repository')) {
    return forbid('You are not allowed to download code from this project.');
  }
  return { project, actor: null };
}
