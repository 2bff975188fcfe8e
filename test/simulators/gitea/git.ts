import { gitServices, listRefChanges, type GitStorage } from '../git-storage.ts';
import type { Answer, PlainAnswer, Route, SimulatorRequest } from '../routes.ts';
import { accessOfCaller, isAtLeast, isOwnerVisible } from './access.ts';
import { authenticate } from './authenticate.ts';
import { Refusal, type Actor, type GiteaContext } from './call.ts';
import { hasScope } from './scopes.ts';
import type { GiteaRepository } from './state.ts';
import { answerAbsent } from './users.ts';

/** Git over HTTP (`providers/gitea.md` §9). To be registered last: the paths begin with any name. */
export function listGitRoutes(context: GiteaContext, storage: GitStorage): Route[] {
  return gitServices.map(([method, service]) => ({
    method,
    template: `/{owner}/{repo}/${service}`,
    stream: true,
    undescribed: true,
    handle: (request) => serve(context, storage, request, service),
  }));
}

function serve(
  context: GiteaContext,
  storage: GitStorage,
  request: SimulatorRequest,
  service: string,
): Answer {
  const isPush = service === 'git-receive-pack' || request.query.get('service') === 'git-receive-pack';
  const allowed = allow(context, request, isPush);
  if (!('repository' in allowed)) return allowed;
  const { repository, actor } = allowed;
  const target = `${service}?${request.query.toString()}`;
  const served = { repository, target, user: actor?.user.login ?? null };
  if (!actor || service !== 'git-receive-pack') {
    return { stream: (response) => storage.serve(request.incoming, response, served) };
  }
  return {
    stream: async (response) => {
      const before = await storage.listRefs(repository);
      const beforeEnd = async () =>
        announcePush(context, repository, actor, before, await storage.listRefs(repository));
      await storage.serve(request.incoming, response, { ...served, beforeEnd });
    },
  };
}

/** Decides in the order of the real servers; the texts are theirs. */
function allow(
  context: GiteaContext,
  request: SimulatorRequest,
  isPush: boolean,
): PlainAnswer | { readonly repository: GiteaRepository; readonly actor: Actor | null } {
  const actor = identify(context, request);
  if (actor === 'wrong') return { status: 401, text: 'Failed to authenticate user\n' };
  const { owner: ownerName = '' } = request.params;
  const name = (request.params['repo'] ?? '').replace(/\.git$/, '');
  if (!context.state.findOwner(ownerName)) return answerAbsent();
  const repository = context.state.findRepository(ownerName, name);
  if (!repository) {
    const moved = findMoved(context, `${ownerName}/${name}`);
    if (moved) return redirect(context, request, moved);
  }
  if (isPush && repository?.archived) {
    return {
      status: 403,
      text: 'This repo is archived. You can view files and clone it, but cannot push or open issues/pull-requests.',
    };
  }
  if (repository && !isPush && isPublic(context, repository)) return { repository, actor };
  if (!actor)
    return { status: 401, headers: { 'www-authenticate': 'Basic realm="Gitea"' }, text: 'Unauthorized\n' };
  if (!isInScope(actor, isPush, repository)) return { status: 403, text: 'Forbidden\n' };
  if (!repository && isPush) return { status: 403, text: 'Push to create is not enabled for users.' };
  const access = repository ? accessOfCaller(actor, repository) : 'none';
  if (!repository || access === 'none') return { status: 404, text: 'Repository not found' };
  // The real server lets the push begin and refuses it in a hook; the outcome for git is the same.
  if (isPush && !isAtLeast(access, 'write'))
    return { status: 403, text: 'User permission denied for writing.' };
  return { repository, actor };
}

function identify(context: GiteaContext, request: SimulatorRequest): Actor | null | 'wrong' {
  if (!request.authorization) return null;
  try {
    return authenticate(context, request);
  } catch (error) {
    if (error instanceof Refusal) return 'wrong';
    throw error;
  }
}

function isPublic({ settings }: GiteaContext, repository: GiteaRepository): boolean {
  return !settings.requireSignIn && !repository.private && isOwnerVisible(null, repository.owner);
}

function isInScope({ token }: Actor, isPush: boolean, repository: GiteaRepository | undefined): boolean {
  if (!token) return true;
  const { scopes } = token;
  if (scopes.includes('public-only') && repository?.private) return false;
  return hasScope(scopes, isPush ? 'write' : 'read', 'repository');
}

function findMoved({ state }: GiteaContext, fullName: string): GiteaRepository | undefined {
  return state.repositories.get(state.repositoryRedirects.get(fullName.toLowerCase()) ?? 0);
}

function redirect(context: GiteaContext, request: SimulatorRequest, moved: GiteaRepository): PlainAnswer {
  const service = request.path.split('/').slice(3).join('/');
  const query = request.query.size > 0 ? `?${request.query.toString()}` : '';
  const { pathname } = new URL(`${context.baseUrl()}/`);
  return {
    status: context.behaviour.redirectStatus,
    headers: { location: `${pathname}${moved.owner.login}/${moved.name}/${service}${query}` },
  };
}

function announcePush(
  { deliveries }: GiteaContext,
  repository: GiteaRepository,
  { user }: Actor,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): void {
  if (after.size > 0) repository.empty = false;
  for (const change of listRefChanges(before, after)) {
    deliveries.announce(repository, deliveries.describePush(repository, user, change));
  }
}
