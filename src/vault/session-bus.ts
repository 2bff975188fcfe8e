import { createConnection } from 'node:net';
import { toPrintable } from '../printable.ts';
import {
  type BusMessage,
  type BusValue,
  decodeMessage,
  encodeMessage,
  messageTypes,
} from './dbus-message.ts';
import { createKeychainError } from './keychain.ts';
import type { VaultError, VaultFault } from './vault.ts';

export interface BusCall {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly signature?: string;
  readonly body?: readonly BusValue[];
}

/** A connection to the D-Bus session bus. Calls may be made before it is established: they go out in one piece. */
export interface SessionBus {
  /** @throws VaultError, or the signal's reason. */
  call(call: BusCall): Promise<readonly BusValue[]>;
  close(): void;
}

interface PendingCall {
  readonly resolve: (body: readonly BusValue[]) => void;
  readonly reject: (error: Error) => void;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Finds the socket of the session bus as libdbus does: the first Unix socket of `DBUS_SESSION_BUS_ADDRESS`, else
 * `$XDG_RUNTIME_DIR/bus`.
 *
 * @returns A path, or a name of the abstract namespace that begins with NUL; `undefined` if there is none.
 */
export function findSessionBusSocket(env: Environment): string | undefined {
  const address = env['DBUS_SESSION_BUS_ADDRESS'];
  if (!address) return env['XDG_RUNTIME_DIR'] ? `${env['XDG_RUNTIME_DIR']}/bus` : undefined;
  const [, kind, name] = /(?:^|;)unix:(?:[^;]*,)?(path|abstract)=([^,;]+)/.exec(address) ?? [];
  if (kind === undefined || name === undefined) return undefined;
  const unescaped = name.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(parseInt(hex, 16)),
  );
  return kind === 'abstract' ? `\0${unescaped}` : unescaped;
}

/**
 * Connects to the session bus.
 *
 * @param socketPath - From {@link findSessionBusSocket}.
 * @param signal - Ends the connection and every call under way, with its reason.
 */
export function connectSessionBus(socketPath: string, signal: AbortSignal): SessionBus {
  const waiting = new Map<number, PendingCall>();
  let serial = 0;
  let failure: Error | undefined;
  let isAuthenticated = false;
  let received: Buffer = Buffer.alloc(0);

  const socket = createConnection(socketPath);
  socket.on('error', (error) => {
    fail(createKeychainError('unavailable', `No D-Bus session: ${toPrintable(error.message)}.`));
  });
  socket.on('close', () => {
    fail(createKeychainError('unavailable', 'The D-Bus session ended the connection.'));
  });
  socket.on('data', (bytes) => {
    try {
      received = received.length > 0 ? Buffer.concat([received, bytes]) : bytes;
      if (isAuthenticated || acceptAuthentication()) deliverMessages();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      fail(
        createKeychainError('unavailable', 'What answers as the D-Bus session does not speak its protocol.'),
      );
    }
  });
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();

  // Everything that can be said without an answer goes out at once, as systemd's client does it: each round trip
  // that is waited for costs git's helper a part of a millisecond.
  const user = Buffer.from(String(process.getuid?.() ?? 0)).toString('hex');
  socket.cork();
  process.nextTick(() => socket.uncork());
  socket.write(`\0AUTH EXTERNAL ${user}\r\nBEGIN\r\n`);
  call({
    destination: 'org.freedesktop.DBus',
    path: '/org/freedesktop/DBus',
    interface: 'org.freedesktop.DBus',
    member: 'Hello',
  }).catch(() => {
    // Whoever calls next is told the same.
  });
  return { call, close };

  function call(request: BusCall): Promise<readonly BusValue[]> {
    return new Promise((resolve, reject) => {
      if (failure) {
        reject(failure);
        return;
      }
      waiting.set(++serial, { resolve, reject });
      socket.write(encodeMessage({ type: messageTypes.call, serial, ...request }));
    });
  }

  function close(): void {
    fail(createKeychainError('unavailable', 'The D-Bus connection is closed.'));
  }

  function onAbort(): void {
    fail(signal.reason as Error);
  }

  function fail(reason: Error): void {
    if (failure) return;
    failure = reason;
    signal.removeEventListener('abort', onAbort);
    socket.destroy();
    for (const { reject } of waiting.values()) reject(reason);
  }

  function acceptAuthentication(): boolean {
    const end = received.indexOf('\r\n');
    if (end < 0 && received.length < 1024) return false;
    if (received.toString('latin1', 0, 3) !== 'OK ') {
      fail(createKeychainError('unavailable', 'The D-Bus session refused the connection.'));
      return false;
    }
    received = received.subarray(end + 2);
    isAuthenticated = true;
    return true;
  }

  function deliverMessages(): void {
    for (let next = decodeMessage(received); next && !failure; next = decodeMessage(received)) {
      received = received.subarray(next.length);
      settle(next.message);
    }
  }

  function settle(message: BusMessage): void {
    const pending = waiting.get(message.replySerial ?? 0);
    if (!pending) return;
    waiting.delete(message.replySerial ?? 0);
    if (message.type === messageTypes.error) pending.reject(toVaultError(message));
    else pending.resolve(message.body ?? []);
  }
}

function toVaultError({ errorName = '', body }: BusMessage): VaultError {
  if (errorName === 'org.freedesktop.DBus.Error.ServiceUnknown') {
    return createKeychainError('unavailable', 'No keychain service is running (D-Bus, Secret Service).');
  }
  const [detail] = body ?? [];
  const words = toPrintable(typeof detail === 'string' && detail ? detail : errorName, 200);
  return createKeychainError(
    faultsByName[errorName] ?? 'unavailable',
    `The keychain does not answer: ${words}`,
  );
}

const faultsByName: Readonly<Record<string, VaultFault>> = {
  'org.freedesktop.DBus.Error.AccessDenied': 'denied',
  'org.freedesktop.DBus.Error.Timeout': 'timeout',
  'org.freedesktop.DBus.Error.TimedOut': 'timeout',
  'org.freedesktop.Secret.Error.IsLocked': 'locked',
};
