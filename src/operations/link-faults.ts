import { ForbiddenError, StorageError, UnsupportedError } from '../errors.ts';
import type { Provider } from '../providers/provider.ts';
import { getProvider } from '../providers/registry.ts';
import { environmentId } from '../store/environment-records.ts';
import type { LinkRecord } from '../store/link-schema.ts';

/** @throws ForbiddenError for a link that is being unlinked. */
export function assertNotUnlinking(link: LinkRecord): void {
  if (link.status !== 'unlinking') return;
  throw new ForbiddenError(`"${link.name}" is being unlinked, so it can do nothing else.`, {
    hint: `To finish that: gitlink unlink ${link.name}`,
  });
}

/** @throws UnsupportedError for the link of the environment, which nothing here can change. */
export function assertStored(link: LinkRecord): void {
  if (link.id !== environmentId) return;
  throw new UnsupportedError('The link "env" is what the environment says, so gitlink cannot change it.', {
    hint: 'Change the variables GITLINK_…, or unset GITLINK_PROVIDER and make a link.',
  });
}

export function requireProvider(link: LinkRecord): Provider {
  const provider = getProvider(link.provider);
  if (provider) return provider;
  throw new UnsupportedError(`This version of gitlink does not have the provider ${link.provider}.`);
}

export function secretMissing(link: LinkRecord): StorageError {
  return new StorageError(`The secret of "${link.name}" is no longer in the ${link.storage}.`, {
    hint: `Store a new one with: gitlink relink ${link.name}`,
  });
}
