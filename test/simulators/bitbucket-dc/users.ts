import type { PlainAnswer, Route } from '../routes.ts';
import { levelInProject, levelOfUserInProject } from './access.ts';
import { refuse, refuseNotFound, requireActor, type Call } from './call.ts';
import { answerPage } from './paging.ts';
import type { Api } from './server.ts';
import { levels, type DcUser } from './state.ts';

/** People, and what only those see who signed in (`providers/bitbucket-data-center.md` §3). */
export function listUserRoutes(api: Api): Route[] {
  return [
    {
      method: 'GET',
      template: '/rest/api/{api}/inbox/pull-requests/count',
      handle: api((call) => {
        requireActor(call);
        return { status: 200, json: { count: 0 } };
      }),
    },
    { method: 'GET', template: '/rest/api/{api}/users', handle: api(listUsers) },
    { method: 'GET', template: '/rest/api/{api}/users/{userSlug}', handle: api(readUser) },
  ];
}

/** The filter is a part of a name, an address or a display name: several may have it. */
function listUsers(call: Call): PlainAnswer {
  requireActor(call);
  const filter = (call.request.query.get('filter') ?? '').toLowerCase();
  const found = [...call.state.users.values()].filter(
    ({ type, name, displayName, emailAddress }) =>
      type === 'NORMAL' &&
      [name, displayName, emailAddress ?? ''].some((text) => text.toLowerCase().includes(filter)),
  );
  const readers = found.filter(createPermissionFilter(call));
  return answerPage(call, readers, (user) => toUserJson(call, user));
}

/** Of the permission filters only those that some test needs: who may read a project. */
function createPermissionFilter(call: Call): (user: DcUser) => boolean {
  const { query } = call.request;
  const permission = query.get('permission');
  if (permission === null) return () => true;
  if (permission !== 'PROJECT_READ') throw refuse(400, `The filter ${permission} is not simulated.`);
  const key = query.get('permission.projectKey') ?? '';
  const project = call.state.findProject(key);
  if (!project || levelInProject(call, project) === levels.none) throw refuseNotFound(`Project ${key}`);
  return (user) => project.public || levelOfUserInProject(user, project) > levels.none;
}

function readUser(call: Call): PlainAnswer {
  requireActor(call);
  const { userSlug = '' } = call.request.params;
  const user = call.state.findUserBySlug(userSlug);
  if (!user) throw refuseNotFound(`User ${userSlug}`);
  return { status: 200, json: toUserJson(call, user) };
}

export function toUserJson({ baseUrl }: Pick<Call, 'baseUrl'>, user: DcUser) {
  const page = user.type === 'SERVICE' ? 'bots' : 'users';
  return {
    name: user.name,
    emailAddress: user.emailAddress,
    active: user.active,
    displayName: user.displayName,
    id: user.id,
    slug: user.slug,
    type: user.type,
    links: { self: [{ href: `${baseUrl()}/${page}/${user.slug}` }] },
  };
}
