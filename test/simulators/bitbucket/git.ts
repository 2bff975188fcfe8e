import { gitServices, listRefChanges, type GitStorage } from '../git-storage.ts';
import type { Answer, PlainAnswer, Route, SentAuthorization, SimulatorRequest } from '../routes.ts';
import { findMoved, isAtLeast, isVisible, roleOf } from './access.ts';
import { findToken } from './authenticate.ts';
import type { Actor, BitbucketContext } from './call.ts';
import type { Limits } from './limits.ts';
import { findMissing, type Need } from './scopes.ts';
import { fullNameOf, type BitbucketRepository } from './state.ts';
import { findDefect, type BitbucketToken } from './token-state.ts';
import { toUserJson } from './users.ts';

const reading: Need = { classic: ['repository'], api: ['read:repository:bitbucket'] };
const pushing: Need = {
  classic: ['repository:write'],
  api: ['read:repository:bitbucket', 'write:repository:bitbucket'],
};

/** Git over HTTPS (`providers/bitbucket.md` §10). To be registered last: the paths begin with any name. */
export function listGitRoutes(context: BitbucketContext, limits: Limits, storage: GitStorage): Route[] {
  return gitServices.map(([method, service]) => ({
    method,
    template: `/{workspace}/{repo}/${service}`,
    stream: true,
    undescribed: true,
    handle: (request) => serve(context, limits, storage, request, service),
  }));
}

function serve(
  context: BitbucketContext,
  limits: Limits,
  storage: GitStorage,
  request: SimulatorRequest,
  service: string,
): Answer {
  const isPush = service === 'git-receive-pack' || request.query.get('service') === 'git-receive-pack';
  const allowed = allow(context, limits, request, isPush);
  if (!('repository' in allowed)) return allowed;
  const { repository, actor } = allowed;
  const target = `${service}?${request.query.toString()}`;
  const user = actor ? (actor.user?.username ?? actor.token.name) : null;
  const served = { repository, target, user };
  if (!actor || service !== 'git-receive-pack') {
    return { stream: (response) => storage.serve(request.incoming, response, served) };
  }
  return {
    stream: async (response) => {
      const before = await storage.listRefs(repository);
      const beforeEnd = async () => {
        const after = await storage.listRefs(repository);
        if (after.size > 0) repository.empty = false;
        const pusher = actor.user
          ? toUserJson(context, actor.user)
          : { type: 'app_user', display_name: actor.token.name };
        const changes = listRefChanges(before, after);
        if (changes.length > 0) context.deliveries.announcePush(repository, pusher, changes);
      };
      await storage.serve(request.incoming, response, { ...served, beforeEnd });
    },
  };
}

const challenge: PlainAnswer = {
  status: 401,
  headers: { 'www-authenticate': 'Basic realm="Bitbucket.org HTTP"' },
  text: 'Invalid credentials\n',
};

interface Allowed {
  readonly repository: BitbucketRepository;
  readonly actor: Actor | null;
}

function allow(
  context: BitbucketContext,
  limits: Limits,
  request: SimulatorRequest,
  isPush: boolean,
): PlainAnswer | Allowed {
  const actor = identify(context, request.authorization);
  if (actor === 'wrong') return challenge;
  const limited = limits.count(actor ? 'git' : 'anonymous', actor, context.settings);
  if (limited) return limited;
  const { workspace = '', repo = '' } = request.params;
  const slug = repo.replace(/\.git$/, '');
  const repository = context.state.findRepository(workspace, slug);
  if (!repository) {
    const moved = findMoved(context, `${workspace}/${slug}`);
    if (moved && isVisible(actor, moved)) return redirect(context, request, moved);
  }
  if (!actor) return repository && !repository.isPrivate && !isPush ? { repository, actor } : challenge;
  if (!repository || !isVisible(actor, repository)) {
    return { status: 404, text: 'Repository not found\n' };
  }
  const isGranted = findMissing(actor.token, isPush ? pushing : reading).length === 0;
  const mayPush = isAtLeast(roleOf(actor, repository), 'write');
  if (!isGranted || (isPush && !mayPush)) {
    return { status: 403, text: 'Your credentials lack one or more required privilege scopes.\n' };
  }
  return { repository, actor };
}

function redirect(
  { webUrl }: BitbucketContext,
  { path, query }: SimulatorRequest,
  repository: BitbucketRepository,
): PlainAnswer {
  const service = path.split('/').slice(3).join('/');
  const location = `${webUrl()}/${fullNameOf(repository)}.git/${service}?${query.toString()}`;
  return { status: 301, headers: { location } };
}

function identify(
  context: BitbucketContext,
  authorization: SentAuthorization | null,
): Actor | 'wrong' | null {
  if (!authorization) return null;
  const token = findToken(context, authorization);
  if (!token || findDefect(token, context.now()) !== null) return 'wrong';
  return isRightForm(token, authorization) ? { token, user: token.user } : 'wrong';
}

/** Which user name goes with which token; Bearer is for sign-ins alone. */
function isRightForm({ kind, user }: BitbucketToken, authorization: SentAuthorization): boolean {
  if (authorization.scheme !== 'basic') return authorization.scheme === 'bearer' && kind === 'oauth';
  const { username } = authorization;
  const isOwnName = user?.kind === 'user' && username === user.username;
  if (kind === 'api') return username === 'x-bitbucket-api-token-auth' || isOwnName;
  return username === 'x-token-auth' || (kind === 'oauth' && isOwnName);
}
