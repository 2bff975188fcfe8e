import { randomBytes, randomUUID } from 'node:crypto';
import type { PlainAnswer, SimulatorRequest } from '../routes.ts';
import type { GiteaContext } from './call.ts';
import {
  findGrant,
  type AuthorizationRequest,
  type GiteaApplication,
  type GiteaGrant,
} from './oauth-state.ts';
import type { GiteaUser } from './state.ts';

/** The person before the browser. Mutable, so that a test can change its mind. */
export interface BrowserPerson {
  /** Default `ada`. */
  signedInAs: string;
  /** Default `ask`: a page with two buttons. */
  consent: 'ask' | 'approve' | 'deny';
}

const codeLifeMs = 10 * 60_000;

/** `GET /login/oauth/authorize`: checks in the order of the real servers; the texts are theirs. */
export function authorize(
  context: GiteaContext,
  person: BrowserPerson,
  request: SimulatorRequest,
): PlainAnswer {
  const { query, recordFailure } = request;
  const read = (name: string) => query.get(name) ?? '';
  const application = [...context.state.oauth.applications.values()].find(
    ({ clientId }) => clientId === read('client_id'),
  );
  if (!application) return answerErrorPage('Client ID not registered');
  const redirectUri = read('redirect_uri');
  if (!isRegistered(application, redirectUri)) return answerErrorPage('Unregistered Redirect URI');
  const asked: AuthorizationRequest = {
    application,
    redirectUri,
    state: read('state'),
    scope: read('scope'),
    challenge: read('code_challenge'),
    challengeMethod: read('code_challenge_method'),
  };
  // The servers let these pass, and gitlink promises more.
  if (asked.state === '') recordFailure('an authorization request without a state');
  if (asked.challengeMethod !== 'S256' || asked.challenge === '') {
    recordFailure('an authorization request without PKCE S256');
  }
  if (read('response_type') !== 'code') {
    return redirectError(asked, 'unsupported_response_type', 'Only code response type is supported.');
  }
  if (asked.challengeMethod === '' && !application.confidential) {
    return redirectError(asked, 'invalid_request', 'PKCE is required for public clients');
  }
  if (!['S256', 'plain', ''].includes(asked.challengeMethod)) {
    return redirectError(asked, 'invalid_request', 'unsupported code challenge method');
  }
  // Who approved once is not asked again, unless the client is public; the old scopes stay.
  const grant = findGrant(context.state, application, requireSignedIn(context, person));
  if (grant && (application.confidential || application.skipsConsent)) {
    return redirectCode(context, asked, grant);
  }
  if (person.consent !== 'ask') return decide(context, person, asked, person.consent === 'approve');
  const number = randomUUID();
  context.state.oauth.requests.set(number, asked);
  return answerConsentPage(`${context.baseUrl()}/login/oauth/grant?request=${number}`, asked);
}

/** `POST /login/oauth/grant`: a button of the consent page. */
export function grant(context: GiteaContext, person: BrowserPerson, request: SimulatorRequest): PlainAnswer {
  const { requests } = context.state.oauth;
  const number = request.query.get('request') ?? '';
  const asked = requests.get(number);
  if (!asked || !requests.delete(number)) return { status: 400, text: 'Bad Request\n' };
  const { decision } = (request.body ?? {}) as { readonly decision?: unknown };
  return decide(context, person, asked, decision === 'approve');
}

function decide(
  context: GiteaContext,
  person: BrowserPerson,
  asked: AuthorizationRequest,
  isApproved: boolean,
): PlainAnswer {
  if (!isApproved) return redirectError(asked, 'access_denied', 'the request is denied');
  const { oauth } = context.state;
  const { application, scope } = asked;
  const user = requireSignedIn(context, person);
  const known = findGrant(context.state, application, user);
  if (known && known.scope !== scope) {
    return redirectError(asked, 'server_error', 'a grant exists with different scope');
  }
  const given = known ?? { id: oauth.nextId(), application, user, scope, counter: 0 };
  oauth.grants.set(given.id, given);
  return redirectCode(context, asked, given);
}

function requireSignedIn({ state }: GiteaContext, { signedInAs }: BrowserPerson): GiteaUser {
  const user = state.findOwner(signedInAs);
  if (user?.kind !== 'user') throw new Error(`No simulated user ${signedInAs}.`);
  return user;
}

/**
 * Whether a redirect is one of the client's. Case and a final slash do not count. The port does not count either
 * for a public client, over http, where the host is a loopback address in digits and the registered one has no
 * port; with `[::1]` that never works, as the servers lose the brackets on the way.
 */
export function isRegistered(application: GiteaApplication, redirectUri: string): boolean {
  const candidates = [redirectUri];
  const withPort = /^http:\/\/(127\.\d+\.\d+\.\d+):\d+(.*)$/.exec(redirectUri);
  if (withPort && !application.confidential) {
    candidates.push(`http://${withPort[1] ?? ''}${withPort[2] ?? ''}`);
  }
  const normalize = (uri: string) => uri.toLowerCase().replace(/\/$/, '');
  return application.redirectUris.some((registered) =>
    candidates.some((candidate) => normalize(candidate) === normalize(registered)),
  );
}

function redirectCode({ state }: GiteaContext, asked: AuthorizationRequest, given: GiteaGrant): PlainAnswer {
  const code = `gta_${randomBytes(26).toString('hex')}`;
  state.oauth.codes.set(code, { grant: given, request: asked, expiresAt: Date.now() + codeLifeMs });
  return redirect(asked, { code });
}

function redirectError(asked: AuthorizationRequest, error: string, description: string): PlainAnswer {
  return redirect(asked, { error, error_description: description });
}

function redirect(asked: AuthorizationRequest, parameters: Readonly<Record<string, string>>): PlainAnswer {
  const target = new URL(asked.redirectUri);
  for (const [name, value] of Object.entries({ ...parameters, state: asked.state })) {
    if (value !== '') target.searchParams.set(name, value);
  }
  return { status: 303, headers: { location: target.href } };
}

/** Errors of the client or its redirect stay in the browser. */
function answerErrorPage(description: string): PlainAnswer {
  return answerPage(400, `<h1>Authorization failed</h1><h3>${description}</h3>`);
}

function answerConsentPage(action: string, { application, scope }: AuthorizationRequest): PlainAnswer {
  return answerPage(
    200,
    `<h1>Authorize "${escape(application.name)}" to access your account?</h1>
<p>With scopes: <b>${escape(scope)}</b>.</p>
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
