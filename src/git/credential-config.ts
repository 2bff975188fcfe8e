import {
  applyEdits,
  findConfigFile,
  previewEdits,
  readConfigFile,
  readLaterEntries,
  type ConfigEdit,
  type ConfigEntry,
  type ConfigScope,
} from './config-file.ts';
import { normaliseAuthority } from './host-match.ts';
import type { GitContext } from './run-git.ts';

/** What setup did for one host. The caller keeps it, as JSON, so that it can be undone. */
export interface SetupRecord {
  /** Base URL. */
  readonly host: string;
  readonly file: string;
  readonly keys: readonly SetupKey[];
}

interface SetupKey {
  readonly name: string;
  readonly written: readonly string[];
  /** What stood there before, in its order. */
  readonly replaced: readonly string[];
}

/** A change to git's configuration, thought out and not yet made. */
export interface ConfigPlan {
  /** The lines that go (`- `) and come (`+ `), by file; empty where nothing is to be done. */
  readonly changes: readonly { readonly file: string; readonly diff: readonly string[] }[];
  /** Makes the change. StorageError where git cannot write a file; planning again continues from there. */
  readonly apply: () => Promise<void>;
}

export interface SetupPlan extends ConfigPlan {
  /** One per host, also where nothing changes. To be stored before `apply`. */
  readonly records: readonly SetupRecord[];
  /** Other helpers that git will still offer the credential to, because it reads their file after this one. */
  readonly laterHelpers: readonly { readonly host: string; readonly file: string }[];
}

export interface SetupOptions {
  /** Base URLs. */
  readonly hosts: readonly string[];
  /** The value of `helper`, from `chooseHelperCommand`. */
  readonly helper: string;
  readonly scope: ConfigScope;
  /** What earlier runs returned. */
  readonly records: readonly SetupRecord[];
}

/**
 * Plans to make gitlink the only credential helper of these hosts: an empty `helper` first, which makes git forget
 * the helpers before it, then ours, and `useHttpPath`, so that the helper learns the repository.
 *
 * @throws UsageError for `local` outside of a repository, StorageError where git cannot use the file.
 */
export async function planCredentialSetup(options: SetupOptions, context: GitContext): Promise<SetupPlan> {
  const { hosts, helper, scope } = options;
  const file = await findConfigFile(scope, context);
  const entries = await readConfigFile(file, context);
  const setups = hosts.map((host) => {
    const known = options.records.find((record) => record.host === host && record.file === file);
    return planHost({ host, helper, file, entries, known });
  });
  const later = await readLaterEntries(scope, context);
  return {
    ...(await toPlan(new Map([[file, setups.flatMap(({ edits }) => edits)]]), context)),
    records: setups.map(({ record }) => record),
    laterHelpers: setups.flatMap(({ record: { host }, isLast }) => {
      const files = later.filter((entry) => isOtherHelper(entry, host, helper)).map((entry) => entry.file);
      return (isLast ? files : [file, ...files]).map((other) => ({ host, file: other }));
    }),
  };
}

/** What setup writes for hosts where it finds nothing before it: to undo one of which no record was kept. */
export async function describePlainSetup(
  hosts: readonly string[],
  helper: string,
  context: GitContext,
): Promise<readonly SetupRecord[]> {
  const file = await findConfigFile('global', context);
  return hosts.map((host) => ({
    host,
    file,
    keys: listWritten(helper).map((key) => ({ ...key, replaced: [] })),
  }));
}

/** The settings of a host that make gitlink its only helper. */
function listWritten(helper: string): readonly Pick<SetupKey, 'name' | 'written'>[] {
  return [
    { name: 'helper', written: ['', helper] },
    { name: 'useHttpPath', written: ['true'] },
  ];
}

/**
 * Plans to take away what setup wrote and to bring back what it replaced. Values that came there since stay; where
 * ours are gone, nothing is done.
 */
export async function planCredentialUndo(
  records: readonly SetupRecord[],
  context: GitContext,
): Promise<ConfigPlan> {
  const files = new Map<string, ConfigEdit[]>();
  for (const { host, file, keys } of records) {
    const entries = await readConfigFile(file, context);
    const edits = toSections(host).flatMap((section, index) =>
      keys.flatMap(({ name, written, replaced }): ConfigEdit[] => {
        const current = readValues(entries, file, section, name);
        const values = replaceRun(current, written, index === 0 ? replaced : []);
        return values === null || isEqual(values, current) ? [] : [{ section, name, values }];
      }),
    );
    files.set(file, [...(files.get(file) ?? []), ...edits]);
  }
  return toPlan(files, context);
}

async function toPlan(
  files: ReadonlyMap<string, readonly ConfigEdit[]>,
  context: GitContext,
): Promise<ConfigPlan> {
  const needed = [...files].filter(([, edits]) => edits.length > 0);
  const changes = [];
  for (const [file, edits] of needed) changes.push({ file, diff: await previewEdits(file, edits, context) });
  return {
    changes,
    apply: async () => {
      for (const [file, edits] of needed) await applyEdits(file, edits, context);
    },
  };
}

interface HostSetup {
  readonly host: string;
  readonly helper: string;
  readonly file: string;
  readonly entries: readonly ConfigEntry[];
  readonly known: SetupRecord | undefined;
}

function planHost(setup: HostSetup): {
  readonly edits: readonly ConfigEdit[];
  readonly record: SetupRecord;
  readonly isLast: boolean;
} {
  const { host, helper, file, entries, known } = setup;
  const [usual] = toSections(host);
  const keys = listWritten(helper).map((key) => {
    const before = known?.keys.find(({ name }) => name === key.name);
    return { ...key, replaced: findReplaced(key, readValues(entries, file, usual, key.name), before) };
  });
  const record = { host, file, keys };
  const section = chooseSection(setup);
  const isLast = isAfterOtherHelpers(setup, section);
  const mayMove = isOurs(setup, section);
  const edits = keys.flatMap(({ name, written }): ConfigEdit[] => {
    const current = readValues(entries, file, section, name);
    const write = { section, name, values: written };
    if (isLast || !mayMove) return isEqual(current, written) ? [] : [write];
    return current.length === 0 ? [write] : [{ section, name, values: [] }, write];
  });
  // First all that goes: git drops a section with its last key, and makes the new one at the end of the file.
  edits.sort((a, b) => Number(a.values.length > 0) - Number(b.values.length > 0));
  return { edits, record, isLast: isLast || mayMove };
}

/**
 * The section to write to: that of the host's base URL, unless git would then ask a helper that stands further down in
 * the file after ours, and something of the user's keeps the section in its place. Then it is one with a slash at the
 * end, which means the same to git, at the end of the file.
 */
function chooseSection(setup: HostSetup): string {
  const [usual, beside] = toSections(setup.host);
  if (isAfterOtherHelpers(setup, usual) || isOurs(setup, usual)) return usual;
  return isOurs(setup, beside) ? beside : usual;
}

function toSections(host: string): readonly [usual: string, beside: string] {
  return [`credential.${host}`, `credential.${host}/`];
}

/** Whether nothing of the user's stands in a section: it is not there, or an earlier run made it. */
function isOurs({ host, helper, file, entries, known }: HostSetup, section: string): boolean {
  const names = entries.filter((entry) => entry.file === file && entry.section === section);
  if (names.length === 0) return true;
  const current = readValues(entries, file, section, 'helper');
  const before = known?.keys.find(({ name }) => name === 'helper');
  const runs = [['', helper], ...(before ? [before.written, before.written.slice(0, 1)] : [])];
  return (
    names.every(({ name }) => name === 'helper' || name === 'usehttppath') &&
    runs.some((run) => isEqual(run, current)) &&
    !(before && section === toSections(host)[0] && isEqual(before.replaced, current))
  );
}

/**
 * What undo has to bring back. Where setup ran before, its values are not the user's; one that was interrupted left
 * the beginning of them.
 */
function findReplaced(
  { name, written }: { readonly name: string; readonly written: readonly string[] },
  current: readonly string[],
  before: SetupKey | undefined,
): readonly string[] {
  if (before) {
    const { written: old, replaced } = before;
    return replaceRun(current, written, replaced) ?? replaceRun(current, old, replaced) ?? current;
  }
  // Without a record, `useHttpPath` may be the user's, but our helper is ours.
  return name === 'helper' && isEqual(current, written) ? [] : current;
}

/** Whether git reads no other helper for the host after that section, in this file or in one that it includes. */
function isAfterOtherHelpers({ host, helper, file, entries }: HostSetup, section: string): boolean {
  const own = entries.filter((entry) => entry.file === file && entry.section === section);
  const place = own.findLast(({ name }) => name === 'helper') ?? own.at(-1);
  if (!place) return true;
  return !entries
    .slice(entries.indexOf(place) + 1)
    .some((entry) => !own.includes(entry) && isOtherHelper(entry, host, helper));
}

/** Whether git may ask this entry's helper for the host: it stands for all hosts or for one like it. */
function isOtherHelper({ section, name, value }: ConfigEntry, host: string, helper: string): boolean {
  if (name !== 'helper' || value === '' || value === helper) return false;
  if (section === 'credential') return true;
  if (!section.startsWith('credential.')) return false;
  const [, scheme, place = ''] = /^(?:([^:/]+):\/\/)?(?:[^/@]*@)?([^/]*)/.exec(section.slice(11)) ?? [];
  const [, protocol = '', authority = ''] = /^(https?):\/\/([^/]+)/.exec(host) ?? [];
  if (scheme !== undefined && scheme.toLowerCase() !== protocol) return false;
  if (place === '' || place.includes('*')) return true;
  return normaliseAuthority(place, protocol) === normaliseAuthority(authority, protocol);
}

function readValues(
  entries: readonly ConfigEntry[],
  file: string,
  section: string,
  name: string,
): readonly string[] {
  return entries
    .filter((entry) => entry.file === file && entry.section === section && entry.name === name.toLowerCase())
    .map(({ value }) => value);
}

/**
 * Puts other values in the place of a run of values, or of its beginning if that is all there is.
 *
 * @returns `null` where the run is not there.
 */
function replaceRun(
  values: readonly string[],
  run: readonly string[],
  replacement: readonly string[],
): readonly string[] | null {
  if (values.length > 0 && values.length < run.length && isEqual(values, run.slice(0, values.length))) {
    return replacement;
  }
  const start = values.findIndex((_, index) => isEqual(values.slice(index, index + run.length), run));
  if (start === -1) return null;
  return [...values.slice(0, start), ...replacement, ...values.slice(start + run.length)];
}

function isEqual(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}
