import { inspect } from 'node:util';
import { expect, onTestFinished } from 'vitest';
import type { HostClient } from '../../src/http/host-client.ts';
import type {
  Account,
  Credential,
  HostAccess,
  Identity,
  Provider,
  Repository,
} from '../../src/providers/provider.ts';
import type { Webhook, WebhookAdmin } from '../../src/providers/webhook-support.ts';
import { systemClock } from '../../src/runtime.ts';
import { Secret } from '../../src/secret.ts';
import type { FaultPlan } from '../simulators/faults.ts';
import { createTestClient } from '../http/http-kit.ts';

/** What an adapter says and does in one test, in which its secrets are looked for at the end. */
export interface Session {
  /** What the traces and errors have said so far. */
  readonly said: readonly string[];
  /** The way to a host with a credential, as operations make it; null for none. */
  open(host: string, secret: string | null, more?: Partial<HostAccess> & { kind?: string }): HostAccess;
  /** The way of a link: recognised, verified, its account and version known. */
  link(host: string, secret: string, kind?: string): Promise<HostAccess & { readonly identity: Identity }>;
  /** The error that something ends with. */
  fail(work: Promise<unknown>): Promise<Error>;
}

/**
 * Begins a session; when the test ends, no trace and no error may have held a secret (D1).
 *
 * @param organization - What a person would name on a host that serves many.
 */
export function createSession(provider: Provider, organization: string | null = null): Session {
  const secrets = new Set<string>();
  const said: string[] = [];
  onTestFinished(() => {
    for (const secret of secrets) expect(said.filter((text) => text.includes(secret))).toEqual([]);
  });

  function openClient(base: string, credential: Credential | null): HostClient {
    const authorization = credential === null ? null : provider.toAuthorization(credential);
    return createTestClient(base, {
      userAgent: 'gitlink/test',
      pacing: provider.pacing,
      authorize: () => Promise.resolve(authorization),
      trace: (line) => said.push(line),
      limits: { firstByteMs: 2_000, totalMs: 2_000 },
    });
  }

  function open(host: string, secret: string | null, more: Parameters<Session['open']>[2] = {}): HostAccess {
    if (secret !== null) secrets.add(secret);
    const { kind = 'personal-access-token', ...rest } = more;
    const credential = { kind, token: new Secret(secret ?? 'no-token-canary') };
    const signed = secret === null ? null : credential;
    return {
      host,
      flavour: provider.id,
      version: null,
      organization,
      credential,
      client: null,
      account: { login: null, kind: 'unknown', id: null },
      http: openClient(provider.toApiBase(host), signed),
      openBase: (base) => Promise.resolve(openClient(base, signed)),
      now: () => Date.now(),
      sleep: (durationMs) => systemClock.sleep(durationMs),
      ...rest,
    };
  }

  async function link(host: string, secret: string, kind?: string): ReturnType<Session['link']> {
    const more = kind === undefined ? {} : { kind };
    const found = await provider.recognise(host, open(host, null).http, organization);
    if (found === null) throw new Error(`${host} is not ${provider.displayName}.`);
    const access = open(host, secret, { ...found, ...more });
    const identity = await provider.identify(access);
    const told = found.version === null ? await provider.recognise(host, access.http, organization) : found;
    const { account } = identity;
    const credentialKind = kind ?? identity.credentialKind;
    return { ...open(host, secret, { ...(told ?? found), account, kind: credentialKind }), identity };
  }

  return {
    said,
    open,
    link,
    async fail(work) {
      const error = await catchAny(work);
      said.push(inspect(error, { depth: 6 }), String((error as { hint?: unknown }).hint));
      return error;
    },
  };
}

async function catchAny(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('It was expected to fail with an error.');
}

/** All that a list gives. */
export async function collect<Item>(list: AsyncIterable<Item>): Promise<Item[]> {
  const items: Item[] = [];
  for await (const item of list) items.push(item);
  return items;
}

/** A simulated host as the contract needs it: ada owns `ada/site` and the namespace `acme`, bob `bob/secret`. */
export interface ContractHost {
  readonly url: string;
  readonly faults: FaultPlan;
  /** A token of ada's. */
  addToken(scopes: readonly string[]): string;
  revokeToken(secret: string): void;
  /** Another name for a repository, to which the old one leads. */
  rename(from: string, to: string): void;
  /** The secrets with which the hooks of a repository deliver, by the hook's id. */
  hookSecretsOf(fullName: string): ReadonlyMap<string, string | null>;
}

export interface ContractStart {
  readonly basePath?: string;
  /** So many repositories `acme/many-0001`, … more. */
  readonly manyRepositories?: number;
}

export interface ContractFixture {
  readonly provider: Provider;
  /** What the host says that it is. Default: the provider's id. */
  readonly flavour?: string;
  /** Starts a host that ends with the test and fails it for requests that no real one would take. */
  start(options?: ContractStart): Promise<ContractHost>;
  /** Starts hosts of other products. */
  startOthers(): Promise<readonly string[]>;
  /** Scopes that allow everything that the contract does. */
  readonly scopes: readonly string[];
  /** Whether the host does not tell what a token may do. */
  readonly hidesScopes?: boolean;
  /** Scopes for git alone, and one that is then missing for the account; null where it needs none. */
  readonly gitScopes: readonly string[];
  readonly missingScope: string | null;
  /** Whom the host names to a credential for git alone. */
  readonly gitAccount: Pick<Account, 'login' | 'kind'>;
  readonly account: Pick<Account, 'login' | 'kind'>;
  /** How the host writes ada's namespace and the addresses of repositories. Default: `ada`, `HOST/ada/site.git`. */
  readonly layout?: ContractLayout;
  /** False where no credential can end itself, by no fault of the adapter's. */
  readonly revokesItself?: boolean;
}

export interface ContractLayout {
  readonly own: string;
  /** What stands before every name, as `contoso/` where `acme` is a project of an organization. */
  readonly prefix?: string;
  /** What a person names on a host that serves many organizations. */
  readonly organization?: string;
  /** Whether the whole list is one answer. */
  readonly listsInOneCall?: boolean;
  /** Whether the host leads from an old name to the new one. Default: yes. */
  readonly followsRenames?: boolean;
  /** Whether it is a namespace like any other, in its place among them. */
  readonly ownIsWorkspace?: boolean;
  /** Whether repositories can be archived. Default: yes. */
  readonly hasArchives?: boolean;
  /** What a list says of a repository with commits. */
  readonly defaultBranch: string | null;
  cloneUrl(host: string, fullName: string): string;
  webUrl(host: string, fullName: string): string;
}

export const plainLayout: ContractLayout = {
  own: 'ada',
  defaultBranch: 'main',
  cloneUrl: (host, fullName) => `${host}/${fullName}.git`,
  webUrl: (host, fullName) => `${host}/${fullName}`,
};

/** A started host with ada's verified token. */
export async function openLinked(fixture: ContractFixture, options: ContractStart = {}) {
  const session = createSession(fixture.provider, fixture.layout?.organization);
  const host = await fixture.start(options);
  const access = await session.link(host.url, host.addToken(fixture.scopes));
  return { session, host, access };
}

export function pick(repositories: readonly Repository[], fullName: string): Repository {
  const found = repositories.find((repository) => repository.fullName === fullName);
  if (!found) throw new Error(`${fullName} is not among them.`);
  return found;
}

export function sortById(repositories: readonly Repository[]): Repository[] {
  return [...repositories].sort((a, b) => Number(a.id) - Number(b.id));
}

export async function findRepository(
  provider: Provider,
  access: HostAccess,
  fullName: string,
): Promise<Repository> {
  const repository = await provider.findRepository(access, fullName);
  if (repository === null) throw new Error(`${fullName} is not there.`);
  return repository;
}

export function requireWebhooks({ webhooks }: Provider): WebhookAdmin {
  if (!webhooks) throw new Error('The provider has no webhooks.');
  return webhooks;
}

export function listWebhooks(
  provider: Provider,
  access: HostAccess,
  repository: Repository,
): Promise<readonly Webhook[]> {
  return requireWebhooks(provider).list(access, { level: 'repository', repository });
}

/** Where nobody listens. */
export const webhookTarget = 'http://127.0.0.1:9/hook';

export function createWebhook(
  provider: Provider,
  access: HostAccess,
  repository: Repository,
  secret: string,
  events: readonly string[] = requireWebhooks(provider).events.push ?? [],
): Promise<Webhook> {
  const wanted = { url: webhookTarget, events, secret: new Secret(secret), successorOf: null };
  return requireWebhooks(provider).create(access, { level: 'repository', repository }, wanted);
}
