import { NotFoundError } from '../../errors.ts';
import type { AppDescription } from '../../providers/app-support.ts';
import type { Provider } from '../../providers/provider.ts';
import type { Secret } from '../../secret.ts';
import type { AppRecord, ClientRecord, Records, Storage, WebhookTarget } from '../../store/link-schema.ts';
import type { OperationContext } from '../context.ts';
import { dropSecrets, keepSecret } from '../keep-secret.ts';
import { listClientItems, nameItem } from '../secret-items.ts';
import { isApp, type AppClient } from './open-app.ts';

/** An app with its secrets, not kept yet. */
export interface AppToKeep {
  readonly provider: Provider['id'];
  readonly host: string;
  readonly description: AppDescription;
  readonly key: Secret;
  /** Null where it is not known: signing users in needs it, acting as the app does not. */
  readonly clientSecret: Secret | null;
  /** Null for an app without a webhook, or one whose secret is not known. */
  readonly webhook: {
    readonly url: string;
    readonly events: readonly string[];
    readonly secret: Secret;
  } | null;
}

/**
 * Keeps an app, its secrets first: the key is what nobody gets a second time, so it comes before the others. One that
 * is known already takes the new secrets.
 *
 * @param wished - Where the secrets of an app go that is not known yet.
 * @returns its record, durable.
 */
export async function keepApp(
  context: OperationContext,
  wished: Storage,
  wish: AppToKeep,
): Promise<AppClient> {
  const known = findKept(context.links.read(), wish);
  // What is known of it lies there, and would be lost with another store.
  const storage = known?.storage ?? wished;
  const id = known?.id ?? context.random.uuid();
  const keyItem = nameItem('app-key', id, context.random);
  let replaced: ClientRecord | null = null;

  await keepSecret(context, storage, keyItem, wish.key, (records) => {
    replaced = findKept(records, wish);
    const record = toRecord(wish, { id, keyItem, storage, replaced, createdAt: context.clock.now() });
    return withClient(records, record);
  });
  if (wish.clientSecret !== null) {
    const item = nameItem('client', id, context.random);
    await keepSecret(context, storage, item, wish.clientSecret, (records) =>
      mapClient(records, id, (client) => ({ ...client, secretItem: item })),
    );
  }
  if (wish.webhook !== null) {
    const { url, events, secret } = wish.webhook;
    const item = nameItem('app-webhook', id, context.random);
    const regeneratedAt = context.clock.now();
    const webhook: WebhookTarget = {
      url,
      events: [...events],
      at: 'app',
      regeneratedAt,
      secretItem: item,
      nextSecretItem: null,
    };
    await keepSecret(context, storage, item, secret, (records) =>
      mapApp(records, id, (app) => ({ ...app, webhook })),
    );
  }
  await dropReplaced(context, replaced, wish);
  const kept = context.links.read().clients.find((client) => client.id === id);
  if (kept && isApp(kept)) return kept;
  throw new NotFoundError('The App was removed while it was being kept.');
}

/** Changes what is known of one app; the records stay as they are where it is not among them. */
export function mapApp(records: Records, clientId: string, change: (app: AppRecord) => AppRecord): Records {
  return mapClient(records, clientId, (client) =>
    client.app === null ? client : { ...client, app: change(client.app) },
  );
}

function mapClient(records: Records, id: string, change: (client: ClientRecord) => ClientRecord): Records {
  return {
    ...records,
    clients: records.clients.map((client) => (client.id === id ? change(client) : client)),
  };
}

function withClient(records: Records, record: ClientRecord): Records {
  return { ...records, clients: [...records.clients.filter(({ id }) => id !== record.id), record] };
}

function findKept(records: Records, { provider, host, description }: AppToKeep): ClientRecord | null {
  const isSame = (client: ClientRecord): boolean =>
    client.provider === provider &&
    client.host === host &&
    (client.app?.id === description.id || client.clientId === toClientId(description));
  return records.clients.find(isSame) ?? null;
}

/** Hosts that do not tell an app's client id know it by its number everywhere. */
function toClientId({ clientId, id }: AppDescription): string {
  return clientId ?? id;
}

function toRecord(
  { provider, host, description }: AppToKeep,
  {
    id,
    keyItem,
    storage,
    replaced,
    createdAt,
  }: {
    readonly id: string;
    readonly keyItem: string;
    readonly storage: Storage;
    readonly replaced: ClientRecord | null;
    readonly createdAt: number;
  },
): ClientRecord {
  return {
    id,
    provider,
    host,
    clientId: toClientId(description),
    secretItem: replaced?.secretItem ?? null,
    storage,
    registrationId: replaced?.registrationId ?? null,
    callbackPort: replaced?.callbackPort ?? null,
    app: {
      id: description.id,
      slug: description.slug,
      owner: description.owner,
      ownerKind: description.ownerKind,
      pageUrl: description.pageUrl,
      keyItem,
      webhook: replaced?.app?.webhook ?? null,
    },
    createdAt: replaced?.createdAt ?? createdAt,
  };
}

/** What no record names any more. */
async function dropReplaced(
  context: OperationContext,
  replaced: ClientRecord | null,
  { provider, host, description }: AppToKeep,
): Promise<void> {
  if (replaced === null) return;
  const kept = context.links
    .read()
    .clients.find(
      (client) => client.provider === provider && client.host === host && client.app?.id === description.id,
    );
  const named = new Set(kept ? listClientItems(kept) : []);
  const items = listClientItems(replaced).filter((item) => !named.has(item));
  if (items.length > 0) await dropSecrets(context, replaced.storage, items, (records) => records);
}
