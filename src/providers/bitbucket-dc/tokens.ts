import { NotFoundError } from '../../errors.ts';
import type { HostClient } from '../../http/host-client.ts';
import type { Secret } from '../../secret.ts';
import type { SignInPlace } from '../oauth-support.ts';
import {
  signInKind,
  type Account,
  type Capability,
  type HostAccess,
  type Identity,
  type TokenPage,
  type TokenShape,
} from '../provider.ts';
import { createRefusedError, fetchSender, hasAnyPermission, isPermitted, type Sender } from './ask.ts';
import * as endpoints from './endpoints.ts';
import { toTokensUrl } from './pages.ts';
import { projectLevels, repositoryLevels, scopes } from './scopes.ts';
import { findTokenPlace } from './token-place.ts';
import { readTokenId } from './token-records.ts';

/** With its prefix since 2024, and the 44 characters alone before: `<id>:<20 random bytes>` in base64. */
const tokenShape = /^(?:BBDC-[\w+/@-]{40,50}|[MNO][A-Za-z0-9+/]{43})$/;

/** What a token looks like is a hint and no more: a sign-in's token, and those to come, look otherwise. */
export function recogniseToken(token: Secret): TokenShape {
  return { use: 'api', kind: token.matches(tokenShape) ? 'http-access-token' : 'access-token' };
}

const tokenKinds: Readonly<Partial<Record<Account['kind'], string>>> = {
  user: 'user-access-token',
  project: 'project-access-token',
  repository: 'repository-access-token',
};

/**
 * Verifies a credential where strangers are refused, then finds out whose it is. No server tells a token what it
 * may do and until when; the former shows in where it has each permission.
 */
export async function identify(access: HostAccess): Promise<Identity> {
  const sender = await fetchSender(access);
  if (sender === null && !(await hasAnyPermission(access))) throw createRefusedError(access.host);
  if (access.credential.kind === signInKind) {
    const account = await describePerson(access, sender);
    return { account, credentialKind: signInKind, scopes: null, expiresAt: null };
  }
  const [account, granted] = await Promise.all([describeAccount(access, sender), inferScopes(access.http)]);
  return {
    account,
    credentialKind: tokenKinds[account.kind] ?? 'http-access-token',
    scopes: granted,
    expiresAt: null,
    isExpiryHidden: true,
  };
}

async function describeAccount(access: HostAccess, sender: Sender | null): Promise<Account> {
  const user = sender?.name ? await endpoints.findUser(access, sender.name) : null;
  if (user !== null && user.type !== 'SERVICE') {
    return { login: user.name, kind: 'user', id: String(user.id) };
  }
  const { account: known } = access;
  // Where people may not be looked up, a person who was known stays one.
  if (known.kind === 'user' && known.login === sender?.name) return known;
  const named = known.kind === 'user' ? null : known.login;
  const place = await findTokenPlace(access, named);
  if (place === null && named !== null) {
    throw new NotFoundError(`This token has no permission for ${named} at ${access.host}.`, {
      hint: 'A token of a project is named KEY, one of a repository KEY/NAME, as in its address.',
    });
  }
  const id = readTokenId(access.credential.token) ?? sender?.id ?? null;
  return { ...(place ?? { login: null, kind: 'project' }), id };
}

async function describePerson(access: HostAccess, sender: Sender | null): Promise<Account> {
  const name = sender?.name ?? null;
  const user = name === null ? null : await endpoints.findUser(access, name);
  const id = user === null ? (sender?.id ?? null) : String(user.id);
  return { login: name, kind: name === null ? 'unknown' : 'user', id };
}

/** @returns null for a credential that has no permission anywhere yet, of which nothing can be said. */
async function inferScopes(http: HostClient): Promise<readonly string[] | null> {
  const highest = async (levels: readonly string[]): Promise<string[]> => {
    for (const permission of levels) if (await isPermitted(http, permission)) return [permission];
    return [];
  };
  const found = (await Promise.all([repositoryLevels, projectLevels].map(highest))).flat();
  return found.length === 0 ? null : found.sort();
}

export function toTokenPage({ host }: SignInPlace, capabilities: readonly Capability[]): TokenPage {
  const wanted = new Set((['list', ...capabilities] as const).flatMap((name) => scopes[name] ?? []));
  const project = wanted.has('PROJECT_ADMIN') ? 'PROJECT_ADMIN' : 'PROJECT_READ';
  const repository = [...repositoryLevels].find((level) => wanted.has(level)) ?? 'REPO_READ';
  return {
    url: toTokensUrl(host),
    instructions: `Name it "gitlink" and give it the permissions ${project} and ${repository}. Tokens of a project or repository are made in its settings, under HTTP access tokens.`,
  };
}
