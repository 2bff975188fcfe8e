import {
  Refusal,
  isPublicOnly,
  refuse,
  refuseNotFound,
  requireActor,
  type Actor,
  type Call,
} from './call.ts';
import type { GiteaOrganization, GiteaOwner, GiteaRepository, GiteaUser } from './state.ts';

const ranks = { none: 0, read: 1, write: 2, admin: 3, owner: 4 } as const;
export type Access = keyof typeof ranks;

export function isAtLeast(access: Access, wanted: Access): boolean {
  return ranks[access] >= ranks[wanted];
}

/** What a person may do with a repository, whatever the token says. */
export function accessOf(user: GiteaUser | null, repository: GiteaRepository): Access {
  const { owner } = repository;
  if (user?.isAdmin || (user && owner === user)) return 'owner';
  const role = user && owner.kind === 'organization' ? owner.members.get(user.id) : undefined;
  const candidates: readonly (Access | undefined)[] = [
    role,
    user ? repository.collaborators.get(user.id) : undefined,
    !repository.private && isOwnerVisible(user, owner) ? 'read' : undefined,
  ];
  return candidates.reduce<Access>(
    (best, access) => (access && isAtLeast(access, best) ? access : best),
    'none',
  );
}

export function isOwnerVisible(user: GiteaUser | null, owner: GiteaOwner): boolean {
  if (owner.kind === 'user' || owner.visibility === 'public' || user?.isAdmin) return true;
  if (!user) return false;
  return owner.visibility === 'limited' || owner.members.has(user.id);
}

/** What the caller may do, the token's own limits counted in. */
export function accessOfCaller(actor: Actor | null, repository: GiteaRepository): Access {
  const token = actor?.token;
  const access = accessOf(actor?.user ?? null, repository);
  if (!token?.repositories) return access;
  // A repository-specific token reads what is public, works in its repositories, and is never an admin.
  if (!token.repositories.includes(repository.id)) return repository.private ? 'none' : 'read';
  return isAtLeast(access, 'write') ? 'write' : access;
}

/**
 * The repository of the path.
 *
 * @throws Refusal 404 for one that the caller may not see, 301 or 307 for an old name.
 */
export function requireVisibleRepository(call: Call): { repository: GiteaRepository; access: Access } {
  const { owner: ownerName = '', repo: name = '' } = call.request.params;
  const repository = call.state.findRepository(ownerName, name);
  if (!repository) {
    redirectRepository(call, ownerName, name);
    throw refuseNotFound(call);
  }
  const access = accessOfCaller(call.actor, repository);
  if (access === 'none') throw refuseNotFound(call);
  if (isPublicOnly(call) && repository.private) {
    if (call.behaviour.publicOnlyStatus === 404) throw refuseNotFound(call);
    throw refuse(call, 403, 'token scope is limited to public repos');
  }
  return { repository, access };
}

function redirectRepository(call: Call, ownerName: string, name: string): void {
  const { state } = call;
  const movedOwner = state.owners.get(state.ownerRedirects.get(ownerName.toLowerCase()) ?? 0);
  if (movedOwner) throw redirect(call, [ownerName], [movedOwner.login], 307);
  const id = state.repositoryRedirects.get(`${ownerName}/${name}`.toLowerCase());
  const moved = id === undefined ? undefined : state.repositories.get(id);
  if (!moved || (call.behaviour.hidesRedirects && accessOfCaller(call.actor, moved) === 'none')) return;
  throw redirect(call, [ownerName, name], [moved.owner.login, moved.name], call.behaviour.redirectStatus);
}

/** The same path and query with other names in it, as a path without the origin, as the servers send it. */
function redirect(call: Call, from: readonly string[], to: readonly string[], status: number): Refusal {
  const { request } = call;
  const encode = (names: readonly string[]) => names.map(encodeURIComponent).join('/');
  const path = request.path.replace(encode(from), encode(to));
  const query = request.query.size > 0 ? `?${request.query.toString()}` : '';
  const { pathname } = new URL(call.baseUrl());
  const location = `${pathname === '/' ? '' : pathname}${path}${query}`;
  const text = request.method === 'GET' ? `<a href="${location}">Moved</a>.\n\n` : '';
  return new Refusal({ status, headers: { location }, text, contentType: 'text/html; charset=utf-8' });
}

/** Demands the right to manage webhooks of the repository in the path. @throws Refusal */
export function requireRepositoryAdmin(call: Call): GiteaRepository {
  const { repository, access } = requireVisibleRepository(call);
  requireActor(call);
  if (isAtLeast(access, 'admin')) return repository;
  throw refuse(call, 403, 'user should be an owner or a collaborator with admin write of a repository');
}

/** The organization of the path. @throws Refusal 404, or 307 for an old name. */
export function requireOrganization(call: Call, name = call.request.params['org'] ?? ''): GiteaOrganization {
  const { state } = call;
  const owner = state.findOwner(name);
  const user = call.actor?.user ?? null;
  if (owner?.kind === 'organization' && isOwnerVisible(user, owner)) {
    if (!isPublicOnly(call) || owner.visibility === 'public') return owner;
    throw refuse(call, 403, 'token scope is limited to public orgs');
  }
  const moved = state.owners.get(state.ownerRedirects.get(name.toLowerCase()) ?? 0);
  if (moved?.kind === 'organization') throw redirect(call, [name], [moved.login], 307);
  throw refuseNotFound(call);
}

/** Demands that the caller owns the organization of the path. @throws Refusal */
export function requireOrganizationOwner(call: Call): GiteaOrganization {
  const organization = requireOrganization(call);
  const user = call.actor?.user;
  if (user && (user.isAdmin || organization.members.get(user.id) === 'owner')) return organization;
  throw refuse(call, 403, 'Must be an organization owner');
}

/** The user or organization of the path. @throws Refusal 404, or 307 for an old name. */
export function requireOwnerOfPath(call: Call): GiteaOwner {
  const { username = '' } = call.request.params;
  const owner = call.state.findOwner(username);
  if (owner && isOwnerVisible(call.actor?.user ?? null, owner)) return owner;
  const moved = call.state.owners.get(call.state.ownerRedirects.get(username.toLowerCase()) ?? 0);
  if (moved) throw redirect(call, [username], [moved.login], 307);
  throw refuseNotFound(call, `user redirect does not exist [name: ${username}]`);
}
