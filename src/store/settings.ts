import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { StorageError, UsageError } from '../errors.ts';
import { ensurePrivateDirectory } from './private-files.ts';

/** The preferences, each with the form of its value and what it is when it is not set. */
const preferences = {
  store: { schema: v.picklist(['keychain', 'file']), form: 'keychain or file' },
  'webhook-url': { schema: v.pipe(v.string(), v.url()), form: 'a URL' },
  'webhook-events': {
    schema: v.pipe(v.string(), v.regex(/^[a-z:_.-]+(,[a-z:_.-]+)*$/)),
    form: 'event names, separated by commas',
  },
  'expiry-warning-days': { schema: v.pipe(v.string(), v.regex(/^\d{1,4}$/)), form: 'a number of days' },
  browser: { schema: v.pipe(v.string(), v.minLength(1)), form: 'a program' },
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
  const path = join(configDirectory, 'settings.json');
  const stored = existsSync(path) ? await openStored(configDirectory, path) : null;
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
  const path = join(configDirectory, 'settings.json');
  if (!existsSync(path)) (await openStored(configDirectory, path)).clear();
  return openSettings(configDirectory);
}

/** @throws UsageError for a name that is no preference. */
export function assertPreferenceName(name: string): asserts name is PreferenceName {
  if (preferenceNames.some((known) => known === name)) return;
  throw new UsageError(`There is no preference "${name}".`, {
    hint: `There are: ${preferenceNames.join(', ')}`,
  });
}

async function openStored(configDirectory: string, path: string) {
  const { default: Conf } = await import('conf');
  try {
    return new Conf<Record<string, string>>({
      cwd: configDirectory,
      configName: 'settings',
      configFileMode: 0o600,
      clearInvalidConfig: false,
    });
  } catch {
    throw new StorageError(`${path} is damaged, so gitlink leaves it alone.`, {
      hint: `Mend it, or start without preferences: rm ${path}`,
    });
  }
}
