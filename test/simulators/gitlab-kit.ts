import { expect, onTestFinished } from 'vitest';
import { startGitlabSimulator, type GitlabSimulator, type GitlabSimulatorOptions } from './gitlab/server.ts';
import type { NewToken } from './gitlab/token-state.ts';
import { sendRequest, type GotResponse, type SentRequest } from './send-request.ts';
import { startWebhookReceiver, type WebhookReceiver } from './webhook-receiver.ts';

/** What the tests of the GitLab simulator share. */

export const gitlab18 = { version: '18.11.0-ee' } as const;
export const hooksOfApi = '/api/v4/projects/acme%2Fapi/hooks';
export const hookBody = { url: 'http://127.0.0.1:9/hook', token: 'canary-old', push_events: true };

/** Starts a simulator that ends with the test. */
export async function start(options: GitlabSimulatorOptions = {}): Promise<GitlabSimulator> {
  const simulator = await startGitlabSimulator(options);
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

/** Calls with a new token: of ada with `api`, unless told otherwise. */
export function callWith(simulator: GitlabSimulator, token: NewToken = {}): Caller {
  return callBy(
    simulator,
    simulator.addToken({ scopes: token.granularScopes ? [] : ['api'], ...token }).secret,
  );
}

/** Calls with a secret in hand. */
export function callBy(simulator: GitlabSimulator, secret: string): Caller {
  const call = (path: string, sent: SentRequest = {}) =>
    sendRequest(simulator.url + path, { authorization: `Bearer ${secret}`, ...sent });
  return Object.assign(call, { secret });
}

export async function createHook(call: Caller, body: unknown = hookBody, path = hooksOfApi) {
  const response = await call(path, { json: body });
  expect(response.status, response.text).toBe(201);
  return response.json as { id: number };
}

/** The day so many days from now. */
export function dayIn(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
}

/** The address of the next page. */
export function nextOf(response: GotResponse): string | undefined {
  return /<([^>]+)>; rel="next"/.exec(String(response.headers.link ?? ''))?.[1];
}

/** Sends a form, as OAuth wants it. */
export async function post(
  simulator: GitlabSimulator,
  path: string,
  form: Readonly<Record<string, string>>,
): Promise<{ readonly status: number; readonly json: unknown; readonly text: string }> {
  const response = await globalThis.fetch(simulator.url + path, {
    method: 'POST',
    headers: { 'user-agent': 'gitlink/0.0.0-test' },
    body: new URLSearchParams(form),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false;
  return { status: response.status, text, json: isJson ? (JSON.parse(text) as unknown) : undefined };
}
