import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GitlinkError } from '../errors.ts';
import { createHostClient } from '../http/create-host-client.ts';
import { createTransport } from '../http/transport.ts';
import type { OAuthNetwork } from '../oauth/oauth-client.ts';
import { systemClock, systemRandom, type Directories } from '../runtime.ts';
import { createLinkStore } from '../store/link-store.ts';
import { withEnvironment, withoutEnvironmentLocks } from '../store/environment-records.ts';
import type { LinkRecord, Storage } from '../store/link-schema.ts';
import { addToRepositoryList } from '../store/repository-list.ts';
import type { Secret } from '../secret.ts';
import { createMemoryVault } from '../vault/memory-vault.ts';
import { createKeychainVault } from '../vault/keychain-vault.ts';
import { findItemLengthLimit } from '../vault/keychain.ts';
import type { Vault } from '../vault/vault.ts';
import { forgetMintedToken, getMintedToken } from './apps/mint-token.ts';
import { readEnvironmentLink } from './environment-link.ts';
import { createRenewedSource } from './credential-source.ts';
import { openLink, type AccessContext } from './host-access.ts';
import { allows } from './restriction.ts';
import { openFileVault, openLocks } from './helper-storage.ts';
import { renewSignIn } from './renew-sign-in.ts';
import type { StoredCredential } from './stored-credential.ts';

export interface HelperMachine {
  readonly directories: Directories;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly userAgent: string;
  readonly fetch: OAuthNetwork['fetch'];
}

const keychainDeadlineMs = 3_000;
/** git waits, so a host has less time than it has for a command. */
const requestTimeoutMs = 20_000;
/** With two exchanges and a pause after it, it fits into the helper's own deadline: no exchange is begun in vain. */
const lockWaitMs = 30_000;
/** Whether a repository is inside of a restriction is asked once, and quickly. */
const lookUpLimitMs = 8_000;

/**
 * Renews a sign-in while git waits for its helper. Ctrl-C reaches the helper, too, and is not heard until the new
 * tokens are stored: it would lose them.
 *
 * @throws AuthError when a person must sign in again; other errors when a later try may succeed.
 */
export async function renewForGit(
  machine: HelperMachine,
  link: LinkRecord,
  credential: StoredCredential,
  isRefused: boolean,
): Promise<StoredCredential> {
  outliveSignals();
  const context = createRenewalContext(machine);
  // The link says what git refused. Its token is the helper's own copy of the class, not to be compared here.
  if (isRefused) return renewSignIn(context, link, null);
  const source = createRenewedSource(context, link, credential);
  await source.get(null);
  return source.current;
}

/**
 * Mints a token of an app's installation while git waits for its helper.
 *
 * @throws GitlinkError
 */
export function mintForGit(
  machine: HelperMachine,
  link: LinkRecord,
  repository: string | null,
): Promise<StoredCredential> {
  outliveSignals();
  return getMintedToken(createRenewalContext(machine), link, repository, null);
}

/**
 * Forgets a minted token that a server refused.
 *
 * @param repository - What it was for; the token itself is the helper's own copy of the class.
 */
export function forgetForGit(
  machine: HelperMachine,
  link: LinkRecord,
  repository: string | null,
): Promise<void> {
  return forgetMintedToken(createRenewalContext(machine), link, repository);
}

/**
 * Reads the link of the environment with its credential.
 *
 * @throws UsageError naming the variable that is missing or wrong.
 */
export function readEnvironmentForGit({ env }: Pick<HelperMachine, 'env'>): {
  readonly link: LinkRecord;
  readonly credential: Secret | null;
} {
  const { link, secrets } = readEnvironmentLink(env, systemClock.now());
  return { link, credential: secrets.get(link.credentialItem) ?? null };
}

/**
 * Asks the host about one repository while git waits, and keeps what it says.
 *
 * @returns whether the link may be used for it; false too where the host does not answer in time.
 */
export async function lookUpForGit(
  machine: HelperMachine,
  link: LinkRecord,
  repository: string,
): Promise<boolean> {
  outliveSignals();
  try {
    const { provider, access } = await openLink(
      createRenewalContext(machine),
      link,
      AbortSignal.timeout(lookUpLimitMs),
    );
    const found = await provider.findRepository(access, repository);
    if (found === null || !allows(link.restriction, found)) return false;
    const { id, project = null } = found;
    // Under the name that git asks by: the host may know it by a newer one.
    addToRepositoryList(machine.directories.state, link.id, { id, fullName: repository, project });
    return true;
  } catch (error) {
    // What the person is told then is that the repository is outside of the restriction, and how to list anew.
    if (error instanceof GitlinkError || (error instanceof Error && error.name === 'TimeoutError'))
      return false;
    throw error;
  }
}

/** Ctrl-C reaches git's helper, too: what it has just been given would be lost. */
function outliveSignals(): void {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => {});
}

function createRenewalContext(machine: HelperMachine): AccessContext {
  const { directories, env } = machine;
  const lock = openLocks(directories);
  const withLock = withoutEnvironmentLocks((name, work, limitMs) =>
    lock(name, work, limitMs === undefined ? undefined : Math.min(limitMs, lockWaitMs)),
  );
  const environment = env['GITLINK_PROVIDER'] ? readEnvironmentLink(env, systemClock.now()) : null;
  const stored = createLinkStore({
    configDirectory: directories.config,
    withLock,
    now: () => systemClock.now(),
  });
  const links = environment === null ? stored : withEnvironment(stored, environment);
  const { signal } = new AbortController();
  // One each: the key of the encrypted file takes long to derive, and the keychain is written by a child process.
  const vaults = new Map<Storage, Vault>();
  if (environment !== null) vaults.set('env', createMemoryVault(environment.secrets));
  const open = (storage: Storage): Vault =>
    storage === 'keychain'
      ? openKeychain(env)
      : openFileVault(directories, env, links.read().passphraseFile, withLock);
  return {
    clock: systemClock,
    signal,
    links,
    withLock,
    openVault: (storage) => {
      const vault = vaults.get(storage) ?? open(storage);
      vaults.set(storage, vault);
      return Promise.resolve(vault);
    },
    openNetwork: (caFile) => openNetwork(machine, signal, caFile),
    openHostClient: async ({ base, caFile, pacing, authorize }) => {
      const { fetch, clock, userAgent } = await openNetwork(machine, signal, caFile);
      return createHostClient({
        base,
        fetch,
        clock,
        random: systemRandom,
        signal,
        userAgent,
        pacing,
        limits: { totalMs: requestTimeoutMs, deadlineMs: requestTimeoutMs },
        ...(authorize === null ? {} : { authorize }),
      });
    },
  };
}

function openKeychain(env: HelperMachine['env']): Vault {
  return createKeychainVault({
    // Beside the bundle that this is part of.
    childPath: join(import.meta.dirname, 'keychain-child.js'),
    execPath: process.execPath,
    env,
    platform: process.platform,
    itemLengthLimit: findItemLengthLimit(process.platform),
    deadlineMs: keychainDeadlineMs,
  });
}

async function openNetwork(
  { env, userAgent, fetch: ownFetch }: HelperMachine,
  signal: AbortSignal,
  caFile: string | null,
): Promise<OAuthNetwork> {
  const fetch = await createTransport({
    env,
    fetch: ownFetch,
    readFile: (path) => readFile(path, 'utf8'),
    ...(caFile === null ? {} : { caFile }),
  });
  return { fetch, clock: systemClock, userAgent, signal, requestTimeoutMs };
}
