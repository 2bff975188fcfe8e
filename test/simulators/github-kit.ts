import { createPrivateKey, sign } from 'node:crypto';
import { request as requestHttp } from 'node:http';
import { expect, onTestFinished } from 'vitest';
import type { CreatedApp, GithubApp, Installation, NewApp, NewInstallation } from './github/app-state.ts';
import { startGithubSimulator, type GithubSimulator, type GithubSimulatorOptions } from './github/server.ts';
import type { NewToken } from './github/token-state.ts';
import { sendRequest, type GotResponse, type SentRequest } from './send-request.ts';
import { startWebhookReceiver, type WebhookReceiver } from './webhook-receiver.ts';

/**
 * What the tests of the GitHub simulator share, and how to make a world for it:
 *
 * - `startGithubSimulator()` is an Enterprise Server on loopback: pages at `/`, the API below `/api/v3`, `smallWorld`
 *   (`github/world.ts`) in it: ada owns `acme`, is a member of `others`, administers `bob/shared`.
 * - `flavour: 'github.com'` alone behaves as github.com at loopback addresses (stateless tokens, rate limits, no hooks
 *   to loopback, `/credentials/revoke`); with `rootUrl: 'https://github.com'`, `apiRootUrl: 'https://api.github.com'`
 *   and `tls` it stands behind a CONNECT proxy under its own names. `flavour: 'tenant'` is `*.ghe.com`.
 * - `world: { users, organizations, repositories }` replaces the world; organizations take a `policy` (SAML, OAuth App
 *   restrictions, allow list, approval of fine-grained tokens), repositories a `count`.
 * - Tokens: `simulator.addToken({ kind, user, scopes | resourceOwner, repositories, permissions, expiresAt })`.
 * - Apps: `simulator.addApp({ owner, isPublic, permissions, … })` gives `{ app, pem }`;
 *   `simulator.install(app, { account, repositories? })`; `approveRequest`, `setSuspended`, `changeRepositories`,
 *   `uninstall`, `acceptPermissions` do what people do in the browser. `signJwt` here signs as an app.
 * - Clients: `simulator.oauth.addApplication()` (OAuth App) or `app.client` of a GitHub App.
 * - `simulator.settings` and `simulator.person` can be changed at any time, `simulator.faults` make it misbehave.
 */

export const apiHeaders = { accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' };
export const hooksOfApi = '/repos/acme/api/hooks';
export const hookBody = {
  name: 'web',
  active: true,
  events: ['push'],
  config: { url: 'http://127.0.0.1:9/hook', content_type: 'json', secret: 'canary-old', insecure_ssl: '0' },
};

/** Starts a simulator that ends with the test. */
export async function start(options: GithubSimulatorOptions = {}): Promise<GithubSimulator> {
  const simulator = await startGithubSimulator(options);
  onTestFinished(() => simulator.close());
  return simulator;
}

/** github.com under its own names, to be asked by `Host`. */
export function startCloud(options: GithubSimulatorOptions = {}): Promise<GithubSimulator> {
  return start({
    flavour: 'github.com',
    rootUrl: 'http://github.com',
    apiRootUrl: 'http://api.github.com',
    ...options,
  });
}

/** Starts a receiver of webhooks that ends with the test. */
export async function startReceiver(): Promise<WebhookReceiver> {
  const receiver = await startWebhookReceiver();
  onTestFinished(() => receiver.close());
  return receiver;
}

interface Caller {
  readonly secret: string;
  /** A path below the API's root, or a whole address as a `Link` names it. */
  (path: string, sent?: SentRequest): Promise<GotResponse>;
}

/** Calls with a new token: ada's classic one, unless told otherwise. */
export function callWith(simulator: GithubSimulator, token: NewToken = {}): Caller {
  return callBy(simulator, simulator.addToken(token).secret);
}

/** Calls with a secret in hand; the empty one is none. */
export function callBy(simulator: GithubSimulator, secret: string): Caller {
  const call = (path: string, { headers, ...sent }: SentRequest = {}) => {
    const { address, host } = locate(simulator, path.startsWith('http') ? path : simulator.apiUrl + path);
    return sendRequest(address, {
      ...(secret === '' ? {} : { authorization: `Bearer ${secret}` }),
      ...sent,
      headers: { ...apiHeaders, host, ...headers },
    });
  };
  return Object.assign(call, { secret });
}

/** Calls as an app, with a fresh signature each time. */
export function callAs(simulator: GithubSimulator, { app, pem }: CreatedApp): Caller {
  const call = (path: string, sent: SentRequest = {}) => callBy(simulator, signJwt(app, pem))(path, sent);
  return Object.assign(call, { secret: '' });
}

/** Where an address of the simulated host really is. */
function locate(
  simulator: GithubSimulator,
  url: string,
): { readonly address: string; readonly host: string } {
  const { host, pathname, search } = new URL(url);
  return { address: new URL(simulator.url).origin + pathname + search, host };
}

/** Signs as an app does; `changes` spoil claims, or the header by `alg`. */
export function signJwt(
  app: Pick<GithubApp, 'id'>,
  pem: string,
  changes: Readonly<Record<string, unknown>> = {},
): string {
  const { alg = 'RS256', ...claims } = changes;
  const time = Math.floor(Date.now() / 1000);
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const head = encode({ alg, typ: 'JWT' });
  const body = encode({ iss: String(app.id), iat: time - 60, exp: time + 540, ...claims });
  const signature = sign('RSA-SHA256', Buffer.from(`${head}.${body}`), createPrivateKey(pem));
  return `${head}.${body}.${signature.toString('base64url')}`;
}

interface InstalledApp extends CreatedApp {
  readonly installation: Installation;
}

/** An app, on acme unless told otherwise. */
export function installApp(
  simulator: GithubSimulator,
  app: NewApp = { owner: 'acme' },
  installation: NewInstallation = { account: 'acme' },
): InstalledApp {
  const created = simulator.addApp(app);
  return { ...created, installation: simulator.install(created.app, installation) };
}

/** Mints a token of an installation. */
export async function mint(
  simulator: GithubSimulator,
  installed: InstalledApp,
  json?: object,
): Promise<string> {
  const path = `/app/installations/${installed.installation.id}/access_tokens`;
  const response = await callAs(simulator, installed)(path, { method: 'POST', ...(json ? { json } : {}) });
  expect(response.status, response.text).toBe(201);
  return (response.json as { token: string }).token;
}

export async function createHook(call: Caller, body: unknown = hookBody, path = hooksOfApi) {
  const response = await call(path, { json: body });
  expect(response.status, response.text).toBe(201);
  return response.json as { id: number };
}

/** What every error looks like. */
export function errorWith(status: number, message: string): unknown {
  return {
    message,
    documentation_url: expect.stringContaining('https://docs.github.com/') as unknown,
    status: String(status),
  };
}

/** The address of a page of a list. */
export function linkOf(response: GotResponse, rel: string): string | undefined {
  return new RegExp(`<([^>]+)>; rel="${rel}"`).exec(String(response.headers.link ?? ''))?.[1];
}

export function namesOf({ json }: GotResponse): readonly string[] {
  const list = Array.isArray(json) ? (json as unknown[]) : (json as { repositories: unknown[] }).repositories;
  return (list as { full_name: string }[]).map((repository) => repository.full_name);
}

export interface GotPage {
  readonly status: number;
  readonly text: string;
  readonly location: string | null;
}

/** Looks at a page as the person's browser does, or sends a form. */
export async function browse(simulator: GithubSimulator, url: string, form?: Form): Promise<GotPage> {
  const { status, text, headers } = await sendForm(
    simulator,
    url.startsWith('http') ? url : simulator.webUrl + url,
    form,
    { 'user-agent': 'Mozilla/5.0 (canary)' },
  );
  return { status, text, location: headers.location ?? null };
}

type Form = Readonly<Record<string, string>> | readonly (readonly [string, string])[];

/** Sends a form to an address of the simulated host; without one it is a GET. */
export function sendForm(
  simulator: GithubSimulator,
  url: string,
  form: Form | undefined,
  headers: Readonly<Record<string, string>> = {},
): Promise<GotResponse> {
  const { address, host } = locate(simulator, url);
  const body = form && new URLSearchParams(form as Record<string, string>).toString();
  return new Promise((resolve, reject) => {
    const request = requestHttp(address, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        host,
        'user-agent': 'gitlink/0.0.0-test',
        ...(body === undefined
          ? {}
          : {
              'content-type': 'application/x-www-form-urlencoded',
              'content-length': Buffer.byteLength(body),
            }),
        ...headers,
      },
    });
    request.once('error', reject);
    request.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString();
        const isJson = response.headers['content-type']?.startsWith('application/json') ?? false;
        const json = isJson ? (JSON.parse(text) as unknown) : undefined;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
      });
    });
    request.end(body);
  });
}

/** Where the form of a page goes to that has a certain button. */
export function formOf(page: GotPage, button: string): string {
  const forms = page.text.match(/<form [\s\S]*?<\/form>/g) ?? [];
  const form = forms.find((candidate) => candidate.includes(`>${button}</button>`)) ?? '';
  const action = /action="([^"]+)"/.exec(form)?.[1];
  if (action === undefined) throw new Error(`No form with the button ${button}:\n${page.text}`);
  return action.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));
}
