import { matchesHost, toCurrentPlace, type RequestedPlace } from '../git/host-match.ts';
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

/** What git asks for, or a person who wants to know what git would get. */
export interface LinkQuestion extends RequestedPlace {
  /** Of the URL; null for none. */
  readonly username: string | null;
}

/** What the choice depends on beside the question. */
export interface LinkSurroundings {
  readonly links: readonly LinkRecord[];
  /** What a link reached when its repositories were listed last. */
  listRepositories(link: LinkRecord): readonly ListedRepository[];
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
  const place = toPlace(link, path);
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

/** The namespace that a credential cannot reach beyond, whatever a link allows; null where there is none. */
function findRoot({ organization, credentialKind, account }: LinkRecord): string | null {
  return organization ?? (credentialKind === installationKind ? account.login : null);
}

function isBelowRoot(
  root: string,
  link: LinkRecord,
  place: Place | null,
  surroundings: Pick<LinkSurroundings, 'listRepositories'>,
): boolean {
  if (place === null) return false;
  const { repository, access } = place;
  if (isWithinNamespace(root, repository, access)) return true;
  // Its owner has another name by now, or had one before.
  return surroundings
    .listRepositories(link)
    .some(({ fullName }) => isSameRepository(fullName, repository, access));
}

/**
 * The repository that a path names at a link's host.
 *
 * @returns `OWNER/NAME`; null for a path that names none.
 */
export function findRepositoryName(link: LinkRecord, path: string | null): string | null {
  return toPlace(link, path)?.repository.join('/') ?? null;
}

interface Place {
  /** The names of the repository's namespace and its own. */
  readonly repository: readonly string[];
  readonly access: GitAccess;
}

function toPlace(link: LinkRecord, path: string | null): Place | null {
  const access = gitAccesses[link.provider];
  const parsed = path === null ? null : parseRepositoryPath(path);
  const segments = parsed && stripBasePath(parsed.segments, toBasePath(link.host));
  const repository = access && segments && toRepositoryName(segments, access.layout);
  return repository && repository.length >= 2 ? { repository, access } : null;
}

/**
 * How exactly a restriction contains a repository: the names that match; 0 for not at all. What the path does not
 * show decides the list: a repository under its new name, or in a project.
 */
function findAllowedDepth(
  link: LinkRecord,
  { namespaces, repositories }: Extract<Restriction, { mode: 'restricted' }>,
  { repository, access }: Place,
  surroundings: Pick<LinkSurroundings, 'listRepositories'>,
): number {
  const named = repositories.find(({ fullName }) => isSameRepository(fullName, repository, access));
  if (named && !isNameTaken(named.id, repository, access, surroundings.listRepositories(link))) {
    return repository.length;
  }
  const depths = namespaces
    .filter((namespace) => isWithinNamespace(namespace, repository, access))
    .map((namespace) => namespace.split('/').length);
  if (depths.length > 0) return Math.max(...depths);
  const listed = surroundings
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

/** How much of a path an unrestricted link is known to reach: its own namespace, or one that it has listed. */
function findKnownDepth(
  link: LinkRecord,
  { repository, access }: Place,
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

function toBasePath(host: string): string {
  return /^https?:\/\/[^/]+(\/.*)?$/.exec(host)?.[1] ?? '';
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

/**
 * Whether a link may be used for a repository, by its name and by what the link has listed.
 *
 * @param fullName - As `OWNER/NAME`.
 */
export function isAllowed(
  link: LinkRecord,
  fullName: string,
  surroundings: Pick<LinkSurroundings, 'listRepositories'>,
): boolean {
  const { restriction } = link;
  const access = gitAccesses[link.provider];
  if (access === undefined) return false;
  const place = { repository: fullName.split('/'), access };
  const root = findRoot(link);
  if (root !== null && !isBelowRoot(root, link, place, surroundings)) return false;
  return restriction.mode === 'unrestricted' || findAllowedDepth(link, restriction, place, surroundings) > 0;
}
