import * as v from 'valibot';
import { StorageError, UsageError } from '../errors.ts';
import { toSettingsPath } from './file-names.ts';
import { ensurePrivateDirectory, readPrivateFile } from './private-files.ts';

/** The preferences, each with the form of its value and what it is when it is not set. */
const preferences = {
  store: { schema: v.picklist(['keychain', 'file']), form: 'keychain or file' },
  'webhook-url': {
    schema: v.pipe(v.string(), v.url(), v.regex(/^https?:\/\/[^\s\\@#]+$/i)),
    form: 'an http or https URL without a user name or password',
  },
  'webhook-events': {
    schema: v.pipe(
      v.string(),
      v.regex(
        /^(?:push|tag|pull-request|comment|release|native:[\w.:-]+)(?:,(?:push|tag|pull-request|comment|release|native:[\w.:-]+))*$/,
      ),
    ),
    form: 'push, tag, pull-request, comment, release or native:<name>, separated by commas',
  },
  browser: {
    schema: v.pipe(v.string(), v.regex(/^[^\s-][^\n\r]*$/)),
    form: "a program's name or path, or several separated by colons",
  },
  concurrency: {
    schema: v.pipe(v.string(), v.regex(/^([1-9]|[1-5]\d|6[0-4])$/)),
    form: 'a number from 1 to 64',
  },
} as const;

export type PreferenceName = keyof typeof preferences;
export const preferenceNames = Object.keys(preferences) as readonly PreferenceName[];

export interface Settings {
  get(name: PreferenceName): string | null;
  /** @throws UsageError when the value has not the preference's form. */
  set(name: PreferenceName, value: string): void;
  unset(name: PreferenceName): void;
}

/**
 * Opens the preferences. The library behind them is loaded only where there are some or one is being set.
 *
 * @throws StorageError when the file is damaged; it is left alone.
 */
export async function openSettings(configDirectory: string): Promise<Settings> {
  const path = toSettingsPath(configDirectory);
  const stored = hasSettings(path) ? await openStored(configDirectory) : null;
  return {
    get: (name) => stored?.get(name) ?? null,
    set(name, value) {
      const { schema, form } = preferences[name];
      if (!v.is(schema, value)) throw new UsageError(`"${name}" is ${form}.`);
      stored?.set(name, value);
    },
    unset: (name) => stored?.delete(name),
  };
}

/** Like {@link openSettings}, making the file where there is none. */
export async function openSettingsForChange(configDirectory: string): Promise<Settings> {
  ensurePrivateDirectory(configDirectory);
  const path = toSettingsPath(configDirectory);
  if (!hasSettings(path)) (await openStored(configDirectory)).clear();
  return openSettings(configDirectory);
}

/** @throws UsageError for a name that is no preference. */
export function assertPreferenceName(name: string): asserts name is PreferenceName {
  if (isPreferenceName(name)) return;
  throw new UsageError(`There is no preference "${name}".`, {
    hint: `There are: ${preferenceNames.join(', ')}`,
  });
}

/**
 * Whether there are preferences, looked at before the library does: it follows links, waits at a FIFO, and takes
 * JSON of any shape, which its next write would replace.
 */
function hasSettings(path: string): boolean {
  const bytes = readPrivateFile(path);
  if (bytes === null) return false;
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString('utf8'));
  } catch {
    parsed = null;
  }
  if (isSound(parsed)) return true;
  throw new StorageError(`${path} is damaged, so gitlink leaves it alone.`, {
    hint: `Mend it, or start without preferences: rm ${path}`,
  });
}

/** Names that are not known may be a newer gitlink's. */
function isSound(parsed: unknown): boolean {
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return false;
  return Object.entries(parsed).every(
    ([name, value]) => !isPreferenceName(name) || v.is(preferences[name].schema, value),
  );
}

function isPreferenceName(name: string): name is PreferenceName {
  return preferenceNames.some((known) => known === name);
}

async function openStored(configDirectory: string) {
  const { default: Conf } = await withoutSignalListeners(() => import('conf'));
  return new Conf<Record<string, string>>({
    cwd: configDirectory,
    configName: 'settings',
    configFileMode: 0o600,
    clearInvalidConfig: false,
  });
}

const signalNames = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;

/**
 * A part of the library sends every signal to the process a second time, and a second Ctrl-C ends work under way
 * at once.
 */
async function withoutSignalListeners<T>(load: () => Promise<T>): Promise<T> {
  const before = signalNames.map((name) => process.listeners(name));
  const loaded = await load();
  signalNames.forEach((name, index) => {
    for (const listener of process.listeners(name)) {
      if (!before[index]?.includes(listener)) process.removeListener(name, listener);
    }
  });
  return loaded;
}
