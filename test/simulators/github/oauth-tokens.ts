import type { GithubContext } from './call.ts';
import type { OAuthClient, OAuthGrant, RefreshToken } from './oauth-state.ts';
import type { GithubUser } from './state.ts';
import { isAlive, makeRefreshSecret, storeToken, type GithubToken } from './token-state.ts';

const mostTokens = 10;
const minuteMs = 60_000;
const hourMs = 3_600_000;

interface Issue {
  readonly client: OAuthClient;
  readonly user: GithubUser;
  readonly scopes: readonly string[];
  readonly isOfDevice: boolean;
  /** Ids that a token of a GitHub App is narrowed to. */
  readonly repositories?: ReadonlySet<number>;
}

/** What a client is given, as the token endpoint says it. */
export function issueTokens(context: GithubContext, issue: Issue): Readonly<Record<string, unknown>> {
  const { state, settings, now } = context;
  const { client, user, isOfDevice } = issue;
  const wishesOffline = settings.knowsOfflineAccess && issue.scopes.includes('offline_access');
  const scopes = issue.scopes.filter((scope) => scope !== 'offline_access');
  const grant = findGrant(context, client, user);
  const isExpiring = client.expiresTokens || wishesOffline;
  if (client.kind === 'oauthApp') evict(context, grant, scopes);
  const token = storeToken(state, now(), {
    kind: client.kind === 'oauthApp' ? 'oauth' : 'userAccess',
    name: `${user.login} at ${client.name}`,
    user,
    scopes,
    client,
    grant,
    expiresAt: isExpiring ? new Date(now() + settings.accessTokenLifeS * 1000) : null,
    repositories: issue.repositories ?? 'all',
  });
  const said = { access_token: token.secret, token_type: 'bearer', scope: scopes.join(',') };
  if (!isExpiring) return said;
  const refresh: RefreshToken = {
    secret: makeRefreshSecret(),
    grant,
    scopes: issue.scopes,
    accessSecret: token.secret,
    isOfDevice,
    expiresAt: now() + settings.refreshTokenLifeS * 1000,
    isSpent: false,
  };
  state.oauth.refreshTokens.set(refresh.secret, refresh);
  return {
    ...said,
    expires_in: settings.accessTokenLifeS,
    refresh_token: refresh.secret,
    refresh_token_expires_in: settings.refreshTokenLifeS,
  };
}

function findGrant({ state }: GithubContext, client: OAuthClient, user: GithubUser): OAuthGrant {
  const known = [...state.oauth.grants].find((grant) => grant.client === client && grant.user === user);
  if (known) {
    known.isAlive = true;
    return known;
  }
  const grant = { client, user, isAlive: true };
  state.oauth.grants.add(grant);
  return grant;
}

function tokensOf({ state, now }: GithubContext, grant: OAuthGrant): readonly GithubToken[] {
  return [...state.tokens.values()].filter((token) => token.grant === grant && isAlive(token, now()));
}

/** How many tokens somebody got from a client of late, the dead ones too. */
export function issuedWithinHour({ state, now }: GithubContext, grant: OAuthGrant): number {
  return [...state.tokens.values()].filter(
    (token) => token.grant === grant && now() - token.createdAt.getTime() < hourMs,
  ).length;
}

/** Ten tokens with the same scopes; one more and one goes, the least missed first (`providers/github.md` §2.3). */
function evict(context: GithubContext, grant: OAuthGrant, scopes: readonly string[]): void {
  const alike = tokensOf(context, grant).filter((token) => token.scopes.join() === scopes.join());
  if (alike.length < mostTokens) return;
  const madeAt = (token: GithubToken) => token.createdAt.getTime();
  const byAge = [...alike].sort((left, right) => madeAt(left) - madeAt(right) || left.id - right.id);
  const unused = byAge.find((token) => token.lastUsedAt === null && context.now() - madeAt(token) > minuteMs);
  const used = byAge.filter((token) => token.lastUsedAt !== null);
  const leastUsed = used.sort((left, right) => Number(left.lastUsedAt) - Number(right.lastUsedAt))[0];
  const victim = unused ?? leastUsed ?? byAge[0];
  if (victim) victim.revoked = true;
}

/** Ends all that somebody allowed a client. */
export function endGrant({ state }: Pick<GithubContext, 'state'>, grant: OAuthGrant): void {
  grant.isAlive = false;
  for (const token of state.tokens.values()) if (token.grant === grant) token.revoked = true;
  for (const refresh of state.oauth.refreshTokens.values())
    if (refresh.grant === grant) refresh.isSpent = true;
}
