import { UnsupportedError } from '../../errors.ts';
import { signInAsClient } from '../../oauth/client-credentials.ts';
import type { ClientIdentity, SignInPlace } from '../../providers/oauth-support.ts';
import type { Provider } from '../../providers/provider.ts';
import type { LinkRecord } from '../../store/link-schema.ts';
import { findClientOf, readClientIdentity, requireOAuth, toOAuthClient } from '../client-identity.ts';
import type { OperationContext } from '../context.ts';
import { requireProvider } from '../link-faults.ts';
import type { KeptToken } from '../minted-tokens.ts';

/** What a host that does not say gives a token: less than any known one does. */
const unstatedLifeMs = 30 * 60_000;

/**
 * Signs a program in by itself, with the secret of its client (Entra: a service principal).
 *
 * @throws UnsupportedError where the host does not let programs do that; AuthError when it refuses the secret.
 */
export async function requestServiceToken(
  context: Pick<OperationContext, 'clock' | 'openNetwork'>,
  provider: Provider,
  place: SignInPlace,
  identity: ClientIdentity,
  caFile: string | null,
): Promise<KeptToken> {
  const support = requireOAuth(provider);
  const { scope } = requireClientCredentials(provider);
  const network = await context.openNetwork(caFile);
  const tokens = await signInAsClient(toOAuthClient(place, support, identity), network, scope);
  const expiresAt = tokens.expiresAt ?? context.clock.now() + unstatedLifeMs;
  return { repository: null, token: tokens.accessToken, expiresAt };
}

/** The same for a link that was made so. */
export async function renewServiceToken(
  context: Pick<OperationContext, 'clock' | 'openNetwork' | 'links' | 'openVault'>,
  link: LinkRecord,
): Promise<KeptToken> {
  const client = findClientOf(context.links.read(), link);
  if (client === null) {
    throw new UnsupportedError(`The client that "${link.name}" signs in with is not known any more.`, {
      hint: `Give it again: gitlink relink ${link.name} --method app --client-id ID --client-secret-file FILE`,
    });
  }
  const identity = await readClientIdentity(context, client);
  return requestServiceToken(context, requireProvider(link), link, identity, link.caFile);
}

/** @throws UnsupportedError for a provider at which programs do not sign in by themselves. */
export function requireClientCredentials(provider: Provider): { scope: string; kind: string } {
  const known = provider.oauth?.clientCredentials;
  if (known) return known;
  throw new UnsupportedError(`At ${provider.displayName} no program signs in by itself.`, {
    hint: 'Sign in with a browser (--method oauth) or use a token (--method token).',
  });
}
