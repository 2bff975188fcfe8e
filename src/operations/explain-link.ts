import { UsageError } from '../errors.ts';
import { matchesHost, toCurrentPlace } from '../git/host-match.ts';
import { readLinkSetting } from '../git/link-setting.ts';
import { parseRepositoryUrl } from '../git/repository-url.ts';
import { readRepositoryList } from '../store/repository-list.ts';
import { chooseLink, type LinkChoice } from './choose-link.ts';
import { listConfiguredHosts } from './configure-git.ts';
import type { OperationContext } from './context.ts';
import { quoteWord } from './quote-word.ts';

/** Which link git would get for an address, and why. */
export interface LinkExplanation extends LinkChoice {
  /** The address as git asks for it, without a user name or password. */
  readonly url: string;
  /** Whether the address holds a password or token, which git uses instead of asking. */
  readonly hasPassword: boolean;
  /** Whether `setup-git` was never run for the host of the link that git would get. */
  readonly needsSetup: boolean;
}

/**
 * Chooses the link for an address as git's helper would, and keeps the reasons. No host is asked.
 *
 * @param url - As in `git clone URL`.
 * @throws UsageError for an address that gitlink does not answer git for.
 */
export function explainLink(context: OperationContext, url: string): LinkExplanation {
  const parsed = parseRepositoryUrl(url);
  if (parsed?.protocol === 'ssh') {
    const address = toUrl({ ...toCurrentPlace(parsed), protocol: 'https' });
    throw new UsageError('For an ssh address git uses an ssh key, and gitlink plays no part.', {
      hint: `To see what git would get without ssh: gitlink explain ${quoteWord(address)}`,
    });
  }
  if (parsed === null) {
    throw new UsageError('gitlink answers git for addresses that begin with https://, and this is none.', {
      hint: 'Give the address as in: git clone https://git.acme.dev/acme/api.git',
    });
  }
  const { protocol, host, port, path, username, hasPassword } = parsed;
  const place = { protocol, host: port === null ? host : `${host}:${port}`, path, username };
  const records = context.links.read();
  const choice = chooseLink(place, {
    links: records.links,
    listRepositories: (link) => readRepositoryList(context.directories.state, link.id),
    readPreference: () => readLinkSetting(context),
  });
  const { chosen, candidates } = choice;
  const reason = candidates.length > 0 ? choice.reason : explainAbsence(place);
  // Nothing is kept of what git was told for the environment's link.
  const needsSetup =
    chosen !== null &&
    chosen.storage !== 'env' &&
    !listConfiguredHosts(records).some((each) => matchesHost(place, each, chosen));
  return { ...choice, reason, url: toUrl(place), hasPassword, needsSetup };
}

type Place = Readonly<Record<'protocol' | 'host' | 'path', string>>;

function toUrl({ protocol, host, path }: Place): string {
  return `${protocol}://${host}/${path}`;
}

function explainAbsence(place: Place): string {
  // The path tells an instance below it, or an organization; one that a shell would not take as it is stays out.
  const address = toUrl(/^[\w.~/-]+$/.test(place.path) ? place : { ...place, path: '' });
  return `no link is for ${place.host}; to make one: gitlink link ${address}`;
}
