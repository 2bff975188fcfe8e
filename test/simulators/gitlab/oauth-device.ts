import type { PlainAnswer, SimulatorRequest } from '../routes.ts';
import type { OAuthEngine } from './oauth-engine.ts';
import type { BrowserPerson } from './oauth-pages.ts';
import { renderDecision, renderMessage, renderPage } from './oauth-pages.ts';

/** How often the devices may ask (RFC 8628 §3.5). */
export interface DevicePolls {
  /** What devices are told from now on, in seconds. */
  intervalS: number;
  /** So many of the next questions count as too fast, whenever they come. */
  slowDowns: number;
  /** @returns the interval that the device is told. */
  begin(deviceCode: string): number;
  /** Counts a question. One that comes too fast makes the pause longer. */
  isTooFast(deviceCode: string): boolean;
}

const stepS = 5;
/** Timers of the client may be early by so much. */
const toleranceMs = 20;

export function createDevicePolls(): DevicePolls {
  const devices = new Map<string, { intervalS: number; askedAt: number }>();
  const polls: DevicePolls = {
    intervalS: 5,
    slowDowns: 0,
    begin: (deviceCode) => {
      devices.set(deviceCode, { intervalS: polls.intervalS, askedAt: performance.now() });
      return polls.intervalS;
    },
    isTooFast: (deviceCode) => {
      const device = devices.get(deviceCode);
      if (!device) return false;
      const pauseMs = performance.now() - device.askedAt;
      device.askedAt = performance.now();
      const isForced = polls.slowDowns > 0;
      if (isForced) polls.slowDowns -= 1;
      if (!isForced && pauseMs + toleranceMs >= device.intervalS * 1000) return false;
      device.intervalS += stepS;
      return true;
    },
  };
  return polls;
}

/** Where people enter the code: first the code, then the decision. */
export async function showDevicePage(
  engine: OAuthEngine,
  person: BrowserPerson,
  action: string,
  { method, query, body }: SimulatorRequest,
): Promise<PlainAnswer> {
  const userCode = query.get('user_code') ?? '';
  if (userCode === '') {
    const form = `<form method="get" action="${action}"><input name="user_code" aria-label="Code"><button>Continue</button></form>`;
    return renderPage('Sign in on another device', form);
  }
  const decided = (body as Readonly<Record<string, string>> | undefined)?.['decision'];
  const decision = person.consent !== 'ask' ? person.consent : method === 'POST' ? decided : undefined;
  const code = await findCode(engine, userCode);
  if (!code) return renderMessage(422, 'The code is wrong or has expired.');
  if (decision === undefined) {
    return renderDecision('Authorize the device?', `${action}?user_code=${encodeURIComponent(userCode)}`, []);
  }
  await decideDevice(engine, person.signedInAs, userCode, decision === 'approve' ? 'approve' : 'deny');
  return renderMessage(200, decision === 'approve' ? 'The device is signed in.' : 'The device was refused.');
}

/** Does what a person does on that page. @throws Error for a code that is wrong or expired. */
export async function decideDevice(
  engine: OAuthEngine,
  username: string,
  userCode: string,
  decision: 'approve' | 'deny',
): Promise<void> {
  const code = await findCode(engine, userCode);
  if (!code) throw new Error('There is no such device code.');
  if (decision === 'deny') {
    code.error = 'access_denied';
  } else {
    code.accountId = username;
    code.grantId = await engine.createGrant(username, code.clientId, code.params['scope']);
    Object.assign(code, { scope: code.params['scope'] });
  }
  await code.save();
}

function findCode(engine: OAuthEngine, userCode: string) {
  return engine.provider.DeviceCode.findByUserCode(userCode.replaceAll(/\W/g, '').toUpperCase());
}
