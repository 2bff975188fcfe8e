import type { HostClient, HostRequest, Route } from '../../http/host-client.ts';
import { followLinkPages } from '../../http/paging.ts';
import { route } from '../../http/route.ts';
import { narrow } from '../narrow.ts';
import { isHidden } from './refusals.ts';
import * as schemas from './schemas.ts';
import * as v from 'valibot';

/** The most that Bitbucket gives. */
const pageSize = 100;

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly headers: Headers;
}

type Pages<Item> = AsyncGenerator<Page<Item>, void, undefined>;
type Query = NonNullable<HostRequest['query']>;

interface ListRequest<Schema> {
  readonly route: Route;
  readonly schema: Schema;
  /** What is listed, for messages. */
  readonly what: string;
  /** The only fields of each item that the host is to send; absent for all. */
  readonly fields?: readonly string[];
  readonly query?: Query;
}

/** Reads a list, page by page. A choice of fields must have `next` among them, or the list ends at its first page. */
async function* list<Schema extends v.GenericSchema>(
  http: HostClient,
  { route: listRoute, schema, what, fields, query }: ListRequest<Schema>,
): Pages<v.InferOutput<Schema>> {
  const chosen = fields && ['next', ...fields.map((field) => `values.${field}`)].join(',');
  const pages = followLinkPages(
    http,
    { method: 'GET', route: listRoute, query: { pagelen: pageSize, ...query, fields: chosen } },
    {
      findNext: ({ body }) => narrow(schemas.page, body, what).next ?? null,
      countItems: ({ body }) => narrow(schemas.page, body, what).values.length,
    },
  );
  const page = v.object({ values: v.array(schema) });
  for await (const { headers, body } of pages) yield { items: narrow(page, body, what).values, headers };
}

/** The slugs of the workspaces that the account is a member of. */
export async function* listWorkspaces(http: HostClient): AsyncGenerator<string, void, undefined> {
  const pages = list(http, {
    route: route`/user/workspaces`,
    schema: schemas.workspaceAccess,
    what: 'the workspaces',
    fields: ['workspace.slug'],
    query: { sort: 'slug' },
  });
  for await (const { items } of pages) yield* items.map(({ workspace }) => workspace.slug);
}

/** The keys of a workspace's projects. */
export async function listProjects(http: HostClient, workspace: string): Promise<readonly string[]> {
  const pages = list(http, {
    route: route`/workspaces/${workspace}/projects`,
    schema: schemas.projectKey,
    what: 'the projects',
    fields: ['key'],
  });
  const keys: string[] = [];
  for await (const { items } of pages) keys.push(...items.map(({ key }) => key));
  return keys;
}

const repositoryFields = ['uuid', 'full_name', 'is_private', 'project.key', 'mainbranch.name'];

/**
 * Lists the repositories of a workspace, none where there is no such workspace.
 *
 * @param query - `role: 'member'` leaves out what is merely public.
 */
export async function* listRepositories(
  http: HostClient,
  workspace: string,
  query: Query,
): Pages<schemas.Repository> {
  try {
    yield* list(http, {
      route: route`/repositories/${workspace}`,
      schema: schemas.repository,
      what: 'the repositories',
      fields: repositoryFields,
      query: { sort: 'full_name', ...query },
    });
  } catch (error) {
    if (!isHidden(error) || error.status !== 404) throw error;
  }
}

/** Finds a project by what its repositories tell of it. */
export async function findProjectOfRepositories(
  http: HostClient,
  workspace: string,
  key: string,
): Promise<v.InferOutput<typeof schemas.project> | null> {
  const pages = list(http, {
    route: route`/repositories/${workspace}`,
    schema: schemas.repositoryProject,
    what: 'the repositories',
    fields: ['project.key', 'project.uuid'],
    query: toProjectFilter(key),
  });
  try {
    for await (const { items } of pages) return items[0]?.project ?? null;
  } catch (error) {
    if (!isHidden(error)) throw error;
  }
  return null;
}

/** Keys are letters, digits and underscores; whatever else was asked for is no project. */
export function toProjectFilter(project: string | undefined): { readonly q?: string } {
  if (project === undefined) return {};
  const keys = [...new Set([project, project.toUpperCase()])].map((key) => key.replaceAll(/\W/g, '-'));
  return { q: keys.map((key) => `project.key="${key}"`).join(' OR ') };
}

/** The ids of the repositories of a workspace that the account administers. */
export async function* listAdministered(
  http: HostClient,
  workspace: string,
): AsyncGenerator<readonly string[], void, undefined> {
  const pages = list(http, {
    ...toPermissions(workspace),
    query: { q: 'permission="admin"', sort: 'repository.name' },
  });
  for await (const { items } of pages) yield items.map(({ repository }) => repository.uuid);
}

/** Whether the account administers a repository. */
export async function isAdministered(http: HostClient, repository: schemas.Repository): Promise<boolean> {
  const [workspace = ''] = repository.full_name.split('/');
  const pages = list(http, {
    ...toPermissions(workspace),
    query: { q: `repository.full_name="${repository.full_name}"` },
  });
  try {
    for await (const { items } of pages) {
      const own = items.find((item) => item.repository.uuid === repository.uuid);
      if (own) return own.permission === 'admin';
    }
  } catch (error) {
    // The workspace of a public repository, which the account is no member of.
    if (!isHidden(error)) throw error;
  }
  return false;
}

function toPermissions(workspace: string): ListRequest<typeof schemas.permission> {
  return {
    route: route`/user/workspaces/${workspace}/permissions/repositories`,
    schema: schemas.permission,
    what: 'the permissions',
    fields: ['permission', 'repository.uuid'],
  };
}

/**
 * Follows a renamed repository to where it is now.
 *
 * @param name - Its slug, or its id in braces.
 * @returns null where there is none, or the credential may not see it.
 */
export async function findRepository(
  http: HostClient,
  workspace: string,
  name: string,
): Promise<{ readonly found: schemas.Repository; readonly headers: Headers } | null> {
  try {
    const { body, headers } = await http.request({
      method: 'GET',
      route: route`/repositories/${workspace}/${name}`,
      query: { fields: repositoryFields.join(',') },
    });
    return { found: narrow(schemas.repository, body, 'the repository'), headers };
  } catch (error) {
    if (isHidden(error)) return null;
    throw error;
  }
}

/** All webhooks at a place. */
export async function listHooks(http: HostClient, hooks: Route): Promise<readonly schemas.Hook[]> {
  const found: schemas.Hook[] = [];
  for await (const { items } of list(http, { route: hooks, schema: schemas.hook, what: 'the webhooks' })) {
    found.push(...items);
  }
  return found;
}
