import type { GitlinkError } from '../errors.ts';
import type { HostClient } from '../http/host-client.ts';
import type { Secret } from '../secret.ts';
import type { Capability, HostAccess, HostDescription, Revocation } from './provider.ts';

/** A client that is registered at a host, as its requests name it. */
export interface ClientIdentity {
  readonly id: string;
  /** Null for a public client that was given none. */
  readonly secret: Secret | null;
}

/** What the addresses of signing in are built from. */
export type SignInPlace = Pick<HostDescription, 'host' | 'organization' | 'tenant'>;

/** Where a host signs people in: built from its address, never taken from an answer. */
export interface OAuthEndpoints {
  readonly authorization: string;
  readonly token: string;
  /** Null where the host has no device flow. */
  readonly device: string | null;
  /** Null where a sign-in cannot be ended by API. */
  readonly revocation: string | null;
}

/** Where the browser comes back to, as it must be registered. */
export interface RegisteredRedirect {
  readonly host: '127.0.0.1' | 'localhost';
  readonly path: string;
  /** The port where the host compares it, else null: any will do. */
  readonly port: number | null;
}

/** What is special about refreshing at a host; see `oauth/refresh.ts`. */
export interface RefreshPolicy {
  /** How the host answers a refresh token that is used up, revoked or expired. */
  readonly spent: readonly { readonly error: string; readonly descriptionIncludes?: string }[];
  /** A second try after this pause, in milliseconds, where the host's replicas may lag behind; else null. */
  readonly secondTryAfterMs: number | null;
  /** Whether the host documents that a refresh token may be sent again when the answer was lost. */
  readonly forgivesLostAnswer: boolean;
  /** What the host wants beside the standard's parameters. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Whether the host wants the redirect of the sign-in again. */
  readonly repeatsRedirect?: boolean;
}

/** How a person registers a client by hand: the page, and what to enter there. */
export interface ClientRegistration {
  readonly url: string;
  /** Each field of the form and its exact value, in the form's order. */
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/** A client that the host has just made. */
export interface CreatedClient {
  readonly id: string;
  readonly secret: Secret | null;
  /** What the host's API calls the registration, to delete it by. */
  readonly registrationId: string;
}

/** What a sign-in consists of. */
export interface SignInTokens {
  readonly accessToken: Secret;
  readonly refreshToken: Secret | null;
}

/** Signing in by OAuth 2.0: the data of a host, and the few calls that are its own. */
export interface OAuthSupport {
  readonly redirect: RegisteredRedirect;
  /** What to say of a redirect that the host refused on its page, where there is more to know. */
  readonly redirectAdvice?: string;
  /** How a client with a secret proves itself at the token endpoint. */
  readonly clientAuthentication: 'post' | 'basic';
  /** Whether a sign-in by a code is begun and finished without the client's secret, which the host does not expect then. */
  readonly isDeviceFlowSecretFree?: boolean;
  readonly refresh: RefreshPolicy;

  toEndpoints(place: SignInPlace): OAuthEndpoints;

  /**
   * Whether the host signs people in by OAuth now. Absent where it always does.
   *
   * @param web - A client without a credential whose base is the host itself.
   */
  isOffered?(web: HostClient, place: SignInPlace): Promise<boolean>;
  /** Where the page may be that takes a device code; default: the host's own origin. */
  verificationOrigins?(host: string): readonly string[];
  /** How a program signs in by itself with the client's secret (RFC 6749 §4.4), where the host lets it. */
  readonly clientCredentials?: { readonly scope: string; readonly kind: string };

  /** The scopes to ask for, in the host's words. */
  toScopes(capabilities: readonly Capability[]): readonly string[];
  /** Whether those are the same for ever, because the host refuses others once a client was approved. */
  readonly hasConstantScopes: boolean;

  /** What an error of the sign-in page means where it is not what the standard says; null for what is. */
  explainRefusal?(
    host: string,
    failure: { readonly error: string; readonly description: string | null },
  ): GitlinkError | null;

  /** The page where a person registers a client, and what to enter there. */
  registration(host: string, redirectUri: string): ClientRegistration;

  /**
   * Registers a public client with a credential that may do that.
   *
   * @returns null where this host has no API for it.
   * @throws ForbiddenError when the credential may not.
   */
  createClient?(
    access: HostAccess,
    wish: { name: string; redirectUri: string },
  ): Promise<CreatedClient | null>;

  /** Deletes a registration, which ends every sign-in made with it. One that is not there is success. */
  deleteClient?(access: HostAccess, registrationId: string): Promise<'removed' | 'gone'>;

  /**
   * Ends a sign-in by the host's own API, where it has that instead of RFC 7009.
   *
   * @param api - A client of the host's API without a credential.
   */
  endSignIn?(api: HostClient, client: ClientIdentity, tokens: SignInTokens): Promise<Revocation>;

  /** The page where a person sees the programs that they signed in to, and ends a sign-in. */
  grantsPage(host: string): string;
}
