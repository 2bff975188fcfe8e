import type { PlainAnswer, Route } from '../routes.ts';
import { requireProjectOfCall, requireRepositoryOfCall, roleOf } from './access.ts';
import { answerList, refuse, urlOf, type Api, type AzureDevopsContext, type Call } from './call.ts';
import type { AzureDevopsProject, AzureDevopsRepository } from './state.ts';

/** Projects and repositories (`providers/azure-devops.md` §4). */
export function listProjectRoutes(api: Api): Route[] {
  const code = { scopes: ['vso.code'] };
  // The number that a list gave out stands for nothing anybody else may know.
  const given = new Set<string>();
  return [
    {
      method: 'GET',
      template: '/{organization}/_apis/projects',
      handle: api.ofOrganization({ scopes: ['vso.project', 'vso.profile'] }, (call) =>
        listProjects(call, given),
      ),
    },
    {
      method: 'GET',
      template: '/{organization}/_apis/projects/{project}',
      handle: api.ofOrganization({ scopes: ['vso.project', 'vso.profile'] }, (call) => ({
        status: 200,
        json: toProjectJson(call, requireProjectOfCall(call)),
      })),
    },
    {
      method: 'GET',
      template: '/{organization}/_apis/git/repositories',
      handle: api.ofOrganization(code, (call) => listRepositories(call, call.organization.projects)),
    },
    {
      method: 'GET',
      template: '/{organization}/_apis/git/repositories/{repository}',
      handle: api.ofOrganization(code, describeRepository),
    },
    {
      method: 'GET',
      template: '/{organization}/{project}/_apis/git/repositories',
      handle: api.ofOrganization(code, (call) => listRepositories(call, [requireProjectOfCall(call)])),
    },
    {
      method: 'GET',
      template: '/{organization}/{project}/_apis/git/repositories/{repository}',
      handle: api.ofOrganization(code, describeRepository),
    },
  ];
}

const defaultPage = 100;

function listProjects(call: Call, given: Set<string>): PlainAnswer {
  const { query } = call.request;
  const filter = query.get('stateFilter') ?? 'wellFormed';
  const visible = call.organization.projects.filter(
    (project) =>
      roleOf(call.actor, project) !== null &&
      (filter === 'all' ? project.state !== 'deleted' : project.state === filter),
  );
  const sorted = [...visible].sort((left, right) => (left.name < right.name ? -1 : 1));
  const token = query.get('continuationToken');
  if (token !== null && !given.has(`${call.organization.id} ${token}`)) {
    call.request.recordFailure('a continuation token that was not taken from an answer');
  }
  const first = token === null ? readCount(call, '$skip', 0) : Number(token);
  const last = first + readCount(call, '$top', defaultPage);
  const page = sorted.slice(first, last).map((project) => toProjectJson(call, project));
  if (last >= sorted.length) return answerList(page);
  given.add(`${call.organization.id} ${last}`);
  return answerList(page, { 'x-ms-continuationtoken': String(last) });
}

function readCount({ request }: Call, name: string, otherwise: number): number {
  const text = request.query.get(name);
  if (text === null) return otherwise;
  if (!/^\d+$/.test(text)) {
    throw refuse(400, 'VssPropertyValidationException', `The value '${text}' is not valid for ${name}.`);
  }
  return Number(text);
}

/** Everything at once: these lists have no pages. */
function listRepositories(call: Call, projects: readonly AzureDevopsProject[]): PlainAnswer {
  const withHidden = call.request.query.get('includeHidden') === 'true';
  const found = projects
    .filter((project) => project.state === 'wellFormed' && roleOf(call.actor, project) !== null)
    .flatMap(({ repositories }) => repositories)
    .filter(({ isHidden }) => withHidden || !isHidden);
  return answerList(found.map((repository) => toRepositoryJson(call, repository)));
}

function describeRepository(call: Call): PlainAnswer {
  return { status: 200, json: toRepositoryJson(call, requireRepositoryOfCall(call)) };
}

export function toProjectJson(context: AzureDevopsContext, project: AzureDevopsProject) {
  const { id, name, state, isPublic, organization } = project;
  return {
    id,
    name,
    url: `${urlOf(context, organization)}/_apis/projects/${id}`,
    state,
    revision: 11,
    visibility: isPublic ? 'public' : 'private',
    lastUpdateTime: '2026-01-02T03:04:05.678Z',
  };
}

/** An empty repository has no default branch; the organization stands as user name in the address to clone. */
export function toRepositoryJson(context: AzureDevopsContext, repository: AzureDevopsRepository) {
  const { guid, name, project, empty, isDisabled } = repository;
  const { organization } = project;
  const root = urlOf(context, organization);
  const path = `${encodeURIComponent(project.name)}/_git/${encodeURIComponent(name)}`;
  const remote = new URL(`${root}/${path}`);
  if (context.deployment === 'hosted') remote.username = organization.name;
  const sshPath = [organization.name, project.name, name].map(encodeURIComponent).join('/');
  return {
    id: guid,
    name,
    url: `${root}/${project.id}/_apis/git/repositories/${guid}`,
    project: toProjectJson(context, project),
    ...(empty ? {} : { defaultBranch: 'refs/heads/main' }),
    size: empty ? 0 : 728,
    remoteUrl: remote.href,
    sshUrl: `git@ssh.dev.azure.com:v3/${sshPath}`,
    webUrl: `${root}/${path}`,
    isDisabled,
    isInMaintenance: false,
  };
}
