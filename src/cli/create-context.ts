import type { OperationContext } from '../operations/context.ts';
import type { Directories, Runtime } from '../runtime.ts';
import type { EnvironmentLink } from '../operations/environment-link.ts';
import { withEnvironment, withoutEnvironmentLocks } from '../store/environment-records.ts';
import { createLinkStore } from '../store/link-store.ts';
import type { Storage } from '../store/link-schema.ts';
import { createMemoryVault } from '../vault/memory-vault.ts';
import { createProcessLocks } from '../store/process-lock.ts';
import { openSettings } from '../store/settings.ts';
import type { Vault } from '../vault/vault.ts';
import type { TerminalReporter } from './terminal-reporter.ts';
import type { Prompter } from './prompter.ts';
import type * as Machine from './machine.ts';

export interface ContextOptions {
  readonly runtime: Runtime;
  readonly directories: Directories;
  readonly reporter: TerminalReporter;
  readonly prompter: Prompter;
  /** The command's name, for whoever waits for its locks. */
  readonly command: string;
  /** Takes the lines of `--verbose`; null without it. */
  readonly trace: ((line: string) => void) | null;
  /** The link of the environment; null where it names none. */
  readonly environment: EnvironmentLink | null;
  /** The value of `--passphrase-file`. */
  readonly passphraseFile: string | null;
}

const lockWaitMs = 10_000;
/** Connects the operations to this machine. Costly parts are made when they are first used. */
export function createContext(options: ContextOptions): OperationContext {
  const { runtime, directories, reporter } = options;
  const lock = createProcessLocks({
    stateDirectory: directories.state,
    clock: runtime.clock,
    random: runtime.random,
    platform: runtime.platform,
    command: options.command,
    waitLimitMs: lockWaitMs,
    getSignal: () => runtime.signal,
  });
  const withLock = withoutEnvironmentLocks(lock);
  const stored = createLinkStore({
    configDirectory: directories.config,
    withLock: lock,
    now: () => runtime.clock.now(),
  });
  const { environment } = options;
  const links = environment === null ? stored : withEnvironment(stored, environment);
  const vaults = new Map<Storage, Promise<Vault>>();
  if (environment !== null) vaults.set('env', Promise.resolve(createMemoryVault(environment.secrets)));

  return {
    clock: runtime.clock,
    random: runtime.random,
    get signal() {
      return runtime.signal;
    },
    env: runtime.env,
    platform: runtime.platform,
    workingDirectory: runtime.workingDirectory,
    directories,
    reporter,
    links,
    withLock,
    openSettings: () => openSettings(directories.config),
    openVault(storage) {
      const vault =
        vaults.get(storage) ??
        loadMachine().then((machine) =>
          storage === 'keychain'
            ? machine.openKeychain(options)
            : machine.openFileVault(options, links.read().passphraseFile, withLock),
        );
      vaults.set(storage, vault);
      return vault;
    },
    openHostClient: async (request) => (await loadMachine()).openHostClient(options, request, withLock),
    openNetwork: async (caFile) => (await loadMachine()).openNetwork(options, caFile),
  };
}

/** What the keychain and the network need is loaded when one of them is first used. */
function loadMachine(): Promise<typeof Machine> {
  return import('./machine.ts');
}
