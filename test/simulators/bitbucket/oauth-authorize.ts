import { randomBytes, randomUUID } from 'node:crypto';
import type { PlainAnswer, SimulatorRequest } from '../routes.ts';
import type { BitbucketContext } from './call.ts';
import type { AuthorizationRequest, BitbucketConsumer } from './oauth-state.ts';
import { expandScopes } from './scopes.ts';
import { requireUser } from './state.ts';

/** The person before the browser. Mutable, so that a test can change its mind. */
export interface BrowserPerson {
  /** Default `ada`. */
  signedInAs: string;
  /** Default `ask`: a page with two buttons. */
  consent: 'ask' | 'approve' | 'deny';
}

const codeLifeMs = 10 * 60_000;

/** What a consumer without a callback is told, whatever it wants. */
export const missingCallback = {
  error: 'invalid_request',
  error_description: 'No callback uri defined for the OAuth client.',
};

/** `GET /site/oauth2/authorize` (`providers/bitbucket.md` §2a). */
export function authorize(
  context: BitbucketContext,
  person: BrowserPerson,
  request: SimulatorRequest,
): PlainAnswer {
  const { query, recordFailure } = request;
  const read = (name: string) => query.get(name) ?? '';
  const consumer = context.state.oauth.consumers.get(read('client_id'));
  if (!consumer) return answerErrorPage('Invalid client_id');
  if (consumer.callbackUrl === null) return { status: 400, json: missingCallback };
  const redirectUri = query.get('redirect_uri');
  if (redirectUri !== null && !extendsCallback(consumer, redirectUri)) {
    return answerErrorPage('Invalid redirect_uri');
  }
  const asked: AuthorizationRequest = {
    consumer,
    redirectUri,
    state: read('state'),
    challenge: read('code_challenge'),
    challengeMethod: read('code_challenge_method'),
  };
  // The service lets these pass, and gitlink promises more.
  if (asked.state === '') recordFailure('an authorization request without a state');
  if (asked.challenge === '' || asked.challengeMethod !== 'S256') {
    recordFailure('an authorization request without PKCE S256');
  }
  if (read('response_type') !== 'code') {
    return redirectError(asked, 'unsupported_response_type', 'Only the code grant is supported.');
  }
  const granted = expandScopes(consumer.scopes);
  const beyond = read('scope')
    .split(' ')
    .find((scope) => scope !== '' && !granted.has(scope));
  if (beyond !== undefined) {
    return redirectError(asked, 'invalid_scope', `The consumer does not have the scope ${beyond}.`);
  }
  if (person.consent !== 'ask') return decide(context, person, asked, person.consent === 'approve');
  const number = randomUUID();
  context.state.oauth.requests.set(number, asked);
  return answerConsentPage(`${context.webUrl()}/site/oauth2/authorize?request=${number}`, consumer);
}

/** A button of the consent page. */
export function decideAsked(
  context: BitbucketContext,
  person: BrowserPerson,
  { query, body }: SimulatorRequest,
): PlainAnswer {
  const { requests } = context.state.oauth;
  const number = query.get('request') ?? '';
  const asked = requests.get(number);
  if (!asked || !requests.delete(number)) return answerErrorPage('This page has expired');
  const { decision } = (body ?? {}) as { readonly decision?: unknown };
  return decide(context, person, asked, decision === 'approve');
}

function decide(
  { state, now }: BitbucketContext,
  { signedInAs }: BrowserPerson,
  asked: AuthorizationRequest,
  isApproved: boolean,
): PlainAnswer {
  if (!isApproved) return redirectError(asked, 'access_denied', 'The request was denied.');
  const grant = { consumer: asked.consumer, user: requireUser(state, signedInAs), isAlive: true };
  const code = `canary${randomBytes(12).toString('hex')}`;
  state.oauth.grants.add(grant);
  state.oauth.codes.set(code, { grant, request: asked, expiresAt: now() + codeLifeMs });
  return redirect(asked, { code });
}

/** The registered address itself, or one below it; host, port and all else are compared letter by letter. */
function extendsCallback({ callbackUrl }: BitbucketConsumer, redirectUri: string): boolean {
  const registered = callbackUrl ?? '';
  return redirectUri === registered || redirectUri.startsWith(registered.replace(/\/?$/, '/'));
}

function redirectError(asked: AuthorizationRequest, error: string, description: string): PlainAnswer {
  return redirect(asked, { error, error_description: description });
}

function redirect(
  { consumer, redirectUri, state }: AuthorizationRequest,
  parameters: Readonly<Record<string, string>>,
): PlainAnswer {
  const target = new URL(redirectUri ?? consumer.callbackUrl ?? '');
  for (const [name, value] of Object.entries({ ...parameters, state })) {
    if (value !== '') target.searchParams.set(name, value);
  }
  return { status: 302, headers: { location: target.href } };
}

/** Errors of the client or its redirect stay in the browser. */
function answerErrorPage(description: string): PlainAnswer {
  return answerPage(400, `<h1>Invalid Request</h1><p>${description}</p>`);
}

function answerConsentPage(action: string, { name, scopes }: BitbucketConsumer): PlainAnswer {
  return answerPage(
    200,
    `<h1>Confirm access to your account</h1>
<p><b>${escape(name)}</b> is requesting access to: ${escape(scopes.join(', '))}</p>
<form method="post" action="${action}">
<button name="decision" value="approve">Grant access</button>
<button name="decision" value="deny">Cancel</button>
</form>`,
  );
}

function answerPage(status: number, body: string): PlainAnswer {
  const text = `<!doctype html><title>Confirm access &mdash; Bitbucket</title>${body}`;
  return { status, text, contentType: 'text/html; charset=utf-8' };
}

function escape(text: string): string {
  return text.replace(/[<>&"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
