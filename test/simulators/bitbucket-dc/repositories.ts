import type { PlainAnswer, Route } from '../routes.ts';
import { levelInProject, levelInRepository, requireProject, requireRepository } from './access.ts';
import { refuseField, requireActor, type Call } from './call.ts';
import { answerPage } from './paging.ts';
import type { Api } from './server.ts';
import { levels, type DcProject, type DcRepository, type Level } from './state.ts';

/** Projects and repositories (`providers/bitbucket-data-center.md` §4). */
export function listRepositoryRoutes(api: Api): Route[] {
  const one = '/rest/api/{api}/projects/{projectKey}/repos/{repositorySlug}';
  return [
    { method: 'GET', template: '/rest/api/{api}/projects', handle: api(listProjects) },
    {
      method: 'GET',
      template: '/rest/api/{api}/projects/{projectKey}',
      handle: api((call) => ({
        status: 200,
        json: toProjectJson(call, requireProject(call, levels.public)),
      })),
    },
    { method: 'GET', template: '/rest/api/{api}/repos', handle: api(listAll) },
    { method: 'GET', template: '/rest/api/{api}/projects/{projectKey}/repos', handle: api(listOfProject) },
    {
      method: 'GET',
      template: one,
      handle: api((call) => ({
        status: 200,
        json: toRepositoryJson(call, requireRepository(call, levels.public)),
      })),
    },
    // What is set, whether or not there is such a branch.
    {
      method: 'GET',
      template: `${one}/default-branch`,
      handle: api((call) => {
        requireRepository(call, levels.public);
        return { status: 200, json: mainBranch };
      }),
    },
    {
      method: 'GET',
      template: `${one}/branches/default`,
      handle: api((call) =>
        requireRepository(call, levels.public).empty
          ? { status: 204 }
          : { status: 200, json: { ...mainBranch, isDefault: true } },
      ),
    },
    { method: 'GET', template: '/rest/api/{api}/profile/recent/repos', handle: api(listRecent) },
  ];
}

const mainBranch = { id: 'refs/heads/main', displayId: 'main', type: 'BRANCH' };

function readLevel(call: Call, sort: 'REPO' | 'PROJECT'): Level {
  const permission = call.request.query.get('permission');
  switch (permission) {
    case null:
      return levels.public;
    case `${sort}_READ`:
      return levels.read;
    case `${sort}_WRITE`:
      return levels.write;
    case `${sort}_ADMIN`:
      return levels.admin;
    default:
      call.request.recordFailure(`permission is "${permission}"`);
      throw refuseField('permission', `${permission} is not a known permission.`);
  }
}

/** What strangers may list depends on public access; what they see is what is public. */
function requireReader(call: Call): void {
  if (!call.settings.publicAccess) requireActor(call);
}

function listProjects(call: Call): PlainAnswer {
  requireReader(call);
  const level = readLevel(call, 'PROJECT');
  const name = call.request.query.get('name')?.trim().toLowerCase();
  const found = call.state
    .listProjects()
    .filter(
      (project) =>
        (project.owner === null || call.settings.listsPersonalProjects) &&
        (name === undefined || project.name.toLowerCase().includes(name)) &&
        levelInProject(call, project) >= level,
    );
  return answerPage(call, found, (project) => toProjectJson(call, project));
}

function listAll(call: Call): PlainAnswer {
  requireReader(call);
  const { request, behaviour } = call;
  const read = (name: string) => request.query.get(name)?.trim().toLowerCase();
  const level = readLevel(call, 'REPO');
  const [key, archived] = behaviour.hasArchiving ? [read('projectkey'), read('archived') ?? 'active'] : [];
  if (archived !== undefined && !['active', 'archived', 'all'].includes(archived)) {
    throw refuseField('archived', 'archived is ACTIVE, ARCHIVED or ALL.');
  }
  const [name, projectName, visibility] = [read('name'), read('projectname'), read('visibility')];
  const found = call.state.listRepositories().filter((repository) => {
    const { project } = repository;
    if (key !== undefined && project.key.toLowerCase() !== key) return false;
    if (name !== undefined && !repository.name.toLowerCase().includes(name)) return false;
    if (projectName !== undefined && !project.name.toLowerCase().includes(projectName)) return false;
    if (archived !== undefined && archived !== 'all' && (archived === 'archived') !== repository.archived) {
      return false;
    }
    const isPublic = repository.public || project.public;
    if (visibility !== undefined && isPublic !== (visibility === 'public')) return false;
    return levelInRepository(call, repository) >= level;
  });
  return answerPage(call, found, (repository) => toRepositoryJson(call, repository));
}

/** Archived ones too: here nothing is filtered. */
function listOfProject(call: Call): PlainAnswer {
  const project = requireProject(call, levels.public);
  const found = call.state
    .listRepositories()
    .filter(
      (repository) => repository.project === project && levelInRepository(call, repository) >= levels.public,
    );
  return answerPage(call, found, (repository) => toRepositoryJson(call, repository));
}

function listRecent(call: Call): PlainAnswer {
  requireActor(call);
  const level = Math.max(readLevel(call, 'REPO'), levels.read);
  const found = call.state
    .listRepositories()
    .filter((repository) => levelInRepository(call, repository) >= level);
  return answerPage(call, found, (repository) => toRepositoryJson(call, repository));
}

export function toProjectJson({ baseUrl }: Pick<Call, 'baseUrl'>, project: DcProject) {
  return {
    key: project.key,
    id: project.id,
    name: project.name,
    public: project.public,
    type: project.owner ? 'PERSONAL' : 'NORMAL',
    links: { self: [{ href: `${baseUrl()}${pagePathOf(project)}` }] },
  };
}

function pagePathOf({ key, owner }: DcProject): string {
  return owner ? `/users/${owner.slug}` : `/projects/${key}`;
}

/** Addresses to clone by have small letters, and the name of whoever asked. */
export function toRepositoryJson(call: Pick<Call, 'baseUrl' | 'actor'>, repository: DcRepository) {
  const { project, slug } = repository;
  const base = new URL(call.baseUrl());
  const name = call.actor ? `${encodeURIComponent(call.actor.user.name)}@` : '';
  const path = `${project.key.toLowerCase()}/${slug}.git`;
  return {
    slug,
    id: repository.id,
    name: repository.name,
    hierarchyId: `canary${String(repository.id).padStart(14, '0')}`,
    scmId: 'git',
    state: 'AVAILABLE',
    statusMessage: 'Available',
    forkable: true,
    project: toProjectJson(call, project),
    public: repository.public,
    archived: repository.archived,
    links: {
      clone: [
        { href: `ssh://git@${base.hostname}:7999/${path}`, name: 'ssh' },
        {
          href: `${base.protocol}//${name}${base.host}${base.pathname.replace(/\/$/, '')}/scm/${path}`,
          name: 'http',
        },
      ],
      self: [{ href: `${call.baseUrl()}${pagePathOf(project)}/repos/${slug}/browse` }],
    },
  };
}
