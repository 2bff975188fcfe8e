import { AuthError } from '../../errors.ts';
import type { HostClient } from '../../http/host-client.ts';
import { route } from '../../http/route.ts';
import type { Secret } from '../../secret.ts';
import type { ClientIdentity, SignInTokens } from '../oauth-support.ts';
import { installationKind, type HostAccess, type Revocation } from '../provider.ts';
import { openApi, speak } from './ask.ts';
import { isEnterpriseServer, toHost } from './hosts.ts';
import { toGrantsUrl } from './pages.ts';
import { toCredentialPage } from './token-pages.ts';

/**
 * Ends a token that a person pasted. GitHub takes reports of found tokens from everybody and says the same of living
 * and dead ones, so whether it lives is asked first. It also tells the owner by e-mail that the token was found.
 *
 * @see https://docs.github.com/rest/credentials/revoke
 */
export async function revoke(access: HostAccess): Promise<Revocation> {
  const { http, host, credential, account } = access;
  if (credential.kind === installationKind) {
    const ended = await endInstallationToken(http, credential.token);
    return { outcome: ended };
  }
  try {
    await openApi(access).request({ method: 'GET', route: route`/user` });
  } catch (error) {
    if (error instanceof AuthError) return { outcome: 'alreadyDead' };
    throw error;
  }
  // Where a server of a company has it, only for those who signed in; elsewhere for nobody who did.
  const isReported = await report(http, [credential.token], isEnterpriseServer(access));
  if (isReported) return { outcome: 'revoked' };
  return {
    outcome: 'impossible',
    reason: `${host} ends such a token on its page only`,
    pageUrl: toCredentialPage(access, account, credential.kind),
  };
}

/** @returns false where the host has no such way, or not for such a token. */
async function report(http: HostClient, tokens: readonly Secret[], isSigned: boolean): Promise<boolean> {
  const { status } = await speak(http, null).request({
    method: 'POST',
    route: route`/credentials/revoke`,
    json: { credentials: tokens },
    ...(isSigned ? {} : { authorization: null }),
    // Nothing is worse for having been said twice.
    repeat: 'safe',
    accept: [401, 403, 404, 422],
  });
  return status < 300;
}

/** Has an installation's token end itself. */
export async function endInstallationToken(
  http: HostClient,
  token: Secret,
): Promise<'revoked' | 'alreadyDead'> {
  const { status } = await speak(http, installationKind).request({
    method: 'DELETE',
    route: route`/installation/token`,
    authorization: { scheme: 'Bearer', secret: token },
    accept: [401],
  });
  return status === 401 ? 'alreadyDead' : 'revoked';
}

/**
 * Ends a sign-in: by its client, which proves itself with its secret, else as anybody who found its tokens. A client
 * with a secret leaves a refresh token that nobody has any more, and that is nothing without the secret.
 *
 * @see https://docs.github.com/rest/apps/oauth-applications#delete-an-app-token
 */
export async function endSignIn(
  api: HostClient,
  client: ClientIdentity,
  { accessToken, refreshToken }: SignInTokens,
): Promise<Revocation> {
  const host = toHost(api.base);
  if (client.secret === null) {
    const tokens = refreshToken === null ? [accessToken] : [refreshToken, accessToken];
    if (await report(api, tokens, false)) return { outcome: 'revoked' };
    return {
      outcome: 'impossible',
      reason: `${host} ends a sign-in for a client with its secret, and gitlink has none`,
      pageUrl: toGrantsUrl(host),
    };
  }
  const { status } = await speak(api, null).request({
    method: 'DELETE',
    route: route`/applications/${client.id}/token`,
    authorization: { scheme: 'Basic', username: client.id, secret: client.secret },
    json: { access_token: accessToken },
    accept: [401, 404],
  });
  if (status === 404) return { outcome: 'alreadyDead' };
  if (status !== 401) return { outcome: 'revoked' };
  return {
    outcome: 'impossible',
    reason: `${host} does not accept the secret of the client ${client.id}`,
    pageUrl: toGrantsUrl(host),
  };
}
