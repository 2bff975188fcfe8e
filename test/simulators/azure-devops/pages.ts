import type { PlainAnswer, Route } from '../routes.ts';
import { authenticate, refuseSignIn, signInPage, toChallenge } from './authenticate.ts';
import { Refusal, type AzureDevopsContext } from './call.ts';

/** The web part, as far as it says something about an organization. */
export function listPageRoutes(context: AzureDevopsContext): Route[] {
  const page = (template: string, handle: Route['handle']): Route => ({
    method: 'GET',
    template,
    undescribed: true,
    handle,
  });
  return [
    page('/_signin', () => signInPage()),
    // Server answers for all of its collections at once.
    page('/_apis/connectionData', (request) =>
      context.deployment === 'hosted' ? answerAbsent() : refuseSignIn(context, request, null).answer,
    ),
    page('/{organization}', (request) => {
      const organization = context.state.findOrganization(request.params['organization'] ?? '');
      if (!organization) return answerAbsent();
      try {
        const actor = authenticate(context, request, organization);
        if (!actor) throw refuseSignIn(context, request, organization);
        return { status: 200, text: '<!doctype html><title>Projects - Home</title>', contentType: html };
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        if (error.answer.status === 401) return error.answer;
        // Pages send people to sign in.
        return { status: 302, headers: { ...toChallenge(context, organization), location: '/_signin' } };
      }
    }),
  ];
}

const html = 'text/html; charset=utf-8';

/** What the web part says to an address that it does not know. */
export function answerAbsent(): PlainAnswer {
  return {
    status: 404,
    headers: { 'x-vss-e2eid': '00000000-0000-4000-8000-00000000e2e1' },
    text: '<!DOCTYPE html><html lang="en-US"><head><title>404 - Not Found</title></head></html>',
    contentType: html,
  };
}
