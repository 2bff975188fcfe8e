import { hasUnsafeCharacter } from '../printable.ts';

/** The part of a restriction that the helper can judge by a path. */
export interface NameRule {
  /** Whether the host tells `Acme` from `acme`. */
  readonly caseSensitive: boolean;
}

/**
 * Where a host puts its repositories below the base path: `plain` `{namespace…}/{name}`, `scm`
 * `scm/{KEY}/{name}` (Bitbucket Data Center), `azure` `{organization}/[{project}/]_git/{name}`.
 */
export type PathLayout = 'plain' | 'scm' | 'azure';

const pathLimit = 4096;

/**
 * What no supported host allows in a name and some server, proxy or shell takes for something else, beside invisible
 * characters: separators (`\`, Tomcat's `;`), queries, globs. The list is Azure DevOps' own, which is the most
 * liberal host (learn.microsoft.com, "Naming restrictions and conventions").
 */
const forbiddenInName = /[\\/:*?"<>|;#$,+=[\]{}]/;

/** `.`, `..`, and what a server that trims names would take for them. */
const dotsOnly = /^[.\s]+$/u;

/**
 * Reads the path of a repository as git hands it to a credential helper.
 *
 * Decoding happens once. A path that still has an escape afterwards, or an escaped separator before, means
 * different things to different servers and is no path; so is one with a name that is empty, `.` or `..`.
 *
 * @param path - Without the leading slash; one `.git` and the suffix of git-lfs (`.git/info/lfs`, the only one it
 *   asks credentials for: git-lfs docs/api/server-discovery.md) are taken off.
 */
export function parseRepositoryPath(path: string): { readonly segments: readonly string[] } | null {
  if (path.length > pathLimit || /%(?:2f|5c)/i.test(path)) return null;
  const decoded = decodeOnce(path);
  if (decoded === null) return null;
  const segments = decoded.replace(/\.git(?:\/info\/lfs)?$/, '').split('/');
  return segments.every(isName) ? { segments } : null;
}

/**
 * Reads a namespace or repository that a person typed or a provider reported. The host's own grammar (how many
 * levels, which letters) is the adapter's to check.
 *
 * @returns Its names, or `null` where it begins like an option, has glob or control characters or empty names.
 */
export function parseName(name: string): readonly string[] | null {
  if (name.startsWith('-') || name.length > pathLimit || name.includes('%')) return null;
  const segments = name.split('/');
  return segments.every(isName) ? segments : null;
}

/**
 * Takes the host's base path off.
 *
 * @param basePath - As in the host's base URL: `''`, `/gitea`, `/a/b`. Compared exactly, name by name.
 * @returns What follows, or `null` where the path is not below the base.
 */
export function stripBasePath(segments: readonly string[], basePath: string): readonly string[] | null {
  const base = basePath.split('/').filter((name) => name !== '');
  if (segments.length <= base.length) return null;
  return base.every((name, index) => name === segments[index]) ? segments.slice(base.length) : null;
}

/**
 * Finds the repository in a path below the base path.
 *
 * @returns The names of its namespace followed by its own, as in the provider's `fullName`; `null` where the path
 *   is not one of the layout. Azure's short form, in which the project is left out because the repository has
 *   its name, gets it back.
 */
export function toRepositoryName(segments: readonly string[], layout: PathLayout): readonly string[] | null {
  switch (layout) {
    case 'plain':
      return segments;
    case 'scm':
      return segments[0] === 'scm' && segments.length === 3 ? segments.slice(1) : null;
    case 'azure': {
      const mark = segments.indexOf('_git');
      const namespace = segments.slice(0, Math.max(mark, 0));
      // `_full` and `_optimized` ask for the whole or the reduced clone of the same repository.
      const rest = segments.slice(mark + 1).filter((name) => name !== '_full' && name !== '_optimized');
      const [name] = rest;
      if (name === undefined || rest.length > 1) return null;
      if (namespace.length === 1) return [...namespace, name, name];
      return namespace.length === 2 ? [...namespace, name] : null;
    }
  }
}

/** Whether a repository lies in a namespace, at any depth below it. */
export function isWithinNamespace(namespace: string, repository: readonly string[], rule: NameRule): boolean {
  const names = namespace.split('/');
  return (
    names.length < repository.length && names.every((name, index) => isSame(name, repository[index], rule))
  );
}

/** Whether a name (`OWNER/NAME`) is this repository, exactly. */
export function isSameRepository(name: string, repository: readonly string[], rule: NameRule): boolean {
  const names = name.split('/');
  return (
    names.length === repository.length && names.every((part, index) => isSame(part, repository[index], rule))
  );
}

function decodeOnce(path: string): string | null {
  if (!path.includes('%')) return path;
  try {
    const decoded = decodeURIComponent(path);
    return /%[0-9a-f]{2}/i.test(decoded) ? null : decoded;
  } catch {
    return null;
  }
}

function isName(name: string): boolean {
  return name !== '' && !dotsOnly.test(name) && !forbiddenInName.test(name) && !hasUnsafeCharacter(name);
}

function isSame(a: string, b: string | undefined, { caseSensitive }: NameRule): boolean {
  return b !== undefined && (a === b || (!caseSensitive && foldCase(a) === foldCase(b)));
}

/** ASCII only: `toLowerCase` would make the Kelvin sign a `k`, and so two names one. */
function foldCase(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
