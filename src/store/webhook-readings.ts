import { rmSync } from 'node:fs';
import { environmentId } from './environment-records.ts';
import { toLinkPath } from './file-names.ts';
import { appendPrivateFile, ensurePrivateDirectory, readPrivateFile } from './private-files.ts';

/** A webhook as a host describes it, free of secrets. */
export interface ReadWebhook {
  readonly id: string;
  readonly url: string;
  readonly events: readonly string[];
  readonly active: boolean;
  readonly name: string | null;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** The webhooks at one place, as they were read. */
export interface WebhookReading {
  /** Those that may be gitlink's. */
  readonly hooks: readonly ReadWebhook[];
  /** The ids of all. */
  readonly ids: readonly string[];
  /** Why the host did not show them; null where it did. */
  readonly refusal: string | null;
}

/** What an unfinished run has read: after a crash the next one goes by it, instead of asking thousands of times again. */
export interface WebhookReadings {
  /** @returns null for a place that was not read lately. Each is handed out once. */
  take(place: string): WebhookReading | null;
  /** Adds one. Nothing waits for the disk: what a power cut takes costs a question. */
  record(place: string, reading: WebhookReading): void;
}

interface StoredReading extends WebhookReading {
  readonly place: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** Whoever continues a run does it soon; later somebody may have changed what was read. */
const lifeMs = 15 * 60_000;

/**
 * Opens what an unfinished run of the same kind has left; of another kind it is thrown away.
 *
 * @param about - What the run is about: readings keep only what matters for that.
 * @throws StorageError when it cannot be written.
 */
export function openWebhookReadings(
  stateDirectory: string,
  linkId: string,
  about: string,
  now: () => number,
): WebhookReadings {
  if (linkId === environmentId) return { take: () => null, record: () => {} };
  ensurePrivateDirectory(stateDirectory);
  const path = toLinkPath(stateDirectory, 'webhook-readings.jsonl', linkId);
  const [head = '', ...lines] = readPrivateFile(path)?.toString('utf8').split('\n') ?? [];
  /** By place, and read when they are asked for: thousands of them in pieces would take ten times as much memory. */
  const readings = new Map<string, string>();
  if (head === JSON.stringify(about)) {
    for (const line of lines) {
      const place = findPlace(line);
      if (place !== null) readings.set(place, line);
    }
  } else {
    rmSync(path, { force: true });
    appendPrivateFile(path, JSON.stringify(about), { durable: false });
  }
  return {
    take(place) {
      const stored = parseLine(readings.get(place) ?? '');
      readings.delete(place);
      return stored && Math.abs(now() - stored.at) < lifeMs ? stored : null;
    },
    record(place, { hooks, ids, refusal }) {
      const stored = { place, at: now(), hooks, ids, refusal } satisfies StoredReading;
      // The line end comes first, so that a line that a crash cut short does not swallow this one.
      appendPrivateFile(path, `\n${JSON.stringify(stored)}`, { durable: false });
    },
  };
}

/** Forgets what was read: a run has come to its end, or changes what the readings tell. */
export function removeWebhookReadings(stateDirectory: string, linkId: string): void {
  rmSync(toLinkPath(stateDirectory, 'webhook-readings.jsonl', linkId), { force: true });
}

/** It stands first in a line. */
function findPlace(line: string): string | null {
  return /^\{"place":"((?:[^"\\])*)"/.exec(line)?.[1] ?? null;
}

function parseLine(line: string): StoredReading | null {
  try {
    const stored = JSON.parse(line) as Partial<StoredReading>;
    const isWhole =
      typeof stored.place === 'string' &&
      typeof stored.at === 'number' &&
      Array.isArray(stored.hooks) &&
      Array.isArray(stored.ids) &&
      stored.refusal !== undefined;
    return isWhole ? (stored as StoredReading) : null;
  } catch {
    return null;
  }
}
