import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, onTestFinished } from 'vitest';
import { runWithBrowser } from '../cli/sign-in-kit.ts';
import type { EntraApplication, NewApplication } from '../simulators/azure-devops/entra-applications.ts';
import type { AzureDevopsSubscription } from '../simulators/azure-devops/hook-state.ts';
import {
  startAzureDevopsSimulator,
  type AzureDevopsSimulator,
  type AzureDevopsSimulatorOptions,
} from '../simulators/azure-devops/server.ts';
import { requireRepository } from '../simulators/azure-devops/state.ts';
import type { NewPat, PersonalToken } from '../simulators/azure-devops/token-state.ts';
import { smallWorld, type AzureDevopsWorld } from '../simulators/azure-devops/world.ts';
import { startUnderOwnNames } from '../simulators/azure-devops-kit.ts';
import type { ProxyServer } from './proxy-server.ts';
import { createSandbox, type Run, type Sandbox } from './sandbox.ts';

const guarded = new Map<Sandbox, () => readonly string[]>();

// Registered after the sandbox's own, so that it runs before the search.
afterEach(() => {
  for (const [sandbox, listSecrets] of guarded) for (const secret of listSecrets()) sandbox.guard(secret);
  guarded.clear();
});

/** Guards every token and webhook secret that the host has until the test ends. */
export function guardAll(sandbox: Sandbox, { state, oauth }: AzureDevopsSimulator): Sandbox {
  guarded.set(sandbox, () => [
    ...state.tokens.keys(),
    ...oauth.listRefreshTokens(),
    ...state.subscriptions.flatMap(({ consumerInputs }) => consumerInputs['basicAuthPassword'] ?? []),
  ]);
  return sandbox;
}

/** Starts a simulated Azure DevOps for one test; at its end it must not have met anything strange. */
export async function startAzureDevops(
  options: AzureDevopsSimulatorOptions = {},
): Promise<AzureDevopsSimulator> {
  const azure = await startAzureDevopsSimulator(options);
  onTestFinished(async () => {
    await azure.close();
    azure.assertNoFailures();
  });
  return azure;
}

/** The same of Azure DevOps Server, whose one collection is acme under the usual name. */
export function startAzureServer(options: AzureDevopsSimulatorOptions = {}): Promise<AzureDevopsSimulator> {
  return startAzureDevops({
    deployment: 'onPremises',
    basePath: '/tfs',
    highestVersion: '6.0',
    world: serverWorld,
    ...options,
  });
}

const serverWorld: AzureDevopsWorld = {
  ...smallWorld,
  organizations: (smallWorld.organizations ?? []).map((each) =>
    each.name === 'acme' ? { ...each, name: 'DefaultCollection' } : each,
  ),
};

/** @throws Error when a run that all the rest needs did not end well. */
export function assertDone(run: Run): void {
  if (run.exitCode !== 0)
    throw new Error(`It ended with ${String(run.exitCode)}:\n${run.stdout}${run.stderr}`);
}

/** The arguments that link an organization: acme, unless `more` names one. */
export function linkArgs({ url }: { readonly url: string }, ...more: readonly string[]): string[] {
  const organization = more.includes('--organization') ? [] : ['--organization', 'acme'];
  return ['link', 'azure-devops', '--host', url, ...organization, ...more];
}

export interface LinkedAzure {
  readonly sandbox: Sandbox;
  readonly azure: AzureDevopsSimulator;
  /** The token that was pasted. */
  readonly token: PersonalToken;
}

export interface LinkedAzureOptions {
  readonly azure?: AzureDevopsSimulatorOptions;
  /** Default: ada's for acme, for everything. */
  readonly token?: NewPat;
  /** More arguments of `gitlink link`. */
  readonly link?: readonly string[];
}

/** A sandbox in which a token at a simulated Azure DevOps is linked as `azure-devops`. */
export async function createLinkedAzure(options: LinkedAzureOptions = {}): Promise<LinkedAzure> {
  const azure = await startAzureDevops(options.azure);
  const sandbox = guardAll(createSandbox(), azure);
  return { sandbox, azure, token: await linkToken({ sandbox, azure }, options.token, options.link) };
}

/** The same at a Server. */
export async function createLinkedServer(options: LinkedAzureOptions = {}): Promise<LinkedAzure> {
  const azure = await startAzureServer(options.azure);
  const sandbox = guardAll(createSandbox(), azure);
  const spec = { organization: 'DefaultCollection', shape: 'old', ...options.token } as const;
  return { sandbox, azure, token: await linkToken({ sandbox, azure }, spec, options.link) };
}

/** Links one more token, for the organization that it is good for. */
export async function linkToken(
  { sandbox, azure }: Pick<LinkedAzure, 'sandbox' | 'azure'>,
  spec: NewPat = {},
  more: readonly string[] = [],
): Promise<PersonalToken> {
  const token = azure.addToken(spec);
  const place = ['--organization', token.organization.name];
  assertDone(await sandbox.run(linkArgs(azure, ...place, '--with-token', ...more), { input: token.secret }));
  return token;
}

export interface BehindProxy {
  readonly sandbox: Sandbox;
  readonly azure: AzureDevopsSimulator;
  readonly proxy: ProxyServer;
  /** For gitlink and git. */
  readonly env: Readonly<Record<string, string>>;
  /** The certificate of whom the hosts' are from. */
  readonly authority: string;
}

/** A simulated Azure DevOps under its real names, which only a proxy knows the way to. */
export async function createBehindProxy(): Promise<BehindProxy> {
  const { simulator: azure, proxy, authority } = await startUnderOwnNames();
  onTestFinished(() => azure.assertNoFailures());
  const sandbox = guardAll(createSandbox(), azure);
  const file = join(sandbox.home, 'authority.pem');
  writeFileSync(file, authority);
  const env = { HTTPS_PROXY: proxy.url, NODE_EXTRA_CA_CERTS: file, GIT_SSL_CAINFO: file };
  return { sandbox, azure, proxy, env, authority };
}

export interface AzureWithClient {
  readonly sandbox: Sandbox;
  readonly azure: AzureDevopsSimulator;
  readonly client: EntraApplication;
}

export interface ClientOptions {
  readonly azure?: AzureDevopsSimulatorOptions;
  readonly client?: NewApplication;
  /** More arguments of `gitlink link`. */
  readonly link?: readonly string[];
}

/** A sandbox that knows a client of the simulated Entra. */
export async function createAzureWithClient({
  azure: options,
  client: wish,
}: ClientOptions = {}): Promise<AzureWithClient> {
  const azure = await startAzureDevops(options);
  const sandbox = guardAll(createSandbox(), azure);
  const client = azure.oauth.addApplication(wish);
  await addClient(sandbox, azure, client);
  return { sandbox, azure, client };
}

export async function addClient(
  sandbox: Sandbox,
  { url }: { readonly url: string },
  { clientId }: EntraApplication,
): Promise<void> {
  assertDone(await sandbox.run(['client', 'add', 'azure-devops', '--host', url, '--client-id', clientId]));
}

/** The same with ada signed in by her browser, as the link `azure-devops`. */
export async function createSignedInAzure(options: ClientOptions = {}): Promise<AzureWithClient> {
  const made = await createAzureWithClient(options);
  assertDone(await runWithBrowser(made.sandbox, linkArgs(made.azure, ...(options.link ?? []))));
  return made;
}

/** The access tokens of the sign-ins, oldest first. */
export function listAccessTokens({ state }: AzureDevopsSimulator): readonly string[] {
  return [...state.tokens.values()].filter(({ kind }) => kind === 'entra').map(({ secret }) => secret);
}

/** The subscriptions of one repository, not those of its whole project. */
export function hooksAt(azure: AzureDevopsSimulator, fullName: string): readonly AzureDevopsSubscription[] {
  const { guid } = requireRepository(azure.state, fullName);
  return azure.state.subscriptions.filter(({ publisherInputs }) => publisherInputs['repository'] === guid);
}

/** What stands after the scheme in a request's authorization, without the secret. */
export function listForms({ requests }: AzureDevopsSimulator, part = '/_apis/'): readonly string[] {
  const sent = requests.filter(({ path }) => path.includes(part));
  const forms = sent.flatMap(({ authorization }) => (authorization ? [authorization] : []));
  return [...new Set(forms.map(({ scheme, username }) => `${scheme} ${username ?? ''}`.trim()))];
}

/** A subscription's events, password and address, in order. */
export function summarise(hooks: readonly AzureDevopsSubscription[]) {
  return hooks
    .map(({ eventType, consumerInputs, status }) => ({
      eventType,
      url: consumerInputs['url'],
      username: consumerInputs['basicAuthUsername'],
      secret: consumerInputs['basicAuthPassword'],
      status,
    }))
    .sort((left, right) => left.eventType.localeCompare(right.eventType));
}

/** One subscription for each event, all enabled with one secret. @returns the secret. */
export function expectOneEach(
  hooks: readonly AzureDevopsSubscription[],
  events: readonly string[],
  url: string,
): string {
  const found = summarise(hooks);
  const secret = found[0]?.secret ?? '';
  expect(secret).toMatch(/^[0-9a-f]{64}$/);
  expect(found).toEqual(
    [...events]
      .sort((left, right) => left.localeCompare(right))
      .map((eventType) => ({ eventType, url, username: 'gitlink', secret, status: 'enabled' })),
  );
  return secret;
}
