import type { PlainAnswer, SimulatorRequest } from '../routes.ts';
import type { GitlabApplication } from './applications.ts';
import type { GitlabContext } from './call.ts';
import { areScopesAllowed, clientParameters, deviceGrant, findClient, readForm } from './oauth-clients.ts';
import type { OAuthEngine } from './oauth-engine.ts';
import { describeOAuthError, noStore, refuseOAuth } from './oauth-errors.ts';
import type { DevicePolls } from './oauth-device.ts';
import { isRecord } from './parameters.ts';

/** What is asked of the token endpoint, and what it does not pass on. */
export interface TokenTroubles {
  /** So many refreshes find nothing, as on a replica that lags behind; the refresh token stays good. */
  lostRefreshes: number;
}

const parametersOf: Readonly<Record<string, readonly string[]>> = {
  authorization_code: ['code', 'redirect_uri', 'code_verifier'],
  refresh_token: ['refresh_token', 'redirect_uri', 'scope'],
  [deviceGrant]: ['device_code'],
};
const everyParameter = ['grant_type', 'client_id', 'client_secret', ...Object.values(parametersOf).flat()];

/** What became of a request of the token endpoint. */
export interface Exchange {
  readonly grantType: string;
  /** Null where it gave tokens. */
  readonly error: string | null;
  readonly answer: PlainAnswer;
}

/** Gives tokens for a code, a device code or a refresh token (`providers/gitlab.md` §2.1, §2.3). */
export async function exchange(
  context: GitlabContext,
  engine: OAuthEngine,
  polls: DevicePolls,
  troubles: TokenTroubles,
  request: SimulatorRequest,
): Promise<Exchange> {
  const form = readForm(request, everyParameter) ?? {};
  const grantType = form['grant_type'] ?? '';
  const refuse = (error: string): Exchange => ({ grantType, error, answer: refuseOAuth(error) });
  const parameters =
    grantType === deviceGrant && !context.behaviour.hasDeviceFlow ? undefined : parametersOf[grantType];
  if (!parameters) return refuse('unsupported_grant_type');
  const application = findClient(context.state, form);
  if (!application) return refuse('invalid_client');
  for (const name of Object.keys(form)) {
    if (!parameters.includes(name) && !['grant_type', 'client_id', 'client_secret'].includes(name)) {
      request.recordFailure(`"${name}" does not belong to the grant ${grantType}`);
    }
  }
  if (grantType === 'refresh_token' && troubles.lostRefreshes > 0) {
    troubles.lostRefreshes -= 1;
    return refuse('invalid_grant');
  }
  if (grantType === deviceGrant && polls.isTooFast(form['device_code'] ?? '')) return refuse('slow_down');
  return give(engine, request, application, grantType, form);
}

async function give(
  engine: OAuthEngine,
  request: SimulatorRequest,
  application: GitlabApplication,
  grantType: string,
  form: Readonly<Record<string, string>>,
): Promise<Exchange> {
  const word = await engine.ask(request.incoming, '/oauth/token', {
    form: { ...form, ...clientParameters(application) },
  });
  const body = JSON.parse(word.text) as unknown;
  if (!isRecord(body)) throw new Error('The authorization server said nothing.');
  if (word.status !== 200) {
    const error = String(body['error']);
    if (error === 'invalid_request') request.recordFailure(`the token request: ${word.text}`);
    const answer = {
      status: word.status,
      headers: noStore,
      json: { error, error_description: describeOAuthError(error) },
    };
    return { grantType, error, answer };
  }
  const { access_token, refresh_token, expires_in, scope, id_token } = body;
  const json = {
    access_token,
    token_type: 'Bearer',
    expires_in,
    refresh_token,
    scope,
    created_at: engine.findIssued(String(access_token))?.createdAtS,
    ...(id_token === undefined ? {} : { id_token }),
  };
  return { grantType, error: null, answer: { status: 200, headers: noStore, json } };
}

/** Begins a device flow. */
export async function startDevice(
  context: GitlabContext,
  engine: OAuthEngine,
  polls: DevicePolls,
  request: SimulatorRequest,
): Promise<PlainAnswer> {
  const form = readForm(request, ['client_id', 'scope']) ?? {};
  const application = findClient(context.state, form);
  if (!application) return refuseOAuth('invalid_client');
  const scope = form['scope'] ?? '';
  if (scope === '') request.recordFailure('a sign-in without scopes');
  if (!areScopesAllowed(application, scope)) return refuseOAuth('invalid_scope');
  const word = await engine.ask(request.incoming, '/oauth/authorize_device', {
    form: { scope, ...clientParameters(application) },
  });
  const { device_code, user_code, expires_in } = JSON.parse(word.text) as Record<string, string>;
  const page = `${context.baseUrl()}/oauth/device`;
  return {
    status: 200,
    headers: noStore,
    json: {
      device_code,
      user_code,
      verification_uri: page,
      verification_uri_complete: `${page}?user_code=${user_code ?? ''}`,
      expires_in,
      interval: polls.begin(device_code ?? ''),
    },
  };
}

/**
 * Ends a sign-in by either of its tokens. What is unknown, used up or expired is answered alike, and nothing
 * happens: the refresh token of an expired access token lives on.
 */
export async function revoke(
  context: GitlabContext,
  engine: OAuthEngine,
  request: SimulatorRequest,
): Promise<PlainAnswer> {
  const form = readForm(request, ['client_id', 'client_secret', 'token', 'token_type_hint']) ?? {};
  const done: PlainAnswer = { status: 200, headers: noStore, json: {} };
  const secret = form['token'] ?? '';
  if (secret === '') request.recordFailure('a revocation without a token');
  const token = engine.findIssued(secret);
  if (!token || !(await engine.isAlive(secret))) return done;
  const application = findClient(context.state, form);
  if (application?.applicationId !== token.clientId) return refuseOAuth('unauthorized_client', 403);
  await engine.ask(request.incoming, '/oauth/revoke', {
    form: { token: secret, ...clientParameters(application) },
  });
  return done;
}

/** The cheapest question about an access token. */
export async function describeToken(
  { grants, state }: GitlabContext,
  engine: OAuthEngine,
  request: SimulatorRequest,
): Promise<PlainAnswer> {
  const { authorization } = request;
  const secret = authorization?.scheme === 'bearer' ? authorization.secret : '';
  const token = engine.findIssued(secret);
  const access = await grants.findAccess(secret);
  if (!token || typeof access === 'string') {
    const description = 'The access token is invalid';
    return {
      status: 401,
      headers: {
        'www-authenticate': `Bearer realm="Doorkeeper", error="invalid_token", error_description="${description}"`,
      },
      json: { error: 'invalid_token', error_description: description },
    };
  }
  const expiresIn = Math.ceil((token.expiresAt - Date.now()) / 1000);
  return {
    status: 200,
    json: {
      resource_owner_id: state.findUser(token.username)?.id,
      scope: token.scopes,
      expires_in: expiresIn,
      application: { uid: token.clientId },
      created_at: token.createdAtS,
      scopes: token.scopes,
      expires_in_seconds: expiresIn,
    },
  };
}
