import { systemClock, systemRandom, type Directories } from '../runtime.ts';
import type { Secret } from '../secret.ts';
import { toVaultPath } from '../store/file-names.ts';
import { createLinkStore } from '../store/link-store.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import { createProcessLocks, type WithLock } from '../store/process-lock.ts';
import { createVaultFile } from '../store/vault-file.ts';
import { createFileVault } from '../vault/file-vault.ts';
import { createPassphraseSource } from '../vault/passphrase-source.ts';
import type { Vault } from '../vault/vault.ts';

/** git waits for its helper, so its locks are not waited for longer than a person would like. */
const lockWaitMs = 5_000;

/** Reads a link's credential from the encrypted file; git's helper never asks for the passphrase. */
export async function readVaultItem(
  directories: Directories,
  env: Readonly<Record<string, string | undefined>>,
  link: LinkRecord,
  passphraseFile: string | null,
): Promise<Secret | null> {
  const vault = openFileVault(directories, env, passphraseFile, openLocks(directories));
  return (await vault.read([link.credentialItem])).get(link.credentialItem) ?? null;
}

/** The encrypted file, as the helper opens it. */
export function openFileVault(
  directories: Directories,
  env: Readonly<Record<string, string | undefined>>,
  passphraseFile: string | null,
  withLock: WithLock,
): Vault {
  return createFileVault({
    file: createVaultFile(toVaultPath(directories.config)),
    withLock: (work) => withLock('secrets', work),
    passphrase: createPassphraseSource({ env, passphraseFile: passphraseFile ?? undefined }),
    random: systemRandom,
  });
}

/** Marks a link whose credential a server refused, so that the next look at it asks the host. */
export async function markRefused(directories: Directories, link: LinkRecord): Promise<void> {
  const links = createLinkStore({
    configDirectory: directories.config,
    withLock: openLocks(directories),
    now: () => systemClock.now(),
  });
  await links.change((records) => ({
    ...records,
    links: records.links.map((each): LinkRecord =>
      each.id === link.id && each.status !== 'unlinking'
        ? { ...each, status: 'unchecked', statusReason: 'refused' }
        : each,
    ),
  }));
}

/** The locks that all of gitlink shares. */
export function openLocks(directories: Directories): WithLock {
  return createProcessLocks({
    stateDirectory: directories.state,
    clock: systemClock,
    random: systemRandom,
    platform: process.platform,
    command: 'credential',
    waitLimitMs: lockWaitMs,
  });
}
