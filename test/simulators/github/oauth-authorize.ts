import { randomBytes, randomUUID } from 'node:crypto';
import type { PlainAnswer, SimulatorRequest } from '../routes.ts';
import type { GithubContext } from './call.ts';
import type { AuthorizationRequest, OAuthClient } from './oauth-state.ts';
import { issuedWithinHour } from './oauth-tokens.ts';
import { answerAbsentPage, answerPage, escape, type BrowserPerson } from './pages.ts';
import { requireUser } from './state.ts';
import { hasScope, knownScopes, normaliseScopes } from './token-state.ts';

const codeLifeMs = 10 * 60_000;

/** More tokens than this in an hour and people are asked once more. */
const mostUnasked = 10;

const knownParameters = new Set([
  'client_id',
  'redirect_uri',
  'state',
  'scope',
  'code_challenge',
  'code_challenge_method',
  'login',
  'prompt',
  'allow_signup',
  'response_type',
]);

/** `GET /login/oauth/authorize` (`providers/github.md` §2.3). */
export function authorize(
  context: GithubContext,
  person: BrowserPerson,
  { query, recordFailure }: SimulatorRequest,
): PlainAnswer {
  const read = (name: string) => query.get(name) ?? '';
  const { clients, requests } = context.state.oauth;
  for (const name of query.keys()) {
    if (!knownParameters.has(name)) recordFailure(`unknown parameter "${name}"`);
  }
  const client = clients.get(read('client_id'));
  if (!client) return answerAbsentPage();
  const redirectUri = query.get('redirect_uri');
  if (redirectUri === null ? client.callbackUrls.length === 0 : !matchesRedirect(client, redirectUri)) {
    return answerPage(400, 'Be careful!', '<p>The redirect_uri is not associated with this application.</p>');
  }
  const asked: AuthorizationRequest = {
    client,
    redirectUri,
    state: read('state'),
    scopes: readScopes(client, read('scope'), recordFailure),
    challenge: read('code_challenge'),
  };
  // The service lets these pass, and gitlink promises more.
  if (asked.state === '') recordFailure('an authorization request without a state');
  if (asked.challenge === '') recordFailure('an authorization request without PKCE');
  else if (read('code_challenge_method') !== 'S256') {
    return leave(asked, {
      error: 'invalid_request',
      error_description: 'code_challenge_method must be S256.',
    });
  }
  if (person.consent !== 'ask')
    return decide(context, asked, person.signedInAs, person.consent === 'approve');
  if (query.get('prompt') !== 'select_account' && isKnown(context, asked, person.signedInAs)) {
    return decide(context, asked, person.signedInAs, true);
  }
  const number = randomUUID();
  requests.set(number, asked);
  const action = `${context.webUrl()}/login/oauth/authorize?request=${number}`;
  return answerConsent(action, client, asked.scopes, person.signedInAs);
}

/** A button of the consent page; with `select_account` also whose it is. */
export function decideAsked(
  context: GithubContext,
  person: BrowserPerson,
  { query, body }: SimulatorRequest,
): PlainAnswer {
  const { requests } = context.state.oauth;
  const number = query.get('request') ?? '';
  const asked = requests.get(number);
  if (!asked || !requests.delete(number)) return answerAbsentPage();
  const { decision, account } = (body ?? {}) as { readonly decision?: string; readonly account?: string };
  return decide(context, asked, account ?? person.signedInAs, decision === 'approve');
}

/** Whether somebody has agreed to all this before, and not suspiciously often. */
function isKnown(context: GithubContext, { client, scopes }: AuthorizationRequest, login: string): boolean {
  const user = requireUser(context.state, login);
  const grant = [...context.state.oauth.grants].find((one) => one.client === client && one.user === user);
  if (!grant?.isAlive) return false;
  const held = [...context.state.tokens.values()].filter((token) => token.grant === grant);
  const covers = scopes.every((scope) => held.some((token) => hasScope(token.scopes, [scope])));
  return covers && issuedWithinHour(context, grant) < mostUnasked;
}

function decide(
  { state, now }: GithubContext,
  asked: AuthorizationRequest,
  login: string,
  isApproved: boolean,
): PlainAnswer {
  if (!isApproved) {
    return leave(asked, {
      error: 'access_denied',
      error_description: 'The user has denied your application access.',
    });
  }
  const code = `canary${randomBytes(7).toString('hex')}`;
  state.oauth.codes.set(code, {
    user: requireUser(state, login),
    request: asked,
    expiresAt: now() + codeLifeMs,
  });
  return leave(asked, { code });
}

/** Words that there are not are left out; apps have permissions instead of any. */
export function readScopes(
  client: OAuthClient,
  text: string,
  recordFailure: (message: string) => void,
): readonly string[] {
  const scopes = text.split(/[ ,]+/).filter(Boolean);
  for (const scope of scopes) if (!knownScopes.has(scope)) recordFailure(`unknown scope "${scope}"`);
  if (client.kind === 'githubApp') return [];
  return normaliseScopes(scopes.filter((scope) => knownScopes.has(scope)));
}

/** Letter by letter, but for the port of an IP loopback address. */
function matchesRedirect({ callbackUrls }: OAuthClient, requested: string): boolean {
  if (!URL.canParse(requested)) return false;
  return callbackUrls.some((registered) => {
    if (registered === requested) return true;
    const [wanted, got] = [new URL(registered), new URL(requested)];
    const isLoopback = /^(127\.0\.0\.1|\[::1\]|localhost)$/.test(wanted.hostname);
    if (!isLoopback || wanted.protocol !== 'http:') return false;
    wanted.port = '';
    got.port = '';
    return wanted.href === got.href;
  });
}

function leave(
  { client, redirectUri, state }: AuthorizationRequest,
  parameters: Readonly<Record<string, string>>,
): PlainAnswer {
  const target = new URL(redirectUri ?? client.callbackUrls[0] ?? '');
  for (const [name, value] of Object.entries({ ...parameters, state })) {
    if (value !== '') target.searchParams.set(name, value);
  }
  return { status: 302, headers: { location: target.href } };
}

export function answerConsent(
  action: string,
  { name }: OAuthClient,
  scopes: readonly string[],
  login: string,
): PlainAnswer {
  return answerPage(
    200,
    `Authorize ${escape(name)}`,
    `<p>Signed in as ${escape(login)}. ${escape(name)} wants access to: ${escape(scopes.join(', '))}</p>
<form method="post" action="${escape(action)}">
<button name="decision" value="approve">Authorize</button>
<button name="decision" value="deny">Cancel</button>
</form>`,
  );
}
