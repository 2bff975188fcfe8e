import { UnreachableError } from '../../errors.ts';
import { route } from '../../http/route.ts';
import { narrow } from '../narrow.ts';
import type { HostAccess } from '../provider.ts';
import { ask, narrowList, readRefusal } from './ask.ts';
import { requireOrganization } from './places.ts';
import * as schemas from './schemas.ts';
import type * as v from 'valibot';

const pageSize = 100;
/** No organization has more projects; a list that goes on is broken. */
const pageLimit = 1_000;

/** The page of a project's webhooks is its administrators'; whoever may see and change them has both of these. */
const hooksNamespace = 'cb594ebe-87dd-4fc9-ac2c-6a10a4c92046';
const viewAndEdit = 3;
export const viewHooks = 1;
/** So many projects fit into one address. */
const permissionBatch = 40;

/** The projects that the credential sees. Their pages go on as long as a header says so, and not the body. */
export async function* listProjects(
  access: HostAccess,
): AsyncGenerator<v.InferOutput<typeof schemas.project>, void, undefined> {
  const organization = requireOrganization(access);
  const seen = new Set<string>();
  for (let token: string | undefined; ;) {
    const query = { stateFilter: 'wellFormed', $top: pageSize, continuationToken: token };
    const { headers, body } = await ask(access.http, {
      method: 'GET',
      route: route`/${organization}/_apis/projects`,
      query,
    });
    yield* narrowList(schemas.project, body, 'the projects');
    token = headers.get('x-ms-continuationtoken') ?? undefined;
    if (token === undefined || token === '') return;
    if (seen.has(token) || seen.size >= pageLimit) {
      throw new UnreachableError(`${access.host} sends the same projects again and again.`);
    }
    seen.add(token);
  }
}

/** @returns null where there is no such project, or the credential may not see it. */
export async function findProject(
  access: HostAccess,
  name: string,
): Promise<v.InferOutput<typeof schemas.project> | null> {
  const { status, body } = await ask(access.http, {
    method: 'GET',
    route: route`/${requireOrganization(access)}/_apis/projects/${name}`,
    accept: [404],
  });
  if (status === 404) return assertMissing(access, body);
  return narrow(schemas.project, body, 'the project');
}

/**
 * All repositories of the organization or of one project, which come in a single list.
 *
 * @returns null where there is no such project, or the credential may not see it.
 */
export async function fetchRepositories(
  access: HostAccess,
  project: string | null,
): Promise<readonly schemas.Repository[] | null> {
  const organization = requireOrganization(access);
  const where =
    project === null
      ? route`/${organization}/_apis/git/repositories`
      : route`/${organization}/${project}/_apis/git/repositories`;
  const { status, body } = await ask(access.http, { method: 'GET', route: where, accept: [404] });
  if (status === 404) return assertMissing(access, body);
  return narrowList(schemas.repository, body, 'the repositories');
}

/** @param project - By name or id; null for a repository that is named by its id. */
export async function findRepository(
  access: HostAccess,
  project: string | null,
  name: string,
): Promise<schemas.Repository | null> {
  const organization = requireOrganization(access);
  const where =
    project === null
      ? route`/${organization}/_apis/git/repositories/${name}`
      : route`/${organization}/${project}/_apis/git/repositories/${name}`;
  // Without a project anything but an id is refused.
  const accept = project === null ? [400, 404] : [404];
  const { status, body } = await ask(access.http, { method: 'GET', route: where, accept });
  if (status >= 400) return assertMissing(access, body);
  return narrow(schemas.repository, body, 'the repository');
}

/** @throws UnreachableError for a refusal that is not Azure DevOps' own. */
function assertMissing({ host }: HostAccess, body: unknown): null {
  if (readRefusal(body) !== null) return null;
  throw new UnreachableError(
    `${host} answered 404 without a word of Azure DevOps': something is in between.`,
  );
}

/**
 * In which of some projects the credential may see and change webhooks. One that may not see them is given lists
 * without them, and would make them again.
 *
 * @param projectIds - Each once.
 * @param rights - Default: to see and to change them.
 * @returns The ids of those; null where this credential may not even ask.
 */
export async function findManageable(
  access: HostAccess,
  projectIds: readonly string[],
  rights: number = viewAndEdit,
): Promise<ReadonlySet<string> | null> {
  const found = new Set<string>();
  for (let start = 0; start < projectIds.length; start += permissionBatch) {
    const batch = projectIds.slice(start, start + permissionBatch);
    const { status, body } = await ask(access.http, {
      method: 'GET',
      route: route`/${requireOrganization(access)}/_apis/permissions/${hooksNamespace}/${rights}`,
      query: {
        tokens: batch.map((id) => `PublisherSecurity/${id}`).join(','),
        alwaysAllowAdministrators: true,
      },
      isPreview: true,
      accept: [203, 401, 403, 404],
    });
    if (status !== 200) return null;
    const answers = narrowList(schemas.permission, body, 'the permissions');
    batch.forEach((id, index) => answers[index] === true && found.add(id));
  }
  return found;
}
