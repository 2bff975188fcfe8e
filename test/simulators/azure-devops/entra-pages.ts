import type { ServerResponse } from 'node:http';
import type { ServerWord } from '../gitlab/oauth-ask.ts';
import type { Answer, PlainAnswer, SimulatorRequest } from '../routes.ts';
import { matchesRedirect, readScopes } from './entra-applications.ts';
import { describeError, nameOf, renderDecision, renderError, renderPage } from './entra-errors.ts';
import type { EntraErrorCode } from './entra-errors.ts';
import { toEngineScope, type Entra } from './entra-state.ts';
import { isScope } from './scopes.ts';
import { requireUser } from './state.ts';

const authorizeParameters = [
  'client_id',
  'redirect_uri',
  'response_type',
  'response_mode',
  'state',
  'scope',
  'code_challenge',
  'code_challenge_method',
  'prompt',
  'login_hint',
  'nonce',
];

/**
 * Begins a sign-in in the browser. A tenant, client, redirect or person that is wrong ends at a page here; a
 * refusal of the person is told to the redirect.
 */
export async function authorize(entra: Entra, request: SimulatorRequest): Promise<Answer> {
  const { query, params } = request;
  for (const name of new Set(query.keys())) {
    if (!authorizeParameters.includes(name)) request.recordFailure(`unknown parameter "${name}"`);
  }
  const get = (name: string) => query.get(name) ?? '';
  if (get('state') === '') request.recordFailure('a sign-in without state');
  if (!['', 'query'].includes(get('response_mode'))) {
    request.recordFailure(
      `response_mode ${get('response_mode')}: the answer would come as a form or fragment`,
    );
  }
  const tenant = entra.findTenant(params['tenant'] ?? '');
  if (typeof tenant === 'number') return renderError(tenant);
  const application = entra.findApplication(get('client_id'), tenant);
  if (!application) return renderError(700016);
  if (!matchesRedirect(application, get('redirect_uri'))) return renderError(50011);
  if (application.secret === null && get('code_challenge_method') !== 'S256') {
    request.recordFailure('a sign-in of a public client without PKCE by S256');
  }
  const asked = readScopes(application, get('scope'), isScope);
  if (!asked) return redirectWithError(query, 70011);
  const user = requireUser(entra.context.state, entra.person.signedInAs);
  // Organizations of personal accounts are not served, and other people are told to leave.
  if (!entra.isAtHome(user, tenant)) return renderError(50020);
  if (application.needsAdministrator) return redirectWithError(query, 90094);
  const passed = new URLSearchParams(query);
  passed.delete('response_mode');
  passed.delete('prompt');
  passed.set('scope', toEngineScope(asked));
  const engine = await entra.engine();
  return passOn(await engine.ask(request.incoming, `/oauth2/v2.0/authorize?${passed.toString()}`));
}

function redirectWithError(query: URLSearchParams, code: EntraErrorCode): PlainAnswer {
  const location = new URL(query.get('redirect_uri') ?? '');
  location.searchParams.set('error', nameOf(code));
  location.searchParams.set('error_description', describeError(code));
  location.searchParams.set('state', query.get('state') ?? '');
  return { status: 302, headers: { location: location.href } };
}

/** Ends a sign-in in the browser: back to the client, with a code or an error. */
export async function resume(entra: Entra, request: SimulatorRequest): Promise<Answer> {
  const uid = request.params['uid'] ?? '';
  const engine = await entra.engine();
  return passOn(await engine.ask(request.incoming, `/oauth2/v2.0/authorize/${uid}`));
}

/** Entra does not say who it is (RFC 9207), as the certified server would, but names a session. */
function passOn({ status, headers, text }: ServerWord): Answer {
  const location =
    typeof headers['location'] === 'string' ? new URL(headers['location'], 'http://here') : null;
  if (location?.searchParams.has('code')) location.searchParams.set('session_state', 'canary-session');
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
export function decide(entra: Entra, request: SimulatorRequest): Answer {
  const { incoming, method, body, params } = request;
  const { person } = entra;
  const pressed = (body as Readonly<Record<string, string>> | undefined)?.['decision'];
  const decision = person.consent === 'ask' ? pressed : person.consent;
  return {
    stream: async (response) => {
      const engine = await entra.engine();
      const details = await engine.provider.interactionDetails(incoming, response).catch(() => null);
      if (!details)
        return write(response, renderPage('Sign in to your account', '<p>This page is over.</p>'));
      const { client_id: clientId = '', scope = '' } = details.params;
      if (person.consent === 'ask' && method !== 'POST') {
        const name = entra.applications.get(clientId)?.name ?? '';
        const action = `${entra.path()}/interaction/${params['uid'] ?? ''}`;
        return write(response, renderDecision(`Permissions requested: ${name}`, action, scope.split(' ')));
      }
      if (decision !== 'approve') {
        const denied = { error: 'access_denied', error_description: describeError(65004) };
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

/** Where people enter the code of a device: first the code, then the decision. */
export async function showDevicePage(
  entra: Entra,
  { method, query, body }: SimulatorRequest,
): Promise<PlainAnswer> {
  const action = `${entra.path()}/common/oauth2/deviceauth`;
  const userCode = query.get('otc') ?? '';
  if (userCode === '') {
    const form = `<form method="get" action="${action}"><input name="otc" aria-label="Code"><button>Next</button></form>`;
    return renderPage('Enter code', form);
  }
  const pressed = (body as Readonly<Record<string, string>> | undefined)?.['decision'];
  const { consent } = entra.person;
  const decision = consent !== 'ask' ? consent : method === 'POST' ? pressed : undefined;
  const code = await findCode(entra, userCode);
  if (!code) return { ...renderError(70018), status: 200 };
  if (decision === undefined) {
    const title = `Are you trying to sign in to ${entra.applications.get(code.clientId)?.name ?? ''}?`;
    return renderDecision(title, `${action}?otc=${encodeURIComponent(userCode)}`, []);
  }
  const refused = await decideDevice(entra, userCode, decision === 'approve' ? 'approve' : 'deny');
  if (refused !== null) return renderError(refused);
  return renderPage('Done', '<p>You have signed in on your device. You may now close this window.</p>');
}

/**
 * Does what a person does on that page.
 *
 * @returns Why the person may not; the device then goes on waiting.
 * @throws Error for a code that is wrong or expired.
 */
export async function decideDevice(
  entra: Entra,
  userCode: string,
  decision: 'approve' | 'deny',
): Promise<EntraErrorCode | null> {
  const code = await findCode(entra, userCode);
  if (!code) throw new Error('There is no such device code.');
  const { signedInAs } = entra.person;
  const user = requireUser(entra.context.state, signedInAs);
  const device = [...entra.devices.values()].find((one) => one.userCode === toPlainCode(userCode));
  if (!entra.isAtHome(user, device?.tenant ?? null)) return 50020;
  if (entra.applications.get(code.clientId)?.needsAdministrator) return 90094;
  if (decision === 'deny') {
    code.error = 'access_denied';
  } else {
    const scope = code.params['scope'] ?? '';
    code.accountId = signedInAs;
    code.grantId = await (await entra.engine()).createGrant(signedInAs, code.clientId, scope);
    Object.assign(code, { scope });
  }
  await code.save();
  return null;
}

async function findCode(entra: Entra, userCode: string) {
  const engine = await entra.engine();
  return engine.provider.DeviceCode.findByUserCode(toPlainCode(userCode));
}

function toPlainCode(typed: string): string {
  return typed.replaceAll(/\W/g, '').toUpperCase();
}
