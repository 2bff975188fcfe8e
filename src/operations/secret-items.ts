import type { Random } from '../runtime.ts';
import type { ClientRecord, LinkRecord } from '../store/link-schema.ts';

/**
 * What an item of a secret store holds: the credential of a link, a secret of its webhooks; the secret of a client, the
 * private key of an app, the secret of its webhook.
 */
type ItemKind = 'credential' | 'webhook' | 'client' | 'app-key' | 'app-webhook';

/** What the name of an item says. */
interface ItemName {
  readonly kind: ItemKind;
  /** Of the link or the client. */
  readonly id: string;
}

/**
 * Names an item that is about to be written. Every secret gets a name of its own, so that it lies beside the one that
 * it replaces.
 *
 * @param id - Of the link or the client.
 */
export function nameItem(kind: ItemKind, id: string, random: Pick<Random, 'bytes'>): string {
  return `${kind}.${id}.${random.bytes(4).toString('hex')}`;
}

/** @returns null for a name that {@link nameItem} did not give. */
export function parseItemName(item: string): ItemName | null {
  const [, kind, id] =
    /^(credential|webhook|client|app-key|app-webhook)\.([0-9a-f-]{36})\.[0-9a-z]+$/.exec(item) ?? [];
  return kind !== undefined && id !== undefined ? { kind: kind as ItemKind, id } : null;
}

/** The items of a link that the records name. */
export function listLinkItems({ credentialItem, webhook }: LinkRecord): readonly string[] {
  const { secretItem, nextSecretItem, olderSecretItems = [] } = webhook ?? {};
  const items = [credentialItem, secretItem, nextSecretItem, ...olderSecretItems];
  return items.filter((item) => item != null);
}

/** The items of a client's secrets. */
export function listClientItems({ secretItem, app }: ClientRecord): readonly string[] {
  const items = [secretItem, app?.keyItem, app?.webhook?.secretItem, app?.webhook?.nextSecretItem];
  return items.filter((item) => item != null);
}
