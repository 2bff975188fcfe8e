import type { Namespace } from '../providers/provider.ts';
import type { LinkRecord, Restriction } from '../store/link-schema.ts';
import { isOwned, readWebhookJournal, type JournalEntry } from '../store/webhook-journal.ts';
import type { OperationContext } from './context.ts';
import { updateLink } from './change-link.ts';
import { openLink, whileTrusted } from './host-access.ts';
import { readRepositoryList } from '../store/repository-list.ts';
import { assertStored } from './link-faults.ts';
import { refreshQuietly } from './list-repositories.ts';
import {
  allows,
  coversNamespace,
  toHostRestriction,
  toMisplacedError,
  type RestrictionWish,
} from './restriction.ts';
import { NotFoundError } from '../errors.ts';

/** How a restriction is to change. */
export type RestrictionChange =
  { readonly how: 'replace' | 'add' | 'remove'; readonly wish: RestrictionWish } | { readonly how: 'lift' };

/** What a link's account reaches, for choosing from. */
export async function listReachableNamespaces(
  context: OperationContext,
  link: LinkRecord,
): Promise<readonly Namespace[]> {
  context.reporter.status('Asking what the account reaches…');
  const { provider, access } = await openLink(context, link);
  return whileTrusted(context, link, async () => {
    const found = new Map<string, Namespace>();
    for await (const namespace of provider.listNamespaces(access)) found.set(namespace.path, namespace);
    return [...found.values()];
  });
}

/** A change that is ready to be made to whatever the restriction is by then. */
export type ReadyRestriction = (current: LinkRecord) => Restriction;

/**
 * Prepares a change of a link's restriction; names are checked at the host, what is removed is not.
 *
 * @returns The change; it throws NotFoundError for what the restriction does not have.
 * @throws NotFoundError for what the account does not reach.
 */
export async function prepareRestriction(
  context: OperationContext,
  link: LinkRecord,
  change: RestrictionChange,
): Promise<ReadyRestriction> {
  assertStored(link);
  if (change.how === 'lift') return () => ({ mode: 'unrestricted' });
  if (change.how === 'remove') return (current) => subtract(current, change.wish);
  const { provider, access } = await openLink(context, link);
  context.reporter.status('Asking what the account reaches…');
  const command = `gitlink restrict ${link.name}${change.how === 'add' ? ' --add' : ''}`;
  const wanted = await whileTrusted(context, link, () =>
    toHostRestriction(provider, access, change.wish, command),
  );
  return change.how === 'add' ? (current) => unite(current.restriction, wanted) : () => wanted;
}

/**
 * Makes a change to the restriction as it is now, so that changes at the same time lose nothing. From then on
 * nothing outside it gets the credential.
 */
export async function applyRestriction(
  context: OperationContext,
  link: LinkRecord,
  change: ReadyRestriction,
): Promise<LinkRecord> {
  const changed = await updateLink(context, link.id, (current) => ({
    ...current,
    restriction: change(current),
  }));
  if (!changed) throw new NotFoundError(`"${link.name}" was unlinked meanwhile.`);
  await refreshQuietly(context, changed);
  return changed;
}

/**
 * gitlink's webhooks that the restriction of a link puts out of reach. The journal knows a repository by its id, and
 * its namespace by the name that it had when the hook was made.
 */
export function findStrandedWebhooks(context: OperationContext, link: LinkRecord): readonly JournalEntry[] {
  const { restriction } = link;
  const entries = [...readWebhookJournal(context.directories.state, link.id).values()];
  const projects = new Map(
    readRepositoryList(context.directories.state, link.id).map((each) => [each.id, each.project]),
  );
  return entries.filter((entry) => {
    if (!isOwned(entry)) return false;
    const [level, id = ''] = entry.place.split(':');
    if (level !== 'repository') return !coversNamespace(restriction, entry.label);
    const project = projects.get(id);
    return !allows(restriction, { id, fullName: entry.label, ...(project ? { project } : {}) });
  });
}

type Restricted = Extract<Restriction, { mode: 'restricted' }>;

function unite(current: Restriction, wanted: Restriction): Restriction {
  // Whoever lifted the restriction meanwhile allows more than what is added.
  if (current.mode === 'unrestricted' || wanted.mode === 'unrestricted') return { mode: 'unrestricted' };
  const repositories = new Map(
    [...current.repositories, ...wanted.repositories].map((each) => [each.id, each]),
  );
  return {
    mode: 'restricted',
    namespaces: [...new Set([...current.namespaces, ...wanted.namespaces])],
    repositories: [...repositories.values()],
  };
}

function subtract(link: LinkRecord, wish: RestrictionWish): Restriction {
  const { restriction } = link;
  const has =
    restriction.mode === 'restricted' ? restriction : ({ namespaces: [], repositories: [] } as const);
  const isNamed = (names: readonly string[], name: string): boolean =>
    names.some((each) => each.toLowerCase() === name.toLowerCase());
  const repositories = has.repositories.map(({ fullName }) => fullName);
  const misplaced = wish.namespaces.filter(
    (name) => !isNamed(has.namespaces, name) && isNamed(repositories, name),
  );
  if (misplaced.length > 0) throw toMisplacedError(wish, misplaced, `gitlink restrict ${link.name} --remove`);
  const unknown = [
    ...wish.namespaces.filter((name) => !isNamed(has.namespaces, name)),
    ...wish.repositories.filter((name) => !isNamed(repositories, name)),
  ];
  if (unknown.length > 0) {
    throw new NotFoundError(`The restriction of "${link.name}" does not have ${unknown.join(', ')}.`, {
      hint: `Look at it with: gitlink show ${link.name}`,
    });
  }
  const left: Restricted = {
    mode: 'restricted',
    namespaces: has.namespaces.filter((name) => !isNamed(wish.namespaces, name)),
    repositories: has.repositories.filter(({ fullName }) => !isNamed(wish.repositories, fullName)),
  };
  return left;
}
