import { StorageError, type GitlinkError } from '../errors.ts';
import { toPrintable } from '../printable.ts';
import type { Directories } from '../runtime.ts';
import type { Secret } from '../secret.ts';
import type { LinkRecord, Records } from '../store/link-schema.ts';
import { currentFormat } from '../store/migrations.ts';
import { readLinkSetting } from '../git/link-setting.ts';
import { readPlainRecords } from '../store/plain-records.ts';
import { readRepositoryList } from '../store/repository-list.ts';
import { recordUsage } from '../store/usage-log.ts';
import { endByForce } from '../vault/forced-end.ts';
import { beginKeychainRead } from '../vault/read-keychain-item.ts';
import { answerGit, type GitQuestion } from './answer-git.ts';

export interface HelperSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly directories: Directories;
  /** The link of the environment, with its credential; null where it names none. */
  readonly environment: { readonly link: LinkRecord; readonly credential: Secret | null } | null;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Reads a link's credential where the keychain does not hold it. */
  readonly readOtherItem: (link: LinkRecord, passphraseFile: string | null) => Promise<Secret | null>;
  readonly markRefused: (link: LinkRecord) => Promise<void>;
  readonly renew: GitQuestion['renew'];
  readonly mint: GitQuestion['mint'];
  readonly forgetMinted: GitQuestion['forgetMinted'];
  readonly lookUp: GitQuestion['lookUp'];
}

const keychainDeadlineMs = 3_000;
/** After this git gets no answer, whatever is stuck. */
const deadlineMs = 10_000;
/** The same while a sign-in is renewed: cutting that off would lose it. */
const renewalDeadlineMs = 80_000;
/** The same for the encrypted file, whose key takes a processor a while: git may start dozens of helpers at once. */
const fileDeadlineMs = 45_000;

/**
 * Connects git's question to gitlink's files and the keychain, reading no more than it must. The keychain is reached
 * for at once, while git's question is still on its way: it takes longer than all the rest.
 */
export function createGitQuestion(
  operation: string,
  input: AsyncIterable<Uint8Array>,
  surroundings: HelperSurroundings,
): GitQuestion {
  const { directories, env, environment } = surroundings;
  let records: Pick<Records, 'links' | 'passphraseFile'> | undefined;
  const read = (): Pick<Records, 'links' | 'passphraseFile'> =>
    (records ??= addEnvironment(readRecords(directories.config), environment?.link ?? null));
  const keychain = isKeychainNeeded(operation, read)
    ? beginKeychainRead({ deadlineMs: keychainDeadlineMs, env })
    : null;
  return {
    operation,
    input,
    now: surroundings.now,
    readLinks: () => read().links,
    readItem(link) {
      if (link.storage === 'env') return Promise.resolve(environment?.credential ?? null);
      return link.storage === 'keychain' && keychain !== null
        ? keychain.finish(link.credentialItem)
        : surroundings.readOtherItem(link, read().passphraseFile);
    },
    readPreference: () => readLinkSetting({ env, platform: process.platform }),
    listRepositories: (link) => readRepositoryList(directories.state, link.id),
    recordUse(link, path) {
      recordUsage(directories.state, { linkId: link.id, at: surroundings.now(), by: 'git', path });
    },
    markRefused: surroundings.markRefused,
    renew: surroundings.renew,
    mint: surroundings.mint,
    forgetMinted: surroundings.forgetMinted,
    lookUp: surroundings.lookUp,
    end: () => keychain?.abandon(),
  };
}

/** At its own host the link of the environment wins over all others. */
function addEnvironment(
  records: Pick<Records, 'links' | 'passphraseFile'>,
  link: LinkRecord | null,
): Pick<Records, 'links' | 'passphraseFile'> {
  if (link === null) return records;
  return { ...records, links: [link, ...records.links.filter(({ host }) => host !== link.host)] };
}

function isKeychainNeeded(operation: string, read: () => Pick<Records, 'links'>): boolean {
  if (operation !== 'get' && operation !== 'erase') return false;
  try {
    return read().links.some(({ storage }) => storage === 'keychain');
  } catch {
    // The answer says what is wrong with the records.
    return false;
  }
}

/**
 * Answers git in time and without fail: where there is no answer git goes on to ask elsewhere, and the reason is
 * one line for the person. Standard output carries nothing but the protocol.
 */
export async function replyToGit(
  question: GitQuestion,
  { stdout, stderr }: Readonly<Record<'stdout' | 'stderr', { write(text: string | Buffer): unknown }>>,
): Promise<void> {
  const startDeadline = (limitMs: number): NodeJS.Timeout =>
    setTimeout(() => {
      stderr.write(`gitlink: no answer in ${limitMs / 1000} seconds\n`);
      endByForce();
    }, limitMs);
  let deadline = startDeadline(deadlineMs);
  const restartDeadline = (limitMs: number): void => {
    clearTimeout(deadline);
    deadline = startDeadline(limitMs);
  };
  const patient: GitQuestion = {
    ...question,
    readItem(link) {
      if (link.storage === 'file') restartDeadline(fileDeadlineMs);
      return question.readItem(link);
    },
    renew(link, credential, isRefused) {
      restartDeadline(renewalDeadlineMs);
      return question.renew(link, credential, isRefused);
    },
    lookUp(link, repository) {
      restartDeadline(renewalDeadlineMs);
      return question.lookUp(link, repository);
    },
    mint(link, repository) {
      restartDeadline(renewalDeadlineMs);
      return question.mint(link, repository);
    },
  };
  try {
    const { output, notice } = await answerGit(patient);
    if (notice !== null) stderr.write(`${notice}\n`);
    if (output !== null) stdout.write(output);
  } catch (error) {
    const reason = isExpected(error) ? error.message : 'it has a fault, so there is no answer';
    stderr.write(`${toPrintable(`gitlink: ${reason}`)}\n`);
    // On Linux the keychain's socket is closed by then; elsewhere a call into a library may be stuck.
    const isTimeout = error instanceof Error && 'fault' in error && error.fault === 'timeout';
    if (isTimeout && process.platform !== 'linux') endByForce();
  }
  question.end();
  clearTimeout(deadline);
}

/** Not by its class: the part that is loaded apart has a copy of its own of every class. */
function isExpected(error: unknown): error is GitlinkError {
  return error instanceof Error && 'exitCode' in error;
}

/** As plain JSON: gitlink wrote the file, and checking it again would cost more than reading it. */
function readRecords(configDirectory: string): Pick<Records, 'links' | 'passphraseFile'> {
  const { version = 0, links, passphraseFile = null } = readPlainRecords(configDirectory) ?? {};
  // An older format lacks only what a missing value stands for.
  if (links && version >= 1 && version <= currentFormat.version) {
    return { links: links as LinkRecord[], passphraseFile };
  }
  throw new StorageError('the records of links cannot be read; run: gitlink list');
}
