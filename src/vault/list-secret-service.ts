import { toWholeItem } from './chunked-items.ts';
import { isVariant, toList, toPairs, toText } from './dbus-message.ts';
import { createKeychainError, keychainService } from './keychain.ts';
import { destination, introduce, toServiceCall } from './secret-service.ts';
import { connectSessionBus, findSessionBusSocket, type SessionBus } from './session-bus.ts';

/**
 * Lists the items of gitlink in the Linux keychain, locked ones too: names are attributes, which no one needs to
 * unlock. A service that does not search what is locked (KeePassXC) leaves those out.
 *
 * Source: Secret Service API 0.2, `SearchItems` and the property `Attributes` of items.
 *
 * @throws VaultError, or the signal's reason.
 */
export async function listSecretService(options: {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}): Promise<readonly string[]> {
  const socketPath = findSessionBusSocket(options.env);
  if (!socketPath) throw createKeychainError('unavailable', 'There is no D-Bus session.');
  const bus = connectSessionBus(socketPath, options.signal);
  try {
    await introduce(bus);
    const search = toServiceCall('SearchItems', 'a{ss}', [[['service', keychainService]]]);
    const [unlocked, locked] = await bus.call(search);
    const paths = [...toList(unlocked), ...toList(locked)].map(toText);
    const names = await Promise.all(paths.map((path) => readName(bus, path)));
    return [...new Set(names.filter((name) => name !== null).map(toWholeItem))].sort();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw createKeychainError('unavailable', 'The keychain gave an answer that makes no sense.');
  } finally {
    bus.close();
  }
}

/** @returns null for an item of another program that calls itself by the same name. */
async function readName(bus: SessionBus, path: string): Promise<string | null> {
  const [attributes] = await bus.call({
    destination,
    path,
    interface: 'org.freedesktop.DBus.Properties',
    member: 'Get',
    signature: 'ss',
    body: ['org.freedesktop.Secret.Item', 'Attributes'],
  });
  if (!isVariant(attributes)) throw new RangeError('not a property');
  const found = toPairs(attributes.value).find(([name]) => name === 'username')?.[1];
  return found === undefined ? null : toText(found);
}
