import { AuthError, UnreachableError, type GitlinkError } from '../errors.ts';
import type { Secret } from '../secret.ts';
import { LostAnswerError, sendRefreshToken } from './endpoint.ts';
import type { OAuthClient, OAuthNetwork } from './oauth-client.ts';
import { toSignInError } from './sign-in-error.ts';
import { judgeTokenAnswer, type OAuthError, type TokenAnswer } from './token-response.ts';
import type { TokenSet } from './token-set.ts';

/** How a server answers a refresh token that is used up, revoked or expired. */
export interface SpentAnswer {
  readonly error: string;
  /** Part of the description, where the code alone may mean something else. */
  readonly descriptionIncludes?: string;
}

/** What is special about refreshing at a host. Data of its adapter. */
export interface RefreshRules {
  readonly spent: readonly SpentAnswer[];
  /** A second try after this pause, in milliseconds, where the host's replicas may lag behind; else null. */
  readonly secondTryAfterMs: number | null;
  /** Whether the host documents that a refresh token may be sent again when the answer was lost. */
  readonly forgivesLostAnswer: boolean;
  /** What the host wants beside the standard's parameters. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** The refresh token is dead, so a person must sign in again. */
export class SpentError extends AuthError {
  /** Whether it was used by a renewal whose answer nobody got. */
  readonly isInterrupted: boolean;

  constructor(message: string, hint: string, isInterrupted: boolean) {
    super(message, { hint });
    this.isInterrupted = isInterrupted;
  }
}

/** What became of one refresh. */
export type RefreshOutcome =
  | { readonly outcome: 'refreshed'; readonly tokens: TokenSet }
  /** The refresh token is dead: a person must sign in again. */
  | { readonly outcome: 'spent'; readonly error: SpentError }
  /** The same may succeed later. With a lost answer the server may have exchanged the token all the same. */
  | { readonly outcome: 'transient'; readonly error: GitlinkError; readonly isAnswerLost: boolean }
  /** The server refuses for another reason, such as an unknown client. */
  | { readonly outcome: 'failed'; readonly error: GitlinkError; readonly isAnswerLost: boolean };

/**
 * Exchanges a refresh token once (RFC 6749 §6).
 *
 * Ctrl-C does not cut the exchange: an answer that nobody reads may be the only copy of the new tokens.
 *
 * @param current - What is stored. A refresh token or scopes that the answer leaves out stay as they were.
 * @throws the signal's reason, before anything is sent.
 */
export async function refreshTokens(
  client: OAuthClient,
  network: OAuthNetwork,
  rules: RefreshRules,
  current: TokenSet & { readonly refreshToken: Secret },
): Promise<RefreshOutcome> {
  network.signal.throwIfAborted();
  const uncut = { ...network, signal: new AbortController().signal };
  try {
    const answer = await sendRefreshToken(client, uncut, current.refreshToken, rules.parameters);
    return judgeRefresh(client.host, rules.spent, current, judgeTokenAnswer(answer));
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error;
    return { outcome: 'transient', error, isAnswerLost: error instanceof LostAnswerError };
  }
}

/** Says what an answer to a refresh means. */
function judgeRefresh(
  host: string,
  spent: readonly SpentAnswer[],
  current: TokenSet,
  answer: TokenAnswer,
): RefreshOutcome {
  if (answer.outcome === 'tokens') {
    const { tokens } = answer;
    const keepsRefreshToken = tokens.refreshToken === null;
    return {
      outcome: 'refreshed',
      tokens: {
        ...tokens,
        refreshToken: tokens.refreshToken ?? current.refreshToken,
        refreshExpiresAt: tokens.refreshExpiresAt ?? (keepsRefreshToken ? current.refreshExpiresAt : null),
        scopes: tokens.scopes ?? current.scopes,
      },
    };
  }
  const error = toSignInError(host, answer);
  if (answer.outcome === 'unexpected') {
    return { outcome: answer.isTransient ? 'transient' : 'failed', error, isAnswerLost: true };
  }
  if (spent.some((rule) => matches(rule, answer))) return { outcome: 'spent', error: createSpentError(host) };
  const outcome = error instanceof UnreachableError ? 'transient' : 'failed';
  return { outcome, error, isAnswerLost: false };
}

export function createSpentError(
  host: string,
  reason = 'it was used, revoked or has expired',
  isInterrupted = false,
): SpentError {
  const message = `${host} no longer renews this sign-in: ${reason}.`;
  return new SpentError(message, 'Sign in again with: gitlink relink', isInterrupted);
}

function matches({ error, descriptionIncludes }: SpentAnswer, answer: OAuthError): boolean {
  return (
    answer.error === error &&
    (descriptionIncludes === undefined || (answer.description ?? '').includes(descriptionIncludes))
  );
}
