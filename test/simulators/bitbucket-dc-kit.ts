import { createHash } from 'node:crypto';
import { expect, onTestFinished } from 'vitest';
import { visit } from '../support/browser.ts';
import type { DcApplication } from './bitbucket-dc/oauth-state.ts';
import {
  startBitbucketDcSimulator,
  type BitbucketDcSimulator,
  type BitbucketDcSimulatorOptions,
} from './bitbucket-dc/server.ts';
import type { NewToken } from './bitbucket-dc/token-state.ts';
import { sendRequest, type GotResponse, type SentRequest } from './send-request.ts';
import { startWebhookReceiver, type WebhookReceiver } from './webhook-receiver.ts';

/** What the tests of the Bitbucket Data Center simulator share. */

export const hooksOfApi = '/rest/api/latest/projects/ACME/repos/api/webhooks';
export const hooksOfAcme = '/rest/api/latest/projects/ACME/webhooks';
export const tokensOfAda = '/rest/access-tokens/latest/users/ada';
export const hookBody = {
  name: 'gitlink',
  url: 'http://127.0.0.1:9/hook',
  active: true,
  events: ['repo:refs_changed'],
  configuration: { secret: 'canary-old' },
};

/** Starts a simulator that ends with the test. */
export async function start(options: BitbucketDcSimulatorOptions = {}): Promise<BitbucketDcSimulator> {
  const simulator = await startBitbucketDcSimulator(options);
  onTestFinished(() => simulator.close());
  return simulator;
}

/** Starts a receiver of webhooks that ends with the test. */
export async function startReceiver(): Promise<WebhookReceiver> {
  const receiver = await startWebhookReceiver();
  onTestFinished(() => receiver.close());
  return receiver;
}

export type Caller = (path: string, sent?: SentRequest) => Promise<GotResponse>;

/** Calls with a new token: of ada with everything, unless told otherwise. */
export function callWith(simulator: BitbucketDcSimulator, token: NewToken = {}): Caller {
  return callBy(simulator, `Bearer ${simulator.addToken(token).secret}`);
}

/** Calls with an authorization in hand; without any, as a stranger. */
export function callBy(simulator: BitbucketDcSimulator, authorization?: string): Caller {
  return (path, sent = {}) =>
    sendRequest(simulator.url + path, {
      ...(authorization === undefined ? {} : { authorization }),
      ...sent,
    });
}

export function toBasic(name: string, password = `canary-password-of-${name}`): string {
  return `Basic ${btoa(`${name}:${password}`)}`;
}

export async function createHook(call: Caller, body: unknown = hookBody, path = hooksOfApi) {
  const response = await call(path, { json: body });
  expect(response.status, response.text).toBe(201);
  return response.json as { readonly id: number };
}

export interface Page<Item> {
  readonly values: readonly Item[];
  readonly size: number;
  readonly limit: number;
  readonly isLastPage: boolean;
  readonly nextPageStart: number | null;
}

/** `KEY/slug` of all repositories in an answer. */
export function namesIn(response: GotResponse): readonly string[] {
  const { values } = response.json as Page<{ slug: string; project: { key: string } }>;
  return values.map(({ slug, project }) => `${project.key}/${slug}`);
}

/** The `X-AUSERNAME` of an answer. */
export function userIn(response: GotResponse): string | undefined {
  return response.headers['x-ausername']?.toString();
}

export function messageOf(response: GotResponse): string | undefined {
  return (response.json as { errors?: { message: string }[] } | undefined)?.errors?.[0]?.message;
}

const verifier = 'canary-verifier-that-is-long-enough-for-the-rule';
const challenge = createHash('sha256').update(verifier).digest('base64url');

export interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
}

export function authorizeUrl(
  simulator: BitbucketDcSimulator,
  application: DcApplication,
  changes: Readonly<Record<string, string>> = {},
): string {
  const query = new URLSearchParams({
    client_id: application.clientId,
    redirect_uri: application.redirectUri,
    response_type: 'code',
    state: 'canary-state',
    scope: 'REPO_ADMIN',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...changes,
  });
  return `${simulator.url}/rest/oauth2/latest/authorize?${query.toString()}`;
}

/** Goes through the browser and stops before the callback. */
export async function askPerson(
  url: string,
  decision: 'approve' | 'deny' = 'approve',
): Promise<URLSearchParams> {
  const end = await visit(url, decision, (address) => address.includes('/callback'));
  return new URL(end.url).searchParams;
}

/** Sends a form to the token endpoint, signed by the client. */
export async function askForToken(
  simulator: BitbucketDcSimulator,
  application: DcApplication,
  form: Readonly<Record<string, string>>,
  endpoint = 'token',
): Promise<{ readonly status: number; readonly json: unknown }> {
  const response = await globalThis.fetch(`${simulator.url}/rest/oauth2/latest/${endpoint}`, {
    method: 'POST',
    headers: { 'user-agent': 'gitlink/0.0.0-test' },
    body: new URLSearchParams({
      client_id: application.clientId,
      client_secret: application.clientSecret,
      ...form,
    }),
  });
  return { status: response.status, json: await response.json() };
}

export function exchange(
  simulator: BitbucketDcSimulator,
  application: DcApplication,
  code: string,
  changes: Readonly<Record<string, string>> = {},
) {
  return askForToken(simulator, application, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: application.redirectUri,
    code_verifier: verifier,
    ...changes,
  });
}

export async function signIn(
  simulator: BitbucketDcSimulator,
  application: DcApplication,
  changes: Readonly<Record<string, string>> = {},
): Promise<Tokens> {
  const callback = await askPerson(authorizeUrl(simulator, application, changes));
  const response = await exchange(simulator, application, callback.get('code') ?? '');
  expect(response.status).toBe(200);
  return response.json as Tokens;
}

export function refresh(
  simulator: BitbucketDcSimulator,
  application: DcApplication,
  { refresh_token }: Tokens,
  redirect: Readonly<Record<string, string>> = { redirect_uri: application.redirectUri },
) {
  return askForToken(simulator, application, { grant_type: 'refresh_token', refresh_token, ...redirect });
}
