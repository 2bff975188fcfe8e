import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { toPrintable } from '../printable.ts';
import { Secret } from '../secret.ts';
import { VaultError } from './vault.ts';

export interface PassphraseSourceOptions {
  /** The value of `--passphrase-file`, or the path that was kept from it. */
  readonly passphraseFile?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Asks the person with echo off; left out where there is no terminal. */
  readonly prompt?: (() => Promise<Secret>) | undefined;
}

const choices =
  'Set GITLINK_PASSPHRASE or GITLINK_PASSPHRASE_FILE, give --passphrase-file, or run gitlink in a terminal.';
/** A passphrase is a line. A larger file is something else. */
const fileLengthLimit = 4096;

/**
 * Finds the passphrase of the encrypted file: `--passphrase-file`, `GITLINK_PASSPHRASE`, `GITLINK_PASSPHRASE_FILE`, the
 * prompt, in this order. It never comes from arguments.
 *
 * @returns Gets it; throws VaultError `locked` where there is none, naming the choices, or the file is unusable.
 */
export function createPassphraseSource(options: PassphraseSourceOptions): () => Promise<Secret> {
  const { passphraseFile, env, prompt } = options;
  return async () => {
    if (passphraseFile) return readPassphraseFile(passphraseFile);
    if (env['GITLINK_PASSPHRASE']) return new Secret(env['GITLINK_PASSPHRASE']);
    if (env['GITLINK_PASSPHRASE_FILE']) return readPassphraseFile(env['GITLINK_PASSPHRASE_FILE']);
    if (prompt) return prompt();
    throw new VaultError('locked', 'The encrypted file needs its passphrase.', { hint: choices });
  };
}

async function readPassphraseFile(path: string): Promise<Secret> {
  const text = await readSmallFile(path).catch(() => undefined);
  const passphrase = text?.replace(/\r?\n$/, '');
  if (passphrase) return new Secret(passphrase);
  const name = toPrintable(path);
  throw new VaultError('locked', `No passphrase can be read from ${name}: it must be a file of one line.`, {
    hint: choices,
  });
}

/** Opens without waiting: a named pipe without a writer would block a thread of Node, which then cannot exit. */
async function readSmallFile(path: string): Promise<string | undefined> {
  const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    if (!(await handle.stat()).isFile()) return undefined;
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(fileLengthLimit + 1));
    return bytesRead > fileLengthLimit ? undefined : buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}
