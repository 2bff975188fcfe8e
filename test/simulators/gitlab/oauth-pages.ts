import type { ServerResponse } from 'node:http';
import type { Answer, PlainAnswer, SimulatorRequest } from '../routes.ts';
import type { GitlabContext } from './call.ts';
import type { ServerWord } from './oauth-ask.ts';
import { areScopesAllowed, matchesRedirect } from './oauth-clients.ts';
import type { OAuthEngine } from './oauth-engine.ts';
import { describeOAuthError } from './oauth-errors.ts';

/** Who sits before the browser, and what they press. */
export interface BrowserPerson {
  signedInAs: string;
  /** `ask`: a page with two buttons. */
  consent: 'ask' | 'approve' | 'deny';
}

const authorizeParameters = [
  'client_id',
  'redirect_uri',
  'response_type',
  'state',
  'scope',
  'code_challenge',
  'code_challenge_method',
  'root_namespace_id',
  'nonce',
];

/**
 * Begins a sign-in in the browser. A client or redirect that is not registered ends at a page here; everything
 * else is told to the redirect (RFC 6749 §4.1.2.1).
 */
export async function authorize(
  { state }: GitlabContext,
  engine: OAuthEngine,
  request: SimulatorRequest,
): Promise<Answer> {
  const { query } = request;
  for (const name of new Set(query.keys())) {
    if (!authorizeParameters.includes(name)) request.recordFailure(`unknown parameter "${name}"`);
  }
  const get = (name: string) => query.get(name) ?? '';
  for (const name of ['state', 'scope']) {
    if (get(name) === '') request.recordFailure(`a sign-in without ${name}`);
  }
  const application = state.applications.get(get('client_id'));
  if (!application) return renderMessage(401, describeOAuthError('invalid_client'));
  if (!matchesRedirect(application, get('redirect_uri'))) {
    return renderMessage(400, 'The redirect URI included is not valid.');
  }
  if (!application.confidential && get('code_challenge_method') !== 'S256') {
    request.recordFailure('a sign-in of a public client without PKCE by S256');
  }
  if (!areScopesAllowed(application, get('scope'))) return redirectWithError(query, 'invalid_scope');
  return passOn(await askAnew(engine, request, `/oauth/authorize?${query.toString()}`));
}

function redirectWithError(query: URLSearchParams, error: string): PlainAnswer {
  const location = new URL(query.get('redirect_uri') ?? '');
  location.searchParams.set('error', error);
  location.searchParams.set('error_description', describeOAuthError(error));
  location.searchParams.set('state', query.get('state') ?? '');
  return { status: 302, headers: { location: location.href } };
}

/** Ends a sign-in in the browser: back to the client, with a code or an error. */
export async function resume(engine: OAuthEngine, request: SimulatorRequest): Promise<Answer> {
  return passOn(await askAnew(engine, request, request.path));
}

/** Nobody is remembered from an earlier sign-in: the person before the browser may be another one. */
function askAnew(engine: OAuthEngine, { incoming }: SimulatorRequest, url: string): Promise<ServerWord> {
  const cookie = (incoming.headers.cookie ?? '').replaceAll(/_session(\.legacy)?(\.sig)?=[^;]*;?/g, '');
  return engine.ask(incoming, url, { cookie });
}

/** Doorkeeper does not say who it is (RFC 9207), and the certified server would. */
function passOn({ status, headers, text }: ServerWord): Answer {
  const location =
    typeof headers['location'] === 'string' ? new URL(headers['location'], 'http://here') : null;
  location?.searchParams.delete('iss');
  const passed = location && location.host !== 'here' ? { ...headers, location: location.href } : headers;
  return {
    stream: (response) => {
      response.writeHead(status, passed).end(text);
      return Promise.resolve();
    },
  };
}

/** Asks the person, or decides for them. */
export function decide(
  { state }: GitlabContext,
  engine: OAuthEngine,
  person: BrowserPerson,
  request: SimulatorRequest,
): Answer {
  const { incoming, method, body } = request;
  const pressed = (body as Readonly<Record<string, string>> | undefined)?.['decision'];
  const decision = person.consent === 'ask' ? pressed : person.consent;
  return {
    stream: async (response) => {
      const details = await engine.provider.interactionDetails(incoming, response).catch(() => null);
      if (!details) return write(response, renderMessage(400, 'This page is over.'));
      const { client_id: clientId = '', scope = '' } = details.params;
      if (person.consent === 'ask' && method !== 'POST') {
        const name = state.applications.get(clientId)?.name ?? '';
        const title = `Authorize ${name} to use your account?`;
        return write(response, renderDecision(title, incoming.url ?? '', scope.split(' ')));
      }
      if (decision !== 'approve') {
        const error_description = describeOAuthError('access_denied');
        const denied = { error: 'access_denied', error_description };
        return engine.provider.interactionFinished(incoming, response, denied);
      }
      const grantId = await engine.createGrant(person.signedInAs, clientId, scope);
      await engine.provider.interactionFinished(incoming, response, {
        login: { accountId: person.signedInAs, remember: false },
        consent: { grantId },
      });
    },
  };
}

function write(response: ServerResponse, { status, text }: PlainAnswer): void {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' }).end(text);
}

/** The form that the browsers of the tests know. */
export function renderDecision(title: string, action: string, scopes: readonly string[]): PlainAnswer {
  const items = scopes.map((scope) => `<li>${escapeHtml(scope)}</li>`).join('');
  return renderPage(
    title,
    `<ul>${items}</ul>
<form method="post" action="${escapeHtml(action)}">
<button name="decision" value="approve">Authorize</button>
<button name="decision" value="deny">Deny</button>
</form>`,
  );
}

export function renderMessage(status: number, message: string): PlainAnswer {
  return {
    ...renderPage(status === 200 ? 'Done' : 'An error has occurred', `<p>${escapeHtml(message)}</p>`),
    status,
  };
}

export function renderPage(title: string, content: string): PlainAnswer {
  const head = `<!doctype html><html lang="en"><head><title>${escapeHtml(title)} · GitLab</title><link rel="icon" href="data:,"></head>`;
  return {
    status: 200,
    text: `${head}<body><h1>${escapeHtml(title)}</h1>${content}</body></html>`,
    contentType: 'text/html; charset=utf-8',
  };
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
