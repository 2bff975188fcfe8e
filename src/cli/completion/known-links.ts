import { toPrintable } from '../../printable.ts';
import { findDirectories } from '../../runtime.ts';
import { readPlainRecords } from '../../store/plain-records.ts';
import type { KnownLink } from './suggest.ts';

/** Only names that gitlink gives are suggested: a shell puts them on the command line as they are. */
const linkName = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/**
 * Reads the names of the links as plain JSON: whoever presses TAB does not wait for schemas, migrations, the
 * keychain or the network, and whatever is wrong with the records is for another command to say.
 */
export function listKnownLinks(
  env: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform,
  configDirectory: string | null,
): readonly KnownLink[] {
  const environment = env['GITLINK_PROVIDER'] ? [{ name: 'env', about: 'from the environment' }] : [];
  try {
    const { config } = findDirectories(env, platform, configDirectory ?? undefined);
    return [...environment, ...(readPlainRecords(config)?.links.flatMap(toKnownLink) ?? [])];
  } catch {
    return environment;
  }
}

function toKnownLink(link: unknown): KnownLink[] {
  const { name, host, account } = (link ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof name !== 'string' || !linkName.test(name)) return [];
  const { login } = (account ?? {}) as Readonly<Record<string, unknown>>;
  const place = typeof host === 'string' ? host.replace(/^https:\/\//, '') : '';
  return [{ name, about: toPrintable(typeof login === 'string' ? `${login} at ${place}` : place, 60) }];
}
