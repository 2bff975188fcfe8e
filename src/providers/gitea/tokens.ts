import { AuthError, UnreachableError } from '../../errors.ts';
import { isAnswer, type HostAnswerError } from '../../http/host-answer-error.ts';
import type { Authorization } from '../../http/host-client.ts';
import type { SignInPlace } from '../oauth-support.ts';
import type { Account, Capability, HostAccess, Identity, Revocation, TokenPage } from '../provider.ts';
import * as endpoints from './endpoints.ts';
import { isMissingScope, readGrantedScopes, scopes } from './scopes.ts';
import { isForgejo, mayDescribeOwnToken } from './versions.ts';

const credentialKind = 'personal-access-token';

/**
 * Verifies a token: since Gitea 1.27 by asking for the token itself, which needs no scope; else by asking for
 * the account. A 403 for a missing scope still proves that the token is valid.
 */
export async function identify(access: HostAccess): Promise<Identity> {
  try {
    return await describe(access);
  } catch (error) {
    if (!isAnswer(error, 401)) throw error;
    assertOwnWord(access, error);
    throw new AuthError(`${access.host} does not accept this token: it is wrong, or it was deleted there.`, {
      hint: `Make a new one at ${toApplicationsPageUrl(access.host)}`,
    });
  }
}

/**
 * Gitea and Forgejo explain every refusal; one without a word is that of a proxy in between, and says nothing
 * about the token.
 *
 * @throws UnreachableError
 */
export function assertOwnWord(access: HostAccess, error: HostAnswerError): void {
  if (error.hostMessage !== null) return;
  throw new UnreachableError(
    `${access.host} answered 401 without a word of its own: something is in between.`,
    {
      hint: 'A proxy or a sign-in page? Open the address in a browser to see what answers there.',
    },
  );
}

async function describe(access: HostAccess): Promise<Identity> {
  if (mayDescribeOwnToken(access.version)) {
    const token = await endpoints.fetchOwnToken(access.http);
    if (token !== null) {
      const account: Account = { login: token.user.login, kind: 'user', id: String(token.user.id) };
      return { account, credentialKind, scopes: [...(token.scopes ?? [])].sort(), expiresAt: null };
    }
  }
  try {
    const account = await endpoints.fetchUser(access.http);
    return { account, credentialKind, scopes: await fetchScopes(access, account), expiresAt: null };
  } catch (error) {
    if (!isAnswer(error, 403) || !isMissingScope(error.hostMessage ?? '')) throw error;
    const account: Account = { login: null, kind: 'unknown', id: null };
    return { account, credentialKind, scopes: readGrantedScopes(error.hostMessage ?? ''), expiresAt: null };
  }
}

/** Forgejo lists tokens to a token; Gitea before 1.27 only to one sent as a password. */
async function fetchScopes(access: HostAccess, account: Account): Promise<readonly string[] | null> {
  if (account.login === null) return null;
  const listed = await endpoints.findListedToken(access, account.login, asPassword(access, account.login));
  return listed === null ? null : [...(listed.scopes ?? [])].sort();
}

/** The token as a password beside the login, as Gitea wants it for the management of tokens. */
export function asPassword(access: HostAccess, username: string): Authorization | undefined {
  if (isForgejo(access.version)) return undefined;
  return { scheme: 'Basic', username, secret: access.credential.token };
}

/** Deletes the token with itself where the server lets a token do that. */
export async function revoke(access: HostAccess): Promise<Revocation> {
  try {
    if (mayDescribeOwnToken(access.version) && (await endpoints.deleteOwnToken(access.http))) {
      return { outcome: 'revoked' };
    }
    return await revokeByList(access);
  } catch (error) {
    if (!isAnswer(error, 401)) throw error;
    assertOwnWord(access, error);
    return { outcome: 'alreadyDead' };
  }
}

async function revokeByList(access: HostAccess): Promise<Revocation> {
  const pageUrl = toApplicationsPageUrl(access.host);
  if (isForgejo(access.version)) {
    return {
      outcome: 'impossible',
      reason: 'Forgejo deletes a token only for the account password, which gitlink never asks for',
      pageUrl,
    };
  }
  const login = access.account.login ?? (await endpoints.fetchUser(access.http)).login;
  const authorization = asPassword(access, login ?? '');
  const listed = login === null ? null : await endpoints.findListedToken(access, login, authorization);
  const status =
    login !== null && listed !== null
      ? await endpoints.deleteListedToken(access, login, listed.id, authorization)
      : 403;
  if (status === 204) return { outcome: 'revoked' };
  return {
    outcome: 'impossible',
    reason: 'this server lets a token delete itself only with the scope write:user (Gitea 1.27: always)',
    pageUrl,
  };
}

/** Where a person makes and deletes tokens, registers clients and ends sign-ins. */
export function toApplicationsPageUrl(host: string): string {
  return `${host}/user/settings/applications`;
}

export function toTokenPage({ host }: SignInPlace, capabilities: readonly Capability[]): TokenPage {
  const wanted = new Set<string>(
    (['identity', 'list', 'namespaces', ...capabilities] as const).flatMap((name) => scopes[name] ?? []),
  );
  const needed = [...wanted]
    .filter((scope) => !wanted.has(scope.replace(/^read:/, 'write:')))
    .concat([...wanted].filter((scope) => scope.startsWith('write:')));
  return {
    url: toApplicationsPageUrl(host),
    instructions: `Name it "gitlink" and give it the permissions ${[...new Set(needed)].sort().join(', ')}.`,
  };
}
