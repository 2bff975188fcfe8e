import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { visit } from '../support/browser.ts';
import type { EntraApplication } from './azure-devops/entra-applications.ts';
import type { AzureDevopsSimulator } from './azure-devops/server.ts';
import { requireUser } from './azure-devops/state.ts';
import { resourceId } from './azure-devops/token-state.ts';
import { textWith } from './azure-devops-kit.ts';

/** Signing in at the simulator, as the tests of it do. */

export const redirect = 'http://localhost:53211/callback';
export const verifier = 'canary-verifier-that-is-long-enough-for-the-rule';
const challenge = createHash('sha256').update(verifier).digest('base64url');
export const codeScope = `${resourceId}/vso.code_write`;
export const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';

export interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly id_token: string;
  readonly expires_in: number;
  readonly scope: string;
}

/** The tenant of acme. */
export function tenantOf(simulator: AzureDevopsSimulator, login = 'ada'): string {
  return requireUser(simulator.state, login).tenant;
}

/** An address of the sign-in page, at acme's tenant unless told otherwise. */
export function authorizeUrl(
  simulator: AzureDevopsSimulator,
  application: EntraApplication,
  changes: Readonly<Record<string, string>> = {},
  tenant = tenantOf(simulator),
): string {
  const query = new URLSearchParams({
    client_id: application.clientId,
    redirect_uri: redirect,
    response_type: 'code',
    state: 'canary-state',
    scope: `${codeScope} offline_access openid profile`,
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...changes,
  });
  return `${simulator.url}/login/${tenant}/oauth2/v2.0/authorize?${query.toString()}`;
}

/** Goes through the browser and stops before the callback. */
export async function askPerson(
  url: string,
  decision: 'approve' | 'deny' = 'approve',
): Promise<URLSearchParams> {
  const end = await visit(url, decision, (address) => address.startsWith('http://localhost:53211/'));
  return new URL(end.url).searchParams;
}

/** Sends a form to an endpoint of a tenant. */
export async function post(
  simulator: AzureDevopsSimulator,
  endpoint: 'token' | 'devicecode',
  form: Readonly<Record<string, string>>,
  tenant = tenantOf(simulator),
): Promise<{ readonly status: number; readonly json: Readonly<Record<string, unknown>> }> {
  const response = await globalThis.fetch(`${simulator.url}/login/${tenant}/oauth2/v2.0/${endpoint}`, {
    method: 'POST',
    headers: { 'user-agent': 'gitlink/0.0.0-test' },
    body: new URLSearchParams(form),
  });
  return { status: response.status, json: (await response.json()) as Readonly<Record<string, unknown>> };
}

export async function signIn(
  simulator: AzureDevopsSimulator,
  application: EntraApplication,
  changes: Readonly<Record<string, string>> = {},
  tenant = tenantOf(simulator),
): Promise<Tokens> {
  const callback = await askPerson(authorizeUrl(simulator, application, changes, tenant));
  const response = await post(
    simulator,
    'token',
    toCodeForm(application, callback.get('code') ?? ''),
    tenant,
  );
  expect(response.status, JSON.stringify(response.json)).toBe(200);
  return response.json as unknown as Tokens;
}

export function toCodeForm({ clientId, secret }: EntraApplication, code: string): Record<string, string> {
  return {
    grant_type: 'authorization_code',
    client_id: clientId,
    ...(secret === null ? {} : { client_secret: secret }),
    code,
    redirect_uri: redirect,
    code_verifier: verifier,
  };
}

export function refresh(
  simulator: AzureDevopsSimulator,
  { clientId }: EntraApplication,
  token: string,
  changes: Readonly<Record<string, string>> = {},
  tenant = tenantOf(simulator),
) {
  const form = { grant_type: 'refresh_token', client_id: clientId, refresh_token: token, ...changes };
  return post(simulator, 'token', form, tenant);
}

export function claimsOf(jwt: string): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
}

/** An error of Entra's by its number. */
export function coded(code: number, error: string) {
  return { error, error_codes: [code], error_description: textWith(`AADSTS${code}: `) };
}

export function withoutSecret(form: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(form).filter(([name]) => name !== 'client_secret'));
}
