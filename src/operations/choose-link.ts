import { matchesHost, toCurrentPlace, type RequestedPlace } from '../git/host-match.ts';
import { isWithinNamespace } from '../git/repository-path.ts';
import { gitAccesses } from '../providers/git-registry.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import {
  findAllowedDepth,
  findRoot,
  isBelowRoot,
  toGitPlace,
  type GitPlace,
  type KnownRepositories,
} from './git-place.ts';

/** What git asks for, or a person who wants to know what git would get. */
export interface LinkQuestion extends RequestedPlace {
  /** Of the URL; null for none. */
  readonly username: string | null;
}

/** What the choice depends on beside the question. */
export interface LinkSurroundings extends KnownRepositories {
  readonly links: readonly LinkRecord[];
  /** The link that the repository's own configuration names; asked for only where there is a choice. */
  readPreference(): string | null;
}

/** A link of the host, and why it is or is not the one. */
export interface Candidate {
  readonly link: LinkRecord;
  readonly fits: boolean;
  /** Whether neither the user name nor the repository's own setting names another. */
  readonly isOfAccount: boolean;
  readonly reason: string;
}

export interface LinkChoice {
  readonly chosen: LinkRecord | null;
  /** Every link of the host. */
  readonly candidates: readonly Candidate[];
  /** Why this one, or why none: a clause without a full stop, with the command that changes it. */
  readonly reason: string;
}

/** User names that hosts tell people to write beside a token: they name nobody. */
const placeholders = new Set([
  'oauth2',
  'x-access-token',
  'x-token-auth',
  'x-bitbucket-api-token-auth',
  'x-oauth-basic',
  'git',
  'gitlink',
  'token',
]);

/**
 * Chooses the link for a URL: the repository's own setting, then a user name in the URL, then the link whose
 * restriction or known namespaces contain the path (the longest match; a restricted link before an unrestricted
 * one), then the only one. Of two that fit equally none is chosen.
 */
export function chooseLink(question: LinkQuestion, surroundings: LinkSurroundings): LinkChoice {
  const asked = toCurrentPlace(question);
  const ofHost = surroundings.links.filter((link) => matchesHost(asked, link.host, link));
  const usable = ofHost.filter(({ status }) => status !== 'unlinking');
  const preferred = usable.length > 1 ? surroundings.readPreference() : null;
  const named = usable.filter(({ name }) => name === preferred);
  if (preferred !== null && !surroundings.links.some(({ name }) => name === preferred)) {
    const reason = `the repository's setting gitlink.link names "${preferred}", which is no link; to change it: gitlink setup-git --local --link NAME`;
    return { chosen: null, candidates: usable.map((link) => toUnfit(link, reason)), reason };
  }
  const ofAccount = named.length > 0 ? named : selectByAccount(usable, asked.username);
  const candidates = ofHost.map((link) => judge(link, asked, surroundings, ofAccount));
  const fitting = candidates.filter(({ fits }) => fits);
  const best = Math.max(...fitting.map(({ rank }) => rank));
  const [first, ...others] = fitting.filter(({ rank }) => rank === best);
  if (!first)
    return { chosen: null, candidates, reason: explainRefusal(ofAccount, asked.path, surroundings) };
  if (others.length === 0) {
    const isNamed = first.link.name === preferred;
    return {
      chosen: first.link,
      candidates,
      reason: isNamed ? "the repository's own setting gitlink.link names it" : first.reason,
    };
  }
  const names = [first, ...others].map(({ link }) => `"${link.name}"`).join(' and ');
  const reason = `${names} fit equally, so neither is used; choose for this repository: git config gitlink.link ${first.link.name}`;
  return { chosen: null, candidates, reason };
}

function toUnfit(link: LinkRecord, reason: string): Candidate {
  return { link, fits: false, isOfAccount: true, reason };
}

interface RankedCandidate extends Candidate {
  /** The higher the better; of candidates that fit only. */
  readonly rank: number;
}

/** Above every depth of an unrestricted link's namespaces. */
const restrictedRank = 1_000;
/** Of a credential that reaches nothing beyond its own place: before those that reach it among others. */
const rootedRank = 500;

function judge(
  link: LinkRecord,
  { path }: LinkQuestion,
  surroundings: LinkSurroundings,
  ofAccount: readonly LinkRecord[],
): RankedCandidate {
  const isOfAccount = ofAccount.includes(link);
  const no = (reason: string): RankedCandidate => ({ link, fits: false, isOfAccount, reason, rank: 0 });
  if (link.status === 'unlinking') return no('it is being unlinked');
  if (!isOfAccount) return no('the user name, or the setting gitlink.link, names another');
  const place = toGitPlace(link, path);
  const { restriction } = link;
  const root = findRoot(link);
  if (root !== null && path !== null && !isBelowRoot(root, link, place, surroundings)) {
    return no(`it is for ${root} alone`);
  }
  if (restriction.mode === 'unrestricted') {
    // Where there is no choice nothing needs to be read.
    const isCompared = place !== null && ofAccount.length > 1;
    const depth = isCompared ? findKnownDepth(link, place, surroundings) : 0;
    const reason = depth > 0 ? 'it is known to work there' : 'it may be used for everything';
    const isOwn = root !== null && path !== null;
    return {
      link,
      fits: true,
      isOfAccount,
      reason: isOwn ? `it is for ${root} alone` : reason,
      rank: isOwn ? rootedRank + depth : depth,
    };
  }
  if (path === null) return no('it is restricted, and the URL names no repository');
  const depth = place === null ? 0 : findAllowedDepth(link, restriction, place, surroundings);
  if (depth === 0) return no('its restriction does not contain the repository');
  return {
    link,
    fits: true,
    isOfAccount,
    reason: 'its restriction contains the repository',
    rank: restrictedRank + depth,
  };
}

/** A login chooses the links of its account; one whose account is unknown may be it, if no other is. */
function selectByAccount(links: readonly LinkRecord[], username: string | null): readonly LinkRecord[] {
  const wanted = username?.toLowerCase();
  const isNameless = links.some(({ provider }) => gitAccesses[provider]?.ignoresUsernames === true);
  if (wanted === undefined || placeholders.has(wanted) || isNameless) return links;
  const ofLogin = links.filter(({ account }) => account.login?.toLowerCase() === wanted);
  return ofLogin.length > 0 ? ofLogin : links.filter(({ account }) => account.login === null);
}

/** How much of a path an unrestricted link is known to reach: its own namespace, or one that it has listed. */
function findKnownDepth(
  link: LinkRecord,
  { repository, access }: GitPlace,
  surroundings: LinkSurroundings,
): number {
  const { login, kind } = link.account;
  const own = findRoot(link) ?? (kind === 'user' ? login : null);
  if (own !== null && isWithinNamespace(own, repository, access)) return own.split('/').length;
  const namespace = repository.slice(0, -1).join('/');
  const isKnown = surroundings
    .listRepositories(link)
    .some(({ fullName }) => isWithinNamespace(namespace, fullName.split('/'), access));
  return isKnown ? repository.length - 1 : 0;
}

function explainRefusal(
  candidates: readonly LinkRecord[],
  path: string | null,
  surroundings: LinkSurroundings,
): string {
  const [link] = candidates;
  if (!link) return 'no link is for this host and account';
  if (path === null) {
    return `"${link.name}" is restricted, and git does not say which repository; run: gitlink setup-git`;
  }
  const root = findRoot(link);
  if (root !== null && link.restriction.mode === 'unrestricted') {
    return `"${link.name}" is for ${root} alone, and ${path} is elsewhere`;
  }
  const isListed = surroundings.listRepositories(link).length > 0;
  const renew = isListed ? ` (if it is new or has a new name: gitlink repos ${link.name})` : '';
  return `${path} is outside the restriction of "${link.name}"; to allow it: gitlink restrict ${link.name} --add NAMESPACE${renew}`;
}

/**
 * Links whose restriction may contain a repository under a name that they do not know yet: one that was renamed, or
 * that lies in a project.
 */
export function listUnsure(candidates: readonly Candidate[]): readonly LinkRecord[] {
  return candidates
    .filter(({ isOfAccount, fits, link }) => isOfAccount && !fits && link.status !== 'unlinking')
    .map(({ link }) => link)
    .filter(({ restriction, provider }) => {
      if (restriction.mode === 'unrestricted') return false;
      const isKnownById = restriction.repositories.some(({ id }) => id !== '');
      return isKnownById || gitAccesses[provider]?.hasHiddenProjects === true;
    });
}
