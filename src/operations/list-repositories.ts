import { assertTellable, NotFoundError } from '../errors.ts';
import type { Repository } from '../providers/provider.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import type { OperationContext } from './context.ts';
import { writeRepositoryList, type ListedRepository } from '../store/repository-list.ts';
import { openLink, whileTrusted, type OpenLink } from './host-access.ts';
import { requireProvider } from './link-faults.ts';
import { allows, assertPlainPath, isInNamespace } from './restriction.ts';
import { createHeapGuard } from './small-heap.ts';

export interface RepositoryFilter {
  readonly namespace: string | null;
  /** A part of the full name. */
  readonly search: string | null;
}

/** A namespace that one link does not reach; another may. */
export class UnknownNamespaceError extends NotFoundError {}

/**
 * Repositories that may be used through a link, as they come.
 *
 * @throws UnknownNamespaceError at the end, where the link does not reach the wanted one.
 */
export async function* listAllowedRepositories(
  context: OperationContext,
  link: LinkRecord,
  filter: RepositoryFilter,
): AsyncIterable<Repository> {
  if (filter.namespace !== null) assertPlainPath(filter.namespace);
  const open = await openLink(context, link);
  const repositories = enumerate(open, filter)[Symbol.asyncIterator]();
  const listed: ListedRepository[] = [];
  const guardHeap = createHeapGuard();
  for (;;) {
    const next = await whileTrusted(context, link, () => repositories.next());
    if (next.done) break;
    guardHeap();
    listed.push(toListed(next.value));
    yield next.value;
  }
  const isEmpty = listed.length === 0;
  if (filter.namespace === null && filter.search === null) {
    writeRepositoryList(context.directories.state, link.id, listed);
  }
  if (isEmpty && filter.namespace !== null) await assertNamespaceExists(open, filter.namespace);
}

/**
 * Lists what a restricted link may use anew where paths do not tell it, so that git's helper can decide.
 *
 * @throws what the host answers.
 */
async function refreshRepositoryList(context: OperationContext, link: LinkRecord): Promise<void> {
  const provider = requireProvider(link);
  if (provider.git.hasHiddenProjects !== true || link.restriction.mode === 'unrestricted') return;
  context.reporter.status('Listing the repositories of the restriction…');
  const repositories = listAllowedRepositories(context, link, { namespace: null, search: null });
  for await (const repository of repositories) context.reporter.status(`Listing ${repository.fullName}…`);
}

/** The same beside other work, which stands whatever becomes of it. */
export async function refreshQuietly(context: OperationContext, link: LinkRecord): Promise<void> {
  try {
    await refreshRepositoryList(context, link);
  } catch (error) {
    assertTellable(error);
    context.reporter.warn(`${link.name}: its repositories could not be listed: ${error.message}`);
  }
}

function toListed({ id, fullName, project }: Repository): ListedRepository {
  return { id, fullName, project: project ?? null };
}

/** Walks over what an open link may use; one namespace is asked for by name where only one is wanted. */
export async function* enumerate(open: OpenLink, filter: RepositoryFilter): AsyncIterable<Repository> {
  const { link, provider, access } = open;
  const search = filter.search?.toLowerCase() ?? '';
  const namespace = filter.namespace ?? onlyNamespace(link);
  for await (const repository of provider.listRepositories(access, namespace)) {
    if (!allows(link.restriction, repository)) continue;
    if (filter.namespace !== null && !isInNamespace(repository, filter.namespace)) continue;
    if (repository.fullName.toLowerCase().includes(search)) yield repository;
  }
}

function onlyNamespace({ restriction }: LinkRecord): string | null {
  if (restriction.mode === 'unrestricted' || restriction.repositories.length > 0) return null;
  return restriction.namespaces.length === 1 ? (restriction.namespaces[0] ?? null) : null;
}

async function assertNamespaceExists({ link, provider, access }: OpenLink, namespace: string): Promise<void> {
  for await (const { path } of provider.listNamespaces(access)) {
    if (path.toLowerCase() === namespace.toLowerCase()) return;
  }
  // An account may work in repositories of a namespace that it is no member of, and the restriction leave out both.
  if (link.restriction.mode === 'restricted') {
    for await (const repository of provider.listRepositories(access, namespace)) {
      if (isInNamespace(repository, namespace)) return;
    }
  }
  throw new UnknownNamespaceError(`"${link.name}" does not reach a namespace ${namespace} at ${link.host}.`);
}
