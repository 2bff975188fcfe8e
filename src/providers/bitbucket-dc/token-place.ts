import type { Account, HostAccess } from '../provider.ts';
import { toNamespace } from './convert.ts';
import * as endpoints from './endpoints.ts';
import type * as schemas from './schemas.ts';

/**
 * Finds the project or repository that a token without a person behind it belongs to, by what it was given a
 * permission for: what everybody may read does not count. A token of a repository never has one for a project.
 *
 * @param named - `KEY` or `KEY/slug` as a person wrote it; null to find the only place that it can be.
 * @returns null where the token was given nothing there, or several places fit.
 */
export async function findTokenPlace(
  access: HostAccess,
  named: string | null,
): Promise<Pick<Account, 'login' | 'kind'> | null> {
  const [key, slug] = named?.toLowerCase().split('/') ?? [];
  const isNamed = (project: schemas.Project) =>
    key === undefined || toNamespace(project).toLowerCase() === key;
  const project = await takeFirst(endpoints.listProjects(access, 'PROJECT_READ'), isNamed);
  if (project !== null) {
    return project.isOnly ? { login: toNamespace(project.item), kind: 'project' } : null;
  }
  const query = key === undefined ? {} : { projectkey: key };
  const repository = await takeFirst(
    endpoints.listRepositories(access, 'REPO_READ', query),
    (found) => isNamed(found.project) && (slug === undefined || found.slug === slug),
  );
  if (repository === null) return null;
  const namespace = toNamespace(repository.item.project);
  if (key !== undefined && slug === undefined) return { login: namespace, kind: 'project' };
  return repository.isOnly ? { login: `${namespace}/${repository.item.slug}`, kind: 'repository' } : null;
}

async function takeFirst<Item>(
  items: AsyncIterable<Item>,
  isWanted: (item: Item) => boolean,
): Promise<{ readonly item: Item; readonly isOnly: boolean } | null> {
  let first: { readonly item: Item } | null = null;
  for await (const item of items) {
    if (!isWanted(item)) continue;
    if (first !== null) return { ...first, isOnly: false };
    first = { item };
  }
  return first && { ...first, isOnly: true };
}
