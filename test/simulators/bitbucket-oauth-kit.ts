import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { visit } from '../support/browser.ts';
import type { BitbucketConsumer } from './bitbucket/oauth-state.ts';
import type { BitbucketSimulator } from './bitbucket/server.ts';
import { basic } from './bitbucket-kit.ts';

/** Signing in at the simulator, as the tests of it do. */

export const callbackPort = 53211;
export const redirect = `http://127.0.0.1:${callbackPort}/callback`;
export const verifier = 'canary-verifier-that-is-long-enough-for-the-rule';
const challenge = createHash('sha256').update(verifier).digest('base64url');

export interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
  readonly scope: string;
}

/** An address of the authorization page; `null` leaves a parameter out. */
export function authorizeUrl(
  simulator: BitbucketSimulator,
  consumer: BitbucketConsumer,
  changes: Readonly<Record<string, string | null>> = {},
): string {
  const query = new URLSearchParams();
  const parameters = {
    client_id: consumer.key,
    redirect_uri: redirect,
    response_type: 'code',
    state: 'canary-state',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...changes,
  };
  for (const [name, value] of Object.entries(parameters)) if (value !== null) query.set(name, value);
  return `${simulator.url}/site/oauth2/authorize?${query.toString()}`;
}

/** Goes through the browser and stops before the callback. */
export async function askPerson(
  url: string,
  decision: 'approve' | 'deny' = 'approve',
): Promise<URLSearchParams> {
  const end = await visit(url, decision, (address) => address.startsWith('http://127.0.0.1:53211/'));
  return new URL(end.url).searchParams;
}

/** Sends a request to the token endpoint: as a form and signed with the consumer's secret, unless told otherwise. */
export async function askForTokens(
  simulator: BitbucketSimulator,
  consumer: BitbucketConsumer,
  form: Readonly<Record<string, string>>,
  authorization: string | null = basic(consumer.key, consumer.secret),
) {
  const response = await globalThis.fetch(`${simulator.url}/site/oauth2/access_token`, {
    method: 'POST',
    headers: {
      'user-agent': 'gitlink/0.0.0-test',
      ...(authorization === null ? {} : { authorization }),
    },
    body: new URLSearchParams(form),
  });
  return { status: response.status, json: (await response.json()) as Readonly<Record<string, unknown>> };
}

export async function signIn(simulator: BitbucketSimulator, consumer: BitbucketConsumer): Promise<Tokens> {
  const callback = await askPerson(authorizeUrl(simulator, consumer));
  const response = await askForTokens(simulator, consumer, {
    grant_type: 'authorization_code',
    code: callback.get('code') ?? '',
    redirect_uri: redirect,
    code_verifier: verifier,
  });
  expect(response.status, JSON.stringify(response.json)).toBe(200);
  return response.json as unknown as Tokens;
}

export function refresh(simulator: BitbucketSimulator, consumer: BitbucketConsumer, token: string) {
  return askForTokens(simulator, consumer, { grant_type: 'refresh_token', refresh_token: token });
}
