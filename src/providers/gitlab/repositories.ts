import type { HostClient } from '../../http/host-client.ts';
import { readInOrder } from '../../http/paging.ts';
import type { HostAccess, Namespace, Repository } from '../provider.ts';
import { isBeingDeleted, maintainerRole, showsMaintainer, toRepository } from './convert.ts';
import * as endpoints from './endpoints.ts';
import { pacing } from './pacing.ts';
import * as schemas from './schemas.ts';

/** A person's own namespace, then the groups that the account is a member of; bots have none of their own. */
export async function* listNamespaces({ http, account }: HostAccess): AsyncIterable<Namespace> {
  if (account.kind === 'user' && account.login !== null) yield { path: account.login, kind: 'user' };
  for await (const group of endpoints.listGroups(http)) {
    if (!group.marked_for_deletion_on) yield { path: group.full_path, kind: 'group' };
  }
}

/** A namespace that is no group is a person's, whose projects are found among all. */
export async function* listRepositories(
  { http }: HostAccess,
  namespace: string | null,
): AsyncIterable<Repository> {
  if (namespace === null) {
    yield* listAll(http);
    return;
  }
  if ((yield* listGroup(http, namespace)) === 'found') return;
  const prefix = `${namespace.toLowerCase()}/`;
  for await (const repository of listAll(http)) {
    if (repository.fullName.toLowerCase().startsWith(prefix)) yield repository;
  }
}

export async function findRepository({ http }: HostAccess, fullName: string): Promise<Repository | null> {
  if (!fullName.includes('/')) return null;
  const found = await endpoints.findProject(http, fullName);
  if (found === null || isBeingDeleted(found)) return null;
  const isHidden = !showsMaintainer(found) && (await findManageable(http, [found])).has(found.id);
  return toRepository(found, isHidden);
}

/** By ascending id. A page names only its successor, so the rest of a long list is read in several places at once. */
async function* listAll(http: HostClient): AsyncGenerator<Repository, void, undefined> {
  let pageCount = 0;
  for await (const page of endpoints.listMemberProjects(http, schemas.project)) {
    yield* await toRepositories(http, page);
    pageCount += 1;
    if (pageCount < pagesPerRange || page.length < endpoints.pageSize) continue;
    const ranges = splitRest(page, await endpoints.findNewestMemberProject(http));
    yield* readInOrder(ranges, (range) => listRange(http, range), pacing.concurrency);
    return;
  }
}

async function listRange(http: HostClient, range: IdRange): Promise<readonly Repository[]> {
  const found: Repository[] = [];
  for await (const page of endpoints.listMemberProjects(http, schemas.project, { ...range })) {
    found.push(...(await toRepositories(http, page)));
  }
  return found;
}

async function toRepositories(
  http: HostClient,
  page: readonly schemas.Project[],
): Promise<readonly Repository[]> {
  const projects = page.filter((project) => !isBeingDeleted(project));
  const manageable = await findManageable(http, projects);
  return projects.map((project) => toRepository(project, manageable.has(project.id)));
}

/** Exclusive at both ends. */
interface IdRange {
  readonly id_after: number;
  readonly id_before?: number;
}

const pagesPerRange = 2;
const rangeLimit = 200;

/**
 * Cuts what follows a page into ranges of about two pages each, going by how far apart the ids of the page are.
 * The last range is open, for projects that are made meanwhile.
 */
function splitRest(page: readonly schemas.Project[], newestId: number): readonly IdRange[] {
  const from = page[0]?.id ?? 0;
  const last = page.at(-1)?.id ?? 0;
  const restSpan = Math.max(0, newestId - last);
  const estimate = restSpan / Math.max(1, last - from) / pagesPerRange;
  const count = Math.min(rangeLimit, Math.max(1, Math.floor(estimate)));
  const cuts = Array.from({ length: count }, (_, index) => last + Math.floor((restSpan * index) / count));
  return cuts.map((after, index) => {
    const next = cuts[index + 1];
    return next === undefined ? { id_after: after } : { id_after: after, id_before: next + 1 };
  });
}

/**
 * Finds the projects where the account has the role for webhooks although their description does not show it. A
 * list shows memberships of the project itself and of the group that it lies in; the role in effect, which also
 * comes from groups further up and from groups that it is shared with, can only be filtered by.
 *
 * @param projects - At most a page, by ascending id, with no other project of the account's between them.
 */
async function findManageable(
  http: HostClient,
  projects: readonly schemas.Project[],
): Promise<ReadonlySet<number>> {
  const doubtful = projects.filter((project) => !showsMaintainer(project));
  const [first, last] = [doubtful[0], doubtful.at(-1)];
  if (!first || !last) return new Set();
  const range = { id_after: first.id - 1, id_before: last.id + 1 };
  const query = { ...range, min_access_level: maintainerRole, simple: true };
  // One page holds them all.
  const page = await endpoints.listMemberProjects(http, schemas.projectId, query).next();
  return new Set(page.done ? [] : page.value.map(({ id }) => id));
}

/** One group with those below it. The role in effect is asked for once, when a project does not show it. */
async function* listGroup(
  http: HostClient,
  group: string,
): AsyncGenerator<Repository, 'found' | 'missing', undefined> {
  const projects = endpoints.listGroupProjects(http, group, schemas.project, endpoints.anyRole);
  let manageable: ReadonlySet<number> | null = null;
  for (;;) {
    const next = await projects.next();
    if (next.done) return next.value;
    const project = next.value;
    if (isBeingDeleted(project)) continue;
    if (!showsMaintainer(project)) manageable ??= await findManageableOf(http, group);
    yield toRepository(project, manageable?.has(project.id));
  }
}

async function findManageableOf(http: HostClient, group: string): Promise<ReadonlySet<number>> {
  const query = { min_access_level: maintainerRole, simple: true };
  const found = new Set<number>();
  for await (const { id } of endpoints.listGroupProjects(http, group, schemas.projectId, query))
    found.add(id);
  return found;
}
