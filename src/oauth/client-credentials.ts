import { UsageError } from '../errors.ts';
import { sendClientCredentials } from './endpoint.ts';
import type { OAuthClient, OAuthNetwork } from './oauth-client.ts';
import { explainFailure } from './sign-in-error.ts';
import { judgeTokenAnswer } from './token-response.ts';
import type { TokenSet } from './token-set.ts';

/**
 * Signs a program in by itself, with its client's secret (RFC 6749 §4.4). Nothing is renewed: when the token ends,
 * another is asked for.
 *
 * @throws UsageError for a client without a secret, AuthError when the host refuses it.
 */
export async function signInAsClient(
  client: OAuthClient,
  network: OAuthNetwork,
  scope: string,
): Promise<TokenSet> {
  if (client.clientSecret === null) {
    throw new UsageError('A program signs in with the secret of its client, and this client has none.', {
      hint: 'Give it by --client-secret-file or --client-secret-env.',
    });
  }
  const answer = judgeTokenAnswer(await sendClientCredentials(client, network, scope));
  if (answer.outcome !== 'tokens') throw explainFailure(client, answer);
  return answer.tokens;
}
