import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished } from 'vitest';
import { createCertificateAuthority } from '../support/certificate-authority.ts';
import { startProxyServer, type ProxyServer } from '../support/proxy-server.ts';
import { listCloudHosts } from './azure-devops/front.ts';
import {
  startAzureDevopsSimulator,
  type AzureDevopsSimulator,
  type AzureDevopsSimulatorOptions,
} from './azure-devops/server.ts';
import { requireProject, requireRepository } from './azure-devops/state.ts';
import type { NewPat } from './azure-devops/token-state.ts';
import { smallWorld } from './azure-devops/world.ts';
import { sendRequest, type GotResponse, type SentRequest } from './send-request.ts';
import { startWebhookReceiver, type WebhookReceiver } from './webhook-receiver.ts';

/**
 * What the tests of the Azure DevOps simulator share.
 *
 * How to make a world: `start()` has {@link smallWorld}: the organizations `acme` (administrator ada, member bob,
 * service principal ci, zoe who never opened it) and `acme-labs` of the tenant acme, `others` (eve) of another, and
 * `homebrew` (mia) without Entra. `start({ world })` takes another one, as
 * `{ users: [{ login: 'ada', tenant: 'acme' }], organizations: [{ name: 'acme', tenant: 'acme', members: { ada:
 * 'administrator' }, projects: [{ name: 'Big', count: 250, repositories: [{ name: 'api', count: 3 }] }] }] }`;
 * `addProject` and `addRepository` of `world.ts` add more later. A project or repository is found by
 * `requireProject(state, 'acme/Platform')` and `requireRepository(state, 'acme/Platform/api')` of `state.ts`.
 *
 * Azure DevOps Server: `start({ deployment: 'onPremises', basePath: '/tfs', highestVersion: '6.0' })`; organizations
 * are its collections. Under its own names: {@link startUnderOwnNames}.
 */

/** Any text, in an expected object. */
export const someText: unknown = expect.any(String);

export function textWith(part: string): unknown {
  return expect.stringContaining(part);
}

/** Starts a simulator that ends with the test. */
export async function start(options: AzureDevopsSimulatorOptions = {}): Promise<AzureDevopsSimulator> {
  const simulator = await startAzureDevopsSimulator(options);
  onTestFinished(() => simulator.close());
  return simulator;
}

/** Azure DevOps Server with one collection like the organization acme. */
export function startServer(options: AzureDevopsSimulatorOptions = {}): Promise<AzureDevopsSimulator> {
  return start({ deployment: 'onPremises', basePath: '/tfs', ...options });
}

interface UnderOwnNames {
  readonly simulator: AzureDevopsSimulator;
  /** For `HTTPS_PROXY`. */
  readonly proxy: ProxyServer;
  /** For `NODE_EXTRA_CA_CERTS`, PEM. */
  readonly authority: string;
}

/** Starts a simulator that is `dev.azure.com` and its companions behind a proxy. */
export async function startUnderOwnNames(options: AzureDevopsSimulatorOptions = {}): Promise<UnderOwnNames> {
  const authority = createCertificateAuthority('gitlink test authority');
  const organizations = (options.world ?? smallWorld).organizations ?? [];
  const names = ['127.0.0.1', ...listCloudHosts(organizations)];
  const simulator = await start({
    ...options,
    rootUrl: 'https://dev.azure.com',
    tls: authority.issue({ names }),
  });
  const place = { port: simulator.port };
  const hosts = Object.fromEntries(simulator.cloudHosts.map((name) => [`${name}:443`, place]));
  const proxy = await startProxyServer({ hosts });
  onTestFinished(() => proxy.close());
  return { simulator, proxy, authority: authority.certificate };
}

/** Starts a receiver of webhooks that ends with the test. */
export async function startReceiver(): Promise<WebhookReceiver> {
  const receiver = await startWebhookReceiver();
  onTestFinished(() => receiver.close());
  return receiver;
}

/** A receiver of webhooks that answers what it is told to, at first 503. */
export async function startBadReceiver() {
  let status = 503;
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(status).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/hook`,
    answers: (next: number) => {
      status = next;
    },
  };
}

export function basic(password: string, username = ''): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

export interface Caller {
  readonly secret: string;
  /** Adds the version 7.1 where the path names none. */
  (path: string, sent?: SentRequest): Promise<GotResponse>;
}

/** Calls with a new PAT: of ada's for acme, unless told otherwise. */
export function callWith(simulator: AzureDevopsSimulator, token: NewPat = {}): Caller {
  const { secret } = simulator.addToken(token);
  return callBy(simulator, basic(secret), secret);
}

/** Calls with an authorization header; null for none. */
export function callBy(simulator: AzureDevopsSimulator, authorization: string | null, secret = ''): Caller {
  const call = (path: string, sent: SentRequest = {}) =>
    sendRequest(simulator.url + withVersion(path), {
      ...(authorization === null ? {} : { authorization }),
      ...sent,
      headers: { 'x-tfs-fedauthredirect': 'Suppress', ...sent.headers },
    });
  return Object.assign(call, { secret });
}

const previews = /connectionData|\/profile\/|\/accounts|\/tokens\/|\/permissions\//;

function withVersion(path: string): string {
  if (path.includes('api-version') || !path.includes('_apis')) return path;
  const version = previews.test(path) ? '7.1-preview.1' : '7.1';
  return `${path}${path.includes('?') ? '&' : '?'}api-version=${version}`;
}

/** The values of a list. */
export function valuesOf(response: GotResponse): readonly Readonly<Record<string, unknown>>[] {
  expect(response.status, response.text).toBe(200);
  return (response.json as { value: Readonly<Record<string, unknown>>[] }).value;
}

/** The kind of an error. */
export function typeOf(response: GotResponse): unknown {
  return (response.json as { typeKey?: unknown } | undefined)?.typeKey;
}

export function messageOf(response: GotResponse): string {
  return String((response.json as { message?: unknown } | undefined)?.message);
}

export const hooksOfAcme = '/acme/_apis/hooks/subscriptions';

/** The body of a hook of acme/Platform/api, with changes to its inputs. */
export function hookBody(
  { state }: AzureDevopsSimulator,
  consumerInputs: Readonly<Record<string, unknown>> = {},
  publisherInputs: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> {
  return {
    publisherId: 'tfs',
    eventType: 'git.push',
    resourceVersion: '1.0',
    consumerId: 'webHooks',
    consumerActionId: 'httpRequest',
    publisherInputs: {
      projectId: requireProject(state, 'acme/Platform').id,
      repository: requireRepository(state, 'acme/Platform/api').guid,
      branch: '',
      ...publisherInputs,
    },
    consumerInputs: {
      url: 'https://ci.acme.example/hook',
      basicAuthUsername: 'gitlink',
      basicAuthPassword: 'canary-old',
      resourceDetailsToSend: 'minimal',
      messagesToSend: 'none',
      detailedMessagesToSend: 'none',
      acceptUntrustedCerts: 'false',
      ...consumerInputs,
    },
  };
}

/** Makes a hook and gives its path. */
export async function createHook(simulator: AzureDevopsSimulator, call: Caller, body = hookBody(simulator)) {
  const response = await call(hooksOfAcme, { json: body });
  expect(response.status, response.text).toBe(200);
  const { id } = response.json as { id: string };
  return { id, path: `${hooksOfAcme}/${id}`, response };
}
