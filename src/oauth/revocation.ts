import type { Secret } from '../secret.ts';
import { sendRevocation } from './endpoint.ts';
import type { OAuthClient, OAuthNetwork } from './oauth-client.ts';
import { toSignInError } from './sign-in-error.ts';
import { judgeFailure, toFields } from './token-response.ts';

/** What a revocation endpoint did. */
export type TokenRevocation =
  /** The token is not, or no longer, valid: unknown tokens are answered alike (RFC 7009 §2.2). */
  | { readonly outcome: 'accepted' }
  /** The server ends no tokens of this kind, or not for this client. The reason is printable. */
  | { readonly outcome: 'refused'; readonly reason: string };

/**
 * Asks a server to end a token (RFC 7009). With a refresh token most servers end the whole sign-in; some do
 * nothing when they are given an access token that has expired.
 *
 * @throws UnreachableError when nothing is known of the outcome.
 */
export async function revokeToken(
  client: OAuthClient,
  network: OAuthNetwork,
  endpoint: string,
  token: { readonly value: Secret; readonly kind: 'access_token' | 'refresh_token' },
): Promise<TokenRevocation> {
  const answer = await sendRevocation(client, network, endpoint, token);
  if (answer.status === 404 || answer.status === 405) {
    return { outcome: 'refused', reason: 'this server has no way to end a sign-in' };
  }
  // The body of a success means nothing and is often empty.
  const failure = judgeFailure(answer, toFields(answer.body));
  if (failure === null) return { outcome: 'accepted' };
  if (failure.outcome === 'unexpected') throw toSignInError(client.host, failure);
  const { error, description } = failure;
  return { outcome: 'refused', reason: description === null ? error : `${error}: ${description}` };
}
