import type { HostClient } from '../http/host-client.ts';
import type { Secret } from '../secret.ts';
import type { Capability, HostDescription } from './provider.ts';
import type { WebhookEvent, WebhookTest } from './webhook-support.ts';

/** An app as it proves itself to its host: with a key that never leaves this machine. */
export interface AppIdentity {
  /** The host's number of the app, as text. */
  readonly id: string;
  /** The private key, PEM. */
  readonly key: Secret;
}

/** All that an adapter is given to act as an app. */
export interface AppAccess extends HostDescription {
  readonly app: AppIdentity;
  /** The way to the API, without a credential: the adapter signs each request with the key. */
  readonly http: HostClient;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** An app as its host describes it. */
export interface AppDescription {
  readonly id: string;
  readonly clientId: string | null;
  readonly slug: string;
  readonly name: string;
  /** The login of the account that owns it; null where the host does not tell. */
  readonly owner: string | null;
  readonly ownerKind: 'user' | 'organization' | null;
  /** The public page, without trailing slash. */
  readonly pageUrl: string;
  /** What it asks for, as `contents:write`, sorted. */
  readonly permissions: readonly string[];
  /** Whom it tells by webhook, in the host's words; empty for none. */
  readonly events: readonly string[];
}

/** An app that the host has just registered. Its secrets are shown this once. */
export interface CreatedApp extends AppDescription {
  readonly clientId: string;
  readonly clientSecret: Secret;
  readonly key: Secret;
  /** Null for an app without a webhook. */
  readonly webhookSecret: Secret | null;
}

/** An app on an account: the account's repositories, or some of them, are open to it. */
export interface Installation {
  readonly id: string;
  /** The account that it is on. */
  readonly login: string;
  readonly accountKind: 'user' | 'organization';
  /** Whether only some repositories were chosen. */
  readonly isSelective: boolean;
  /** What was granted, as `contents:write`, sorted. It lags behind what the app asks for until a person agrees. */
  readonly permissions: readonly string[];
  /** Where a person changes or removes it. */
  readonly pageUrl: string;
  readonly isSuspended: boolean;
}

/** A wish of somebody who may not install the app, waiting for an owner. */
export interface InstallationRequest {
  /** The account that it is to be installed on. */
  readonly login: string;
  readonly requester: string | null;
}

/** What a minted token shall be good for. */
export interface MintWish {
  /** `OWNER/NAME` in the installation's account; null for all that the installation reaches. */
  readonly repository: string | null;
  /** As `contents:read`; null for all that was granted. */
  readonly permissions: readonly string[] | null;
}

export interface MintedToken {
  readonly token: Secret;
  /** Milliseconds since the epoch, by this machine's clock. */
  readonly expiresAt: number;
}

/** The one webhook of an app, which hears of all its installations; the host never gives its secret. */
export interface AppWebhook {
  readonly url: string;
  readonly hasSecret: boolean;
}

export interface AppRegistrationWish {
  readonly name: string;
  /** The organization that shall own it; null for the person's own account. */
  readonly organization: string | null;
  /** Whether other accounts than its owner's may install it. */
  readonly isPublic: boolean;
  /** Where the browser comes back to once it is registered, and where sign-ins of its users do. */
  readonly redirectUri: string;
  readonly state: string;
  /** What it is wanted for; it asks for no more. */
  readonly capabilities: readonly Capability[];
  /** Null for an app without a webhook; events in the host's words. */
  readonly webhook: { readonly url: string; readonly events: readonly string[] } | null;
}

/** A form that the person's browser sends to the host, where they confirm it. */
export interface RegistrationForm {
  readonly action: string;
  readonly fields: Readonly<Record<string, string>>;
}

/**
 * Apps that act by themselves: registered once, installed on accounts by people, with tokens of an hour that gitlink
 * mints with the app's key. Every method that reaches the host throws the errors of {@link HostClient}.
 */
export interface AppSupport {
  /** The form that registers an app (GitHub: manifest flow). */
  toRegistrationForm(host: string, wish: AppRegistrationWish): RegistrationForm;
  /**
   * Exchanges the code of a registration, once, for the app and its secrets.
   *
   * @param http - A client of the host's API without a credential.
   * @throws AuthError for a code that is used, unknown or older than an hour.
   */
  redeem(http: HostClient, host: string, code: Secret): Promise<CreatedApp>;

  /** @throws UsageError for a key that is none, AuthError when the host refuses it. */
  describe(access: AppAccess): Promise<AppDescription>;
  /** Where a person installs the app. */
  installPage(pageUrl: string): string;
  /** Where a person makes keys and secrets of the app, or deletes it. */
  settingsPage(host: string, app: Pick<AppDescription, 'slug' | 'owner' | 'ownerKind'>): string;

  listInstallations(access: AppAccess): Promise<readonly Installation[]>;
  /** @returns null when there is no such installation of this app. */
  findInstallation(access: AppAccess, id: string): Promise<Installation | null>;
  listRequests(access: AppAccess): Promise<readonly InstallationRequest[]>;
  /** Takes the app off an account, for everybody. */
  uninstall(access: AppAccess, id: string): Promise<'removed' | 'gone'>;

  /**
   * Mints a token of an installation.
   *
   * @throws ForbiddenError when the installation is suspended, does not reach the repository, or lacks a permission.
   * @throws NotFoundError when there is no such installation of this app.
   */
  mint(access: AppAccess, installationId: string, wish: MintWish): Promise<MintedToken>;
  /**
   * Asks for as little as possible with a minted token.
   *
   * @param http - A client of the host's API without a credential.
   * @throws AuthError while the host's servers do not all know it yet.
   */
  probe(http: HostClient, token: Secret): Promise<void>;
  /**
   * Ends a minted token.
   *
   * @param http - A client of the host's API without a credential.
   */
  endToken(http: HostClient, token: Secret): Promise<'revoked' | 'alreadyDead'>;

  /** The host's names for gitlink's events, as a registration wants them; a missing word is one that apps lack. */
  readonly events: Readonly<Partial<Record<WebhookEvent, readonly string[]>>>;
  /** @returns null for an app that was registered without a webhook: only a person can add one, on its page. */
  readWebhook(access: AppAccess): Promise<AppWebhook | null>;
  /** Gives the webhook a new address, a new secret, or both. */
  changeWebhook(access: AppAccess, wish: { readonly url: string; readonly secret: Secret }): Promise<void>;
  /** What became of the newest delivery. Hosts send none on request. */
  readNewestDelivery(access: AppAccess): Promise<WebhookTest>;
}
