import * as v from 'valibot';
import { AuthError, ForbiddenError } from '../../errors.ts';
import { isAnswer } from '../../http/host-answer-error.ts';
import type { OAuthSupport } from '../oauth-support.ts';
import { signInKind, type Account, type HostAccess, type Identity } from '../provider.ts';
import * as endpoints from './endpoints.ts';
import * as schemas from './schemas.ts';
import { isMissingScope, readSignInScopes } from './scopes.ts';
import { assertOwnWord, toApplicationsPageUrl } from './tokens.ts';
import { limitsSignIns, parseVersion } from './versions.ts';

/**
 * The one string for ever, in this order: the server compares it letter by letter with what a person granted the
 * client before, and refuses another until the grant is revoked on its page.
 */
const constantScopes = ['read:user', 'read:organization', 'write:repository'];

/** Signing in at Gitea and Forgejo: authorization code and refresh, nothing else. */
export const oauth = {
  // Any port, but only for an address in digits and a client that is not confidential.
  redirect: { host: '127.0.0.1', path: '/callback', port: null },
  clientAuthentication: 'post',
  refresh: {
    spent: [
      { error: 'unauthorized_client', descriptionIncludes: 'already used' },
      { error: 'unauthorized_client', descriptionIncludes: 'unable to parse refresh token' },
      { error: 'invalid_grant', descriptionIncludes: 'grant does not exist' },
    ],
    secondTryAfterMs: null,
    // True of Gitea's default; Forgejo, and a Gitea that is set so, take a refresh token once.
    forgivesLostAnswer: false,
    parameters: {},
  },
  toEndpoints: ({ host }) => ({
    authorization: `${host}/login/oauth/authorize`,
    token: `${host}/login/oauth/access_token`,
    device: null,
    revocation: null,
  }),
  isOffered: endpoints.isOAuthOffered,
  toScopes: () => constantScopes,
  hasConstantScopes: true,
  explainRefusal: (host, { description }) =>
    description?.includes('different scope')
      ? new ForbiddenError(`${host} knows this client with other permissions, which never change.`, {
          hint: `Revoke it at ${toApplicationsPageUrl(host)}, then run the command again.`,
        })
      : null,
  registration: (host, redirectUri) => ({
    url: toApplicationsPageUrl(host),
    fields: [
      ['Application Name', 'gitlink'],
      ['Redirect URIs', redirectUri],
      ['Confidential Client', 'not ticked'],
    ],
  }),
  createClient: (access, wish) => nameMissingScope(access, endpoints.createApplication(access, wish)),
  deleteClient: async (access, registrationId) => {
    const isRemoved = await nameMissingScope(access, endpoints.deleteApplication(access, registrationId));
    return isRemoved ? 'removed' : 'gone';
  },
  grantsPage: toApplicationsPageUrl,
} satisfies OAuthSupport;

async function nameMissingScope<T>({ host }: HostAccess, request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    if (!isAnswer(error, 403)) throw error;
    throw new ForbiddenError(
      `${host} does not let this credential manage clients: that needs the scope write:user.`,
      { hint: `Take a token with write:user, or do it at ${toApplicationsPageUrl(host)}`, cause: error },
    );
  }
}

/**
 * Verifies a sign-in by asking for its account, and reads what it was granted by introspection, the only way to
 * learn it.
 */
export async function identifySignIn(access: HostAccess): Promise<Identity> {
  const account = await fetchAccount(access);
  return { account, credentialKind: signInKind, scopes: await fetchScopes(access), expiresAt: null };
}

async function fetchAccount(access: HostAccess): Promise<Account> {
  try {
    return await endpoints.fetchUser(access.http);
  } catch (error) {
    // A client that is not asked for consent again may still have an older, narrower grant.
    if (isAnswer(error, 403) && isMissingScope(error.hostMessage ?? '')) {
      return { login: null, kind: 'unknown', id: null };
    }
    if (!isAnswer(error, 401)) throw error;
    assertOwnWord(access, error);
    throw new AuthError(
      `${access.host} does not accept this sign-in any more: it expired, was revoked, or its client was deleted.`,
      {
        hint: 'Sign in again with: gitlink relink',
      },
    );
  }
}

/** @returns null where nobody can say: a sign-in must never look narrower than it is. */
async function fetchScopes(access: HostAccess): Promise<readonly string[] | null> {
  const version = parseVersion(access.version ?? (await fetchOwnVersion(access)));
  if (version === null) return null;
  if (!limitsSignIns(version)) return ['all'];
  const scope = access.client === null ? null : await endpoints.fetchSignInScope(access, access.client);
  return scope === null ? null : readSignInScopes(version.flavour, scope);
}

/** A server that everybody must sign in to tells its version only then. */
async function fetchOwnVersion({ http }: HostAccess): Promise<string | null> {
  const { status, body } = await endpoints.fetchVersion(http);
  const answer = v.safeParse(schemas.version, body);
  return status === 200 && answer.success ? answer.output.version : null;
}
