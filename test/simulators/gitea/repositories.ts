import type { Route } from '../routes.ts';
import {
  accessOf,
  accessOfCaller,
  isOwnerVisible,
  requireOrganization,
  requireOwnerOfPath,
  requireVisibleRepository,
} from './access.ts';
import { isPublicOnly, refuse, refuseNotFound, requireActor, requireScopes } from './call.ts';
import type { Call, GiteaHandler } from './call.ts';
import { answerPage } from './paging.ts';
import type { GiteaOwner, GiteaRepository, GiteaUser } from './state.ts';
import { toRepositoryJson } from './repository-json.ts';

/** Listing and reading repositories (`providers/gitea.md` §4). */
export function listRepositoryRoutes(api: (handler: GiteaHandler) => Route['handle']): Route[] {
  return [
    { method: 'GET', template: '/api/v1/user/repos', handle: api(listMine) },
    { method: 'GET', template: '/api/v1/repos/search', handle: api(search) },
    { method: 'GET', template: '/api/v1/orgs/{org}/repos', handle: api(listOfOrganization) },
    { method: 'GET', template: '/api/v1/users/{username}/repos', handle: api(listOfUser) },
    { method: 'GET', template: '/api/v1/repos/{owner}/{repo}', handle: api(read) },
    { method: 'GET', template: '/api/v1/repositories/{id}', handle: api(readById) },
  ];
}

function listMine(call: Call) {
  // Two checks one after the other: a token that lacks both is told of `user` only.
  requireScopes(call, 'user');
  requireScopes(call, 'repository');
  const { user } = requireActor(call);
  const mine = call.state.listRepositories().filter((repository) => isMine(user, repository));
  return answerRepositories(call, mine);
}

/** Own, collaborations, and those of organizations where one is a member: not everything one may read. */
function isMine(user: GiteaUser, { owner, collaborators }: GiteaRepository): boolean {
  if (owner === user || collaborators.has(user.id)) return true;
  return owner.kind === 'organization' && owner.members.has(user.id);
}

function search(call: Call) {
  requireScopes(call, 'repository');
  const { query } = call.request;
  const user = call.actor?.user ?? null;
  const mode = query.get('mode') ?? '';
  if (!['', 'source', 'fork', 'mirror', 'collaborative'].includes(mode)) {
    throw refuse(call, 422, 'invalid search mode');
  }
  const uid = Number(query.get('uid') ?? 0);
  const owner = call.state.owners.get(uid);
  const keyword = (query.get('q') ?? '').trim().toLowerCase();
  const found = call.state.listRepositories().filter((repository) => {
    if (accessOf(user, repository) === 'none') return false;
    if (query.get('private') === 'false' && repository.private) return false;
    if (query.has('is_private') && (query.get('is_private') === 'true') !== repository.private) return false;
    if (query.has('archived') && (query.get('archived') === 'true') !== repository.archived) return false;
    if (mode === 'mirror' && !repository.mirror) return false;
    if (mode === 'fork') return false;
    if (uid !== 0 && (!owner || !isOf(owner, repository, query.get('exclusive') === 'true'))) return false;
    return repository.name.toLowerCase().includes(keyword);
  });
  return answerRepositories(call, sortFound(call, found), (data) => ({ ok: true, data }));
}

function isOf(owner: GiteaOwner, repository: GiteaRepository, isExclusive: boolean): boolean {
  if (repository.owner === owner) return true;
  return !isExclusive && owner.kind === 'user' && isMine(owner, repository);
}

function sortFound(call: Call, found: readonly GiteaRepository[]): readonly GiteaRepository[] {
  const sort = call.request.query.get('sort') ?? '';
  const order = call.request.query.get('order') ?? 'asc';
  if (!['', 'alpha', 'id', 'created', 'updated', 'size'].includes(sort)) {
    throw refuse(call, 422, `Invalid sort mode: "${sort}"`);
  }
  if (!['asc', 'desc'].includes(order)) throw refuse(call, 422, `Invalid sort order: "${order}"`);
  const sorted =
    sort === '' || sort === 'alpha' ? [...found] : [...found].sort((left, right) => left.id - right.id);
  return order === 'desc' ? sorted.reverse() : sorted;
}

function listOfOrganization(call: Call) {
  requireScopes(call, 'organization');
  return answerOwned(call, requireOrganization(call));
}

function listOfUser(call: Call) {
  requireScopes(call, 'user');
  const owner = requireOwnerOfPath(call);
  requireScopes(call, 'repository');
  return answerOwned(call, owner);
}

function answerOwned(call: Call, owner: GiteaOwner) {
  const user = call.actor?.user ?? null;
  const owned = call.state
    .listRepositories()
    .filter((repository) => repository.owner === owner && accessOf(user, repository) !== 'none')
    .sort((left, right) => left.id - right.id);
  return answerRepositories(call, owned);
}

function answerRepositories(
  call: Call,
  repositories: readonly GiteaRepository[],
  wrap?: (page: readonly unknown[]) => unknown,
) {
  const visible = isPublicOnly(call)
    ? repositories.filter((repository) => !repository.private && isOwnerVisible(null, repository.owner))
    : repositories;
  return answerPage(
    call,
    visible,
    (repository) => toRepositoryJson(call, repository, accessOfCaller(call.actor, repository)),
    {
      hasLink: true,
      ...(wrap ? { wrap } : {}),
    },
  );
}

function read(call: Call) {
  requireScopes(call, 'repository');
  const { repository, access } = requireVisibleRepository(call);
  return { status: 200, json: toRepositoryJson(call, repository, access) };
}

function readById(call: Call) {
  requireActor(call);
  requireScopes(call, 'repository');
  const repository = call.state.repositories.get(Number(call.request.params['id']));
  const access = repository ? accessOfCaller(call.actor, repository) : 'none';
  if (!repository || access === 'none' || (isPublicOnly(call) && repository.private))
    throw refuseNotFound(call);
  return { status: 200, json: toRepositoryJson(call, repository, access) };
}
