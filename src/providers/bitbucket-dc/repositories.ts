import type { HostAccess, Namespace, Repository } from '../provider.ts';
import { toNamespace, toRepository } from './convert.ts';
import * as endpoints from './endpoints.ts';
import type * as schemas from './schemas.ts';

/**
 * A person's own namespace, then the projects that the account was given a permission for, or for one of their
 * repositories. Others are seen too, because they or something in them is public.
 */
export async function* listNamespaces(access: HostAccess): AsyncIterable<Namespace> {
  const { kind, login } = access.account;
  const user = kind === 'user' && login !== null ? await endpoints.findUser(access, login) : null;
  const seen = new Set<string>();
  if (user !== null) {
    seen.add(`~${user.slug}`);
    yield { path: `~${user.slug}`, kind: 'user' };
  }
  let readsProjects = false;
  for await (const project of endpoints.listProjects(access, 'PROJECT_READ')) {
    readsProjects = true;
    if (addNew(seen, toNamespace(project))) yield toNamespaceOf(project);
  }
  const doubtful = new Set<string>();
  for await (const project of endpoints.listProjects(access, null)) {
    if (!seen.has(toNamespace(project))) doubtful.add(toNamespace(project));
  }
  if (readsProjects && doubtful.size === 0) return;
  for await (const { project } of endpoints.listRepositories(access, 'REPO_READ')) {
    if (addNew(seen, toNamespace(project))) yield toNamespaceOf(project);
  }
}

function addNew(seen: Set<string>, path: string): boolean {
  const isNew = !seen.has(path);
  seen.add(path);
  return isNew;
}

function toNamespaceOf(project: schemas.Project): Namespace {
  return { path: toNamespace(project), kind: project.type === 'PERSONAL' ? 'user' : 'project' };
}

/** Without a permission to ask for, everything that is public would be listed too. */
export async function* listRepositories(
  access: HostAccess,
  namespace: string | null,
): AsyncIterable<Repository> {
  // Servers before 8.0 do not know the filter and give everything.
  const query = namespace === null ? {} : { projectkey: namespace };
  const isManageable = createManageable(access, query);
  const wanted = namespace?.toLowerCase() ?? null;
  for await (const found of endpoints.listRepositories(access, 'REPO_READ', query)) {
    if (wanted !== null && toNamespace(found.project).toLowerCase() !== wanted) continue;
    yield toRepository(access.host, found, await isManageable(found.id));
  }
}

export async function findRepository(access: HostAccess, fullName: string): Promise<Repository | null> {
  const [namespace, slug, ...rest] = fullName.split('/');
  if (!namespace || !slug || rest.length > 0) return null;
  const found = await endpoints.findRepository(access, namespace, slug);
  if (found === null) return null;
  const query = { projectkey: found.project.key, ...(found.name ? { name: found.name } : {}) };
  return toRepository(access.host, found, await createManageable(access, query)(found.id));
}

/** The description of a repository does not tell what the account may do with it; only lists can be filtered by it. */
function createManageable(
  access: HostAccess,
  query: Readonly<Record<string, string>>,
): (id: number) => Promise<boolean> {
  return createMembership(endpoints.listRepositories(access, 'REPO_ADMIN', query), ({ id }) => id);
}

/** Says what is in a list, and reads no more of it than the answers need. */
function createMembership<Item, Key>(
  items: AsyncGenerator<Item, void, undefined>,
  toKey: (item: Item) => Key,
): (key: Key) => Promise<boolean> {
  const known = new Set<Key>();
  return async (key) => {
    while (!known.has(key)) {
      const next = await items.next();
      if (next.done) return false;
      known.add(toKey(next.value));
    }
    return true;
  };
}
