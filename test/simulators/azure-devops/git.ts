import { gitServices, listRefChanges, type GitStorage } from '../git-storage.ts';
import type { Answer, PlainAnswer, Route, SimulatorRequest } from '../routes.ts';
import { roleOf, toRepositoryMissing } from './access.ts';
import { findToken, toChallenge } from './authenticate.ts';
import type { Actor, AzureDevopsContext } from './call.ts';
import type { Limits } from './limits.ts';
import { isGranted } from './scopes.ts';
import {
  findProject,
  findRepository,
  type AzureDevopsOrganization,
  type AzureDevopsRepository,
} from './state.ts';
import { isAlive } from './token-state.ts';

/** Git over HTTPS (`providers/azure-devops.md` §9). To be registered last: the paths begin with any name. */
export function listGitRoutes(context: AzureDevopsContext, limits: Limits, storage: GitStorage): Route[] {
  // The second is for repositories that are named like their project.
  const roots = ['/{organization}/{project}/_git/{repository}', '/{organization}/_git/{repository}'];
  return roots.flatMap((root) =>
    gitServices.map(([method, service]) => ({
      method,
      template: `${root}/${service}`,
      stream: true,
      undescribed: true,
      handle: (request: SimulatorRequest) => serve(context, limits, storage, request, service),
    })),
  );
}

function serve(
  context: AzureDevopsContext,
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
  const served = { repository, target, user: actor?.user.login ?? null };
  if (!actor || service !== 'git-receive-pack') {
    return { stream: (response) => storage.serve(request.incoming, response, served) };
  }
  return {
    stream: async (response) => {
      const before = await storage.listRefs(repository);
      const beforeEnd = async () => {
        const after = await storage.listRefs(repository);
        if (after.size > 0) repository.empty = false;
        context.deliveries.announcePush(repository, actor.user, listRefChanges(before, after));
      };
      await storage.serve(request.incoming, response, { ...served, beforeEnd });
    },
  };
}

interface Allowed {
  readonly repository: AzureDevopsRepository;
  readonly actor: Actor | null;
}

function allow(
  context: AzureDevopsContext,
  limits: Limits,
  request: SimulatorRequest,
  isPush: boolean,
): PlainAnswer | Allowed {
  const { organization: name = '', project: projectName, repository: wanted = '' } = request.params;
  const organization = context.state.findOrganization(name);
  const challenge: PlainAnswer = {
    status: 401,
    headers: toGitChallenge(context, organization ?? null),
    text: 'TF400813: Resource not available for anonymous access. Client authentication required.\n',
  };
  if (!organization) return { status: 404, text: 'The resource cannot be found.\n' };
  const actor = identify(context, request, organization);
  if (actor === 'wrong') return challenge;
  const limited = actor && limits.count(actor, context.settings);
  if (limited) return limited;
  const project = findProject(organization, projectName ?? wanted);
  const repository = project && findRepository(project, wanted);
  const role = project ? roleOf(actor, project) : null;
  if (!actor && (role === null || isPush)) return challenge;
  if (!repository || repository.isDisabled || role === null) {
    return { status: 404, text: `${toRepositoryMissing(wanted)}\n` };
  }
  if (!actor) return { repository, actor };
  const isService = actor.user.kind === 'servicePrincipal';
  const isAllowed = isService || isGranted(actor.token.scopes, [isPush ? 'vso.code_write' : 'vso.code']);
  if (!isAllowed) return challenge;
  if (isPush && role === 'reader') {
    const text = `TF401027: You need the Git 'GenericContribute' permission to perform this action. Details: identity '${actor.user.account}', scope 'repository'.\n`;
    return { status: 403, text };
  }
  return { repository, actor };
}

function toGitChallenge(context: AzureDevopsContext, organization: AzureDevopsOrganization | null) {
  const isWithoutWindows = context.deployment === 'onPremises' && !context.settings.gitOffersWindows;
  return isWithoutWindows
    ? { 'www-authenticate': `Basic realm="${context.webUrl()}/"` }
    : toChallenge(context, organization);
}

/** Any user name is good beside a token; Bearer is for Entra's. */
function identify(
  context: AzureDevopsContext,
  { authorization }: SimulatorRequest,
  organization: AzureDevopsOrganization,
): Actor | 'wrong' | null {
  if (!authorization) return null;
  const token = findToken(context, authorization);
  if (!token || !isAlive(token, context.now())) return 'wrong';
  if (token.kind === 'pat' && authorization.scheme !== 'basic') return 'wrong';
  // A user name is what a token stands beside; without one it fails (runatlantis/atlantis#2637).
  if (authorization.scheme === 'basic' && authorization.username === '') return 'wrong';
  const isHere =
    token.kind === 'pat'
      ? token.organization === organization
      : context.deployment === 'hosted' && token.tenant === organization.tenant;
  const isMember = organization.members.get(token.user.id)?.materialized ?? false;
  return isHere && isMember ? { token, user: token.user } : 'wrong';
}
