import { ForbiddenError, NotFoundError } from '../errors.ts';
import type { WebhookPlace } from '../providers/webhook-support.ts';
import type { OpenLink } from './host-access.ts';
import { enumerate } from './list-repositories.ts';
import { toPlaceKey } from './plan-webhooks.ts';
import { allows, assertPlainPath, coversNamespace, isSameOrBelow } from './restriction.ts';
import type { Target } from './webhook-target.ts';

/** What limits a run; both empty for everything that the link may use. */
export interface PlaceFilter {
  readonly namespaces: readonly string[];
  readonly repositories: readonly string[];
}

/**
 * The places whose webhooks a run works on, each once: names may overlap and lists may shift while they are
 * read, and working on a place twice would make two hooks.
 *
 * @throws ForbiddenError for what is outside the link's restriction, or hooks that would reach further than it.
 * @throws NotFoundError for a repository or namespace that the account does not reach.
 */
export async function* listPlaces(
  filter: PlaceFilter,
  open: OpenLink,
  target: Target,
): AsyncIterable<WebhookPlace> {
  const seen = new Set<string>();
  const places =
    target.at === 'namespace' ? listNamespacePlaces(filter, open) : listRepositoryPlaces(filter, open);
  for await (const place of places) {
    const key = toPlaceKey(place);
    if (!seen.has(key)) yield place;
    seen.add(key);
  }
}

async function* listRepositoryPlaces(filter: PlaceFilter, open: OpenLink): AsyncIterable<WebhookPlace> {
  for (const fullName of filter.repositories) {
    const repository = await open.provider.findRepository(open.access, assertPlainPath(fullName));
    if (repository === null)
      throw new NotFoundError(`"${open.link.name}" does not see a repository ${fullName}.`);
    if (!allows(open.link.restriction, repository)) throw outsideRestriction(open, fullName);
    yield { level: 'repository', repository };
  }
  for (const namespace of filter.namespaces.map(assertPlainPath)) {
    let isEmpty = true;
    for await (const repository of enumerate(open, { namespace, search: null })) {
      isEmpty = false;
      yield { level: 'repository', repository };
    }
    if (isEmpty) await assertEmptyNamespace(open, namespace);
  }
  if (filter.repositories.length + filter.namespaces.length > 0) return;
  for await (const repository of enumerate(open, { namespace: null, search: null })) {
    yield { level: 'repository', repository };
  }
}

/** Nothing came of a namespace: finds out whether that is all there is to say. */
async function assertEmptyNamespace(open: OpenLink, namespace: string): Promise<void> {
  for await (const { path } of open.provider.listNamespaces(open.access)) {
    if (fold(path) !== fold(namespace)) continue;
    if (!coversNamespace(open.link.restriction, namespace)) throw outsideRestriction(open, namespace);
    return;
  }
  throw new NotFoundError(`"${open.link.name}" does not reach a namespace ${namespace}.`);
}

async function* listNamespacePlaces(filter: PlaceFilter, open: OpenLink): AsyncIterable<WebhookPlace> {
  const { restriction, name } = open.link;
  if (
    filter.repositories.length > 0 ||
    (restriction.mode === 'restricted' && restriction.repositories.length > 0)
  ) {
    throw new ForbiddenError(`A webhook of a namespace reaches more repositories than "${name}" may use.`, {
      hint: 'Use --at repositories',
    });
  }
  for (const namespace of filter.namespaces) {
    if (!coversNamespace(restriction, namespace)) throw outsideRestriction(open, namespace);
  }
  const wanted = new Map(filter.namespaces.map((namespace) => [fold(namespace), namespace]));
  const reached: string[] = [];
  for await (const { path, kind } of open.provider.listNamespaces(open.access)) {
    const isWanted = wanted.delete(fold(path)) || filter.namespaces.length === 0;
    if (isWanted && kind !== 'user' && coversNamespace(restriction, path)) reached.push(path);
  }
  for (const namespace of wanted.values()) {
    throw new NotFoundError(`"${name}" does not reach a namespace ${namespace}.`);
  }
  // A webhook of a group hears of those below it, too: a second one there would tell everything twice.
  const isNested = (path: string): boolean =>
    reached.some((other) => other !== path && isSameOrBelow(path, other));
  for (const namespace of reached.filter((path) => !isNested(path))) yield { level: 'namespace', namespace };
}

function fold(name: string): string {
  return name.toLowerCase();
}

function outsideRestriction(open: OpenLink, name: string): ForbiddenError {
  return new ForbiddenError(`${name} is outside the restriction of "${open.link.name}".`, {
    hint: `To allow it: gitlink restrict ${open.link.name} --add ${name.includes('/') ? '--repo ' : ''}${name}`,
  });
}
