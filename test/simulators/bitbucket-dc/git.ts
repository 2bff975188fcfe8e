import { gitServices, listRefChanges, type GitStorage } from '../git-storage.ts';
import type { Answer, PlainAnswer, Route, SimulatorRequest } from '../routes.ts';
import { levelInRepository } from './access.ts';
import { authenticate } from './authenticate.ts';
import { Refusal, type Actor, type DcContext } from './call.ts';
import type { Limits } from './limits.ts';
import { levels, type DcRepository } from './state.ts';

/** Git over HTTP (`providers/bitbucket-data-center.md` §10). */
export function listGitRoutes(context: DcContext, limits: Limits, storage: GitStorage): Route[] {
  return gitServices.map(([method, service]) => ({
    method,
    template: `/scm/{projectKey}/{repositorySlug}/${service}`,
    stream: true,
    undescribed: true,
    handle: (request) => serve(context, limits, storage, request, service),
  }));
}

function serve(
  context: DcContext,
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
  const served = { repository, target, user: actor?.user.name ?? null };
  if (!actor || service !== 'git-receive-pack') {
    return { stream: (response) => storage.serve(request.incoming, response, served) };
  }
  return {
    stream: async (response) => {
      const before = await storage.listRefs(repository);
      const beforeEnd = async () => {
        const after = await storage.listRefs(repository);
        if (after.size > 0) repository.empty = false;
        const changes = listRefChanges(before, after);
        if (changes.length > 0) context.deliveries.announcePush(repository, actor.user, changes);
      };
      await storage.serve(request.incoming, response, { ...served, beforeEnd });
    },
  };
}

const challenge: PlainAnswer = {
  status: 401,
  headers: { 'www-authenticate': 'Basic realm="Atlassian Bitbucket"' },
  text: 'Authentication failed\n',
};

const hidden: PlainAnswer = {
  status: 404,
  text: 'Repository not found\nThe requested repository does not exist, or you do not have permission to\naccess it.\n',
};

interface Allowed {
  readonly repository: DcRepository;
  readonly actor: Actor | null;
}

function allow(
  context: DcContext,
  limits: Limits,
  request: SimulatorRequest,
  isPush: boolean,
): PlainAnswer | Allowed {
  const actor = identify(context, request);
  if (actor !== null && 'status' in actor) return actor;
  const limited = actor && limits.count(actor, context.settings);
  if (limited) return limited;
  const { projectKey = '', repositorySlug = '' } = request.params;
  const repository = context.state.findRepository(projectKey, repositorySlug.replace(/\.git$/, ''));
  const level = repository ? levelInRepository({ ...context, actor }, repository) : levels.none;
  if (!repository || level === levels.none) return actor ? hidden : challenge;
  if (!isPush) return { repository, actor };
  if (!actor) return challenge;
  if (level < levels.write) return forbid('You are not permitted to push to this repository.');
  if (repository.archived) return forbid('The repository is archived and so read-only.');
  if (context.settings.isLicenceExpired) return forbid('The licence has expired: pushes are refused.');
  return { repository, actor };
}

function identify(context: DcContext, request: SimulatorRequest): Actor | PlainAnswer | null {
  try {
    return authenticate(context, request, 'git');
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    // git is challenged again where a password was wrong.
    return error.answer.status === 401 ? challenge : error.answer;
  }
}

function forbid(text: string): PlainAnswer {
  return { status: 403, text: `${text}\n` };
}
