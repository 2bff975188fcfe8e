import { join } from 'node:path';

/** The file of links and clients. */
export function toRecordsPath(configDirectory: string): string {
  return join(configDirectory, 'links.json');
}

/** The file of the preferences. */
export function toSettingsPath(configDirectory: string): string {
  return join(configDirectory, 'settings.json');
}

/** The encrypted secret store. */
export function toVaultPath(configDirectory: string): string {
  return join(configDirectory, 'secrets.vault');
}

/** The log of what was handed out. */
export function toUsagePath(stateDirectory: string): string {
  return join(stateDirectory, 'usage.jsonl');
}

/** What is kept of one link in a file of its own; before the dot comes its id. */
const linkFiles = ['webhooks.jsonl', 'webhook-readings.jsonl', 'repositories.json'] as const;

/** A file of one link. */
export function toLinkPath(stateDirectory: string, file: (typeof linkFiles)[number], linkId: string): string {
  return join(stateDirectory, file.replace('.', `-${linkId}.`));
}

/**
 * Reads what a file of the state directory is of.
 *
 * @returns the id of a link, or of a client, whose locks are named like a link's; null for a file of neither.
 */
export function readLinkIdOf(fileName: string): string | null {
  const [, kind = '', id, ending = ''] = /^(.+)-([0-9a-f-]{36})(\.\w+)$/.exec(fileName) ?? [];
  const known: readonly string[] = [...linkFiles, 'lock-webhooks.holder', 'lock-credential.holder'];
  return id !== undefined && known.includes(kind + ending) ? id : null;
}

/** Whether a name is one of what is not finished: our own files, the lock id, and those of the library `conf`. */
export function isUnfinished(fileName: string): boolean {
  return (
    /^\..+\.\d+\.[0-9a-z]+\.tmp$/.test(fileName) ||
    /^lock-id\.[0-9a-f]{16}$/.test(fileName) ||
    /\.tmp-\d{10,}\w*$/.test(fileName)
  );
}
