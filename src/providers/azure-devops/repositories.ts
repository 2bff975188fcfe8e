import type { HostAccess, Namespace, Repository } from '../provider.ts';
import * as endpoints from './endpoints.ts';
import { recall } from './memory.ts';
import { toRepositoryUrl } from './git.ts';
import { isOwnOrganization, requireOrganization } from './places.ts';
import type * as schemas from './schemas.ts';

/** Projects; those without a Git repository are among them. */
export async function* listNamespaces(access: HostAccess): AsyncIterable<Namespace> {
  const organization = requireOrganization(access);
  for await (const { name } of endpoints.listProjects(access)) {
    yield { path: `${organization}/${name}`, kind: 'project' };
  }
}

/** @param namespace - A project (`organization/project`), or the organization for all. */
export async function* listRepositories(
  access: HostAccess,
  namespace: string | null,
): AsyncIterable<Repository> {
  const [organization, project = null, ...more] = namespace?.split('/') ?? [];
  if (namespace !== null && (!isOwnOrganization(access, organization) || more.length > 0)) return;
  const found = await endpoints.fetchRepositories(access, project);
  if (found === null) return;
  yield* await toRepositories(
    access,
    found.filter(({ project: { state } }) => state === 'wellFormed'),
  );
}

export async function findRepository(access: HostAccess, fullName: string): Promise<Repository | null> {
  const [organization, project, name, ...more] = fullName.split('/');
  if (!project || !name || more.length > 0 || !isOwnOrganization(access, organization)) return null;
  const found = await endpoints.findRepository(access, project, name);
  if (found === null) return null;
  const [repository = null] = await toRepositories(access, [found]);
  return repository;
}

async function toRepositories(
  access: HostAccess,
  found: readonly schemas.Repository[],
): Promise<readonly Repository[]> {
  const projectIds = [...new Set(found.map(({ project }) => project.id))];
  const manageable = await endpoints.findManageable(access, projectIds);
  const memory = recall(access);
  for (const { id, project } of found) memory.projectIds.set(id, project.id);
  // Where nobody tells, the host says no when it is asked to change something.
  return found.map((each) => toRepository(access, each, manageable?.has(each.project.id) ?? true));
}

/**
 * The address is built here: the host's own has the organization as user name, and the domain of before 2018 in
 * organizations that have kept it.
 */
function toRepository(access: HostAccess, found: schemas.Repository, canManageWebhooks: boolean): Repository {
  const organization = requireOrganization(access);
  const { id, name, project, defaultBranch, isDisabled } = found;
  const fullName = `${organization}/${project.name}/${name}`;
  const url = toRepositoryUrl(access.host, fullName);
  return {
    id,
    fullName,
    namespace: `${organization}/${project.name}`,
    cloneUrl: url,
    webUrl: url,
    defaultBranch: defaultBranch?.replace(/^refs\/heads\//, '') || null,
    private: project.visibility !== 'public',
    // Nobody can read or write a disabled one.
    archived: isDisabled,
    canManageWebhooks,
  };
}
