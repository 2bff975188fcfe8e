import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { visit } from '../support/browser.ts';
import type { OAuthClient } from './github/oauth-state.ts';
import type { GithubSimulator } from './github/server.ts';
import { apiHeaders, sendForm } from './github-kit.ts';
import { sendRequest, type GotResponse } from './send-request.ts';

/** Signing in at the simulator, as the tests of it do. */

export const redirect = 'http://127.0.0.1:53211/callback';
export const verifier = 'canary-verifier-that-is-long-enough-for-the-rule';
const challenge = createHash('sha256').update(verifier).digest('base64url');

export interface Tokens {
  readonly access_token: string;
  readonly scope: string;
  readonly token_type: string;
  readonly refresh_token?: string;
  readonly expires_in?: number;
  readonly refresh_token_expires_in?: number;
}

export function authorizeUrl(
  simulator: GithubSimulator,
  client: OAuthClient,
  changes: Readonly<Record<string, string>> = {},
): string {
  const query = new URLSearchParams({
    client_id: client.clientId,
    redirect_uri: redirect,
    state: 'canary-state',
    scope: 'repo read:org',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...changes,
  });
  return `${simulator.webUrl}/login/oauth/authorize?${query.toString()}`;
}

/** Goes through the browser and stops before the callback. */
export async function askPerson(
  url: string,
  decision: 'approve' | 'deny' = 'approve',
): Promise<URLSearchParams> {
  const end = await visit(url, decision, (address) => address.includes('/callback'));
  return new URL(end.url).searchParams;
}

/** Asks the token endpoint, for JSON unless told otherwise. */
export function askForTokens(
  simulator: GithubSimulator,
  form: Readonly<Record<string, string>>,
  accept = 'application/json',
): Promise<GotResponse> {
  return sendForm(simulator, `${simulator.webUrl}/login/oauth/access_token`, form, { accept });
}

/** The form that redeems a code. */
export async function codeForm(
  simulator: GithubSimulator,
  client: OAuthClient,
  changes: Readonly<Record<string, string>> = {},
): Promise<Record<string, string>> {
  const callback = await askPerson(authorizeUrl(simulator, client, changes));
  return {
    client_id: client.clientId,
    client_secret: client.clientSecret,
    code: callback.get('code') ?? '',
    redirect_uri: redirect,
    code_verifier: verifier,
  };
}

export async function signIn(
  simulator: GithubSimulator,
  client: OAuthClient,
  changes: Readonly<Record<string, string>> = {},
): Promise<Tokens> {
  const response = await askForTokens(simulator, await codeForm(simulator, client, changes));
  expect(response.json, response.text).toHaveProperty('access_token');
  return response.json as Tokens;
}

export function refresh(
  simulator: GithubSimulator,
  client: OAuthClient,
  token: string | undefined,
  changes: Readonly<Record<string, string>> = { client_secret: client.clientSecret },
): Promise<GotResponse> {
  return askForTokens(simulator, {
    client_id: client.clientId,
    grant_type: 'refresh_token',
    refresh_token: token ?? '',
    ...changes,
  });
}

/** Asks about a token as its client. */
export function askAsClient(
  simulator: GithubSimulator,
  { clientId, clientSecret }: Pick<OAuthClient, 'clientId' | 'clientSecret'>,
  method: string,
  part: string,
  json: object,
): Promise<GotResponse> {
  const basic = Buffer.from(`${clientId}:${clientSecret}`).toString('base64');
  return sendRequest(`${simulator.apiUrl}/applications/${clientId}/${part}`, {
    method,
    json,
    authorization: `Basic ${basic}`,
    headers: apiHeaders,
  });
}
