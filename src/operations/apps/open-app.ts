import { NotFoundError, StorageError, UnsupportedError } from '../../errors.ts';
import type { AppAccess, AppIdentity, AppSupport } from '../../providers/app-support.ts';
import type { HostDescription, Provider } from '../../providers/provider.ts';
import type { AppRecord, ClientRecord, LinkRecord, Records, WebhookTarget } from '../../store/link-schema.ts';
import type { OperationContext } from '../context.ts';
import { findClientOf } from '../client-identity.ts';
import { describeHost } from '../describe-host.ts';
import { isInstallation } from '../is-installation.ts';
import { requireProvider } from '../link-faults.ts';
import { openAnonymous } from '../open-anonymous.ts';
import { readItem } from '../read-stored.ts';

/** What acting as an app needs of its surroundings. */
export type AppContext = Pick<OperationContext, 'clock' | 'links' | 'openVault' | 'openHostClient'>;

/** A client that acts by itself. */
export type AppClient = ClientRecord & { readonly app: AppRecord };

/** An app with the way to its host. */
export interface OpenApp {
  readonly client: AppClient;
  readonly support: AppSupport;
  readonly access: AppAccess;
}

/** @throws UnsupportedError for a provider that has no apps. */
export function requireApps(provider: Provider): AppSupport {
  if (provider.apps) return provider.apps;
  throw new UnsupportedError(`${provider.displayName} has no apps that act by themselves.`, {
    hint: 'Sign in with a browser (--method oauth) or use a token (--method token).',
  });
}

export function isApp(client: ClientRecord | null): client is AppClient {
  return client !== null && client.app !== null;
}

/**
 * Finds the app that a link is an installation of.
 *
 * @throws NotFoundError when it is not in the records any more.
 */
export function requireAppOf(records: Records, link: LinkRecord): AppClient {
  const client = findClientOf(records, link);
  if (isApp(client)) return client;
  throw new NotFoundError(`The App that "${link.name}" is an installation of is not known any more.`, {
    hint: `Give its id and key again: gitlink relink ${link.name} --app-id ID --app-key-file FILE`,
  });
}

/** The webhook of the app that a link is an installation of; null where there is none. */
export function findAppWebhook(records: Records, link: LinkRecord): WebhookTarget | null {
  const client = isInstallation(link) ? findClientOf(records, link) : null;
  return isApp(client) ? client.app.webhook : null;
}

/** Makes the way to act as an app, with a key that need not be stored yet. */
export async function openAppAccess(
  context: Pick<AppContext, 'clock' | 'openHostClient'>,
  provider: Provider,
  description: HostDescription,
  app: AppIdentity,
  caFile: string | null,
  signal?: AbortSignal,
): Promise<AppAccess> {
  const http = await openAnonymous(context, provider, description.host, caFile, signal ? { signal } : {});
  return { ...description, app, http, now: () => context.clock.now() };
}

/**
 * Opens an app that is on record.
 *
 * @throws StorageError when the secret store does not answer, or has lost the key.
 */
export async function openApp(
  context: AppContext,
  provider: Provider,
  description: HostDescription,
  client: AppClient,
  caFile: string | null,
  signal?: AbortSignal,
): Promise<OpenApp> {
  const { id, keyItem } = client.app;
  const key = await readItem(context, client.storage, keyItem);
  if (!key) {
    throw new StorageError(`The key of the App ${client.app.slug} is no longer in the ${client.storage}.`, {
      hint: `Make a new one on its settings page, then: gitlink client add ${client.provider} --host ${client.host} --app-id ${id} --app-key-file FILE`,
    });
  }
  const access = await openAppAccess(context, provider, description, { id, key }, caFile, signal);
  return { client, support: requireApps(provider), access };
}

/** Opens the app that a link is an installation of. */
export async function openAppOf(
  context: AppContext,
  link: LinkRecord,
  signal?: AbortSignal,
): Promise<OpenApp> {
  const client = requireAppOf(context.links.read(), link);
  return openApp(context, requireProvider(link), describeHost(link), client, link.caFile, signal);
}
