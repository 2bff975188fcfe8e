import type { Authorization, HostClient } from '../http/host-client.ts';
import type { Pacing } from '../http/pacing.ts';
import type { Secret } from '../secret.ts';
import type { AppSupport } from './app-support.ts';
import type { GitAccess } from './git-access.ts';
import type { ClientIdentity, OAuthSupport, SignInPlace } from './oauth-support.ts';
import type { WebhookAdmin } from './webhook-support.ts';

/** A kind of Git host. */
export type ProviderId = 'github' | 'gitlab' | 'bitbucket' | 'bitbucket-dc' | 'gitea' | 'azure-devops';

/** How a link was made. */
export type LinkMethod = 'app' | 'oauth' | 'device' | 'token';

export type AccountKind =
  | 'user'
  | 'bot'
  | 'serviceAccount'
  | 'installation'
  | 'workspace'
  | 'project'
  | 'repository'
  | 'group'
  | 'unknown';

/** Who a credential acts as. A token that may not read its own account has neither login nor id. */
export interface Account {
  readonly login: string | null;
  readonly kind: AccountKind;
  /** The host's stable id, as text. */
  readonly id: string | null;
}

/** The secret part of a link, as it lies in the secret store. */
export interface Credential {
  /** The adapter's word for the kind of token, such as `personal-access-token`; {@link signInKind} for a sign-in's. */
  readonly kind: string;
  /** Of a sign-in the access token, which is replaced from time to time. */
  readonly token: Secret;
  /** The name that the API wants beside the token, where it does: a Bitbucket API token's e-mail address. */
  readonly username?: string;
}

/** The kind of every credential that was obtained by signing in with a browser or a code. */
export const signInKind = 'oauth-access-token';

/** The kind of every short-lived token that a registered app mints for one of its installations. */
export const installationKind = 'installation-token';

/** What a host says of itself without a credential. */
export interface HostDescription {
  /** The instance as base URL without trailing slash. */
  readonly host: string;
  /** The product where one provider serves several, such as `forgejo`; else the provider's id. */
  readonly flavour: string;
  /** As the host writes it; null where it tells only those who signed in. */
  readonly version: string | null;
  /** What a link belongs to where a host serves many that do not know each other: Azure's organization or collection. */
  readonly organization?: string | null;
  /** The directory where the people of that organization sign in: Entra's tenant. */
  readonly tenant?: string | null;
}

/** All that an adapter is given. It knows no store, vault, clock or terminal. */
export interface HostAccess extends HostDescription {
  readonly credential: Credential;
  /** The client that a sign-in was made with; null for other credentials. */
  readonly client: ClientIdentity | null;
  /** Until it is known, `login` holds the place that the person named, for tokens with no user behind them. */
  readonly account: Account;
  /** The way to the API. It signs with the credential, renewed where that is a sign-in's. */
  readonly http: HostClient;
  /** The same way to another base address of the host, such as the host itself. */
  openBase(base: string): Promise<HostClient>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /**
   * Waits before the host is looked at again, and for nothing else: a command that is stopped ends it at once, also
   * where requests under way are given time to end.
   *
   * @throws the reason of the signal that ended it.
   */
  sleep(durationMs: number): Promise<void>;
}

/** What the host tells about a credential when it is verified. */
export interface Identity {
  readonly account: Account;
  readonly credentialKind: string;
  /** What the credential may do, in the host's words, sorted; null where the host does not tell. */
  readonly scopes: readonly string[] | null;
  /** When a person must act, in milliseconds since the epoch; null for never or unknown. */
  readonly expiresAt: number | null;
  /** Set where the credential may end on a day that the host does not tell, so that the person is asked. */
  readonly isExpiryHidden?: boolean;
  /** What a person must settle at the host before the credential works everywhere. */
  readonly hindrance?: Hindrance;
}

/** Something that only a person can settle, at the host. */
export interface Hindrance {
  readonly status: 'insufficient' | 'pending' | 'suspended';
  readonly reason: 'sso' | 'approval' | 'suspended';
  /** What it is and what does not work, as a sentence. */
  readonly explanation: string;
  /** Where it is settled; null where the host names no page. */
  readonly pageUrl: string | null;
}

/** Where repositories live. */
export interface Namespace {
  readonly path: string;
  readonly kind: 'user' | 'organization' | 'group' | 'workspace' | 'project';
}

export interface Repository {
  /** The host's stable id, as text: survives renames. */
  readonly id: string;
  /** Namespace and name as they stand in the URL. */
  readonly fullName: string;
  readonly namespace: string;
  /** A second namespace that the URL does not show: Bitbucket's `workspace/PROJECT`. */
  readonly project?: string;
  readonly cloneUrl: string;
  readonly webUrl: string;
  /** Null for a repository without a commit, and where the host's lists do not tell. */
  readonly defaultBranch: string | null;
  readonly private: boolean;
  readonly archived: boolean;
  readonly canManageWebhooks: boolean;
}

/** What a link is wanted for; each needs scopes. */
export type Capability =
  'identity' | 'list' | 'namespaces' | 'clone' | 'push' | 'webhooks' | 'namespace-webhooks' | 'admin';

/** What happened to a credential that was to be revoked. */
export type Revocation =
  | { readonly outcome: 'revoked' }
  | { readonly outcome: 'alreadyDead' }
  /** The host has no way by API: what is left for a person, and where. */
  | { readonly outcome: 'impossible'; readonly reason: string; readonly pageUrl: string };

/** What became of a wish for a new token. */
export type Rotation =
  | {
      readonly outcome: 'rotated';
      readonly token: Secret;
      /** Milliseconds since the epoch; null for never or unknown. */
      readonly expiresAt: number | null;
      /** Whether the old token is dead already; else it is revoked once the new one is stored. */
      readonly endsOld: boolean;
    }
  /** Not by API, or not with this token: what a person does instead, and where. */
  | { readonly outcome: 'impossible'; readonly reason: string; readonly pageUrl: string };

export interface RotationWish {
  readonly expiresAt: number | null;
  readonly via?: HostAccess;
}

/** What a pasted token's shape tells, before anybody is asked. */
export type TokenShape =
  | {
      readonly use: 'api';
      readonly kind: string;
      readonly companion?: 'email';
      /** What it is instead where the person gives a user name for it: a credential for git alone looks the same. */
      readonly gitKind?: string;
    }
  /** Good for git alone, with a user name of its own. */
  | { readonly use: 'git'; readonly kind: string }
  /** Something else that looks like a token: what it is, to complete "This is …", and what to do instead. */
  | { readonly use: 'none'; readonly what: string; readonly hint: string };

/** A page of the host where a person makes a token, and what to enter there. */
export interface TokenPage {
  readonly url: string;
  readonly instructions: string;
}

/**
 * One kind of Git host. Adapters are pure: all state comes in by arguments, all network goes through the
 * access's client. What a host cannot do is absent.
 *
 * Every method that reaches the host throws the errors of {@link HostClient}; a network fault is never
 * reported as a bad credential.
 */
export interface Provider {
  readonly id: ProviderId;
  readonly displayName: string;
  /** Other words for the provider, each with the host and flavour that it stands for. */
  readonly aliases: readonly ProviderAlias[];
  /** The cloud host; null where a host must be named. */
  readonly defaultHost: string | null;
  readonly pacing: Pacing;
  /** The same for a host of its own kind; absent where one pacing fits all. */
  pacingOf?(host: string): Pacing;
  /** What each capability needs, in the host's scope names. */
  readonly scopes: ScopeTable;
  /** The same for a kind of credential that has words of its own; null for the usual ones. */
  scopesOf?(credentialKind: string): ScopeTable | null;

  /** Where the API hangs: the base of the client that {@link HostAccess} carries. */
  toApiBase(host: string): string;

  /**
   * Asks a host what it is, without a credential.
   *
   * @param organization - What the person named on a host that serves many.
   * @returns null when the host is another product.
   */
  recognise(
    host: string,
    anonymous: HostClient,
    organization?: string | null,
  ): Promise<HostDescription | null>;

  /**
   * Verifies a credential by the cheapest call that it may make, and reads what the host tells of it.
   * @throws AuthError when the host refuses the credential.
   */
  identify(access: HostAccess): Promise<Identity>;

  listNamespaces(access: HostAccess): AsyncIterable<Namespace>;

  /** Repositories that the credential reaches, page by page; only those of one namespace where it is given. */
  listRepositories(access: HostAccess, namespace: string | null): AsyncIterable<Repository>;

  /** @returns null when there is no such repository, or the credential may not see it. */
  findRepository(access: HostAccess, fullName: string): Promise<Repository | null>;

  /**
   * Compares scopes, knowing what includes what.
   *
   * @param credentialKind - Leaves out what such a credential can never be given.
   */
  compareScopes(
    granted: readonly string[],
    needed: readonly string[],
    credentialKind?: string,
  ): ScopeComparison;

  /** How requests to the API carry a credential. */
  toAuthorization(credential: Credential): Authorization;

  readonly git: GitAccess;

  tokenPage(place: SignInPlace, capabilities: readonly Capability[]): TokenPage;

  /** The page where a person ends or replaces a token that they have. Absent where {@link tokenPage} is that. */
  credentialPage?(place: SignInPlace, account: Account, credentialKind: string): string;

  /** Variables in which other programs of this host look for a token. */
  readonly tokenVariables: readonly string[];

  /** Kinds of credentials that serve git alone, which the API knows nothing of. */
  readonly gitOnlyKinds?: readonly string[];

  /** Judges a pasted token by its shape. Absent where shapes tell nothing. A shape that is not known is `api`. */
  recogniseToken?(token: Secret): TokenShape;

  readonly webhooks?: WebhookAdmin;

  /** Signing in with a browser or a code. */
  readonly oauth?: OAuthSupport;

  /** Being an app that is registered at the host and installed on accounts. */
  readonly apps?: AppSupport;

  /**
   * Ends a pasted credential at the host. Sign-ins are ended by {@link OAuthEndpoints.revocation}.
   *
   * @param via - Another credential of the host that may manage tokens, where one was named.
   */
  revoke?(access: HostAccess, via?: HostAccess): Promise<Revocation>;

  /**
   * Has the host replace a token by a new one of the same powers. Sends what changes anything once: after an
   * error nobody knows whether the old token still lives, and the caller finds out.
   *
   * @param wish - `expiresAt`: when the new one shall end, in milliseconds since the epoch; null for as long a
   * life as the old one had. `via`: another credential of the host that may manage tokens, where one was named.
   */
  rotate?(access: HostAccess, wish: RotationWish): Promise<Rotation>;
}

/** What each capability needs, in the host's words; all of a list are needed. */
export type ScopeTable = Readonly<Partial<Record<Capability, readonly string[]>>>;

export interface ScopeComparison {
  /** Needed and not granted. */
  readonly missing: readonly string[];
  /** Granted beyond what is needed. */
  readonly excess: readonly string[];
}

export interface ProviderAlias {
  readonly word: string;
  /** Null where a host must be named. */
  readonly host: string | null;
  /** The product of {@link HostDescription} that the word names; null where the provider serves one alone. */
  readonly flavour: string | null;
}
