import { GitlinkError } from '../errors.ts';
import { isRefreshDue, type TokenSet } from '../oauth/token-set.ts';
import type { Credential } from '../providers/provider.ts';
import type { Secret } from '../secret.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import { createMintedSource, type MintContext } from './apps/mint-token.ts';
import { renewSignIn, type RenewalContext } from './renew-sign-in.ts';
import type { StoredCredential } from './stored-credential.ts';

/** Where requests get their credential from. */
export interface CredentialSource {
  /** What it gave last. */
  readonly current: StoredCredential;
  /**
   * Gives what a request should carry.
   *
   * @param refused - The token that the host refused, where it did; null before a first try.
   */
  get(refused: Secret | null): Promise<Credential>;
}

/** A credential that stays as it is. */
export function createFixedSource(credential: StoredCredential): CredentialSource {
  return { current: credential, get: () => Promise.resolve(credential) };
}

/** Where the requests of a link get their credential from: renewed or minted where it can be. */
export function createSource(
  context: MintContext & RenewalContext,
  link: LinkRecord,
  stored: StoredCredential,
): CredentialSource {
  if (stored.minted !== undefined) return createMintedSource(context, link, stored);
  const isRenewable = stored.signIn !== null && stored.signIn.tokens.refreshToken !== null;
  return isRenewable ? createRenewedSource(context, link, stored) : createFixedSource(stored);
}

/** A stored sign-in, renewed when its access token is about to end and after a refusal. */
export function createRenewedSource(
  context: RenewalContext,
  link: LinkRecord,
  stored: StoredCredential,
): CredentialSource {
  let current = stored;
  let renewal: Promise<StoredCredential> | null = null;

  /** Requests side by side share one renewal. */
  function renew(refused: Secret | null): Promise<StoredCredential> {
    renewal ??= renewSignIn(context, link, refused)
      .then((renewed) => (current = renewed))
      .finally(() => (renewal = null));
    return renewal;
  }

  return {
    get current() {
      return current;
    },
    async get(refused) {
      const { signIn } = current;
      if (signIn === null) return current;
      if (refused !== null) return refused.equals(current.token) ? renew(refused) : current;
      if (!isRefreshDue(signIn.tokens, context.clock)) return current;
      try {
        return await renew(null);
      } catch (error) {
        // Renewing begins early, so that a host or a store that is away for a moment stops nobody.
        if (isPassing(error) && !hasEnded(signIn.tokens, context)) return current;
        throw error;
      }
    },
  };
}

function isPassing(error: unknown): boolean {
  return (
    error instanceof GitlinkError &&
    ['unreachable', 'rateLimited', 'storage', 'forbidden'].includes(error.code)
  );
}

function hasEnded({ expiresAt }: TokenSet, { clock }: RenewalContext): boolean {
  return expiresAt !== null && clock.now() >= expiresAt;
}
