import { randomBytes, randomUUID } from 'node:crypto';
import type { PlainAnswer, SimulatorRequest } from '../routes.ts';
import type { DcContext } from './call.ts';
import type { AuthorizationRequest } from './oauth-state.ts';
import { expandScopes, oauthScopes } from './scopes.ts';
import { requireUser } from './state.ts';

/** The person before the browser. Mutable, so that a test can change its mind. */
export interface BrowserPerson {
  /** Default `ada`. */
  signedInAs: string;
  /** Default `ask`: a page with two buttons, each time anew. */
  consent: 'ask' | 'approve' | 'deny';
}

/** `GET …/authorize`. What is wrong with the client or its redirect stays in the browser. */
export function authorize(context: DcContext, person: BrowserPerson, request: SimulatorRequest): PlainAnswer {
  const { query, recordFailure } = request;
  const { oauth } = context.state;
  const read = (name: string) => query.get(name) ?? '';
  const application = oauth.applications.get(read('client_id'));
  if (!application) return answerErrorPage('The client is unknown.');
  const redirectUri = read('redirect_uri');
  if (redirectUri !== application.redirectUri) return answerErrorPage('The redirect_uri does not match.');
  if (context.settings.requiresHttpsRedirect && !redirectUri.startsWith('https:')) {
    return answerErrorPage('The redirect_uri must use https.');
  }
  const scopes = read('scope').split(' ').filter(Boolean);
  const asked: AuthorizationRequest = {
    application,
    redirectUri,
    state: read('state'),
    scopes,
    challenge: read('code_challenge'),
    challengeMethod: read('code_challenge_method'),
  };
  // The servers let these pass, and gitlink promises more.
  if (asked.state === '') recordFailure('an authorization request without a state');
  if (asked.challengeMethod !== 'S256' || asked.challenge === '') {
    recordFailure('an authorization request without PKCE S256');
  }
  if (read('response_type') !== 'code') return redirect(asked, { error: 'unsupported_response_type' });
  if (!['S256', 'plain', ''].includes(asked.challengeMethod)) {
    return redirect(asked, { error: 'invalid_request' });
  }
  const allowed = expandScopes(application.scopes);
  if (scopes.some((scope) => !oauthScopes.includes(scope) || !allowed.has(scope))) {
    return redirect(asked, { error: 'invalid_scope' });
  }
  if (person.consent !== 'ask') return finish(context, person, asked, person.consent === 'approve');
  const number = randomUUID();
  oauth.requests.set(number, asked);
  return answerConsentPage(`${context.baseUrl()}/plugins/servlet/oauth2/consent?request=${number}`, asked);
}

/** A button of the consent page. */
export function decide(context: DcContext, person: BrowserPerson, request: SimulatorRequest): PlainAnswer {
  const { requests } = context.state.oauth;
  const number = request.query.get('request') ?? '';
  const asked = requests.get(number);
  if (!asked || !requests.delete(number)) return answerErrorPage('The request is over.');
  const { decision } = (request.body ?? {}) as { readonly decision?: unknown };
  return finish(context, person, asked, decision === 'approve');
}

function finish(
  { state, settings, now }: DcContext,
  person: BrowserPerson,
  asked: AuthorizationRequest,
  isApproved: boolean,
): PlainAnswer {
  if (!isApproved) return redirect(asked, { error: 'access_denied' });
  const code = `canary${randomBytes(13).toString('hex')}`;
  const user = requireUser(state, person.signedInAs);
  state.oauth.codes.set(code, { request: asked, user, expiresAt: now() + settings.codeLifeS * 1000 });
  return redirect(asked, { code });
}

function redirect(asked: AuthorizationRequest, parameters: Readonly<Record<string, string>>): PlainAnswer {
  const target = new URL(asked.redirectUri);
  for (const [name, value] of Object.entries({ ...parameters, state: asked.state })) {
    if (value !== '') target.searchParams.set(name, value);
  }
  return { status: 302, headers: { location: target.href } };
}

function answerErrorPage(description: string): PlainAnswer {
  return answerPage(400, `<h1>We can't complete this request</h1><p>${description}</p>`);
}

function answerConsentPage(action: string, { application, scopes }: AuthorizationRequest): PlainAnswer {
  return answerPage(
    200,
    `<h1>${escape(application.name)} wants to access your account</h1>
<p>${escape(scopes.join(' '))}</p>
<form method="post" action="${action}">
<button name="decision" value="approve">Authorize</button>
<button name="decision" value="deny">Deny</button>
</form>`,
  );
}

function answerPage(status: number, body: string): PlainAnswer {
  const text = `<!doctype html><title>Authorize</title>${body}`;
  return { status, text, contentType: 'text/html; charset=utf-8' };
}

function escape(text: string): string {
  return text.replace(/[<>&"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
