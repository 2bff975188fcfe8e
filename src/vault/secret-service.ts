import { isUtf8 } from 'node:buffer';
import { type BusValue, isVariant, toList, toPairs, toText } from './dbus-message.ts';
import { createKeychainError, keychainService } from './keychain.ts';
import { type BusCall, connectSessionBus, findSessionBusSocket, type SessionBus } from './session-bus.ts';

export interface SecretServiceAnswer {
  readonly found: ReadonlyMap<string, string>;
  /** Items that are there and cannot be read until someone unlocks them. */
  readonly locked: readonly string[];
}

export const destination = 'org.freedesktop.secrets';
const servicePath = '/org/freedesktop/secrets';
const serviceInterface = 'org.freedesktop.Secret.Service';

/**
 * Reads items of the Linux keychain by speaking to the Secret Service directly, without the keychain library.
 * What the library cannot do, measured with `@napi-rs/keyring` 2.1.2:
 * - its constructor connects while it blocks the event loop, forever if the bus is mute, so that no timer can end it;
 * - it always asks the desktop to unlock a locked keychain, and git's helper must never prompt;
 * - it calls an item absent that a locked keychain did not look for;
 * - it takes 4.4 ms to connect for each item, most of it to encrypt what passes a socket of the same user.
 *
 * Source: Secret Service API 0.2, `SearchItems`, `GetSecrets`; the attributes are the library's.
 *
 * @param items - Names; all are read in three round trips. A promise of them lets the connection be made meanwhile.
 * @throws VaultError, or the signal's reason. An item that is in neither part of the answer is proved to be absent.
 */
export async function readSecretService(
  items: readonly string[] | Promise<readonly string[]>,
  options: { readonly env: Readonly<Record<string, string | undefined>>; readonly signal: AbortSignal },
): Promise<SecretServiceAnswer> {
  const socketPath = findSessionBusSocket(options.env);
  if (!socketPath) throw createKeychainError('unavailable', 'There is no D-Bus session.');
  const bus = connectSessionBus(socketPath, options.signal);
  try {
    return await readItems(bus, items);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw createKeychainError('unavailable', 'The keychain gave an answer that makes no sense.');
  } finally {
    bus.close();
  }
}

async function readItems(
  bus: SessionBus,
  awaitedItems: readonly string[] | Promise<readonly string[]>,
): Promise<SecretServiceAnswer> {
  await introduce(bus);
  const items = await awaitedItems;
  const [[, session], ...searches] = await Promise.all([
    bus.call(toServiceCall('OpenSession', 'sv', ['plain', { signature: 's', value: '' }])),
    ...items.map((item) => bus.call(toServiceCall('SearchItems', 'a{ss}', [toAttributes(item)]))),
  ]);
  const readable = new Map<string, string>();
  const locked: string[] = [];
  searches.forEach(([unlockedPaths, lockedPaths], index) => {
    const item = items[index] ?? '';
    const [path, ...others] = [...toList(unlockedPaths), ...toList(lockedPaths)];
    if (others.length > 0)
      throw createKeychainError('damaged', `The keychain holds several items named ${item}.`);
    if (path === undefined) return;
    if (toList(lockedPaths).length > 0) locked.push(item);
    else readable.set(toText(path), item);
  });
  const [found] = await Promise.all([
    readSecrets(bus, readable, toText(session)),
    readable.size + locked.length < items.length && proveSearched(bus),
  ]);
  return { found, locked };
}

/**
 * Makes a call that needs nothing and waits for it. gnome-keyring notes a new client in a step that may come after its
 * first call, and aborts if that was `OpenSession` or `SearchItems` (GNOME/gnome-keyring#190; basecamp/hey-cli#453):
 * without this, one read in about 2,000 took the user's keyring down.
 */
export async function introduce(bus: SessionBus): Promise<void> {
  await bus.call(toServiceCall('ReadAlias', 's', ['none']));
}

async function readSecrets(
  bus: SessionBus,
  itemsByPath: ReadonlyMap<string, string>,
  session: string,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  if (itemsByPath.size === 0) return found;
  const [secrets] = await bus.call(toServiceCall('GetSecrets', 'aoo', [[...itemsByPath.keys()], session]));
  for (const [path, secret] of toPairs(secrets)) {
    const value = toList(secret)[2];
    const item = itemsByPath.get(toText(path));
    if (item === undefined || !Buffer.isBuffer(value)) throw new RangeError('not a secret');
    if (!isUtf8(value)) throw createKeychainError('damaged', `The keychain's item ${item} is not text.`);
    found.set(item, value.toString('utf8'));
    value.fill(0);
  }
  if (found.size < itemsByPath.size) {
    throw createKeychainError('denied', 'The keychain refused to hand out an item.');
  }
  return found;
}

/**
 * Makes sure that "not found" means "not there": some services (KeePassXC) do not search what is locked.
 *
 * @throws VaultError
 */
async function proveSearched(bus: SessionBus): Promise<void> {
  const collection = toText((await bus.call(toServiceCall('ReadAlias', 's', ['default'])))[0]);
  if (collection === '/') {
    throw createKeychainError('unavailable', 'The keychain has no default collection.');
  }
  const [isLocked] = await bus.call({
    destination,
    path: collection,
    interface: 'org.freedesktop.DBus.Properties',
    member: 'Get',
    signature: 'ss',
    body: ['org.freedesktop.Secret.Collection', 'Locked'],
  });
  if (!isVariant(isLocked) || typeof isLocked.value !== 'boolean') throw new RangeError('not a property');
  if (isLocked.value) throw createKeychainError('locked', 'The keychain is locked.');
}

export function toServiceCall(member: string, signature: string, body: readonly BusValue[]): BusCall {
  return { destination, path: servicePath, interface: serviceInterface, member, signature, body };
}

function toAttributes(item: string): BusValue {
  return [
    ['service', keychainService],
    ['username', item],
  ];
}
