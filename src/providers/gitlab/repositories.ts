import type { HostClient } from '../../http/host-client.ts';
import type { HostAccess, Namespace, Repository } from '../provider.ts';
import { isBeingDeleted, maintainerRole, showsMaintainer, toRepository } from './convert.ts';
import * as endpoints from './endpoints.ts';
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

async function* listAll(http: HostClient): AsyncGenerator<Repository, void, undefined> {
  const pages = endpoints.listMemberProjects(http, schemas.project);
  try {
    let next = pages.next();
    for (let page = await next; !page.done; page = await next) {
      // A page names its successor, so no more than one can be under way ahead of the reader.
      next = pages.next();
      next.catch(() => undefined);
      const projects = page.value.filter((project) => !isBeingDeleted(project));
      const manageable = await findManageable(http, projects);
      yield* projects.map((project) => toRepository(project, manageable.has(project.id)));
    }
  } finally {
    void pages.return().catch(() => undefined);
  }
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
