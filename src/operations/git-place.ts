import {
  isSameRepository,
  isWithinNamespace,
  parseRepositoryPath,
  stripBasePath,
  toRepositoryName,
} from '../git/repository-path.ts';
import type { GitAccess } from '../providers/git-access.ts';
import { gitAccesses } from '../providers/git-registry.ts';
import { installationKind } from '../providers/provider.ts';
import type { LinkRecord, Restriction } from '../store/link-schema.ts';
import type { ListedRepository } from '../store/repository-list.ts';

/** What links are known to reach. */
export interface KnownRepositories {
  /** What a link reached when its repositories were listed last. */
  listRepositories(link: LinkRecord): readonly ListedRepository[];
}

/** A repository as git names it at a link's host. */
export interface GitPlace {
  /** The names of the repository's namespace and its own. */
  readonly repository: readonly string[];
  readonly access: GitAccess;
}

/**
 * The repository that a path means at a link's host.
 *
 * @returns null for a path that means none.
 */
export function toGitPlace(link: LinkRecord, path: string | null): GitPlace | null {
  const access = gitAccesses[link.provider];
  const parsed = path === null ? null : parseRepositoryPath(path);
  const segments = parsed && stripBasePath(parsed.segments, toBasePath(link.host));
  const repository = access && segments && toRepositoryName(segments, access.layout);
  return repository && repository.length >= 2 ? { repository, access } : null;
}

function toBasePath(host: string): string {
  return /^https?:\/\/[^/]+(\/.*)?$/.exec(host)?.[1] ?? '';
}

/**
 * The name of the repository that a path means at a link's host.
 *
 * @returns `OWNER/NAME`; null for a path that means none.
 */
export function findRepositoryName(link: LinkRecord, path: string | null): string | null {
  return toGitPlace(link, path)?.repository.join('/') ?? null;
}

/**
 * Whether a link may be used for a repository, by its name and by what the link has listed.
 *
 * @param fullName - As `OWNER/NAME`.
 */
export function isAllowed(link: LinkRecord, fullName: string, known: KnownRepositories): boolean {
  const { restriction } = link;
  const access = gitAccesses[link.provider];
  if (access === undefined) return false;
  const place = { repository: fullName.split('/'), access };
  const root = findRoot(link);
  if (root !== null && !isBelowRoot(root, link, place, known)) return false;
  return restriction.mode === 'unrestricted' || findAllowedDepth(link, restriction, place, known) > 0;
}

/** The namespace that a credential cannot reach beyond, whatever a link allows; null where there is none. */
export function findRoot({ organization, credentialKind, account }: LinkRecord): string | null {
  return organization ?? (credentialKind === installationKind ? account.login : null);
}

/** Whether a repository lies below that namespace, under the name that git knows or another. */
export function isBelowRoot(
  root: string,
  link: LinkRecord,
  place: GitPlace | null,
  known: KnownRepositories,
): boolean {
  if (place === null) return false;
  const { repository, access } = place;
  if (isWithinNamespace(root, repository, access)) return true;
  // Its owner has another name by now, or had one before.
  return known.listRepositories(link).some(({ fullName }) => isSameRepository(fullName, repository, access));
}

/**
 * How exactly a restriction contains a repository: the names that match; 0 for not at all. What the path does not
 * show decides the list: a repository under its new name, or in a project.
 */
export function findAllowedDepth(
  link: LinkRecord,
  { namespaces, repositories }: Extract<Restriction, { mode: 'restricted' }>,
  { repository, access }: GitPlace,
  known: KnownRepositories,
): number {
  const named = repositories.find(({ fullName }) => isSameRepository(fullName, repository, access));
  if (named && !isNameTaken(named.id, repository, access, known.listRepositories(link))) {
    return repository.length;
  }
  const depths = namespaces
    .filter((namespace) => isWithinNamespace(namespace, repository, access))
    .map((namespace) => namespace.split('/').length);
  if (depths.length > 0) return Math.max(...depths);
  const listed = known
    .listRepositories(link)
    .find(({ fullName }) => isSameRepository(fullName, repository, access));
  if (!listed) return 0;
  const { id, project } = listed;
  if (repositories.some((each) => each.id !== '' && each.id === id)) return repository.length;
  const isInProject =
    project !== null &&
    namespaces.some((namespace) => isSameRepository(namespace, project.split('/'), access));
  return isInProject ? repository.length : 0;
}

/** Whether the repository that the restriction means has another name by now, or this name belongs to another. */
function isNameTaken(
  id: string,
  repository: readonly string[],
  access: GitAccess,
  listed: readonly ListedRepository[],
): boolean {
  if (id === '') return false;
  return listed.some((each) =>
    each.id === id
      ? !isSameRepository(each.fullName, repository, access)
      : isSameRepository(each.fullName, repository, access),
  );
}
