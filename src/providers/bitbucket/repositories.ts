import { isAnswer } from '../../http/host-answer-error.ts';
import type { HostClient } from '../../http/host-client.ts';
import type { HostAccess, Namespace, Repository } from '../provider.ts';
import * as endpoints from './endpoints.ts';
import { pacing } from './pacing.ts';
import { isUserless, parsePlace, type Place } from './places.ts';
import { isScopeMissing } from './refusals.ts';
import type * as schemas from './schemas.ts';
import { parseScopes } from './scopes.ts';

/** Each workspace, then its projects: `acme`, `acme/WEB`. A repository's access token is at home in none. */
export async function* listNamespaces(access: HostAccess): AsyncIterable<Namespace> {
  const { http, account, credential } = access;
  if (isUserless(credential.kind)) {
    const place = parsePlace(account);
    if (place?.kind === 'project') yield { path: `${place.workspace}/${place.name}`, kind: 'project' };
    if (place?.kind === 'workspace')
      yield* listWorkspaceNamespaces(place.workspace, findProjects(http, place.workspace));
    return;
  }
  const ahead = startAhead(endpoints.listWorkspaces(http), (workspace) => {
    const projects = findProjects(http, workspace);
    // Whoever reads them gets the error; a reader who left early must not crash the process.
    projects.catch(() => undefined);
    return { workspace, projects };
  });
  for await (const { workspace, projects } of ahead) yield* listWorkspaceNamespaces(workspace, projects);
}

async function* listWorkspaceNamespaces(
  workspace: string,
  projects: Promise<readonly string[]>,
): AsyncGenerator<Namespace, void, undefined> {
  yield { path: workspace, kind: 'workspace' };
  for (const key of await projects) yield { path: `${workspace}/${key}`, kind: 'project' };
}

/** Projects take a scope of their own; without it the workspaces are worth telling all the same. */
async function findProjects(http: HostClient, workspace: string): Promise<readonly string[]> {
  try {
    return await endpoints.listProjects(http, workspace);
  } catch (error) {
    if (isAnswer(error, 403) && isScopeMissing(error.hostMessage)) return [];
    throw error;
  }
}

/** There is no list of all repositories: each workspace has its own. */
export async function* listRepositories(
  access: HostAccess,
  namespace: string | null,
): AsyncIterable<Repository> {
  const { http, account, credential } = access;
  if (isUserless(credential.kind)) {
    const place = parsePlace(account);
    if (place !== null) yield* listOfPlace(access, place, namespace);
    return;
  }
  if (namespace !== null) {
    const [workspace = '', project, ...rest] = namespace.split('/');
    const pages = rest.length > 0 ? [] : listOfUser(access, workspace, project);
    for await (const page of pages) yield* page;
    return;
  }
  const ahead = startAhead(endpoints.listWorkspaces(http), (workspace) =>
    readAhead(listOfUser(access, workspace)),
  );
  for await (const pages of ahead) for await (const page of pages) yield* page;
}

/** What the account has a role in. Which of it the account administers is another list, read beside the first. */
async function* listOfUser(
  { http, host }: HostAccess,
  workspace: string,
  project?: string,
): AsyncGenerator<readonly Repository[], void, undefined> {
  const isAdministered = createLookup(endpoints.listAdministered(http, workspace));
  const query = { role: 'member', ...endpoints.toProjectFilter(project) };
  for await (const { items } of readAhead(endpoints.listRepositories(http, workspace, query))) {
    const page: Repository[] = [];
    for (const found of items) page.push(toRepository(host, found, await isAdministered(found.uuid)));
    yield page;
  }
}

/** What an access token reaches: it has no role, and manages webhooks wherever it has the scope. */
async function* listOfPlace(
  { http, host }: HostAccess,
  place: Place,
  namespace: string | null,
): AsyncGenerator<Repository, void, undefined> {
  if (place.kind === 'repository') {
    const answer = await endpoints.findRepository(http, place.workspace, place.id ?? place.name);
    if (answer === null) return;
    const repository = toRepository(host, answer.found, managesWebhooks(answer.headers));
    if (isWithin(repository, namespace)) yield repository;
    return;
  }
  const project = place.kind === 'project' ? place.name : namespace?.split('/')[1];
  const query = endpoints.toProjectFilter(project);
  for await (const { items, headers } of readAhead(
    endpoints.listRepositories(http, place.workspace, query),
  )) {
    const page = items.map((found) => toRepository(host, found, managesWebhooks(headers)));
    yield* page.filter((repository) => isWithin(repository, namespace));
  }
}

export async function findRepository(access: HostAccess, fullName: string): Promise<Repository | null> {
  const { http, host, credential } = access;
  const [workspace, name, ...rest] = fullName.split('/');
  if (!workspace || !name || rest.length > 0) return null;
  const answer = await endpoints.findRepository(http, workspace, name);
  if (answer === null) return null;
  const { found, headers } = answer;
  const isManageable = isUserless(credential.kind)
    ? managesWebhooks(headers)
    : await endpoints.isAdministered(http, found);
  return toRepository(host, found, isManageable);
}

/** By the scopes that every answer tells; where it does not, the host is left to say no. */
function managesWebhooks(headers: Headers): boolean {
  return parseScopes(headers.get('x-oauth-scopes'))?.includes('webhook') ?? true;
}

function toRepository(host: string, found: schemas.Repository, canManageWebhooks: boolean): Repository {
  const { uuid, full_name: fullName, is_private: isPrivate, project, mainbranch } = found;
  const [workspace = ''] = fullName.split('/');
  return {
    id: uuid,
    fullName,
    namespace: workspace,
    ...(project ? { project: `${workspace}/${project.key}` } : {}),
    // The address that the host gives has the name of a user in it.
    cloneUrl: `${host}/${fullName}.git`,
    webUrl: `${host}/${fullName}`,
    defaultBranch: mainbranch?.name ?? null,
    private: isPrivate,
    // Bitbucket Cloud has no such state.
    archived: false,
    canManageWebhooks,
  };
}

function isWithin({ namespace, project }: Repository, wanted: string | null): boolean {
  const name = wanted?.toLowerCase();
  return name === undefined || name === namespace.toLowerCase() || name === project?.toLowerCase();
}

/** Begins work on items ahead of the reader, and hands on what was begun in the order of the items. */
async function* startAhead<Item, Begun>(
  items: AsyncIterable<Item>,
  begin: (item: Item) => Begun,
): AsyncGenerator<Begun, void, undefined> {
  const begun: Begun[] = [];
  for await (const item of items) {
    begun.push(begin(item));
    const [first] = begun;
    if (begun.length >= pacing.concurrency && first !== undefined) {
      begun.shift();
      yield first;
    }
  }
  yield* begun;
}

/** Reads pages one ahead of the reader, the first of them at once: a page names its successor, so more cannot be. */
function readAhead<Page>(
  pages: AsyncGenerator<Page, void, undefined>,
): AsyncGenerator<Page, void, undefined> {
  let next = fetchNext(pages);
  return (async function* read() {
    try {
      for (let page = await next; !page.done; page = await next) {
        next = fetchNext(pages);
        yield page.value;
      }
    } finally {
      void pages.return().catch(() => undefined);
    }
  })();
}

/** Whether an id is in a list, of which no more is read than it takes. */
function createLookup(
  pages: AsyncGenerator<readonly string[], void, undefined>,
): (id: string) => Promise<boolean> {
  const known = new Set<string>();
  let next = fetchNext(pages);
  return async (id) => {
    while (!known.has(id)) {
      const page = await next;
      if (page.done) return false;
      for (const one of page.value) known.add(one);
      next = fetchNext(pages);
    }
    return true;
  };
}

/** Whoever reads the page gets its error; a reader who left early must not crash the process. */
function fetchNext<Page>(pages: AsyncGenerator<Page, void, undefined>): Promise<IteratorResult<Page, void>> {
  const next = pages.next();
  next.catch(() => undefined);
  return next;
}
