import { gitServices, listRefChanges, type GitStorage } from '../git-storage.ts';
import type { Answer, PlainAnswer, Route, SimulatorRequest } from '../routes.ts';
import { brokenRule, isVisible, judge } from './access.ts';
import { isUsable } from './authenticate.ts';
import type { Actor, GithubContext } from './call.ts';
import type { GithubRepository } from './state.ts';

/** Git over HTTP (`providers/github.md` §11). To be registered last: the paths begin with any name. */
export function listGitRoutes(context: GithubContext, storage: GitStorage): Route[] {
  return gitServices.map(([method, service]) => ({
    method,
    template: `/{owner}/{repo}/${service}`,
    stream: true,
    undescribed: true,
    handle: (request: SimulatorRequest) => serve(context, storage, request, service),
  }));
}

function serve(
  context: GithubContext,
  storage: GitStorage,
  request: SimulatorRequest,
  service: string,
): Answer {
  const { owner = '', repo = '' } = request.params;
  const query = request.query.toString();
  const isPush = service === 'git-receive-pack' || request.query.get('service') === 'git-receive-pack';
  const allowed = allow(context, request, `${owner}/${repo.replace(/\.git$/, '')}`, isPush);
  if (!('repository' in allowed)) return allowed;
  const { repository, actor } = allowed;
  const user =
    actor.kind !== 'token' ? null : (actor.user?.login ?? `${actor.token.installation?.app.slug}[bot]`);
  const served = { repository, target: `${service}?${query}`, user };
  if (service !== 'git-receive-pack') {
    return { stream: (response) => storage.serve(request.incoming, response, served) };
  }
  return {
    stream: async (response) => {
      const before = await storage.listRefs(repository);
      const beforeEnd = async () => {
        const after = await storage.listRefs(repository);
        if (after.size > 0) repository.empty = false;
        const pusher = actor.kind === 'token' ? actor.user : null;
        for (const change of listRefChanges(before, after)) {
          context.deliveries.announce(
            repository,
            context.deliveries.describePush(repository, pusher, change),
          );
        }
      };
      await storage.serve(request.incoming, response, { ...served, beforeEnd });
    },
  };
}

const missing: PlainAnswer = { status: 404, text: 'Repository not found.\n' };

const challenge: PlainAnswer = {
  status: 401,
  headers: { 'www-authenticate': 'Basic realm="GitHub"' },
  text: 'Invalid username or token. Password authentication is not supported for Git operations.\n',
};

function forbid(text: string): PlainAnswer {
  return { status: 403, text: `${text}\n` };
}

interface Allowed {
  readonly repository: GithubRepository;
  readonly actor: Actor;
}

function allow(
  context: GithubContext,
  request: SimulatorRequest,
  fullName: string,
  isPush: boolean,
): PlainAnswer | Allowed {
  const { state } = context;
  const moved = state.repositories.get(state.renamed.get(fullName.toLowerCase()) ?? 0);
  const repository = state.findRepository(fullName) ?? moved;
  if (!request.authorization) {
    const isOpen = repository && !repository.isPrivate && !isPush && !context.settings.privateMode;
    return isOpen ? { repository, actor: { kind: 'nobody' } } : challenge;
  }
  const actor = identify(context, request);
  if (!actor) return challenge;
  if (!repository || !isVisible(state, actor, repository)) return missing;
  const broken = brokenRule({ ...context, actor }, repository.owner);
  if (broken && (repository.isPrivate || broken.isForPublic)) {
    return forbid((broken.refusal.answer.json as { readonly message: string }).message);
  }
  if (!isPush && !repository.isPrivate) return { repository, actor };
  const verdict = judge(state, actor, repository, {
    scopes: [],
    permission: 'contents',
    level: isPush ? 'write' : 'read',
    role: isPush ? 'push' : 'pull',
  });
  const isInstallation = actor.token.kind === 'installation';
  const who = actor.user?.login ?? `${actor.token.installation?.app.slug}[bot]`;
  if (verdict === 'lacks-scope' || (verdict !== 'yes' && !isPush)) {
    return isInstallation ? forbid('Write access to repository not granted.') : missing;
  }
  if (verdict !== 'yes') {
    return forbid(
      isInstallation || verdict === 'lacks-permission'
        ? 'Write access to repository not granted.'
        : `Permission to ${fullName}.git denied to ${who}.`,
    );
  }
  if (isPush && repository.archived) return forbid('This repository was archived so it is read-only.');
  return { repository, actor };
}

/** Null for what is wrong. There must be a user name, and any will do. */
function identify(
  context: GithubContext,
  { authorization, recordFailure }: SimulatorRequest,
): Extract<Actor, { readonly kind: 'token' }> | null {
  if (authorization?.scheme !== 'basic') {
    recordFailure('git without Basic authentication');
    return null;
  }
  const { username, password } = authorization;
  const token = context.state.tokens.get(password);
  if (username === '' || !token || !isUsable(context, token)) return null;
  token.lastUsedAt = new Date(context.now());
  return { kind: 'token', token, user: token.user };
}
