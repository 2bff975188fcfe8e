import { expect, onTestFinished } from 'vitest';
import {
  startBitbucketSimulator,
  type BitbucketSimulator,
  type BitbucketSimulatorOptions,
} from './bitbucket/server.ts';
import type { NewToken } from './bitbucket/token-state.ts';
import { sendRequest, type GotResponse, type SentRequest } from './send-request.ts';
import { startWebhookReceiver, type WebhookReceiver } from './webhook-receiver.ts';

/** What the tests of the Bitbucket Cloud simulator share. */

export const hooksOfApi = '/2.0/repositories/acme/api/hooks';
export const hookBody = {
  url: 'https://ci.acme.example/hook',
  description: 'gitlink canary',
  active: true,
  events: ['repo:push'],
  secret: 'canary-old',
};

/** Everything of an API token that gitlink may want. */
export const apiScopes = [
  'read:user:bitbucket',
  'read:workspace:bitbucket',
  'read:project:bitbucket',
  'read:repository:bitbucket',
  'write:repository:bitbucket',
  'read:pullrequest:bitbucket',
  'read:webhook:bitbucket',
  'write:webhook:bitbucket',
  'delete:webhook:bitbucket',
];

/** Any text, in an expected object. */
export const someText: unknown = expect.any(String);

export function textWith(part: string): unknown {
  return expect.stringContaining(part);
}

/** Starts a simulator that ends with the test. */
export async function start(options: BitbucketSimulatorOptions = {}): Promise<BitbucketSimulator> {
  const simulator = await startBitbucketSimulator(options);
  onTestFinished(() => simulator.close());
  return simulator;
}

/** Starts a receiver of webhooks that ends with the test. */
export async function startReceiver(): Promise<WebhookReceiver> {
  const receiver = await startWebhookReceiver();
  onTestFinished(() => receiver.close());
  return receiver;
}

export interface Caller {
  readonly secret: string;
  (path: string, sent?: SentRequest): Promise<GotResponse>;
}

export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** Calls with a new token in the form that its kind wants: an API token of ada's, unless told otherwise. */
export function callWith(
  simulator: BitbucketSimulator,
  token: NewToken = { kind: 'api', scopes: apiScopes },
): Caller {
  const { kind, secret, user } = simulator.addToken(token);
  return callBy(simulator, secret, kind === 'api' ? basic(user?.email ?? '', secret) : `Bearer ${secret}`);
}

/** Calls with a secret in hand. */
export function callBy(
  simulator: BitbucketSimulator,
  secret: string,
  authorization = `Bearer ${secret}`,
): Caller {
  const call = (path: string, sent: SentRequest = {}) =>
    sendRequest(path.startsWith('http') ? path : simulator.url + path, { authorization, ...sent });
  return Object.assign(call, { secret });
}

/** The error of an answer. */
export function errorOf(response: GotResponse): unknown {
  return (response.json as { error?: unknown } | undefined)?.error;
}

/** The values of a list. */
export function valuesOf(response: GotResponse): readonly Readonly<Record<string, unknown>>[] {
  expect(response.status, response.text).toBe(200);
  return (response.json as { values: Readonly<Record<string, unknown>>[] }).values;
}

/** Makes a hook and gives its path. */
export async function createHook(call: Caller, body: unknown = hookBody, path = hooksOfApi) {
  const response = await call(path, { json: body });
  expect(response.status, response.text).toBe(201);
  const { uuid } = response.json as { uuid: string };
  return { uuid, path: `${path}/${encodeURIComponent(uuid)}`, response };
}
