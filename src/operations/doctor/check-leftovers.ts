import type { Secret } from '../../secret.ts';
import type { LinkRecord, Records, Storage } from '../../store/link-schema.ts';
import { mapLink } from '../change-link.ts';
import type { OperationContext } from '../context.ts';
import { createFixedSource } from '../credential-source.ts';
import { isAccepted, openLinkFrom } from '../host-access.ts';
import { readRegistration } from '../apps/register-app.ts';
import { addIntents, endIntent } from '../intents.ts';
import { dropSecrets } from '../keep-secret.ts';
import { quoteWord } from '../quote-word.ts';
import { readItem, readLinkSecret } from '../read-stored.ts';
import { whileReplacing } from '../renew-sign-in.ts';
import { parseItemName } from '../secret-items.ts';
import { tryUnpackCredential } from '../stored-credential.ts';
import { count, leftoverAgeMs, mendingLine, sound, type Check, type Doctor } from './check.ts';
import { listNamedItems, storeWords, type StoreReadings } from './read-stores.ts';

type Intent = Records['intents'][number];

const storages: readonly Storage[] = ['keychain', 'file'];

/** Secrets that a crash left without a record: those that an intention names, and those that only a store knows. */
export function checkLeftoverSecrets(doctor: Doctor, stores: StoreReadings): readonly Check[] {
  const name = 'leftover-secrets';
  if (doctor.records === null) return [];
  const checks = [...checkIntents(name, doctor, stores), ...checkOrphans(name, doctor, stores)];
  return checks.length > 0 ? checks : [sound(name, 'none')];
}

function checkIntents(name: string, { context, records }: Doctor, stores: StoreReadings): Check[] {
  const now = context.clock.now();
  const old = (records?.intents ?? []).filter(({ createdAt }) => now - createdAt > leftoverAgeMs);
  return old.map((intent): Check => {
    const { item, storage, createdAt } = intent;
    const since = new Date(createdAt).toISOString().slice(0, 16).replace('T', ' ');
    const registration = readRegistration(item);
    if (registration !== null) {
      const { name: app, host } = registration;
      return {
        name,
        state: 'warning',
        detail: `gitlink was stopped at ${since} UTC while it registered the App ${app} at ${host}; if the App is there, its key is lost`,
        fix: `Look for it on the page of your Apps at ${host} (/settings/apps) and delete it there; then: ${mendingLine}`,
        mend: () => settleIntent(context, intent),
      };
    }
    const isThere = stores[storage].secrets.has(item);
    const what = isThere ? `a secret is left in the ${storeWords[storage]}` : 'no secret is left';
    return {
      name,
      state: 'warning',
      detail: `gitlink was stopped at ${since} UTC while it changed a secret; ${what} (${item})`,
      fix: mendingLine,
      mend: () => settleIntent(context, intent),
    };
  });
}

/** Ends an intention: adopts the secret where it is the one that works, else removes it. */
async function settleIntent(context: OperationContext, intent: Intent): Promise<string> {
  const { item, storage } = intent;
  const records = context.links.read();
  if (listNamedItems(records, storage).includes(item)) {
    await context.links.change((before) => endIntent(before, item));
    return `noted that ${item} is in use`;
  }
  const name = parseItemName(item);
  const link = name?.kind === 'credential' ? records.links.find(({ id }) => id === name.id) : undefined;
  const secret = await readItem(context, storage, item);
  if (link && secret && link.storage === storage && link.status !== 'unlinking') {
    const done = await whileReplacing(context, link.id, () =>
      settleCredential(context, link.id, item, secret),
    );
    if (done !== null) return done;
  }
  await dropSecrets(context, storage, [item], (before) => endIntent(before, item));
  return secret ? `removed ${item} from the ${storeWords[storage]}` : `forgot ${item}, which was not there`;
}

/**
 * Finds out whether a credential that no record names is the one that works: a rotation that was stopped before its
 * record was written leaves the only copy of the new token so.
 *
 * @returns what was done; null where the credential is of no use and can go.
 * @throws UnreachableError when the host does not answer; then nothing is decided.
 */
async function settleCredential(
  context: OperationContext,
  linkId: string,
  item: string,
  secret: Secret,
): Promise<string | null> {
  const link = context.links.read().links.find(({ id }) => id === linkId);
  const credential = tryUnpackCredential(secret);
  if (!link || credential === null || credential.minted !== undefined || link.credentialItem === item)
    return null;
  if (await isGood(context, link)) return null;
  const { provider, access } = await openLinkFrom(context, link, createFixedSource(credential));
  let account: string | null = null;
  let expiresAt: number | null = null;
  const isAlive = await isAccepted(async () => {
    const identity = await provider.identify(access);
    account = identity.account.id;
    expiresAt = identity.expiresAt;
  });
  // A credential of another account must not slip into the link.
  if (!isAlive || (account !== null && link.account.id !== null && account !== link.account.id)) return null;
  const replacedAt = context.clock.now();
  await context.links.change((before) => {
    const adopted = mapLink(endIntent(before, item), link.id, (current) => ({
      ...current,
      credentialItem: item,
      credentialKind: credential.kind,
      credentialOrigin: 'obtained',
      rotationBegunAt: null,
      status: 'ok',
      statusReason: null,
      checkedAt: context.clock.now(),
      expiresAt: expiresAt ?? current.expiresAt,
    }));
    return addIntents(adopted, [link.credentialItem], link.storage, replacedAt);
  });
  await dropSecrets(context, link.storage, [link.credentialItem], (records) => records);
  return `gave "${link.name}" the credential that a stopped rotation had left`;
}

/** Whether the link's own credential is there and works. */
async function isGood(context: OperationContext, link: LinkRecord): Promise<boolean> {
  const own = tryUnpackCredential(await readLinkSecret(context, link));
  if (own === null) return false;
  const { provider, access } = await openLinkFrom(context, link, createFixedSource(own));
  return isAccepted(() => provider.identify(access));
}

/** An item that a check of the store itself has left. */
function isProbe(item: string): boolean {
  return item.startsWith('probe.');
}

function checkOrphans(name: string, { context }: Doctor, stores: StoreReadings): Check[] {
  // Read after the stores were listed: whatever they hold was named here before it was written.
  const records = context.links.read();
  const ids = new Set<string>([...records.links, ...records.clients].map(({ id }) => id));
  return storages.flatMap((storage): Check[] => {
    // What a link that has lost its credential may get back is no orphan.
    const bereft = records.links.filter(
      (link) => link.storage === storage && !stores[storage].secrets.has(link.credentialItem),
    );
    const isAwaited = (item: string): boolean => {
      const name = parseItemName(item);
      return name?.kind === 'credential' && bereft.some(({ id }) => id === name.id);
    };
    const orphans = (stores[storage].items ?? []).filter(
      (item) =>
        (isProbe(item) || parseItemName(item) !== null) &&
        isOrphan(records, storage, item) &&
        !isAwaited(item),
    );
    const isOwn = (item: string): boolean =>
      storage === 'file' || isProbe(item) || ids.has(parseItemName(item)?.id ?? '');
    const own = orphans.filter(isOwn);
    const foreign = orphans.filter((item) => !own.includes(item));
    return [
      ...(own.length === 0 ? [] : [toOwnOrphans(name, context, storage, own)]),
      ...foreign.map((item): Check => ({
        name,
        state: 'warning',
        detail: `the keychain holds ${item}, which no link here names; it may be of another --config-dir`,
        fix: `secret-tool clear service gitlink username ${quoteWord(item)}`,
      })),
    ];
  });
}

function isOrphan(records: Records, storage: Storage, item: string): boolean {
  return (
    !listNamedItems(records, storage).includes(item) &&
    !records.intents.some((intent) => intent.item === item)
  );
}

function toOwnOrphans(
  name: string,
  context: OperationContext,
  storage: Storage,
  items: readonly string[],
): Check {
  const place = storeWords[storage];
  return {
    name,
    state: 'warning',
    detail: `the ${place} holds ${count(items.length, 'secret')} that no link names (${items.join(', ')})`,
    fix: mendingLine,
    async mend() {
      const records = context.links.read();
      const removed = items.filter((item) => isOrphan(records, storage, item));
      const vault = await context.openVault(storage);
      for (const item of removed) await vault.remove(item);
      return `removed ${count(removed.length, 'secret')} from the ${place}`;
    },
  };
}
