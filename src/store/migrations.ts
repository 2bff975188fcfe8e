/** A step from one format of the records to the next: pure, on parsed JSON. */
export type Migration = (records: Readonly<Record<string, unknown>>) => Record<string, unknown>;

/** The newest format, and how each older one becomes the next. */
export interface RecordsFormat {
  readonly version: number;
  readonly migrations: ReadonlyMap<number, Migration>;
}

export const currentFormat: RecordsFormat = {
  version: 3,
  migrations: new Map([
    [1, addClients],
    [2, addApps],
  ]),
};

/** Format 2 knows OAuth clients, which links name, and rotations whose end nobody knows. */
function addClients(records: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const links = (records['links'] as readonly Readonly<Record<string, unknown>>[]).map((link) => ({
    ...link,
    client: null,
    rotationBegunAt: null,
  }));
  return { ...records, minReader: 2, links, clients: [] };
}

/** Format 3 knows registered apps among the clients, and the tenants of organizations. */
function addApps(records: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const extend = (name: string, fields: Readonly<Record<string, null>>) =>
    (records[name] as readonly Readonly<Record<string, unknown>>[]).map((each) => ({ ...each, ...fields }));
  return {
    ...records,
    minReader: 3,
    links: extend('links', { tenant: null }),
    clients: extend('clients', { app: null }),
  };
}

/** What a file's own words say about reading it. */
export type FormatVerdict = 'current' | 'older' | 'newer' | 'unknown';

/**
 * Decides how records may be read. A newer file is left alone: an older program that wrote it would drop what it
 * does not know.
 */
export function judgeFormat(parsed: unknown, format: RecordsFormat): FormatVerdict {
  if (typeof parsed !== 'object' || parsed === null) return 'unknown';
  const { version } = parsed as { version?: unknown };
  if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 1) return 'unknown';
  if (version === format.version) return 'current';
  return version < format.version ? 'older' : 'newer';
}

/**
 * Brings records of an older format to the current one.
 *
 * @throws Error when a step is missing, which a test prevents, or when the records are not of their format.
 */
export function migrate(parsed: Record<string, unknown>, format: RecordsFormat): Record<string, unknown> {
  let records = parsed;
  for (let version = Number(records['version']); version < format.version; version += 1) {
    const step = format.migrations.get(version);
    if (!step) throw new Error(`There is no migration from format ${version}.`);
    records = { ...step(records), version: version + 1 };
  }
  return records;
}
