import type { Secret } from '../secret.ts';
import type { HostAccess, Repository } from './provider.ts';

/** gitlink's words for what a webhook tells about. */
export const webhookEvents = ['push', 'tag', 'pull-request', 'comment', 'release'] as const;
export type WebhookEvent = (typeof webhookEvents)[number];

/** Where a webhook hangs. */
export type WebhookPlace =
  | { readonly level: 'repository'; readonly repository: Repository }
  | { readonly level: 'namespace'; readonly namespace: string };

/** A webhook as the host describes it; the host never gives its secret. */
export interface Webhook {
  readonly id: string;
  readonly url: string;
  /** The host's own event names. */
  readonly events: readonly string[];
  readonly active: boolean;
  /** Null where the hook, or every hook of this host, has none. */
  readonly name: string | null;
  /** Settings that a rewrite must carry along; of the adapter alone, never printed. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** How a hook should be. */
export interface WantedWebhook {
  readonly url: string;
  /** The host's own event names. */
  readonly events: readonly string[];
  /** Null leaves the secret as it is; only for updates. */
  readonly secret: Secret | null;
  /** A hook whose other settings the new one takes over, when a hook is replaced. */
  readonly successorOf: Webhook | null;
}

export interface WebhookAdmin {
  /** Where the host has webhooks. */
  readonly levels: readonly WebhookPlace['level'][];
  /** Whether every change of a hook must bring its secret again, or the hook loses it. */
  readonly forgetsSecret?: boolean;
  /** Whether a hook takes a new secret in place. Where not, a new hook is made before the old one goes. */
  readonly secretChangesInPlace: boolean;
  /** The host's names for gitlink's events; a missing word is one that the host lacks. */
  readonly events: Readonly<Partial<Record<WebhookEvent, readonly string[]>>>;
  /** Whether the host can be asked what became of a delivery. */
  readonly readsDeliveries: boolean;

  /**
   * The form of a secret that the host signs with, where that is another than the secret as it is.
   * @returns null for a secret that has no such form.
   */
  toSigningSecret?(secret: Secret): Secret | null;

  /** All hooks at a place, every page. */
  list(access: HostAccess, place: WebhookPlace): Promise<readonly Webhook[]>;
  /**
   * Whether a hook is gitlink's by its own mark: its name. Null on hosts where hooks have none; there only the
   * journal tells ours from those that somebody made by hand.
   */
  isMarked(access: HostAccess, hook: Webhook): boolean | null;
  /**
   * Whether a hook already listens to at least the wanted events, where one of the host's names stands for others.
   * Default: the hook names each of them.
   */
  coversEvents?(hook: Webhook, wanted: readonly string[]): boolean;
  /** Makes an enabled hook. Sent once: a lost answer is settled by looking. */
  create(access: HostAccess, place: WebhookPlace, wanted: WantedWebhook): Promise<Webhook>;
  /** Brings an existing hook to the wanted state, enabled, keeping its other settings. */
  update(access: HostAccess, place: WebhookPlace, hook: Webhook, wanted: WantedWebhook): Promise<Webhook>;
  /** Removes a hook. A hook that is not there is success. */
  remove(access: HostAccess, place: WebhookPlace, hookId: string): Promise<'removed' | 'gone'>;
  /** Where a person finds the hooks of a place. */
  pageUrl(host: string, level: WebhookPlace['level'], name: string): string;
  /** Asks the host to send a test delivery. */
  test?(access: HostAccess, place: WebhookPlace, hookId: string): Promise<WebhookTest>;
}

/** What became of a test delivery. `sent` where the host does not tell more. */
export type WebhookTest =
  | { readonly outcome: 'delivered' | 'sent' }
  | { readonly outcome: 'failed' | 'untestable'; readonly reason: string };

/**
 * Whether a hook already listens to at least the wanted events.
 *
 * @param wanted - The host's own event names.
 */
export function coversEvents(admin: WebhookAdmin, hook: Webhook, wanted: readonly string[]): boolean {
  return admin.coversEvents?.(hook, wanted) ?? wanted.every((event) => hook.events.includes(event));
}
