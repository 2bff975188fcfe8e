import type { AzureDevopsState, AzureDevopsUser } from './state.ts';
import { requireUser } from './state.ts';
import { resourceId } from './token-state.ts';

/** A registration at Entra. */
export interface EntraApplication {
  readonly clientId: string;
  readonly name: string;
  /** Null for a public client. */
  readonly secret: string | null;
  readonly redirectUris: readonly string[];
  /** The delegated permissions of Azure DevOps that `.default` stands for. */
  readonly permissions: readonly string[];
  /** Of the only tenant that knows it; null for accounts in any directory. */
  readonly tenant: string | null;
  /** Whether "Allow public client flows" is on: without it a device cannot sign in. */
  allowsPublicFlows: boolean;
  /** Whether people may not consent themselves. */
  needsAdministrator: boolean;
  /** Who it is where it signs in for itself; null for nobody. */
  readonly servicePrincipal: AzureDevopsUser | null;
}

export interface NewApplication {
  readonly name?: string;
  /** Default false. A confidential one gets a secret. */
  readonly confidential?: boolean;
  /** Default `http://localhost/callback`. */
  readonly redirectUris?: readonly string[];
  /** Default `vso.code_write`, `vso.project`, `vso.profile`, `vso.pats_manage`. */
  readonly permissions?: readonly string[];
  /** The id of a tenant. Default: any. */
  readonly tenant?: string;
  readonly allowsPublicFlows?: boolean;
  readonly needsAdministrator?: boolean;
  /** The login of a service principal. */
  readonly servicePrincipal?: string;
}

/** Registers a client as an administrator does on the portal. */
export function createApplication(state: AzureDevopsState, wish: NewApplication): EntraApplication {
  const id = state.nextId();
  return {
    clientId: state.makeGuid('client', id),
    name: wish.name ?? 'gitlink',
    secret: wish.confidential ? `canary~${state.makeGuid('client secret', id)}` : null,
    redirectUris: wish.redirectUris ?? ['http://localhost/callback'],
    permissions: wish.permissions ?? ['vso.code_write', 'vso.project', 'vso.profile', 'vso.pats_manage'],
    tenant: wish.tenant ?? null,
    allowsPublicFlows: wish.allowsPublicFlows ?? true,
    needsAdministrator: wish.needsAdministrator ?? false,
    servicePrincipal: wish.servicePrincipal === undefined ? null : requireUser(state, wish.servicePrincipal),
  };
}

/** Compares everything but the port, which counts for nothing at `localhost`. */
export function matchesRedirect({ redirectUris }: EntraApplication, requested: string): boolean {
  if (!URL.canParse(requested)) return false;
  const got = new URL(requested);
  if (['localhost', '127.0.0.1'].includes(got.hostname) && got.protocol === 'http:') got.port = '';
  return redirectUris.some((registered) => registered === requested || new URL(registered).href === got.href);
}

/** Scopes that stand for no resource. */
const plainScopes = ['openid', 'profile', 'email', 'offline_access'];

/** What a request asks for, taken apart; or why it cannot be. */
export interface AskedScopes {
  /** Of Azure DevOps, without the resource, `.default` replaced. */
  readonly ofResource: readonly string[];
  readonly isDefault: boolean;
  readonly refreshable: boolean;
  readonly hasIdToken: boolean;
}

/** @returns null for what Entra does not know, or does not allow beside each other. */
export function readScopes(
  application: EntraApplication,
  scope: string,
  isKnown: (name: string) => boolean,
): AskedScopes | null {
  const names = scope.split(' ').filter((name) => !plainScopes.includes(name));
  const ofResource = names.map((name) => stripResource(name));
  const isDefault = ofResource.includes('.default');
  if (ofResource.includes(null) || (isDefault && ofResource.length > 1)) return null;
  if (names.length === 0) return null;
  if (!isDefault && !ofResource.every((name) => name !== null && isKnown(name))) return null;
  const asked = scope.split(' ');
  return {
    ofResource: isDefault ? application.permissions : ofResource.filter((name) => name !== null),
    isDefault,
    refreshable: asked.includes('offline_access'),
    hasIdToken: asked.includes('openid'),
  };
}

/** Without its resource; null for another resource's, of which a scope without one is too. */
function stripResource(name: string): string | null {
  const prefix = `${resourceId}/`;
  return name.startsWith(prefix) ? name.slice(prefix.length) : null;
}
