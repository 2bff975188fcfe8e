import { statSync } from 'node:fs';
import { environmentId } from './environment-records.ts';
import { toUsagePath } from './file-names.ts';
import { lastMoment } from './moment.ts';
import {
  appendPrivateFile,
  ensurePrivateDirectory,
  readPrivateFile,
  writePrivateFile,
} from './private-files.ts';

/** When and for which repository a link's credential was handed out; never the credential. */
export interface UsageEntry {
  readonly linkId: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Who got it. */
  readonly by: 'git' | 'token' | 'exec' | 'webhook-secret';
  /** The path that was asked for, where one was. */
  readonly path: string | null;
}

/** Small enough to be read by `list` without being felt. */
const sizeLimitBytes = 256 * 1024;

/** Notes a hand-out. Losing the last line in a power cut is acceptable, so nothing waits for the disk. */
export function recordUsage(stateDirectory: string, entry: UsageEntry): void {
  if (entry.linkId === environmentId) return;
  ensurePrivateDirectory(stateDirectory);
  const path = toUsagePath(stateDirectory);
  // The line end comes first, so that a line that a crash cut short does not swallow this one.
  appendPrivateFile(path, `\n${JSON.stringify(entry)}`, { durable: false });
  if (statSync(path).size > sizeLimitBytes) keepNewerHalf(path);
}

/** The newest hand-out of each link. */
export function readLastUsage(stateDirectory: string): ReadonlyMap<string, UsageEntry> {
  const newest = new Map<string, UsageEntry>();
  const content = readPrivateFile(toUsagePath(stateDirectory))?.toString('utf8') ?? '';
  for (const line of content.split('\n')) {
    const entry = parseEntry(line);
    if (entry && (newest.get(entry.linkId)?.at ?? 0) <= entry.at) newest.set(entry.linkId, entry);
  }
  return newest;
}

/** What another process adds at this very moment may be lost: it is a log, and takes no lock. */
function keepNewerHalf(path: string): void {
  const bytes = readPrivateFile(path) ?? Buffer.alloc(0);
  const half = bytes.subarray(Math.max(0, bytes.length - sizeLimitBytes / 2));
  writePrivateFile(path, half.subarray(half.indexOf(0x0a) + 1));
}

/** A line that a crash cut short is no entry. */
function parseEntry(line: string): UsageEntry | null {
  if (!line.endsWith('}')) return null;
  try {
    const { linkId, at, by, path } = JSON.parse(line) as Partial<UsageEntry>;
    if (typeof linkId !== 'string' || typeof by !== 'string') return null;
    if (typeof at !== 'number' || !(at >= 0 && at <= lastMoment)) return null;
    return { linkId, at, by, path: typeof path === 'string' ? path : null };
  } catch {
    return null;
  }
}
