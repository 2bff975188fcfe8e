import type { Answer, PlainAnswer, SimulatorRequest } from '../routes.ts';
import { authenticate, refuseSignIn, requireMember, signInPage, toUnauthorized } from './authenticate.ts';
import { checkManners, Refusal, toErrorAnswer, type Actor, type Api } from './call.ts';
import type { AzureDevopsContext, Need } from './call.ts';
import { toLimitHeaders, type Limits } from './limits.ts';
import { answerAbsent } from './pages.ts';
import { isGranted } from './scopes.ts';
import type { AzureDevopsOrganization } from './state.ts';
import { requireVersion } from './versions.ts';

/** What every request to the API meets, in the service's order. */
export function createApi(context: AzureDevopsContext, limits: Limits): Api {
  const answer = async (
    request: SimulatorRequest,
    handle: () => Answer | Promise<Answer>,
  ): Promise<Answer> => {
    checkManners(request);
    try {
      return withDelay(context, await handle());
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return error.answer;
    }
  };
  const admit = (request: SimulatorRequest, actor: Actor, need: Need): void => {
    const limited = limits.count(actor, context.settings);
    if (limited) throw new Refusal(limited);
    requireVersion(context, request, need.isPreview ?? false);
    requireScopes(context, actor, need);
  };

  return {
    ofOrganization: (need, handler) => (request) =>
      answer(request, () => {
        const organization = findOrganization(context, request);
        const actor = authenticate(context, request, organization);
        if (!actor) throw refuseSignIn(context, request, organization);
        requireMember(context, request, organization, actor);
        admit(request, actor, need);
        return handler({ ...context, request, organization, actor });
      }),
    ofDeployment: (need, handler) => (request) =>
      answer(request, () => {
        const actor = authenticate(context, request, null);
        if (!actor) throw refuseSignIn(context, request, null);
        // Organizations are listed for whoever can see more than one.
        if (actor.token.kind === 'pat' && request.path.endsWith('/accounts')) {
          throw refuseSignIn(context, request, null, toUnauthorized(actor.user.id));
        }
        admit(request, actor, need);
        return handler({ ...context, request, actor });
      }),
    maybeAnonymous: (need, handler) => (request) =>
      answer(request, () => {
        const organization = findOrganization(context, request);
        const actor = authenticate(context, request, organization);
        if (!actor && !organization.answersAnonymous) throw refuseSignIn(context, request, organization);
        if (!actor) {
          requireVersion(context, request, need.isPreview ?? false);
          return handler({ ...context, request, organization, actor });
        }
        requireMember(context, request, organization, actor);
        admit(request, actor, need);
        return handler({ ...context, request, organization, actor });
      }),
  };
}

function findOrganization(
  { state }: AzureDevopsContext,
  { params }: SimulatorRequest,
): AzureDevopsOrganization {
  const organization = state.findOrganization(params['organization'] ?? '');
  if (!organization) throw new Refusal(answerAbsent());
  return organization;
}

/** @throws Refusal that says too little to tell it from a bad token. */
function requireScopes(context: AzureDevopsContext, { token, user }: Actor, need: Need): void {
  // What a service principal may do is said by its membership.
  if (user.kind === 'servicePrincipal' || isGranted(token.scopes, need.scopes)) return;
  const { scopeRefusal } = context.settings;
  if (scopeRefusal === 203) throw new Refusal(signInPage());
  throw new Refusal(toErrorAnswer(scopeRefusal, 'UnauthorizedRequestException', toUnauthorized(user.id)));
}

/** Who is near a limit is told to wait, though everything went well. */
function withDelay({ settings, now }: AzureDevopsContext, answer: Answer): Answer {
  if (settings.delayS === null || 'stream' in answer) return answer;
  const headers = { ...answer.headers, ...toLimitHeaders(settings.delayS, 200, 10, now()) };
  return { ...answer, headers } satisfies PlainAnswer;
}
