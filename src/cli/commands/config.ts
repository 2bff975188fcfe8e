import { NotFoundError, UsageError } from '../../errors.ts';
import { assertPreferenceName, openSettingsForChange, preferenceNames } from '../../store/settings.ts';
import { createCommand, type Cli } from '../program.ts';
import { printTable, type Column } from '../table.ts';

interface Preference {
  readonly name: string;
  readonly value: string | null;
}

const columns: readonly Column<Preference>[] = [
  { header: 'PREFERENCE', cell: ({ name }) => name },
  { header: 'VALUE', cell: ({ value }) => value ?? '', least: 20 },
];

export function registerConfig(cli: Cli): void {
  createCommand(cli, 'config', 'Preferences', [
    ['gitlink config list', 'all preferences'],
    ['gitlink config set webhook-url https://ci.acme.dev/hook', 'where new webhooks deliver to'],
    ['gitlink config set store file', 'keep secrets in an encrypted file instead of the keychain'],
    ['gitlink config unset webhook-url', 'back to none'],
  ])
    .argument('<action>', 'list, get, set or unset')
    .argument('[name]', `one of: ${preferenceNames.join(', ')}`)
    .argument('[value]', 'the new value')
    .action((action: string, name: string | undefined, value: string | undefined) =>
      cli.run('config', async ({ context, directories, output, reporter, styles }) => {
        if (action === 'list') {
          const settings = await context.openSettings();
          const preferences = preferenceNames.map((each) => ({ name: each, value: settings.get(each) }));
          output.document({ preferences });
          printTable(output, styles, columns, preferences);
          return;
        }
        if (name === undefined)
          throw new UsageError('The name of a preference is needed.', {
            hint: `One of: ${preferenceNames.join(', ')}`,
          });
        assertPreferenceName(name);
        if (action === 'get') {
          const current = (await context.openSettings()).get(name);
          if (current === null) throw new NotFoundError(`The preference ${name} is not set.`);
          output.document({ preferences: [{ name, value: current }] });
          output.data(current);
        } else if (action === 'set') {
          if (value === undefined) throw new UsageError(`A value for ${name} is needed.`);
          await context.withLock('settings', async () =>
            (await openSettingsForChange(directories.config)).set(name, value),
          );
          output.document({ preferences: [{ name, value }] });
          reporter.note(`${name} is now ${value}.`);
        } else if (action === 'unset') {
          await context.withLock('settings', async () =>
            (await openSettingsForChange(directories.config)).unset(name),
          );
          output.document({ preferences: [{ name, value: null }] });
          reporter.note(`${name} is no longer set.`);
        } else {
          throw new UsageError(`"${action}" is not list, get, set or unset.`, {
            hint: 'See: gitlink config --help',
          });
        }
      }),
    );
}
