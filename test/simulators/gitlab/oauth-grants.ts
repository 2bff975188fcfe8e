import type { GitlabUser } from './state.ts';

/** What an OAuth access token stands for. */
interface OAuthAccess {
  readonly user: GitlabUser;
  readonly scopes: readonly string[];
}

/** The sign-ins, as the rest of the server asks for them. */
export interface OAuthGrants {
  findAccess(secret: string): Promise<OAuthAccess | 'expired' | 'revoked' | 'unknown'>;
  /** The name of an access token for the log: `oauth:` and its user; null for what is none. */
  describe(secret: string): string | null;
  /** Ends every sign-in of one application. */
  endAllOf(applicationId: string): Promise<void>;
}
