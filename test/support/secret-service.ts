import { type ChildProcess, spawn } from 'node:child_process';
import { getDiffieHellman } from 'node:crypto';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type BusMessage,
  type BusValue,
  decodeMessage,
  encodeMessage,
} from '../../src/vault/dbus-message.ts';
import { connectSessionBus } from '../../src/vault/session-bus.ts';

/** A private home with a D-Bus session of its own. */
export interface Session {
  readonly home: string;
  /** The environment for programs that are to use this session; nothing else is in it but PATH. */
  readonly env: Readonly<Record<string, string>>;
  stop: () => Promise<void>;
}

/** What the tests need of the machine; empty if all is there. */
export function findMissingPrograms(): string[] {
  return ['dbus-daemon', 'gnome-keyring-daemon'].filter((name) => !isOnPath(name));
}

/**
 * Starts a session bus that activates nothing: what is to answer on it is started by the test.
 *
 * @param home - Where the keyring's files are; a new directory if left out. It is removed at the end.
 */
export async function startSession(home = createHome()): Promise<Session> {
  const address = `unix:path=${home}/bus`;
  writeFileSync(
    join(home, 'bus.conf'),
    `<busconfig><type>session</type><listen>${address}</listen><policy context="default">
    <allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>`,
  );
  const daemon = spawn(
    'dbus-daemon',
    ['--config-file', join(home, 'bus.conf'), '--nofork', '--print-address'],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  await once(daemon.stdout, 'data');
  const env = {
    HOME: home,
    XDG_RUNTIME_DIR: home,
    PATH: process.env['PATH'] ?? '',
    DBUS_SESSION_BUS_ADDRESS: address,
  };
  return {
    home,
    env,
    stop: async () => {
      await stopProcess(daemon);
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/**
 * Starts gnome-keyring in a session.
 *
 * @param state - `unlocked` makes the default collection if there is none; `locked` leaves it as the files have it.
 * @returns Stops it.
 */
export async function startKeyring(
  session: Session,
  state: 'unlocked' | 'locked',
): Promise<() => Promise<void>> {
  const args = ['--foreground', '--components=secrets', ...(state === 'unlocked' ? ['--unlock'] : [])];
  const daemon = spawn('gnome-keyring-daemon', args, {
    env: session.env,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  daemon.stdin.end('keyring-password-canary');
  await waitForName(session);
  return () => stopProcess(daemon);
}

export type DoubleFault =
  | 'silent'
  | 'late'
  | 'promptNeverCompletes'
  | 'crashes'
  | 'garbage'
  /** Finds nothing while it is locked, and nobody unlocks it. */
  | 'hidesLocked'
  /** Finds nothing until it was asked to unlock. */
  | 'unlocksWhenAsked'
  /** Is unlocked, and dies of a client whose first call needs a session (GNOME/gnome-keyring#190). */
  | 'diesOfHaste';

const collectionPath = '/org/freedesktop/secrets/collection/double';
const promptPath = '/org/freedesktop/secrets/prompt/1';

/**
 * A Secret Service that goes wrong. Its one collection is locked and holds `double-canary` under any name.
 *
 * @returns Takes it off the bus.
 */
export async function startDouble(session: Session, fault: DoubleFault, lateMs = 0): Promise<() => void> {
  const socket = createConnection(join(session.home, 'bus'));
  let serial = 0;
  let isLocked = fault !== 'diesOfHaste';
  let isFirstCall = true;
  let received: Buffer = Buffer.alloc(0);
  socket.on('error', () => undefined);
  socket.on('data', (bytes) => {
    received = Buffer.concat([received, bytes]);
    if (received.toString('latin1', 0, 3) === 'OK ')
      received = received.subarray(received.indexOf('\r\n') + 2);
    for (let next = decodeMessage(received); next; next = decodeMessage(received)) {
      received = received.subarray(next.length);
      if (next.message.type === 1) setTimeout(answer, lateMs, next.message);
    }
  });
  socket.write(`\0AUTH EXTERNAL ${Buffer.from(String(process.getuid?.())).toString('hex')}\r\nBEGIN\r\n`);
  callBus('Hello');
  callBus('RequestName', 'su', ['org.freedesktop.secrets', 0]);
  await waitForName(session);
  return () => {
    socket.destroy();
  };

  function callBus(member: string, signature = '', body: BusValue[] = []): void {
    const bus = 'org.freedesktop.DBus';
    send({
      type: 1,
      destination: bus,
      path: '/org/freedesktop/DBus',
      interface: bus,
      member,
      signature,
      body,
    });
  }

  function answer(call: BusMessage): void {
    if (fault === 'silent') return;
    const isHasty = isFirstCall && (call.member === 'OpenSession' || call.member === 'SearchItems');
    isFirstCall = false;
    if ((fault === 'crashes' && call.member !== 'OpenSession') || (fault === 'diesOfHaste' && isHasty)) {
      socket.destroy();
      return;
    }
    const [signature, body]: [string, BusValue[]] =
      fault === 'garbage' ? ['s', ['\u0001not what was asked for']] : toAnswer(call);
    send({ type: 2, replySerial: call.serial, destination: call.sender ?? '', signature, body });
    if (call.member === 'Prompt' && fault === 'hidesLocked') dismissPrompt();
  }

  function toAnswer({ member, body }: BusMessage): [string, BusValue[]] {
    const item = `${collectionPath}/1`;
    if (member === 'OpenSession') {
      const key = body?.[0] === 'plain' ? Buffer.alloc(0) : getDiffieHellman('modp2').generateKeys();
      return ['vo', [{ signature: 'ay', value: key }, '/org/freedesktop/secrets/session/1']];
    }
    if (member === 'ReadAlias') return ['o', [collectionPath]];
    if (member === 'Get') return ['v', [{ signature: 'b', value: isLocked }]];
    if (member === 'CreateItem') return ['oo', [item, '/']];
    if (member === 'Delete') return ['o', ['/']];
    if (member === 'SearchItems') {
      if (!isLocked) return ['aoao', [[item], []]];
      return ['aoao', [[], fault === 'hidesLocked' || fault === 'unlocksWhenAsked' ? [] : [item]]];
    }
    if (member === 'Unlock') {
      isLocked = fault !== 'unlocksWhenAsked';
      return ['aoo', isLocked ? [[], promptPath] : [[collectionPath], '/']];
    }
    if (member === 'GetSecrets') {
      const secret = [
        '/org/freedesktop/secrets/session/1',
        Buffer.alloc(0),
        Buffer.from('double-canary'),
        'text/plain',
      ];
      return ['a{o(oayays)}', [[[item, secret]]]];
    }
    return ['', []];
  }

  function dismissPrompt(): void {
    const body = [true, { signature: 's', value: '' }];
    const prompt = { path: promptPath, interface: 'org.freedesktop.Secret.Prompt', member: 'Completed' };
    send({ type: 4, ...prompt, signature: 'bv', body });
  }

  function send(message: Omit<BusMessage, 'serial'>): void {
    socket.write(encodeMessage({ serial: ++serial, ...message }));
  }
}

/** A socket that takes connections and then does what `onConnection` does, by default nothing. */
export async function startMuteBus(
  onConnection: (socket: Socket) => void = () => undefined,
): Promise<Session> {
  const home = createHome();
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  server.listen(join(home, 'bus'));
  await once(server, 'listening');
  return {
    home,
    env: { HOME: home, PATH: process.env['PATH'] ?? '', DBUS_SESSION_BUS_ADDRESS: `unix:path=${home}/bus` },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
      rmSync(home, { recursive: true, force: true });
    },
  };
}

export function createHome(): string {
  return mkdtempSync(join(tmpdir(), 'gitlink-session-'));
}

/** Waits until someone owns the name of the Secret Service. */
async function waitForName(session: Session): Promise<void> {
  const bus = connectSessionBus(join(session.home, 'bus'), AbortSignal.timeout(10_000));
  const name = 'org.freedesktop.DBus';
  const body = ['org.freedesktop.secrets'];
  try {
    for (let isOwned = false; !isOwned; await delay(5)) {
      const call = {
        destination: name,
        path: '/',
        interface: name,
        member: 'NameHasOwner',
        signature: 's',
        body,
      };
      isOwned = (await bus.call(call))[0] === true;
    }
  } finally {
    bus.close();
  }
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

function isOnPath(name: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
