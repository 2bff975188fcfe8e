import { NotFoundError, UsageError } from '../errors.ts';
import { Secret } from '../secret.ts';
import type { LinkRecord, Records, WebhookTarget } from '../store/link-schema.ts';
import { isOwned, readWebhookJournal } from '../store/webhook-journal.ts';
import type { OperationContext } from './context.ts';
import { findAppWebhook } from './apps/open-app.ts';
import { mapLink, updateLink } from './change-link.ts';
import { dropSecrets, keepSecret } from './keep-secret.ts';
import { secretMissing } from './link-faults.ts';
import { readItem } from './read-stored.ts';
import { nameItem } from './secret-items.ts';
import type { Target } from './webhook-target.ts';

/** A webhook secret and the secret store item that holds it. */
export interface RotationSecret {
  readonly value: Secret;
  readonly item: string;
}

const secretBytes = 32;
const leastSuppliedLength = 16;

/** @throws UsageError for a secret that is too short to sign with, or cannot travel in a request. */
export function assertUsableSecret(secret: Secret): void {
  const isLongEnough = secret.length >= leastSuppliedLength;
  if (isLongEnough && secret.length <= 255 && secret.isPrintableAscii) return;
  throw new UsageError(
    `A webhook secret has ${leastSuppliedLength} to 255 printable characters without spaces.`,
    { hint: 'gitlink makes a good one when none is given.' },
  );
}

/**
 * Gets the secret that a rotation brings its hooks to: that of an unfinished rotation, else a new one, which is
 * durable as the link's next secret when this returns.
 *
 * @param supplied - The secret that the person wants; null for one of gitlink's making.
 * @throws UsageError when it is not the one that an unfinished rotation has given to hooks already.
 */
export async function prepareRotation(
  context: OperationContext,
  link: LinkRecord,
  target: Target,
  supplied: Secret | null,
): Promise<RotationSecret> {
  const unfinished = link.webhook?.nextSecretItem ?? null;
  if (unfinished !== null) {
    const value = await requireItem(context, link, unfinished);
    if (supplied === null || supplied.equals(value)) {
      await updateLink(context, link.id, (current) => withTarget(current, target, unfinished));
      return { value, item: unfinished };
    }
    assertUnsent(context, link, unfinished);
  }
  const value = supplied ?? new Secret(context.random.bytes(secretBytes).toString('hex'));
  const item = nameItem('webhook', link.id, context.random);
  await keepSecret(context, link.storage, item, value, (records) =>
    mapLink(records, link.id, (current) => withTarget(current, target, item)),
  );
  if (unfinished !== null) await dropSecrets(context, link.storage, [unfinished], (records) => records);
  return { value, item };
}

/** @throws UsageError when a hook has the secret of an unfinished rotation: dropping it would lose that hook. */
function assertUnsent(context: OperationContext, link: LinkRecord, item: string): void {
  const entries = [...readWebhookJournal(context.directories.state, link.id).values()];
  if (!entries.some(({ secretItem }) => secretItem === item)) return;
  throw new UsageError(`A rotation of "${link.name}" is unfinished: some webhooks have its secret already.`, {
    hint: `Finish it first, without giving a secret: gitlink regenerate-webhooks ${link.name}`,
  });
}

/** Keeps what a repair brings the hooks to, where that is new. */
export async function keepTarget(context: OperationContext, link: LinkRecord, target: Target): Promise<void> {
  const { webhook } = link;
  const isKnown =
    webhook?.url === target.url && webhook.at === target.at && webhook.events.join() === target.events.join();
  if (isKnown) return;
  await updateLink(context, link.id, (current) =>
    withTarget(current, target, current.webhook?.nextSecretItem ?? null),
  );
}

/**
 * The secret that the link's hooks have, for a repair; that of an unfinished rotation where there is one.
 *
 * @throws NotFoundError when no hook was made yet.
 */
export async function readCurrentSecret(
  context: OperationContext,
  link: LinkRecord,
): Promise<RotationSecret> {
  const ofApp = findAppSecrets(context, link);
  if (ofApp) {
    const item = ofApp.nextSecretItem ?? ofApp.secretItem;
    if (item === null) throw noSecret(link);
    return { value: await requireItem(context, link, item), item };
  }
  const item = assertHasSecret(link);
  return { value: await requireItem(context, link, item), item };
}

/**
 * The secret that hooks have which a rotation has not reached: because it is unfinished, or because they are out of
 * its reach.
 *
 * @throws NotFoundError when there is none.
 */
export async function readPreviousSecret(context: OperationContext, link: LinkRecord): Promise<Secret> {
  const webhook = findAppSecrets(context, link) ?? link.webhook;
  const [older = null] = webhook?.olderSecretItems ?? [];
  const item = webhook?.nextSecretItem ? (webhook.secretItem ?? older) : older;
  if (item !== null) return requireItem(context, link, item);
  throw new NotFoundError(`No rotation of "${link.name}" is under way, so there is no previous secret.`);
}

/** A link without webhooks of its own has those of its app. */
function findAppSecrets(context: OperationContext, link: LinkRecord): WebhookTarget | null {
  return link.webhook === null ? findAppWebhook(context.links.read(), link) : null;
}

/** Makes the next secret the link's secret and forgets those before, but for what hooks out of reach still have. */
export async function finishRotation(context: OperationContext, link: LinkRecord): Promise<void> {
  const before = listEarlierItems(link);
  const entries = [...readWebhookJournal(context.directories.state, link.id).values()].filter(isOwned);
  const kept = before.filter((item) => entries.some(({ secretItem }) => secretItem === item));
  const settle = (records: Records): Records =>
    mapLink(records, link.id, (current) => ({
      ...current,
      webhook: current.webhook && {
        ...current.webhook,
        secretItem: current.webhook.nextSecretItem ?? current.webhook.secretItem,
        nextSecretItem: null,
        olderSecretItems: kept,
        regeneratedAt: context.clock.now(),
      },
    }));
  const dropped = before.filter((item) => !kept.includes(item));
  await dropSecrets(context, link.storage, dropped, settle);
}

/** What the hooks of a link had before its next secret, the newest first. */
function listEarlierItems({ webhook }: LinkRecord): readonly string[] {
  return [webhook?.secretItem, ...(webhook?.olderSecretItems ?? [])].filter((item) => item != null);
}

/** Takes a next secret back that no hook has got, and with it the target that came with it. */
export async function abandonRotation(
  context: OperationContext,
  link: LinkRecord,
  item: string,
): Promise<void> {
  await dropSecrets(context, link.storage, [item], (records) =>
    mapLink(records, link.id, (current) => ({
      ...current,
      webhook: link.webhook && { ...link.webhook, nextSecretItem: null },
    })),
  );
}

/** Forgets the link's target with its secrets, when none of its hooks is left. */
export async function forgetTarget(context: OperationContext, link: LinkRecord): Promise<void> {
  const next = link.webhook?.nextSecretItem ?? null;
  const items = [...(next === null ? [] : [next]), ...listEarlierItems(link)];
  await dropSecrets(context, link.storage, items, (records) =>
    mapLink(records, link.id, (current) => ({ ...current, webhook: null })),
  );
}

/**
 * @returns The secret store item of {@link readCurrentSecret}.
 * @throws NotFoundError when no hook was made yet.
 */
export function assertHasSecret(link: LinkRecord): string {
  const item = link.webhook?.nextSecretItem ?? link.webhook?.secretItem ?? null;
  if (item === null) throw noSecret(link);
  return item;
}

async function requireItem(context: OperationContext, link: LinkRecord, item: string): Promise<Secret> {
  const value = await readItem(context, link.storage, item);
  if (value) return value;
  throw secretMissing(link);
}

function noSecret(link: LinkRecord): NotFoundError {
  return new NotFoundError(`"${link.name}" has no webhooks yet.`, {
    hint: `Make them with: gitlink regenerate-webhooks ${link.name} --url https://ci.acme.dev/hook`,
  });
}

function withTarget(link: LinkRecord, target: Target, nextSecretItem: string | null): LinkRecord {
  const webhook: WebhookTarget = {
    url: target.url,
    events: [...target.events],
    at: target.at,
    regeneratedAt: link.webhook?.regeneratedAt ?? null,
    secretItem: link.webhook?.secretItem ?? null,
    nextSecretItem,
    olderSecretItems: link.webhook?.olderSecretItems ?? [],
  };
  return { ...link, webhook };
}
