import { NotFoundError, UsageError } from '../errors.ts';
import { isSameRepository, isWithinNamespace, parseName } from '../git/repository-path.ts';
import type { HostAccess, Provider, Repository } from '../providers/provider.ts';
import type { Restriction } from '../store/link-schema.ts';
import { quoteWord } from './quote-word.ts';

/** What a person wants a link limited to, as they wrote it. */
export interface RestrictionWish {
  readonly namespaces: readonly string[];
  readonly repositories: readonly string[];
}

/** Whether a repository may be used through a link with this restriction. */
export function allows(
  restriction: Restriction,
  repository: Pick<Repository, 'id' | 'fullName' | 'project'>,
): boolean {
  if (restriction.mode === 'unrestricted') return true;
  return (
    restriction.namespaces.some((namespace) => isInNamespace(repository, namespace)) ||
    restriction.repositories.some((allowed) =>
      // Some are known as the person wrote them alone.
      allowed.id === '' ? isSameOrBelow(repository.fullName, allowed.fullName) : allowed.id === repository.id,
    )
  );
}

/** Whether all of a namespace may be used; one covers those below it. */
export function coversNamespace(restriction: Restriction, namespace: string): boolean {
  if (restriction.mode === 'unrestricted') return true;
  return restriction.namespaces.some((allowed) => isSameOrBelow(namespace, allowed));
}

/** Whether a namespace is another one, or lies in it. */
export function isSameOrBelow(namespace: string, other: string): boolean {
  const names = namespace.split('/');
  const rule = { caseSensitive: false };
  return isSameRepository(other, names, rule) || isWithinNamespace(other, names, rule);
}

/** Namespaces are nested at some hosts: one covers what is below it. */
export function isInNamespace(
  { fullName, project }: Pick<Repository, 'fullName' | 'project'>,
  namespace: string,
): boolean {
  return (
    isWithinNamespace(namespace, fullName.split('/'), { caseSensitive: false }) ||
    (project !== undefined && isSameOrBelow(project, namespace))
  );
}

/** So many names show the form that names have. */
const exampleCount = 3;

/**
 * Turns a wish into a restriction by asking the host: each namespace must be one that the account reaches,
 * each repository one that it sees, which is then kept by its id.
 *
 * @param command - What a person types before the names; null where namespaces come by a flag.
 * @throws NotFoundError naming what the account does not reach.
 */
export async function toHostRestriction(
  provider: Provider,
  access: HostAccess,
  wish: RestrictionWish,
  command: string | null = null,
): Promise<Restriction> {
  if (wish.namespaces.length + wish.repositories.length === 0) {
    throw new UsageError('A restriction needs at least one namespace or repository.', {
      hint: 'To lift a restriction: --unrestricted',
    });
  }
  const namespaces: string[] = [];
  const unresolved = new Set<string>();
  const examples: string[] = [];
  for (const name of wish.namespaces) unresolved.add(assertPlainPath(name).toLowerCase());
  if (unresolved.size > 0) {
    for await (const { path } of provider.listNamespaces(access)) {
      if (unresolved.delete(path.toLowerCase())) namespaces.push(path);
      if (unresolved.size === 0) break;
      if (examples.length < exampleCount) examples.push(path);
    }
  }
  // An account may work in repositories of a namespace that it is no member of.
  if (unresolved.size > 0) {
    for await (const { namespace, project } of provider.listRepositories(access, null)) {
      for (const place of project === undefined ? [namespace] : [namespace, project]) {
        if (unresolved.delete(place.toLowerCase())) namespaces.push(place);
      }
      if (unresolved.size === 0) break;
    }
  }
  if (unresolved.size > 0) {
    const missing = wish.namespaces.filter((name) => unresolved.has(name.toLowerCase()));
    const misplaced: string[] = [];
    for (const name of missing) {
      if (name.includes('/') && (await provider.findRepository(access, name)) !== null) misplaced.push(name);
    }
    if (misplaced.length > 0) throw toMisplacedError(wish, misplaced, command);
    const known = examples.length === 0 ? '' : ` It reaches, among others: ${examples.join(', ')}.`;
    throw new NotFoundError(`The account does not reach ${missing.join(', ')} at ${access.host}.`, {
      hint: `Spelled right? The account must be a member there, or have a repository in it.${known}`,
    });
  }
  return { mode: 'restricted', namespaces, repositories: await findRepositories(provider, access, wish) };
}

/** Says of repositories that were named as namespaces how they are named. */
export function toMisplacedError(
  { namespaces, repositories }: RestrictionWish,
  misplaced: readonly string[],
  command: string | null,
): NotFoundError {
  const what =
    misplaced.length === 1 ? 'is a repository, not a namespace' : 'are repositories, not namespaces';
  const left = namespaces.filter((name) => !misplaced.includes(name));
  const words = [...misplaced, ...repositories].flatMap((name) => ['--repo', quoteWord(name)]);
  const line = command === null ? words : [command, ...left.map(quoteWord), ...words];
  return new NotFoundError(`${misplaced.join(', ')} ${what}.`, {
    hint: `Repositories have a flag of their own: ${line.join(' ')}`,
  });
}

/** A restriction as the person wrote it, for a credential that cannot ask: git's paths are compared by name. */
export function toUncheckedRestriction({ namespaces, repositories }: RestrictionWish): Restriction {
  return {
    mode: 'restricted',
    namespaces: namespaces.map(assertPlainPath),
    repositories: repositories.map((fullName) => ({ id: '', fullName: assertPlainPath(fullName) })),
  };
}

async function findRepositories(
  provider: Provider,
  access: HostAccess,
  wish: RestrictionWish,
): Promise<{ id: string; fullName: string }[]> {
  const found: { id: string; fullName: string }[] = [];
  for (const name of wish.repositories) {
    const repository = await provider.findRepository(access, assertPlainPath(name));
    if (repository === null) {
      throw new NotFoundError(`The account does not see a repository ${name} at ${access.host}.`, {
        hint: 'Repositories are written as they stand in: gitlink repos',
      });
    }
    found.push({ id: repository.id, fullName: repository.fullName });
  }
  return found;
}

/** @throws UsageError for what no host allows in a path, such as a leading hyphen or `..`. */
export function assertPlainPath(path: string): string {
  if (parseName(path) !== null) return path;
  throw new UsageError(`"${path}" is no namespace or repository.`, {
    hint: 'Write a namespace as it stands in the URL, and a repository as OWNER/NAME.',
  });
}
