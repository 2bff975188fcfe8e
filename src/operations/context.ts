import type { HostClient } from '../http/host-client.ts';
import type { Pacing } from '../http/pacing.ts';
import type { Authorization } from '../http/host-client.ts';
import type { OAuthNetwork } from '../oauth/oauth-client.ts';
import type { Clock, Directories, Random } from '../runtime.ts';
import type { LinkStore } from '../store/link-store.ts';
import type { Storage } from '../store/link-schema.ts';
import type { WithLock } from '../store/process-lock.ts';
import type { Settings } from '../store/settings.ts';
import type { Vault } from '../vault/vault.ts';

/** What operations say while they work. The command line decides what a person sees of it. */
export interface Reporter {
  /** A line that a person should read. */
  note(line: string): void;
  /** A line about something that needs attention. */
  warn(line: string): void;
  /** What is being done right now; replaced by the next one, gone at the end. */
  status(text: string): void;
}

export interface HostClientRequest {
  /** The API's base URL. */
  readonly base: string;
  readonly caFile: string | null;
  readonly pacing: Pacing;
  /** Gives what to sign a request with, also instead of what the host refused; null for requests without a credential. */
  readonly authorize: ((refused: Authorization | null) => Promise<Authorization | null>) | null;
  /** Names what the host counts requests by, for all processes of the user; absent where nothing may be written. */
  readonly budgetKey?: string;
  /** Ends requests; default: the command's own signal. */
  readonly signal?: AbortSignal;
}

/** Everything that operations work with. Made once for a command, each costly part only when it is used. */
export interface OperationContext {
  readonly clock: Clock;
  readonly random: Random;
  /** Fires when the command is stopped. */
  readonly signal: AbortSignal;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  readonly workingDirectory: string;
  readonly directories: Directories;
  readonly reporter: Reporter;
  readonly links: LinkStore;
  readonly withLock: WithLock;
  openSettings(): Promise<Settings>;
  openVault(storage: Storage): Promise<Vault>;
  openHostClient(request: HostClientRequest): Promise<HostClient>;
  /** How the flows of signing in reach the network. */
  openNetwork(caFile: string | null): Promise<OAuthNetwork>;
}
