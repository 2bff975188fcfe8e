import { AuthError, ForbiddenError, UnreachableError, type GitlinkError } from '../errors.ts';
import type { OAuthClient } from './oauth-client.ts';
import type { OAuthError, UnexpectedAnswer } from './token-response.ts';

/** Says what a failed sign-in means: in the words of the provider where it has some, else in the standard's. */
export function explainFailure(
  { host, explain }: OAuthClient,
  failure: OAuthError | UnexpectedAnswer,
): GitlinkError {
  const own = failure.outcome === 'error' ? explain?.(failure) : null;
  return own ?? toSignInError(host, failure);
}

/**
 * Says what a failed sign-in means, so that each kind ends with its own exit code.
 *
 * @param host - The host as people know it.
 * @param failure - What the callback or an endpoint answered; its texts are printable already.
 */
export function toSignInError(host: string, failure: OAuthError | UnexpectedAnswer): GitlinkError {
  if (failure.outcome === 'unexpected') {
    return new UnreachableError(
      `${host} answered in a way that gitlink does not understand: ${failure.reason}.`,
      {
        hint: 'Try again later; check that the address is right and that no proxy is in between.',
      },
    );
  }
  const { error } = failure;
  // Servers write sentences; here they stand inside of one.
  const description = failure.description?.replace(/\.+$/, '') ?? null;
  const said = description === null ? error : `${error}: ${description}`;
  switch (error) {
    case 'access_denied':
      return new AuthError(
        `Signing in to ${host} was declined${description === null ? '' : ` (${description})`}.`,
        {
          hint: 'Run the command again and approve the request in the browser.',
        },
      );
    case 'invalid_scope':
      return new ForbiddenError(`${host} does not grant the permissions that were asked for (${said}).`, {
        hint: 'Allow them in the registration of the client at the host, or ask for less with --scope.',
      });
    case 'expired_token':
      return new AuthError(`The code for ${host} was not entered in time.`, {
        hint: 'Run the command again.',
      });
    case 'invalid_grant':
      return new AuthError(`${host} did not accept the code of this sign-in (${said}).`, {
        hint: 'Run the command again.',
      });
    case 'invalid_client':
    case 'unauthorized_client':
    case 'unsupported_response_type':
    case 'unsupported_grant_type':
      return new AuthError(`${host} does not let this client sign in (${said}).`, {
        hint: 'Compare the client id, its secret and its settings at the host with: gitlink client list',
      });
    case 'server_error':
    case 'temporarily_unavailable':
      return new UnreachableError(`${host} cannot sign anybody in at the moment (${said}).`, {
        hint: 'Try again later.',
      });
    default:
      return new AuthError(`Signing in to ${host} failed (${said}).`);
  }
}
