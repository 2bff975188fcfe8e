import { isRecord } from './call.ts';
import { readForm } from '../gitlab/oauth-clients.ts';
import type { PlainAnswer, SimulatorRequest } from '../routes.ts';
import { readScopes, type EntraApplication } from './entra-applications.ts';
import { deviceGrant } from './entra-engine.ts';
import { noStore, refuseEntra, type EntraErrorCode } from './entra-errors.ts';
import { toEngineScope, type Entra } from './entra-state.ts';
import { isScope } from './scopes.ts';
import { requireUser } from './state.ts';
import { makeJwt, registerEntraToken, resourceId } from './token-state.ts';

type Form = Readonly<Record<string, string>>;

const parametersOf: Readonly<Record<string, readonly string[]>> = {
  authorization_code: ['code', 'redirect_uri', 'code_verifier', 'scope'],
  refresh_token: ['refresh_token', 'scope'],
  client_credentials: ['scope'],
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

/**
 * Gives tokens for a code, a device code, a refresh token, or to a client for itself
 * (`providers/azure-devops.md` §2a, §2b).
 *
 * @param trouble - How the next refresh is refused, whatever the refresh token is worth.
 */
export async function exchange(
  entra: Entra,
  request: SimulatorRequest,
  trouble: EntraErrorCode | null,
): Promise<Exchange> {
  const form = readForm(request, everyParameter) ?? {};
  const grantType = form['grant_type'] ?? '';
  const answer = await judge(entra, request, form, trouble);
  const error = isRecord(answer.json) && answer.status !== 200 ? String(answer.json['error']) : null;
  return { grantType, error, answer };
}

async function judge(
  entra: Entra,
  request: SimulatorRequest,
  form: Form,
  trouble: EntraErrorCode | null,
): Promise<PlainAnswer> {
  const grantType = form['grant_type'] ?? '';
  const parameters = parametersOf[grantType];
  if (!parameters) return refuseEntra(70003);
  for (const name of Object.keys(form)) {
    if (!parameters.includes(name) && !['grant_type', 'client_id', 'client_secret'].includes(name)) {
      request.recordFailure(`"${name}" does not belong to the grant ${grantType}`);
    }
  }
  const tenant = entra.findTenant(request.params['tenant'] ?? '');
  if (typeof tenant === 'number') return refuseEntra(tenant);
  const application = entra.findApplication(form['client_id'] ?? '', tenant);
  const refusal = judgeClient(application, form, grantType);
  if (!application || refusal !== null) return refuseEntra(refusal ?? 700016);
  if (grantType === 'client_credentials') return giveToClient(entra, application, tenant, form);
  if (grantType === 'refresh_token' && trouble !== null) return refuseEntra(trouble);
  const scope = form['scope'] === undefined ? null : readScopes(application, form['scope'], isScope);
  if (form['scope'] !== undefined && !scope) return refuseEntra(70011);
  const wrong = judgeGrant(entra, form, tenant);
  if (wrong !== null) return refuseEntra(wrong);
  if (grantType === deviceGrant && mustSlowDown(entra, request, form['device_code'] ?? '')) {
    return { status: 400, headers: noStore, json: { error: 'slow_down', error_codes: [] } };
  }
  const passed = { ...form, ...(application.secret === null ? {} : { client_secret: application.secret }) };
  // Only a refresh may ask for less; with a code the scopes are those of its sign-in.
  if (grantType !== 'refresh_token' || !scope) delete (passed as Record<string, string>)['scope'];
  else Object.assign(passed, { scope: toEngineScope(scope) });
  return give(entra, request, application, passed);
}

function judgeClient(
  application: EntraApplication | undefined,
  { client_secret: secret }: Form,
  grantType: string,
): EntraErrorCode | null {
  if (!application) return 700016;
  if (application.secret === null) {
    if (secret !== undefined) return 700025;
    return grantType === deviceGrant && !application.allowsPublicFlows ? 7000218 : null;
  }
  if (secret === undefined) return 7000218;
  return secret === application.secret ? null : 7000215;
}

/** What the engine would not say in Entra's words. */
function judgeGrant(
  { context, built, devices }: Entra,
  form: Form,
  tenant: string | null,
): EntraErrorCode | null {
  const secret = form['code'] ?? form['refresh_token'];
  if (secret === undefined) {
    const device = devices.get(form['device_code'] ?? '');
    if (form['device_code'] === undefined) return 900144;
    if (!device) return 70018;
    return device.endsAt <= context.now() ? 70020 : null;
  }
  const grant = built()?.findIssued(secret);
  if (!grant || grant.clientId !== form['client_id']) return 70000;
  const isCode = grant.kind === 'AuthorizationCode';
  if (isCode && grant.isUsed) return 54005;
  if (grant.expiresAt <= context.now()) return isCode ? 70000 : 700082;
  const { tenant: home } = requireUser(context.state, grant.login);
  if (tenant !== null && tenant !== home) return isCode ? 700005 : 50020;
  return null;
}

/** Timers of the client may be early by so much. */
const toleranceMs = 20;

function mustSlowDown({ polls, devices }: Entra, request: SimulatorRequest, deviceCode: string): boolean {
  const device = devices.get(deviceCode);
  const time = performance.now();
  const pauseMs = time - (device?.polledAt ?? -Infinity);
  if (device) device.polledAt = time;
  if (pauseMs + toleranceMs < polls.intervalS * 1000) {
    request.recordFailure('a device asked again before the interval was over');
  }
  if (polls.slowDowns === 0) return false;
  polls.slowDowns -= 1;
  return true;
}

/** The engine's errors in Entra's words. */
function toCode(grantType: string, error: string): EntraErrorCode {
  if (grantType === deviceGrant) {
    if (error === 'authorization_pending') return 70016;
    return error === 'access_denied' ? 70019 : 70018;
  }
  if (error === 'invalid_scope') return 70011;
  // The rest of a code was judged before.
  return grantType === 'authorization_code' ? 501481 : 70000;
}

async function give(
  entra: Entra,
  request: SimulatorRequest,
  application: EntraApplication,
  form: Form,
): Promise<PlainAnswer> {
  const engine = await entra.engine();
  const word = await engine.ask(request.incoming, '/oauth2/v2.0/token', form);
  const body = JSON.parse(word.text) as unknown;
  if (!isRecord(body)) throw new Error('The authorization server said nothing.');
  const grantType = form['grant_type'] ?? '';
  if (word.status !== 200) {
    const error = String(body['error']);
    if (error === 'invalid_request') request.recordFailure(`the token request: ${word.text}`);
    return refuseEntra(toCode(grantType, error));
  }
  const { access_token, refresh_token, expires_in, scope, id_token } = body;
  const names = String(scope)
    .split(' ')
    .filter((name) => name.startsWith(`${resourceId}/`));
  const expanded = names.includes(`${resourceId}/.default`)
    ? [...application.permissions.map((name) => `${resourceId}/${name}`), ...names]
    : names;
  const json = {
    token_type: 'Bearer',
    scope: expanded.join(' '),
    expires_in,
    ext_expires_in: expires_in,
    access_token,
    ...(refresh_token === undefined ? {} : { refresh_token }),
    ...(typeof id_token === 'string' ? { id_token: toIdToken(entra, id_token, String(access_token)) } : {}),
  };
  return { status: 200, headers: noStore, json };
}

/** The issuer has the tenant of the person in it, also where the address said `organizations`. */
function toIdToken({ context }: Entra, engineToken: string, accessToken: string): string {
  const [header = '', payload = '', signature = ''] = engineToken.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
  const token = context.state.tokens.get(accessToken);
  if (token?.kind !== 'entra') throw new Error('The access token is unknown.');
  const { user, tenant } = token;
  const iss = `${context.loginUrl()}/${tenant}/v2.0`;
  const of = { oid: user.objectId, tid: tenant, name: user.displayName, preferred_username: user.account };
  const encoded = Buffer.from(JSON.stringify({ ...claims, ...of, iss, ver: '2.0' })).toString('base64url');
  return `${header}.${encoded}.${signature}`;
}

/** A client that signs in for itself: as the service principal that it is in one tenant. */
function giveToClient(
  { context, lives }: Entra,
  application: EntraApplication,
  tenant: string | null,
  { scope }: Form,
): PlainAnswer {
  if (application.secret === null) return refuseEntra(7000218);
  if (scope !== `${resourceId}/.default`) return refuseEntra(1002012);
  const user = application.servicePrincipal;
  if (user === null || user.tenant !== tenant) return refuseEntra(700016);
  const grant = {
    user,
    tenant,
    scopes: [],
    clientId: application.clientId,
    createdAt: context.now(),
    expiresAt: context.now() + lives.accessTokenS * 1000,
  };
  const { secret } = registerEntraToken(context.state, makeJwt(context.state, grant), grant);
  const json = {
    token_type: 'Bearer',
    expires_in: lives.accessTokenS,
    ext_expires_in: lives.accessTokenS,
    access_token: secret,
  };
  return { status: 200, headers: noStore, json };
}

/** Begins a device flow. */
export async function startDevice(entra: Entra, request: SimulatorRequest): Promise<PlainAnswer> {
  const form = readForm(request, ['client_id', 'scope']) ?? {};
  const tenant = entra.findTenant(request.params['tenant'] ?? '');
  if (typeof tenant === 'number') return refuseEntra(tenant);
  const application = entra.findApplication(form['client_id'] ?? '', tenant);
  if (!application) return refuseEntra(700016);
  if (form['scope'] === undefined) return refuseEntra(900144);
  const asked = readScopes(application, form['scope'], isScope);
  if (!asked) return refuseEntra(70011);
  const engine = await entra.engine();
  const word = await engine.ask(request.incoming, '/oauth2/v2.0/devicecode', {
    scope: toEngineScope(asked),
    client_id: application.clientId,
    ...(application.secret === null ? {} : { client_secret: application.secret }),
  });
  const { device_code = '', user_code = '', expires_in } = JSON.parse(word.text) as Record<string, string>;
  // Entra's codes are nine letters without a dash.
  const userCode = user_code.replaceAll('-', '');
  const endsAt = entra.context.now() + entra.lives.deviceCodeS * 1000;
  entra.devices.set(device_code, { userCode, tenant, endsAt, polledAt: null });
  const page = entra.devicePage();
  const json = {
    user_code: userCode,
    device_code,
    verification_uri: page,
    expires_in,
    interval: entra.polls.intervalS,
    message: `To sign in, use a web browser to open the page ${page} and enter the code ${userCode} to authenticate.`,
  };
  return { status: 200, headers: noStore, json };
}
