import {
  formatCredentialAnswer,
  readCredentialInput,
  readCredentialRequest,
  type CredentialRequest,
} from '../git/credential-protocol.ts';
import { toPrintable } from '../printable.ts';
import { gitAccesses } from '../providers/git-registry.ts';
import type { Secret } from '../secret.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import type { ListedRepository } from '../store/repository-list.ts';
import { chooseLink, listUnsure } from './choose-link.ts';
import { findRepositoryName } from './git-place.ts';
import { isRefreshDue } from '../oauth/token-set.ts';
import { isInstallation } from './is-installation.ts';
import { findKeptToken } from './minted-tokens.ts';
import { toMintedCredential, unpackCredential, type StoredCredential } from './stored-credential.ts';

/** What the helper needs of the world: little, because its start is felt with every fetch. */
export interface GitQuestion {
  /** git's word: `get`, `store`, `erase`, and whatever comes later. */
  readonly operation: string;
  readonly input: AsyncIterable<Uint8Array>;
  /** Milliseconds since the epoch. */
  now(): number;
  readLinks(): readonly LinkRecord[];
  readItem(link: LinkRecord): Promise<Secret | null>;
  /** What a link reached when its repositories were listed last. */
  listRepositories(link: LinkRecord): readonly ListedRepository[];
  /** The link that the repository's own configuration names; null for none. */
  readPreference(): string | null;
  /**
   * Renews a sign-in that is about to end, or that a server refused.
   * @throws GitlinkError, recognised by its `code`.
   */
  renew(link: LinkRecord, credential: StoredCredential, isRefused: boolean): Promise<StoredCredential>;
  /**
   * Mints a token of an app's installation, good for one repository, or for all of it where none is named.
   * @throws GitlinkError, recognised by its `code`.
   */
  mint(link: LinkRecord, repository: string | null): Promise<StoredCredential>;
  /** Forgets a minted token that a server refused, by the repository that it was for. */
  forgetMinted(link: LinkRecord, repository: string | null): Promise<void>;
  /**
   * Asks the host about one repository that a restricted link does not know by that name, and keeps what it says.
   * @returns whether the link may be used for it.
   */
  lookUp(link: LinkRecord, repository: string): Promise<boolean>;
  /** Notes the hand-out. */
  recordUse(link: LinkRecord, path: string | null): void;
  /** Marks a link whose credential a server refused. */
  markRefused(link: LinkRecord): Promise<void>;
  /** Lets go of what was begun and not needed. */
  end(): void;
}

export interface GitReply {
  /** The protocol, or nothing. */
  readonly output: Buffer | null;
  /** One line for people, safe to print; null for silence. */
  readonly notice: string | null;
}

const silence: GitReply = { output: null, notice: null };

/**
 * Answers git's credential protocol. No answer is the answer to everything that is not exactly a link's: git
 * then goes on as if there were no helper.
 */
export async function answerGit(question: GitQuestion): Promise<GitReply> {
  // `store` is none of our business, and git asks that unknown operations are ignored.
  if (question.operation === 'capability') {
    return { output: Buffer.from('version 0\ncapability authtype\n'), notice: null };
  }
  if (question.operation !== 'get' && question.operation !== 'erase') return silence;
  const input = await readCredentialInput(question.input);
  const request = 'refused' in input ? input : readCredentialRequest(input);
  if ('refused' in request) return refuse(request.refused);
  return question.operation === 'get' ? get(question, request) : erase(question, request);
}

async function get(question: GitQuestion, request: CredentialRequest): Promise<GitReply> {
  const first = choose(question, request);
  const chosen = 'link' in first ? first : await chooseAgain(question, request, first);
  if (!('link' in chosen)) return chosen.reply;
  const { link } = chosen;
  if (link.expiresAt !== null && link.expiresAt <= question.now()) {
    const date = new Date(link.expiresAt).toISOString().slice(0, 10);
    return refuse(`the token of "${link.name}" ended on ${date}; run: gitlink relink ${link.name}`);
  }
  const item = await question.readItem(link);
  if (item === null && !isInstallation(link))
    return refuse(`the secret of "${link.name}" is gone; run: gitlink relink ${link.name}`);
  const access = gitAccesses[link.provider];
  if (!access) return refuse(`this version does not have the provider ${link.provider}`);
  const usable = await makeUsable(question, link, toStored(link, item), request);
  if (usable === null) {
    return refuse(
      `the sign-in of "${link.name}" cannot be renewed any more; run: gitlink relink ${link.name}`,
    );
  }
  const { credential, expiresAt } = usable;
  const told = access.toGitCredential(credential, link.account);
  const expiresAtSeconds = expiresAt === null ? null : Math.floor(expiresAt / 1000);
  const output = formatCredentialAnswer({ ...told, expiresAtSeconds }, request);
  if ('refused' in output) return refuse(output.refused);
  question.recordUse(link, request.path);
  return { output, notice: null };
}

/** What an app has minted is nothing that could be lost. */
function toStored({ credentialKind }: LinkRecord, item: Secret | null): StoredCredential {
  return item === null ? toMintedCredential(credentialKind, []) : unpackCredential(item);
}

interface UsableCredential {
  readonly credential: StoredCredential;
  /** Milliseconds since the epoch; null for never or unknown. */
  readonly expiresAt: number | null;
}

/** @returns null when a person must sign in again. */
async function makeUsable(
  question: GitQuestion,
  link: LinkRecord,
  stored: StoredCredential,
  request: CredentialRequest,
): Promise<UsableCredential | null> {
  if (stored.minted !== undefined) return getMinted(question, link, stored, request);
  const credential = await freshen(question, link, stored);
  if (credential === null) return null;
  return { credential, expiresAt: credential.signIn?.tokens.expiresAt ?? link.expiresAt };
}

/** A token for just the repository that git asks for, where the host makes tokens as narrow. */
async function getMinted(
  question: GitQuestion,
  link: LinkRecord,
  { kind, minted = [] }: StoredCredential,
  { path }: CredentialRequest,
): Promise<UsableCredential> {
  const repository = isInstallation(link) ? findRepositoryName(link, path) : null;
  const found = findKeptToken(minted, repository, question.now());
  if (found) {
    return { credential: { kind, token: found.token, signIn: null }, expiresAt: found.expiresAt };
  }
  const credential = await question.mint(link, repository);
  const fresh = findKeptToken(credential.minted ?? [], repository, question.now());
  return { credential, expiresAt: fresh?.expiresAt ?? null };
}

/** @returns null when a person must sign in again. */
async function freshen(
  question: GitQuestion,
  link: LinkRecord,
  credential: StoredCredential,
): Promise<StoredCredential | null> {
  const { signIn } = credential;
  if (signIn === null || signIn.tokens.refreshToken === null) return credential;
  const isRefused = link.statusReason === 'refused';
  const clock = { now: () => question.now(), monotonic: () => performance.now() };
  if (!isRefused && !isRefreshDue(signIn.tokens, clock)) return credential;
  try {
    return await question.renew(link, credential, isRefused);
  } catch (error) {
    // Not by its class: the part that renews is loaded apart and has a copy of its own of every class.
    if (error instanceof Error && 'code' in error && error.code === 'auth') return null;
    throw error;
  }
}

/** Another helper's password may be what was refused, so only our own one counts. The link itself stays. */
async function erase(question: GitQuestion, request: CredentialRequest): Promise<GitReply> {
  const refused = request.password ?? request.credential;
  if (refused === null) return silence;
  const chosen = choose(question, request);
  if (!('link' in chosen)) return silence;
  // Nothing is kept of the environment's link, so that there is nothing to mark.
  if (chosen.link.storage === 'env') return silence;
  const item = await question.readItem(chosen.link);
  if (item === null) return silence;
  const { token, minted } = unpackCredential(item);
  const kept = minted?.find((each) => each.token.equals(refused));
  if (kept) await question.forgetMinted(chosen.link, kept.repository);
  if (kept || token.equals(refused)) await question.markRefused(chosen.link);
  return silence;
}

type Choice = { readonly link: LinkRecord } | Miss;

/** No link answers. */
interface Miss {
  readonly reply: GitReply;
  /** Links that may be right once the host has said what the repository is. */
  readonly unsure: readonly LinkRecord[];
}

/** Asks once about a name that a restriction does not know: the repository may have got it since it was listed. */
async function chooseAgain(question: GitQuestion, request: CredentialRequest, miss: Miss): Promise<Choice> {
  for (const link of miss.unsure) {
    const repository = findRepositoryName(link, request.path);
    if (repository !== null && (await question.lookUp(link, repository))) return choose(question, request);
  }
  return miss;
}

function choose(question: GitQuestion, request: CredentialRequest): Choice {
  const surroundings = {
    links: question.readLinks(),
    listRepositories: (link: LinkRecord) => question.listRepositories(link),
    readPreference: () => question.readPreference(),
  };
  const { chosen, candidates, reason } = chooseLink(request, surroundings);
  if (chosen) return { link: chosen };
  // Nothing to say about hosts and accounts that are not gitlink's.
  const reply = candidates.some(({ isOfAccount }) => isOfAccount) ? refuse(reason) : silence;
  return { reply, unsure: listUnsure(candidates) };
}

function refuse(reason: string): GitReply {
  return { output: null, notice: toPrintable(`gitlink: ${reason}`) };
}
