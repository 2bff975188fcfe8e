import { chmodSync, existsSync, statSync } from 'node:fs';
import { GitlinkError } from '../../errors.ts';
import { findExecutable } from '../../git/find-executable.ts';
import { toVaultPath } from '../../store/file-names.ts';
import { connectSessionBus, findSessionBusSocket } from '../../vault/session-bus.ts';
import { VaultError } from '../../vault/vault.ts';
import { quoteWord } from '../quote-word.ts';
import { count, sound, toDetail, type Check, type Doctor } from './check.ts';
import { listNamedItems, type StoreReadings } from './read-stores.ts';

const busDeadlineMs = 3_000;

/** Whether the session bus answers, on which the keychain of Linux is reached. */
export async function checkSessionBus(
  doctor: Doctor,
  { keychain }: StoreReadings,
): Promise<readonly Check[]> {
  const name = 'dbus';
  const { context } = doctor;
  if (context.platform !== 'linux' || !keychain.isNeeded) return [];
  const path = findSessionBusSocket(context.env);
  if (path === undefined) {
    return [
      {
        name,
        state: 'error',
        detail: 'there is no D-Bus session, so no keychain can be reached',
        fix: findBusFix(doctor),
      },
    ];
  }
  const bus = connectSessionBus(path, AbortSignal.timeout(busDeadlineMs));
  try {
    await bus.call({
      destination: 'org.freedesktop.DBus',
      path: '/org/freedesktop/DBus',
      interface: 'org.freedesktop.DBus.Peer',
      member: 'Ping',
    });
    return [sound(name, 'answers')];
  } catch (error) {
    const reason =
      error instanceof GitlinkError ? toDetail(error) : `no answer within ${busDeadlineMs / 1000} s`;
    const detail = `the D-Bus session at ${path.replace('\0', '@')} does not work: ${reason}`;
    return [{ name, state: 'error', detail, fix: findBusFix(doctor) }];
  } finally {
    bus.close();
  }
}

/** systemd keeps the bus of a person who is logged in there, also for SSH and cron. */
function findBusFix(doctor: Doctor): string {
  if (!isKeychainInUse(doctor)) return leaveKeychain;
  const path = `/run/user/${process.getuid?.() ?? 0}/bus`;
  return existsSync(path)
    ? `export DBUS_SESSION_BUS_ADDRESS=unix:path=${path}`
    : 'dbus-run-session -- "$SHELL"';
}

/** Where nothing lies in the keychain yet, another store does as well. */
const leaveKeychain = 'gitlink config set store file';

function isKeychainInUse({ records }: Doctor): boolean {
  return records !== null && listNamedItems(records, 'keychain').length > 0;
}

/** Whether the keychain answers. */
export function checkKeychain(
  doctor: Doctor,
  { keychain }: StoreReadings,
  isBusBroken: boolean,
): readonly Check[] {
  const name = 'keychain';
  const { fault, isNeeded, items } = keychain;
  if (doctor.records === null) return [];
  if (!isNeeded) return [sound(name, 'not needed: no secret of a link lies there')];
  if (fault === null)
    return [
      sound(
        name,
        items === null ? 'answers' : `answers; it holds ${count(items.length, 'secret')} of gitlink`,
      ),
    ];
  // Without the bus nothing else can be said.
  if (isBusBroken) return [];
  const fix = isKeychainInUse(doctor) ? findKeychainFix(doctor.context, fault) : leaveKeychain;
  return [{ name, state: 'error', detail: toDetail(fault), fix }];
}

function findKeychainFix(context: Doctor['context'], fault: GitlinkError): string {
  if (context.platform === 'darwin') return 'security unlock-keychain';
  if (context.platform === 'win32') return 'cmdkey /list';
  if (findExecutable('gnome-keyring-daemon', context) === null) return 'sudo apt install gnome-keyring';
  const isAbsent = fault instanceof VaultError && fault.fault === 'unavailable';
  return isAbsent
    ? 'gnome-keyring-daemon --start --components=secrets'
    : 'gnome-keyring-daemon --replace --unlock';
}

/** Whether the encrypted file opens, and who may read what opens it. */
export function checkEncryptedFile({ context, records }: Doctor, { file }: StoreReadings): readonly Check[] {
  const name = 'encrypted-file';
  const { fault, isNeeded, items } = file;
  if (!isNeeded) return [];
  const passphrase = checkPassphraseFile(context, records?.passphraseFile ?? null);
  // What keeps the passphrase from being read keeps the file closed, too.
  if (passphrase.some(({ state }) => state === 'error')) return passphrase;
  if (fault === null)
    return [...passphrase, sound(name, `opens; it holds ${count(items?.length ?? 0, 'secret')}`)];
  const path = quoteWord(toVaultPath(context.directories.config));
  const isDamaged = fault instanceof VaultError && fault.fault === 'damaged';
  const fix = isDamaged ? `mv ${path} ${path}.damaged` : 'export GITLINK_PASSPHRASE_FILE=FILE';
  const after = isDamaged ? '; once it is out of the way, relink its links' : '';
  return [...passphrase, { name, state: 'error', detail: `${toDetail(fault)}${after}`, fix }];
}

function checkPassphraseFile(
  { env, platform }: Doctor['context'],
  recorded: string | null,
): readonly Check[] {
  const name = 'passphrase-file';
  const path = recorded ?? (env['GITLINK_PASSPHRASE'] ? null : (env['GITLINK_PASSPHRASE_FILE'] ?? null));
  if (!path) return [];
  const word = quoteWord(path);
  let mode: number;
  try {
    const status = statSync(path);
    if (!status.isFile()) throw new Error('no file');
    mode = status.mode;
  } catch {
    const detail = `${path} is not there, so the encrypted file cannot be opened`;
    // The passphrase is typed without being seen, and the file is made for its owner alone.
    const fix = `(umask 077; read -rs line; printf '%s\\n' "$line" > ${word})`;
    return [{ name, state: 'error', detail, fix }];
  }
  if (platform === 'win32' || (mode & 0o077) === 0) return [sound(name, 'only you may read it')];
  const detail = `other users may read ${path}, which opens the encrypted file`;
  const mend = (): Promise<string> => {
    chmodSync(path, 0o600);
    return Promise.resolve(`closed ${path} to other users`);
  };
  return [{ name, state: 'warning', detail, fix: `chmod 600 ${word}`, mend }];
}
