import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { visit } from '../support/browser.ts';
import type { GitlabApplication } from './gitlab/applications.ts';
import type { GitlabSimulator } from './gitlab/server.ts';
import { post } from './gitlab-kit.ts';

/** Signing in at the simulator, as the tests of it do. */

export const redirect = 'http://127.0.0.1:53211/callback';
export const verifier = 'canary-verifier-that-is-long-enough-for-the-rule';
const challenge = createHash('sha256').update(verifier).digest('base64url');

export interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
  readonly scope: string;
  readonly created_at: number;
}

export function authorizeUrl(
  simulator: GitlabSimulator,
  application: GitlabApplication,
  changes: Readonly<Record<string, string>> = {},
): string {
  const query = new URLSearchParams({
    client_id: application.applicationId,
    redirect_uri: redirect,
    response_type: 'code',
    state: 'canary-state',
    scope: 'api read_repository',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...changes,
  });
  return `${simulator.url}/oauth/authorize?${query.toString()}`;
}

/** Goes through the browser and stops before the callback. */
export async function askPerson(
  url: string,
  decision: 'approve' | 'deny' = 'approve',
): Promise<URLSearchParams> {
  const end = await visit(url, decision, (address) => address.includes('/callback'));
  return new URL(end.url).searchParams;
}

export async function signIn(simulator: GitlabSimulator, application: GitlabApplication): Promise<Tokens> {
  const callback = await askPerson(authorizeUrl(simulator, application));
  const response = await post(simulator, '/oauth/token', {
    grant_type: 'authorization_code',
    client_id: application.applicationId,
    code: callback.get('code') ?? '',
    redirect_uri: redirect,
    code_verifier: verifier,
  });
  expect(response.status, response.text).toBe(200);
  return response.json as Tokens;
}

export function refresh(simulator: GitlabSimulator, application: GitlabApplication, token: string) {
  return post(simulator, '/oauth/token', {
    grant_type: 'refresh_token',
    client_id: application.applicationId,
    refresh_token: token,
  });
}
