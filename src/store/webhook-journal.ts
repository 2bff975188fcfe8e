import { open, type FileHandle } from 'node:fs/promises';
import { constants, rmSync } from 'node:fs';
import { StorageError } from '../errors.ts';
import { environmentId } from './environment-records.ts';
import { toLinkPath } from './file-names.ts';
import { ensurePrivateDirectory, readPrivateFile, writePrivateFile } from './private-files.ts';

/** What gitlink knows of its webhook at one place: which hook, and which secret it has. Never the secret. */
export interface JournalEntry {
  /** `repository:<id>` or `namespace:<path>`. */
  readonly place: string;
  /** The name for people: a repository's full name or a namespace. */
  readonly label: string;
  /**
   * `sent`: a request is on its way and its answer unknown; `confirmed`: the host has answered; `failed`: the
   * host refused; `removed`: no hook of gitlink is there.
   */
  readonly state: 'sent' | 'confirmed' | 'failed' | 'removed';
  readonly hookId: string | null;
  /** The secret store item whose secret the hook has, or is being given. */
  readonly secretItem: string | null;
  /** The host's names of the events that it was asked to tell about; absent in older lines. */
  readonly events?: readonly string[];
  /** The hooks that were at the place before a new one was asked for: whatever is not among them is ours. */
  readonly before: readonly string[];
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** Whether a hook of gitlink is there, or may be because the answer to its making was lost. */
export function isOwned({ state, hookId }: JournalEntry): boolean {
  return state === 'sent' || (state !== 'removed' && hookId !== null);
}

/** The journal of one link's webhooks: one line a step, the newest line of a place counts. */
export interface WebhookJournal {
  /** What is known now, by place. */
  readonly entries: ReadonlyMap<string, JournalEntry>;
  /** Adds a line; resolves when it is on the disk. Lines of the same moment share one flush. */
  record(entry: JournalEntry): Promise<void>;
  /** Rewrites the journal without its outdated lines and closes it. */
  close(): Promise<void>;
}

/** Reads a link's webhooks without opening the journal for writing. */
export function readWebhookJournal(
  stateDirectory: string,
  linkId: string,
): ReadonlyMap<string, JournalEntry> {
  const entries = new Map<string, JournalEntry>();
  const content =
    readPrivateFile(toLinkPath(stateDirectory, 'webhooks.jsonl', linkId))?.toString('utf8') ?? '';
  for (const line of content.split('\n')) {
    const entry = parseLine(line);
    if (entry) entries.set(entry.place, entry);
  }
  return entries;
}

/** Forgets a link's webhooks. */
export function removeWebhookJournal(stateDirectory: string, linkId: string): void {
  rmSync(toLinkPath(stateDirectory, 'webhooks.jsonl', linkId), { force: true });
}

/**
 * Opens a link's journal. The caller holds the link's webhook lock.
 *
 * @throws StorageError when it cannot be written.
 */
export async function openWebhookJournal(stateDirectory: string, linkId: string): Promise<WebhookJournal> {
  if (linkId === environmentId) return createMemoryJournal();
  ensurePrivateDirectory(stateDirectory);
  const path = toLinkPath(stateDirectory, 'webhooks.jsonl', linkId);
  const entries = new Map(readWebhookJournal(stateDirectory, linkId));
  // A line that a crash cut short must not swallow the next one.
  compact(path, entries);
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;
  const handle = await open(path, O_WRONLY | O_APPEND | O_CREAT | (O_NOFOLLOW ?? 0), 0o600);
  const flush = createFlusher(handle, path);
  return {
    entries,
    async record(entry) {
      entries.set(entry.place, entry);
      await flush(`${JSON.stringify(entry)}\n`);
    },
    async close() {
      await handle.close();
      compact(path, entries);
    },
  };
}

/** The journal of a link that exists only as long as its process: nobody can continue its runs. */
function createMemoryJournal(): WebhookJournal {
  const entries = new Map<string, JournalEntry>();
  return {
    entries,
    record: (entry) => {
      entries.set(entry.place, entry);
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}

/** Writes lines one batch after another: what arrives during a flush waits for the next one together. */
function createFlusher(handle: FileHandle, path: string): (line: string) => Promise<void> {
  let waiting: string[] = [];
  let last: Promise<void> = Promise.resolve();
  let next: Promise<void> | null = null;

  async function writeBatch(): Promise<void> {
    const lines = waiting.join('');
    waiting = [];
    next = null;
    try {
      await handle.appendFile(lines);
      await handle.datasync();
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
      throw new StorageError(`${path} cannot be written: ${code}.`);
    }
  }

  return (line) => {
    waiting.push(line);
    if (next === null) {
      next = last.then(writeBatch, writeBatch);
      last = next;
    }
    return next;
  };
}

function compact(path: string, entries: ReadonlyMap<string, JournalEntry>): void {
  writePrivateFile(path, [...entries.values()].map((entry) => `${JSON.stringify(entry)}\n`).join(''));
}

function parseLine(line: string): JournalEntry | null {
  if (!line.endsWith('}')) return null;
  try {
    const entry = JSON.parse(line) as Partial<JournalEntry>;
    return typeof entry.place === 'string' && typeof entry.state === 'string'
      ? (entry as JournalEntry)
      : null;
  } catch {
    return null;
  }
}
