import { expect, onTestFinished } from 'vitest';
import { startGiteaSimulator, type GiteaSimulator, type GiteaSimulatorOptions } from './gitea/server.ts';
import { sendRequest, type GotResponse, type SentRequest } from './send-request.ts';
import { startWebhookReceiver, type WebhookReceiver } from './webhook-receiver.ts';

/** What the tests of the Gitea simulator share. */

export const gitea126 = { flavour: 'gitea', version: '1.26.2' } as const;
export const gitea122 = { flavour: 'gitea', version: '1.22.6' } as const;
export const forgejo = { flavour: 'forgejo' } as const;

export const hooksOfSite = '/api/v1/repos/ada/site/hooks';
export const hookBody = {
  type: 'gitea',
  config: { url: 'http://127.0.0.1:9/hook', content_type: 'json', secret: 'canary-old' },
  events: ['push', 'release'],
  branch_filter: 'main',
  authorization_header: 'Bearer canary',
  active: true,
};

/** Starts a simulator that ends with the test. */
export async function start(options: GiteaSimulatorOptions = {}): Promise<GiteaSimulator> {
  const simulator = await startGiteaSimulator(options);
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

/** Calls as one user with a new token of these scopes; by Basic where asked. */
export function callAs(
  simulator: GiteaSimulator,
  scopes: readonly string[],
  how: 'token' | 'basic' = 'token',
  user = 'ada',
): Caller {
  const { secret } = simulator.addToken({ user, scopes });
  const authorization = how === 'token' ? `token ${secret}` : `Basic ${btoa(`${user}:${secret}`)}`;
  const call = (path: string, sent: SentRequest = {}) =>
    sendRequest(simulator.url + path, { authorization, ...sent });
  return Object.assign(call, { secret });
}

export function messageOf(response: GotResponse): unknown {
  return (response.json as { message?: unknown } | undefined)?.message;
}

export async function createHook(call: Caller, body: unknown = hookBody, path = hooksOfSite) {
  const response = await call(path, { json: body });
  expect(response.status).toBe(201);
  return response.json as { id: number; active: boolean; events: string[]; authorization_header: string };
}
