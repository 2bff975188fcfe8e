import { findInstallation, reaches, type Permissions } from './app-state.ts';
import { Refusal, refuse, refuseNotFound, refuseResource, toErrorAnswer } from './call.ts';
import type { Actor, Call } from './call.ts';
import type { GithubAccount, GithubRepository, GithubState, GithubUser, Role } from './state.ts';
import { hasScope, type GithubToken } from './token-state.ts';

const roles: readonly Role[] = ['pull', 'triage', 'push', 'maintain', 'admin'];

/** What a person may do in a repository; null for nothing, though a public one can be read by everybody. */
export function roleOf(user: GithubUser | null, { owner, collaborators }: GithubRepository): Role | null {
  if (!user) return null;
  if (owner === user) return 'admin';
  const direct = collaborators.get(user.id) ?? null;
  if (owner.kind === 'user') return direct;
  const inOrganization = owner.members.get(user.id);
  if (inOrganization === 'admin') return 'admin';
  const base = inOrganization === undefined ? null : owner.baseRole;
  return atLeast(direct, base ?? 'pull') ? direct : base;
}

/** Whether a role includes another. */
export function atLeast(role: Role | null, wanted: Role): boolean {
  return role !== null && roles.indexOf(role) >= roles.indexOf(wanted);
}

/** Whether a person may do with an account what its owner may. */
export function isOwner(user: GithubUser | null, account: GithubAccount): boolean {
  if (!user) return false;
  return account.kind === 'user' ? account === user : account.members.get(user.id) === 'admin';
}

/** Whether a token has scopes, not permissions. */
export function isScoped({ kind }: GithubToken): boolean {
  return kind === 'classic' || kind === 'legacy' || kind === 'oauth';
}

/** Whether what a token is good for includes a repository's private parts, its user's role aside. */
function covers(state: GithubState, token: GithubToken, repository: GithubRepository): boolean {
  const isSelected =
    token.repositories === 'all' ||
    (token.repositories !== 'public' && token.repositories.has(repository.id));
  switch (token.kind) {
    case 'classic':
    case 'legacy':
    case 'oauth':
      return !repository.isPrivate || hasScope(token.scopes, ['repo']);
    case 'fineGrained':
      return repository.owner === token.resourceOwner && !token.isPending && isSelected;
    case 'userAccess': {
      const app = token.client?.app;
      const installation = app && findInstallation(state, app, repository.owner);
      if (!installation || installation.suspendedAt) return false;
      return reaches(installation, repository) && isSelected;
    }
    case 'installation':
      return token.installation !== null && reaches(token.installation, repository) && isSelected;
  }
}

/** Whether there is such a repository for the caller. */
export function isVisible(state: GithubState, actor: Actor, repository: GithubRepository): boolean {
  if (!repository.isPrivate) return true;
  if (actor.kind !== 'token' || !covers(state, actor.token, repository)) return false;
  return actor.token.kind === 'installation' || roleOf(actor.user, repository) !== null;
}

/** What a token with permissions may do in a repository. */
function permissionsIn(state: GithubState, token: GithubToken, repository: GithubRepository): Permissions {
  if (!covers(state, token, repository)) return {};
  if (token.kind !== 'userAccess') return token.permissions;
  const app = token.client?.app;
  const granted = (app && findInstallation(state, app, repository.owner)?.permissions) ?? {};
  // A narrowed one has permissions of its own.
  return Object.keys(token.permissions).length === 0 ? granted : token.permissions;
}

const levels = ['read', 'write', 'admin'];

/** Whether permissions include another, as `contents` at `write`. */
export function includes(granted: Permissions, name: string, level: string): boolean {
  return levels.indexOf(granted[name] ?? '') >= levels.indexOf(level);
}

/** What one action demands of the credential. */
interface Demand {
  /** One of these, or `repo`, or for a public repository `public_repo`. */
  readonly scopes: readonly string[];
  readonly permission: string;
  readonly level: 'read' | 'write';
  /** Of the person behind the token. */
  readonly role: Role;
}

/** Whether a caller's credential and person allow an action in a repository that they see. */
export function judge(
  state: GithubState,
  { token, user }: { readonly token: GithubToken; readonly user: GithubUser | null },
  repository: GithubRepository,
  { scopes, permission, level, role }: Demand,
): 'yes' | 'lacks-scope' | 'lacks-permission' | 'lacks-role' {
  if (isScoped(token)) {
    const wanted = [...scopes, 'repo', ...(repository.isPrivate ? [] : ['public_repo'])];
    if (!hasScope(token.scopes, wanted)) return 'lacks-scope';
  } else if (!includes(permissionsIn(state, token, repository), permission, level)) {
    return 'lacks-permission';
  }
  const isBound = token.kind !== 'installation';
  return isBound && !atLeast(roleOf(user, repository), role) ? 'lacks-role' : 'yes';
}

/** Demands something in a repository. @throws Refusal 404 for a missing role or scope, 403 for a permission. */
export function demand(call: Call, repository: GithubRepository, wanted: Demand): void {
  if (call.actor.kind !== 'token') throw refuseNotFound(call);
  const verdict = judge(call.state, call.actor, repository, wanted);
  if (verdict === 'lacks-permission') throw refuseResource(call);
  if (verdict !== 'yes') throw refuseNotFound(call);
}

/**
 * The repository that a path names, by owner and name or by id.
 *
 * @param scopes - With one of these a token reaches private repositories too, for what the route does.
 *
 * @throws Refusal 404 for what is not there or not visible, 301 or 307 for an old name, 403 by a rule of its
 * organization.
 */
export function requireRepository(call: Call, scopes: readonly string[] = []): GithubRepository {
  const { state, actor, request } = call;
  const { owner = '', repo = '', repository_id: id } = request.params;
  const name = `${owner}/${repo}`;
  const found = id === undefined ? state.findRepository(name) : state.repositories.get(Number(id));
  const moved = found ? undefined : state.repositories.get(state.renamed.get(name.toLowerCase()) ?? 0);
  if (moved && call.settings.redirectsRenamed && isVisible(state, actor, moved)) throw redirect(call, moved);
  if (!found) throw refuseNotFound(call);
  const broken = brokenRule(call, found.owner);
  const isKnown = isVisible(state, actor, found) || reachesBy(scopes, actor, found);
  if (broken && isKnown && (found.isPrivate || broken.isForPublic)) throw broken.refusal;
  if (!isKnown) throw refuseNotFound(call);
  return found;
}

function reachesBy(scopes: readonly string[], actor: Actor, repository: GithubRepository): boolean {
  if (actor.kind !== 'token' || !isScoped(actor.token)) return false;
  return hasScope(actor.token.scopes, scopes) && roleOf(actor.user, repository) !== null;
}

function redirect(call: Call, { id }: GithubRepository): Refusal {
  const rest = /\/repos\/[^/]+\/[^/]+(.*)$/.exec(call.request.path)?.[1] ?? '';
  const query = call.request.query.toString();
  const url = `${call.apiUrl()}/repositories/${id}${rest}${query === '' ? '' : `?${query}`}`;
  const status = call.request.method === 'GET' || call.request.method === 'HEAD' ? 301 : 307;
  const { json } = toErrorAnswer(status, status === 301 ? 'Moved Permanently' : 'Temporary Redirect');
  return new Refusal({ status, headers: { location: url }, json: { ...(json as object), url } });
}

/** A rule of an organization that the caller's credential breaks. */
interface BrokenRule {
  readonly refusal: Refusal;
  /** Also for what everybody may see. */
  readonly isForPublic: boolean;
  readonly isSingleSignOn: boolean;
}

/** Looks for a rule of the owner that the caller breaks (`providers/github.md` §10). */
export function brokenRule(
  { actor, webUrl }: Pick<Call, 'actor' | 'webUrl'>,
  owner: GithubAccount,
): BrokenRule | null {
  if (owner.kind !== 'organization' || actor.kind !== 'token') return null;
  const { policy, login, id } = owner;
  const { token } = actor;
  const although = `Although you appear to have the correct authorization credentials, the \`${login}\` organization has`;
  if (policy.blocksAddress) {
    const message = `${although} an IP allow list enabled, and your IP address is not permitted to access this resource.`;
    return { refusal: refuse(403, message), isForPublic: true, isSingleSignOn: false };
  }
  const isClassic = token.kind === 'classic' || token.kind === 'legacy';
  if (isClassic && policy.blocksClassicTokens) {
    const message = `\`${login}\` forbids access via a personal access token (classic). Please use a GitHub App, OAuth App, or a personal access token with fine-grained permissions.`;
    return { refusal: refuse(403, message), isForPublic: false, isSingleSignOn: false };
  }
  if (token.kind === 'oauth' && policy.restrictsOAuthApps) {
    const message = `${although} enabled OAuth App access restrictions, meaning that data access to third-parties is limited. For more information on these restrictions, including how to enable this app, visit https://docs.github.com/articles/restricting-access-to-your-organization-s-data/`;
    return { refusal: refuse(403, message), isForPublic: false, isSingleSignOn: false };
  }
  if (isScoped(token) && policy.enforcesSaml && !token.ssoOrganizations.has(id)) {
    const what = token.kind === 'oauth' ? 'OAuth App' : 'Personal Access token';
    const { json } = toErrorAnswer(
      403,
      `Resource protected by organization SAML enforcement. You must grant your ${what} access to this organization.`,
    );
    const documentation_url =
      'https://docs.github.com/articles/authenticating-to-a-github-organization-with-saml-single-sign-on/';
    const url = `${webUrl()}/orgs/${login}/sso?authorization_request=canary`;
    const refusal = new Refusal({
      status: 403,
      headers: { 'x-github-sso': `required; url=${url}` },
      json: { ...(json as object), documentation_url },
    });
    return { refusal, isForPublic: false, isSingleSignOn: true };
  }
  return null;
}

/** What of a list a caller sees, and the header that says what single sign-on kept from it. */
export function filterVisible(
  call: Call,
  repositories: readonly GithubRepository[],
): { readonly visible: readonly GithubRepository[]; readonly headers: Readonly<Record<string, string>> } {
  const hidden = new Set<number>();
  const rules = new Map<GithubAccount, BrokenRule | null>();
  const visible = repositories.filter((repository) => {
    const { owner, isPrivate } = repository;
    if (!isVisible(call.state, call.actor, repository)) return false;
    if (!rules.has(owner)) rules.set(owner, brokenRule(call, owner));
    const broken = rules.get(owner);
    if (!broken || !(isPrivate || broken.isForPublic)) return true;
    if (broken.isSingleSignOn) hidden.add(owner.id);
    return false;
  });
  const ids = [...hidden].sort((left, right) => left - right).join(',');
  return {
    visible,
    headers: hidden.size === 0 ? {} : { 'x-github-sso': `partial-results; organizations=${ids}` },
  };
}
