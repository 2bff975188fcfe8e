import { randomBytes } from 'node:crypto';
import type { PlainAnswer, SimulatorRequest } from '../routes.ts';
import type { GithubContext } from './call.ts';
import { answerConsent, readScopes } from './oauth-authorize.ts';
import { OAuthProblem } from './oauth-problem.ts';
import type { DeviceCode, OAuthClient } from './oauth-state.ts';
import { answerAs, answerProblem, readForm } from './oauth-token.ts';
import { answerPage, type BrowserPerson } from './pages.ts';
import { requireUser } from './state.ts';

/** How devices are slowed down, beside what they bring on themselves. Mutable. */
export interface DevicePolls {
  /** So many of the next questions count as too fast, whenever they come. */
  slowDowns: number;
}

const stepS = 5;
/** Timers of the client may be early by so much. */
const toleranceMs = 20;

/** `POST /login/device/code` (`providers/github.md` §2.4). */
export function startDevice(context: GithubContext, request: SimulatorRequest): PlainAnswer {
  const fields = readForm(request, ['client_id', 'scope']);
  const client = context.state.oauth.clients.get(fields['client_id'] ?? '');
  if (!client) return { ...answerAs(request, { error: 'Not Found' }), status: 404 };
  if (!client.deviceFlow) {
    const problem = new OAuthProblem(
      'device_flow_disabled',
      'Device Flow must be explicitly enabled for this App',
    );
    return answerProblem(request, problem);
  }
  const { settings, now } = context;
  const letters = [...randomBytes(8)].map((byte) => 'BCDFGHJKLMNPQRSTVWXZ'[byte % 20]).join('');
  const device: DeviceCode = {
    deviceCode: `canary${randomBytes(17).toString('hex')}`,
    userCode: `${letters.slice(0, 4)}-${letters.slice(4)}`,
    client,
    scopes: readScopes(client, fields['scope'] ?? '', request.recordFailure),
    expiresAt: now() + settings.deviceCodeLifeS * 1000,
    intervalS: settings.deviceIntervalS,
    askedAt: now(),
    decision: 'pending',
  };
  context.state.oauth.devices.set(device.deviceCode, device);
  return answerAs(request, {
    device_code: device.deviceCode,
    user_code: device.userCode,
    verification_uri: `${context.webUrl()}/login/device`,
    expires_in: settings.deviceCodeLifeS,
    interval: device.intervalS,
  });
}

/** A question of a device. @throws OAuthProblem while there is no good answer. */
export function pollDevice(
  context: GithubContext,
  polls: DevicePolls,
  client: OAuthClient,
  deviceCode: string,
) {
  const { devices } = context.state.oauth;
  const device = devices.get(deviceCode);
  if (device?.client !== client) {
    throw new OAuthProblem('incorrect_device_code', 'The device_code provided is not valid.');
  }
  if (!client.deviceFlow) {
    throw new OAuthProblem('device_flow_disabled', 'Device Flow must be explicitly enabled for this App');
  }
  if (device.expiresAt <= context.now()) {
    throw new OAuthProblem('expired_token', 'The device_code has expired.');
  }
  const pauseMs = context.now() - device.askedAt;
  device.askedAt = context.now();
  const isForced = polls.slowDowns > 0;
  if (isForced) polls.slowDowns -= 1;
  if (isForced || pauseMs + toleranceMs < device.intervalS * 1000) {
    device.intervalS += stepS;
    throw new OAuthProblem('slow_down', 'Too many requests have been made in the same timeframe.', {
      interval: device.intervalS,
    });
  }
  if (device.decision === 'pending') {
    throw new OAuthProblem('authorization_pending', 'The authorization request is still pending.');
  }
  devices.delete(deviceCode);
  if (device.decision === 'denied') {
    throw new OAuthProblem('access_denied', 'The authorization request was denied.');
  }
  return { user: device.decision.user, scopes: device.scopes };
}

/** Where people enter the code: first the code, then the decision. */
export function showDevicePage(
  context: GithubContext,
  person: BrowserPerson,
  { body }: SimulatorRequest,
  query: URLSearchParams,
): PlainAnswer {
  const fields = (body ?? {}) as Readonly<Record<string, string>>;
  const address = `${context.webUrl()}/login/device`;
  const userCode = fields['user_code'] ?? query.get('user_code');
  if (userCode === null || userCode === undefined) {
    const form = `<form method="post" action="${address}"><input name="user_code" aria-label="Code"><button>Continue</button></form>`;
    return answerPage(200, 'Device Activation', form);
  }
  const device = findDevice(context, userCode);
  if (!device) return answerPage(422, 'Device Activation', '<p>The code is wrong or has expired.</p>');
  const decision = person.consent === 'ask' ? fields['decision'] : person.consent;
  if (decision === undefined) {
    const action = `${address}?user_code=${encodeURIComponent(userCode)}`;
    return answerConsent(action, device.client, device.scopes, person.signedInAs);
  }
  decideDevice(context, person.signedInAs, userCode, decision === 'approve' ? 'approve' : 'deny');
  const said = decision === 'approve' ? 'Congratulations, you are all set!' : 'The device was refused.';
  return answerPage(200, 'Device Activation', `<p>${said}</p>`);
}

/** Does what a person does on that page. @throws Error for a code that is wrong or expired. */
export function decideDevice(
  context: GithubContext,
  login: string,
  userCode: string,
  decision: 'approve' | 'deny',
): void {
  const device = findDevice(context, userCode);
  if (!device) throw new Error('There is no such device code.');
  device.decision = decision === 'deny' ? 'denied' : { user: requireUser(context.state, login) };
}

function findDevice({ state, now }: GithubContext, userCode: string): DeviceCode | undefined {
  const plain = (text: string) => text.replaceAll(/\W/g, '').toUpperCase();
  return [...state.oauth.devices.values()].find(
    (device) => plain(device.userCode) === plain(userCode) && device.expiresAt > now(),
  );
}
