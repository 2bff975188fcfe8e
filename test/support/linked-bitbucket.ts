import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, onTestFinished } from 'vitest';
import { runWithBrowser } from '../cli/sign-in-kit.ts';
import type { DcApplication } from '../simulators/bitbucket-dc/oauth-state.ts';
import {
  startBitbucketDcSimulator,
  type BitbucketDcSimulator,
  type BitbucketDcSimulatorOptions,
} from '../simulators/bitbucket-dc/server.ts';
import type { DcToken, NewToken as NewDcToken } from '../simulators/bitbucket-dc/token-state.ts';
import type { BitbucketConsumer, NewConsumer } from '../simulators/bitbucket/oauth-state.ts';
import {
  startBitbucketSimulator,
  type BitbucketSimulator,
  type BitbucketSimulatorOptions,
} from '../simulators/bitbucket/server.ts';
import type { BitbucketToken, NewToken } from '../simulators/bitbucket/token-state.ts';
import { readLinks } from './ask-git.ts';
import { createSandbox, type Run, type Sandbox } from './sandbox.ts';

/** What gitlink needs of an API token for everything. */
export const apiScopes: readonly string[] = [
  'read:user',
  'read:workspace',
  'read:project',
  'read:repository',
  'write:repository',
  'read:pullrequest',
  'read:webhook',
  'write:webhook',
  'delete:webhook',
].map((scope) => `${scope}:bitbucket`);

/** And of an access token. */
export const accessScopes: readonly string[] = ['repository:write', 'pullrequest', 'webhook'];

export const adaEmail = 'ada@acme.test';

const guarded = new Map<Sandbox, () => readonly string[]>();

// Registered after the sandbox's own, so that it runs before the search.
afterEach(() => {
  for (const [sandbox, listSecrets] of guarded) for (const secret of listSecrets()) sandbox.guard(secret);
  guarded.clear();
});

/** Guards every token and client secret that the host has made until the test ends. */
export function guardAll<S extends Sandbox>(
  sandbox: S,
  { state }: BitbucketSimulator | BitbucketDcSimulator,
): S {
  guarded.set(sandbox, () => [...state.tokens.keys(), ...listSignInSecrets(state.oauth)]);
  return sandbox;
}

type OAuthState = (BitbucketSimulator | BitbucketDcSimulator)['state']['oauth'];

function listSignInSecrets(oauth: OAuthState): readonly string[] {
  if ('sessions' in oauth) {
    const tokens = [...oauth.sessions].flatMap(({ accessToken, refreshToken }) => [
      accessToken,
      refreshToken,
    ]);
    return [...tokens, ...[...oauth.applications.values()].map(({ clientSecret }) => clientSecret)];
  }
  return [...oauth.refreshTokens.keys(), ...[...oauth.consumers.values()].map(({ secret }) => secret)];
}

function closeAtEnd(host: Pick<BitbucketSimulator, 'close' | 'assertNoFailures'>): void {
  onTestFinished(async () => {
    await host.close();
    host.assertNoFailures();
  });
}

/** Starts a simulated Bitbucket Cloud for one test; at its end it must not have met anything strange. */
export async function startBitbucket(options: BitbucketSimulatorOptions = {}): Promise<BitbucketSimulator> {
  const bitbucket = await startBitbucketSimulator(options);
  closeAtEnd(bitbucket);
  return bitbucket;
}

/** The same of a Data Center, below a context path. */
export async function startBitbucketDc(
  options: BitbucketDcSimulatorOptions = {},
): Promise<BitbucketDcSimulator> {
  const bitbucket = await startBitbucketDcSimulator({ basePath: '/bitbucket', ...options });
  closeAtEnd(bitbucket);
  return bitbucket;
}

/** @throws Error when a run that all the rest needs did not end well. */
export function assertDone(run: Run): void {
  if (run.exitCode !== 0)
    throw new Error(`It ended with ${String(run.exitCode)}:\n${run.stdout}${run.stderr}`);
}

/** The records of links; none where nothing was ever written. */
export function readLinksOrNone(sandbox: Sandbox): readonly unknown[] {
  return existsSync(join(sandbox.configDirectory, 'links.json')) ? readLinks(sandbox) : [];
}

/** The arguments that link the host. */
export function linkArgs({ url }: { readonly url: string }, ...more: readonly string[]): string[] {
  return ['link', 'bitbucket', '--host', url, ...more];
}

export function linkDcArgs({ url }: { readonly url: string }, ...more: readonly string[]): string[] {
  return ['link', 'bitbucket-dc', '--host', url, ...more];
}

export interface LinkedBitbucket {
  readonly sandbox: Sandbox;
  readonly bitbucket: BitbucketSimulator;
  /** The token that was pasted. */
  readonly token: BitbucketToken;
}

export interface LinkedBitbucketOptions {
  readonly bitbucket?: BitbucketSimulatorOptions;
  /** Default: an API token of ada's, for everything. */
  readonly token?: NewToken;
  /** More arguments of `gitlink link`. */
  readonly link?: readonly string[];
}

/** A sandbox in which a token at a simulated Bitbucket Cloud is linked as `bitbucket`. */
export async function createLinkedBitbucket(options: LinkedBitbucketOptions = {}): Promise<LinkedBitbucket> {
  const bitbucket = await startBitbucket(options.bitbucket);
  const sandbox = guardAll(createSandbox(), bitbucket);
  const token = bitbucket.addToken(options.token ?? { kind: 'api', scopes: apiScopes });
  const email = token.kind === 'api' ? ['--email', adaEmail] : [];
  const args = linkArgs(bitbucket, '--with-token', ...email, ...(options.link ?? []));
  assertDone(await sandbox.run(args, { input: token.secret }));
  return { sandbox, bitbucket, token };
}

/** A port that nobody listens on now. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface BitbucketWithConsumer<S extends Sandbox = Sandbox> {
  readonly sandbox: S;
  readonly bitbucket: BitbucketSimulator;
  readonly consumer: BitbucketConsumer;
}

export interface ConsumerOptions {
  readonly bitbucket?: BitbucketSimulatorOptions;
  readonly consumer?: NewConsumer;
  /** More arguments of `gitlink link`. */
  readonly link?: readonly string[];
}

/** A sandbox that knows a consumer of a simulated Bitbucket Cloud, registered with a port that is free. */
export async function createWithConsumer<S extends Sandbox = Sandbox>(
  { bitbucket: options, consumer: wish }: ConsumerOptions = {},
  open: () => S = createSandbox as () => S,
): Promise<BitbucketWithConsumer<S>> {
  const bitbucket = await startBitbucket(options);
  const sandbox = guardAll(open(), bitbucket);
  const callbackPort = await findFreePort();
  const consumer = bitbucket.oauth.addApplication({ callbackPort, ...wish });
  await addClient(sandbox, ['bitbucket', '--host', bitbucket.url], {
    id: consumer.key,
    secret: consumer.secret,
    port: callbackPort,
  });
  return { sandbox, bitbucket, consumer };
}

function addClient(
  sandbox: Sandbox,
  place: readonly string[],
  { id, secret, port }: { readonly id: string; readonly secret: string; readonly port: number },
): Promise<void> {
  const args = [
    'client',
    'add',
    ...place,
    '--client-id',
    id,
    '--with-secret',
    '--callback-port',
    String(port),
  ];
  return sandbox.run(args, { input: secret }).then(assertDone);
}

/** The same with ada signed in by her browser, as the link `bitbucket`. */
export async function createSignedIn<S extends Sandbox = Sandbox>(
  options: ConsumerOptions = {},
  open?: () => S,
): Promise<BitbucketWithConsumer<S>> {
  const made = await createWithConsumer(options, open);
  assertDone(await runWithBrowser(made.sandbox, linkArgs(made.bitbucket, ...(options.link ?? []))));
  return made;
}

export interface LinkedDc {
  readonly sandbox: Sandbox;
  readonly bitbucket: BitbucketDcSimulator;
  /** The token that was pasted. */
  readonly token: DcToken;
}

export interface LinkedDcOptions {
  readonly bitbucket?: BitbucketDcSimulatorOptions;
  /** Default: ada's, for everything. */
  readonly token?: NewDcToken;
  /** More arguments of `gitlink link`. */
  readonly link?: readonly string[];
}

/** A sandbox in which a token at a simulated Data Center is linked as `bitbucket-dc`. */
export async function createLinkedDc(options: LinkedDcOptions = {}): Promise<LinkedDc> {
  const bitbucket = await startBitbucketDc(options.bitbucket);
  const sandbox = guardAll(createSandbox(), bitbucket);
  const token = bitbucket.addToken(options.token);
  await linkDc(sandbox, bitbucket, token, options.link);
  return { sandbox, bitbucket, token };
}

/** Links one more token of a Data Center. */
export async function linkDc(
  sandbox: Sandbox,
  bitbucket: BitbucketDcSimulator,
  { secret }: DcToken,
  more: readonly string[] = [],
): Promise<void> {
  assertDone(await sandbox.run(linkDcArgs(bitbucket, '--with-token', ...more), { input: secret }));
}

export interface DcWithClient {
  readonly sandbox: Sandbox;
  readonly bitbucket: BitbucketDcSimulator;
  readonly application: DcApplication;
}

/**
 * Lets a Data Center of a sandbox be signed in to, with a client whose redirect is at a port that is free.
 *
 * @param scopes - What an administrator ticked; default: repositories and projects.
 */
export async function addDcClient(
  sandbox: Sandbox,
  bitbucket: BitbucketDcSimulator,
  scopes?: readonly string[],
): Promise<DcApplication> {
  const port = await findFreePort();
  const redirectUri = `http://127.0.0.1:${port}/callback`;
  const application = bitbucket.oauth.addApplication({ redirectUri, ...(scopes ? { scopes } : {}) });
  const { clientId: id, clientSecret: secret } = application;
  await addClient(sandbox, ['bitbucket-dc', '--host', bitbucket.url], { id, secret, port });
  return application;
}

/** A Data Center that takes redirects to http, where ada is signed in by her browser, as `bitbucket-dc`. */
export async function createSignedInDc(
  options: Omit<LinkedDcOptions, 'token'> & { readonly scopes?: readonly string[] } = {},
): Promise<DcWithClient> {
  const settings = { requiresHttpsRedirect: false, ...options.bitbucket?.settings };
  const bitbucket = await startBitbucketDc({ ...options.bitbucket, settings });
  const sandbox = guardAll(createSandbox(), bitbucket);
  const application = await addDcClient(sandbox, bitbucket, options.scopes);
  assertDone(await runWithBrowser(sandbox, linkDcArgs(bitbucket, ...(options.link ?? []))));
  return { sandbox, bitbucket, application };
}
