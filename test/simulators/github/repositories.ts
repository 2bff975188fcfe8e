import type { PlainAnswer, Route } from '../routes.ts';
import { brokenRule, filterVisible, requireRepository, roleOf } from './access.ts';
import { refuseInvalid, refuseNotFound, requirePerson } from './call.ts';
import type { Api, Call } from './call.ts';
import { answerPage } from './paging.ts';
import { toRepositoryJson } from './repository-json.ts';
import { fullNameOf, type GithubRepository, type GithubUser } from './state.ts';
import { requireOrganization } from './users.ts';

const metadata = { permissions: { metadata: 'read' } } as const;

/** Listing and reading repositories (`providers/github.md` §4.2). */
export function listRepositoryRoutes(api: Api): Route[] {
  const ofOrganization = api(
    { ...metadata, who: 'anyone', page: 'repos/repos#list-organization-repositories' },
    listOfOrganization,
  );
  const one = api(
    { ...metadata, who: 'anyone', scopes: ['repo'], page: 'repos/repos#get-a-repository' },
    readOne,
  );
  return [
    {
      method: 'GET',
      template: '/user/repos',
      handle: api(
        {
          ...metadata,
          who: 'user',
          scopes: [],
          page: 'repos/repos#list-repositories-for-the-authenticated-user',
        },
        listOwn,
      ),
    },
    { method: 'GET', template: '/orgs/{org}/repos', handle: ofOrganization },
    // What the links of that list name.
    {
      method: 'GET',
      template: '/organizations/{organization_id}/repos',
      undescribed: true,
      handle: ofOrganization,
    },
    {
      method: 'GET',
      template: '/users/{username}/repos',
      handle: api(
        { ...metadata, who: 'anyone', page: 'repos/repos#list-repositories-for-a-user' },
        listOfUser,
      ),
    },
    { method: 'GET', template: '/repos/{owner}/{repo}', handle: one },
    { method: 'GET', template: '/repositories/{repository_id}', undescribed: true, handle: one },
  ];
}

function listOwn(call: Call): PlainAnswer {
  const user = requirePerson(call);
  const { query } = call.request;
  if (query.has('type') && (query.has('visibility') || query.has('affiliation'))) {
    throw refuseInvalid(call, [], 'If you specify visibility or affiliation, you cannot specify type.');
  }
  const kinds = new Set((query.get('affiliation') ?? affiliationOf(query.get('type'))).split(','));
  const visibility = query.get('visibility') ?? visibilityOf(query.get('type'));
  const own = call.state.listRepositories().filter((repository) => {
    const affiliation = affiliationWith(user, repository);
    if (affiliation === null || !kinds.has(affiliation)) return false;
    return visibility === 'all' || (visibility === 'private') === repository.isPrivate;
  });
  return answerRepositories(call, own, 'full_name');
}

function affiliationOf(type: string | null): string {
  if (type === 'owner') return 'owner';
  if (type === 'member') return 'collaborator,organization_member';
  return 'owner,collaborator,organization_member';
}

function visibilityOf(type: string | null): string {
  return type === 'public' || type === 'private' ? type : 'all';
}

function affiliationWith(user: GithubUser, repository: GithubRepository): string | null {
  const { owner, collaborators } = repository;
  if (owner === user) return 'owner';
  if (roleOf(user, repository) === null) return null;
  const isMember = owner.kind === 'organization' && owner.members.has(user.id);
  return isMember ? 'organization_member' : collaborators.has(user.id) ? 'collaborator' : null;
}

function listOfOrganization(call: Call): PlainAnswer {
  const organization = requireOrganization(call);
  const broken = brokenRule(call, organization);
  if (broken && (broken.isForPublic || !broken.isSingleSignOn)) throw broken.refusal;
  const type = call.request.query.get('type') ?? 'all';
  const found = call.state
    .listRepositories()
    .filter(
      ({ owner, isPrivate }) =>
        owner === organization && (type !== 'private' || isPrivate) && (type !== 'public' || !isPrivate),
    );
  return answerRepositories(call, found, 'created', `/organizations/${organization.id}/repos`);
}

function listOfUser(call: Call): PlainAnswer {
  const account = call.state.findAccount(call.request.params['username'] ?? '');
  if (!account) throw refuseNotFound(call);
  const found = call.state
    .listRepositories()
    .filter(({ owner, isPrivate }) => owner === account && !isPrivate);
  return answerRepositories(call, found, 'full_name');
}

function readOne(call: Call): PlainAnswer {
  return { status: 200, json: toRepositoryJson(call, requireRepository(call), call.actor) };
}

const orders = ['created', 'updated', 'pushed', 'full_name'];

function answerRepositories(
  call: Call,
  found: readonly GithubRepository[],
  defaultSort: string,
  linkPath?: string,
): PlainAnswer {
  const { query } = call.request;
  const wished = query.get('sort') ?? defaultSort;
  const sort = orders.includes(wished) ? wished : defaultSort;
  const { visible, headers } = filterVisible(call, found);
  // All else goes by the time when a repository was made, which is the order of the ids.
  const ascending =
    sort === 'full_name'
      ? visible
          .map((repository) => ({ repository, name: fullNameOf(repository).toLowerCase() }))
          .sort((left, right) => (left.name < right.name ? -1 : 1))
          .map(({ repository }) => repository)
      : visible;
  const direction = query.get('direction') ?? (sort === 'full_name' ? 'asc' : 'desc');
  return answerPage(call, direction === 'asc' ? ascending : [...ascending].reverse(), {
    toJson: (repository) => toRepositoryJson(call, repository, call.actor),
    headers,
    ...(linkPath === undefined ? {} : { linkPath }),
  });
}
