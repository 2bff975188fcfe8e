import type { AzureDevopsContext } from './call.ts';
import type { AskedScopes, EntraApplication } from './entra-applications.ts';
import type { EntraErrorCode } from './entra-errors.ts';
import { offlineScope, type EntraEngine, type EntraLives } from './entra-engine.ts';
import { zeroGuid, type AzureDevopsUser } from './state.ts';
import { resourceId } from './token-state.ts';

/** Who sits before the browser, and what they press. */
export interface BrowserPerson {
  /** A login. */
  signedInAs: string;
  /** `ask`: a page with two buttons. */
  consent: 'ask' | 'approve' | 'deny';
}

/** How often the devices may ask (RFC 8628 §3.5). */
export interface DevicePolls {
  /** What devices are told from now on, in seconds. */
  intervalS: number;
  /** So many of the next questions are answered `slow_down`, which Entra does not document. */
  slowDowns: number;
}

/** A device that asked to be signed in. */
export interface Device {
  readonly userCode: string;
  /** Where it asked; null for any. */
  readonly tenant: string | null;
  /** In milliseconds since the epoch, by the clock of the simulator. */
  readonly endsAt: number;
  /** When it asked last, by the clock of this machine. */
  polledAt: number | null;
}

/** What the parts of the authorization server share. */
export interface Entra {
  readonly context: AzureDevopsContext;
  readonly person: BrowserPerson;
  readonly lives: EntraLives;
  readonly polls: DevicePolls;
  /** By the client id. */
  readonly applications: Map<string, EntraApplication>;
  /** By their codes. */
  readonly devices: Map<string, Device>;
  /** The certified server behind all this, built when somebody first signs in. */
  engine(this: void): Promise<EntraEngine>;
  /** The same, if somebody ever did. */
  built(this: void): EntraEngine | undefined;
  /** Where people enter the code of a device. */
  devicePage(this: void): string;
  /** What stands before the addresses as a browser sees them. */
  path(this: void): string;
  /** The tenant that an address names: null for any, a number for why there is none. */
  findTenant(this: void, name: string): string | null | EntraErrorCode;
  /** A client that the tenant knows. */
  findApplication(this: void, clientId: string, tenant: string | null): EntraApplication | undefined;
  /** Whether somebody may sign in there: people of other tenants and personal accounts may not. */
  isAtHome(this: void, user: AzureDevopsUser, tenant: string | null): boolean;
}

const anyTenant = ['organizations', 'common'];

export function findTenant({ state }: AzureDevopsContext, name: string): string | null | EntraErrorCode {
  if (anyTenant.includes(name)) return null;
  if (name === zeroGuid) return 900021;
  const wanted = name.toLowerCase();
  const isKnown = [...state.users, ...state.organizations].some(({ tenant }) => tenant === wanted);
  return isKnown ? wanted : 90002;
}

export function isAtHome({ kind, tenant: home }: AzureDevopsUser, tenant: string | null): boolean {
  return kind === 'user' && home !== zeroGuid && (tenant === null || tenant === home);
}

/** The scopes as the engine is asked for them. */
export function toEngineScope({ ofResource, isDefault, refreshable, hasIdToken }: AskedScopes): string {
  const names = isDefault ? ['.default'] : ofResource;
  return [
    ...names.map((name) => `${resourceId}/${name}`),
    ...(refreshable ? [offlineScope] : []),
    ...(hasIdToken ? ['openid'] : []),
  ].join(' ');
}
