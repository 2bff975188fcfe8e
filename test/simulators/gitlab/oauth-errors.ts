import type { PlainAnswer } from '../routes.ts';

/** Doorkeeper's words (`providers/gitlab.md` §9). */
const descriptions: Readonly<Record<string, string>> = {
  invalid_grant:
    'The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the authorization request, or was issued to another client.',
  invalid_client:
    'Client authentication failed due to unknown client, no client authentication included, or unsupported authentication method.',
  invalid_scope: 'The requested scope is invalid, unknown, or malformed.',
  unauthorized_client: 'You are not authorized to revoke this token',
  unsupported_grant_type: 'The authorization grant type is not supported by the authorization server.',
  access_denied: 'The resource owner or authorization server denied the request.',
  authorization_pending:
    'The authorization request is still pending as the end user has not yet completed the user interaction steps.',
  slow_down:
    'The authorization request is still pending and polling should continue, but the interval must be increased.',
  expired_token: 'The device code has expired. Please start over.',
};

export function describeOAuthError(error: string): string {
  return descriptions[error] ?? 'The request is missing a required parameter, or is otherwise malformed.';
}

/** An error of the token, revocation or device endpoint. */
export function refuseOAuth(error: string, status = error === 'invalid_client' ? 401 : 400): PlainAnswer {
  return { status, headers: noStore, json: { error, error_description: describeOAuthError(error) } };
}

export const noStore = { 'cache-control': 'no-store', pragma: 'no-cache' } as const;
