import { NotFoundError, StorageError, UsageError } from '../errors.ts';
import { environmentId } from '../store/environment-records.ts';
import type { LinkRecord, Records } from '../store/link-schema.ts';

/**
 * Finds the link that a command means: the named one, else the only one.
 *
 * @param name - What the person wrote; null for nothing.
 * @throws NotFoundError for a name that no link has, or when there are no links.
 * @throws UsageError when there are several and none was named.
 */
export function findLink(records: Records, name: string | null): LinkRecord {
  const { links } = records;
  if (name !== null) {
    const found = links.find((link) => link.name === name);
    if (found) return found;
    const known = links.map((link) => link.name).join(', ');
    throw new NotFoundError(`There is no link named "${name}".`, {
      hint: known ? `There are: ${known}` : 'Make one with: gitlink link PROVIDER',
    });
  }
  const [only, ...others] = links;
  // Whoever sets the environment means it.
  if (only?.id === environmentId) return only;
  if (!only) {
    throw new NotFoundError('There are no links yet.', {
      hint: 'Make one with: gitlink link PROVIDER',
    });
  }
  if (others.length === 0) return only;
  throw new UsageError('There are several links, so the argument <link> is needed.', {
    hint: `One of: ${links.map((link) => link.name).join(', ')}`,
  });
}

/**
 * Gets a link that was found before, by its id: its name may have changed meanwhile.
 *
 * @throws NotFoundError when it was unlinked.
 */
export function getLink(records: Records, id: string): LinkRecord {
  const found = records.links.find((link) => link.id === id);
  if (found) return found;
  throw new NotFoundError('The link was unlinked meanwhile.');
}

/**
 * Gets a link that was opened before, as long as it has the credential that it had then: another one may be for another
 * host.
 *
 * @throws StorageError when it was given another one, NotFoundError when it was unlinked.
 */
export function getUnchangedLink(records: Records, opened: LinkRecord): LinkRecord {
  const link = getLink(records, opened.id);
  if (link.credentialItem === opened.credentialItem) return link;
  throw new StorageError(`"${link.name}" was given another credential meanwhile.`, {
    hint: 'Run the command again.',
  });
}
