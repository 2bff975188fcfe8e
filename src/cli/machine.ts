import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createHostClient } from '../http/create-host-client.ts';
import type { HostClient } from '../http/host-client.ts';
import { createTransport } from '../http/transport.ts';
import type { OAuthNetwork } from '../oauth/oauth-client.ts';
import type { HostClientRequest } from '../operations/context.ts';
import { createBudgetFile } from '../store/budget-file.ts';
import { toVaultPath } from '../store/file-names.ts';
import type { WithLock } from '../store/process-lock.ts';
import { createVaultFile } from '../store/vault-file.ts';
import { createFileVault } from '../vault/file-vault.ts';
import { createKeychainVault } from '../vault/keychain-vault.ts';
import { findItemLengthLimit } from '../vault/keychain.ts';
import { createPassphraseSource } from '../vault/passphrase-source.ts';
import type { Vault } from '../vault/vault.ts';
import type { ContextOptions } from './create-context.ts';
import { version } from '../version.ts';

const userAgent = `gitlink/${version}`;
const keychainDeadlineMs = { withTerminal: 60_000, withoutTerminal: 3_000 };
/** Above this a person should know what the program is waiting for. */
const announcedWaitMs = 2_000;

/** The keychain of this machine, reached through a child process that can be killed. */
export function openKeychain({ runtime, reporter, prompter }: ContextOptions): Vault {
  return createKeychainVault({
    // Beside the bundle that this is part of.
    childPath: join(import.meta.dirname, 'keychain-child.js'),
    execPath: process.execPath,
    env: runtime.env,
    platform: runtime.platform,
    itemLengthLimit: findItemLengthLimit(runtime.platform),
    deadlineMs: prompter.canAsk ? keychainDeadlineMs.withTerminal : keychainDeadlineMs.withoutTerminal,
    onWaiting: () => {
      if (prompter.canAsk) reporter.note('Waiting for your keychain to unlock (Ctrl-C to stop)…');
    },
    signal: runtime.signal,
  });
}

/**
 * The encrypted file.
 *
 * @param knownPassphraseFile - The path that an earlier `--passphrase-file` named.
 */
export function openFileVault(
  { runtime, directories, prompter, passphraseFile }: ContextOptions,
  knownPassphraseFile: string | null,
  withLock: WithLock,
): Vault {
  return createFileVault({
    file: createVaultFile(toVaultPath(directories.config)),
    withLock: (work) => withLock('secrets', work),
    passphrase: createPassphraseSource({
      env: runtime.env,
      passphraseFile: passphraseFile ?? knownPassphraseFile ?? undefined,
      prompt: prompter.canAsk
        ? () => prompter.askSecret('Passphrase of the encrypted file', '--passphrase-file')
        : undefined,
    }),
    random: runtime.random,
  });
}

/** What signing in needs of the network. */
export async function openNetwork({ runtime }: ContextOptions, caFile: string | null): Promise<OAuthNetwork> {
  const { clock, signal } = runtime;
  return { fetch: await openTransport(runtime, caFile), clock, userAgent, signal };
}

function openTransport(
  { env, fetch }: ContextOptions['runtime'],
  caFile: string | null,
): Promise<typeof globalThis.fetch> {
  return createTransport({
    env,
    fetch,
    readFile: (path) => readFile(path, 'utf8'),
    ...(caFile === null ? {} : { caFile }),
  });
}

/** The way to a host, through this machine's proxy and trusting its authorities. */
export async function openHostClient(
  { runtime, directories, reporter, trace }: ContextOptions,
  request: HostClientRequest,
  withLock: WithLock,
): Promise<HostClient> {
  const { base, budgetKey } = request;
  return createHostClient({
    base,
    fetch: await openTransport(runtime, request.caFile),
    clock: runtime.clock,
    random: runtime.random,
    signal: request.signal ?? runtime.signal,
    userAgent,
    pacing: request.pacing,
    ...(budgetKey === undefined
      ? {}
      : {
          budget: createBudgetFile({
            stateDirectory: directories.state,
            key: `${new URL(base).origin} ${budgetKey}`,
            withLock,
            now: () => runtime.clock.now(),
          }),
        }),
    ...(request.authorize === null ? {} : { authorize: request.authorize }),
    onWait: (durationMs, reason) => {
      if (durationMs < announcedWaitMs) return;
      const why = reason === 'rateLimit' ? 'the host asks to wait' : 'waiting before the next try';
      reporter.status(`${why}: ${Math.ceil(durationMs / 1000)} s…`);
    },
    ...(trace ? { trace } : {}),
  });
}
