import type { Random } from '../runtime.ts';
import type { ConnectionFault } from './connection-fault.ts';
import type { HostRequest } from './host-client.ts';

const tryLimit = 5;
const hopelessTryLimit = 2;
const backoffBaseMs = 1_000;
const backoffCapMs = 60_000;
const hopelessPauseMs = 1_000;

/** Whether sending the request a second time does no harm: everything but POST, unless the caller says otherwise. */
export function isRepeatable(request: HostRequest): boolean {
  return (request.repeat ?? (request.method === 'POST' ? 'never' : 'safe')) === 'safe';
}

/** Whether a status says that the same request may succeed a moment later. */
export function isTransient(status: number): boolean {
  return [408, 425, 429].includes(status) || status >= 500;
}

/** Whether there may be another try after so many. */
export function hasTriesLeft(tries: number): boolean {
  return tries < tryLimit;
}

/** Whether a request that got no answer may be tried again. A POST only if it cannot have reached the host. */
export function mayTryAgain(request: HostRequest, fault: ConnectionFault, tries: number): boolean {
  if (fault.isSent && !isRepeatable(request)) return false;
  return tries < (fault.isHopeless ? hopelessTryLimit : tryLimit);
}

/** The pause after so many tries, in milliseconds: exponential with full jitter. */
export function findBackoffMs(tries: number, random: Random): number {
  return random.fraction() * Math.min(backoffCapMs, backoffBaseMs * 2 ** (tries - 1));
}

/** The pause after a fault, in milliseconds. A person waits for the hopeless ones: those get a short one. */
export function findFaultPauseMs(fault: ConnectionFault, tries: number, random: Random): number {
  return fault.isHopeless ? random.fraction() * hopelessPauseMs : findBackoffMs(tries, random);
}
