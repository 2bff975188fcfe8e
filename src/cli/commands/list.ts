import { exitCodes, UsageError } from '../../errors.ts';
import type { OperationContext } from '../../operations/context.ts';
import type { LinkDocument } from '../../operations/link-document.ts';
import { describeLinks } from '../../operations/describe-links.ts';
import type { LinkRecord } from '../../store/link-schema.ts';
import { isSound, linkColumns } from '../link-view.ts';
import { createCommand, type Cli } from '../program.ts';
import type { Session } from '../session.ts';
import { printTable } from '../table.ts';

interface ListFlags {
  readonly provider?: string;
  readonly check?: boolean;
  readonly expiring?: string;
}

const dayMs = 24 * 60 * 60 * 1000;

export function registerList(cli: Cli): void {
  createCommand(cli, 'list', 'All links, with what is known of them', [
    ['gitlink list', 'names, hosts, accounts, expiry, state'],
    ['gitlink list --check', 'ask the hosts whether the links still work'],
    [
      'gitlink list --expiring 30 --json',
      'what ends within 30 days, for scripts; exit code 3 if anything does',
    ],
  ])
    .option('--provider <provider>', 'only the links of one provider')
    .option('--check', 'ask the hosts; exit code 3 when a link does not work')
    .option('--expiring <days>', 'only what expires within so many days; exit code 3 when something does')
    .action((flags: ListFlags) =>
      cli.run('list', async ({ context, output, reporter, styles }) => {
        const provider = await toProviderId(flags.provider);
        const days = toDays(flags.expiring);
        const stored = context.links
          .read()
          .links.filter((link) => provider === null || link.provider === provider);
        const all = describeLinks(context, flags.check === true ? await check(context, stored) : stored);
        const now = context.clock.now();
        const links = days === null ? all : all.filter((link) => expiresWithin(link, now, days));
        reporter.clear();
        output.document({ links });
        printTable(output, styles, linkColumns, links);
        if (flags.check === true) await noteNextSteps(reporter, stored, links);
        if (links.length === 0) reporter.note(explainEmptiness(all.length, flags));
        if (days !== null && links.length > 0) return exitCodes.partial;
        return flags.check === true && !all.every(isSound) ? exitCodes.partial : exitCodes.done;
      }),
    );
}

/** Loads what asks the hosts only where they are asked. */
async function check(
  context: OperationContext,
  links: readonly LinkRecord[],
): Promise<readonly LinkRecord[]> {
  const { checkLinks } = await import('../../operations/check-links.ts');
  return checkLinks(context, links);
}

/** What mends each link that does not work. */
async function noteNextSteps(
  reporter: Session['reporter'],
  stored: readonly LinkRecord[],
  links: readonly LinkDocument[],
): Promise<void> {
  const { findNextStep } = await import('../../operations/next-step.ts');
  for (const { id, status, statusReason } of links) {
    const link = stored.find((record) => record.id === id);
    const step = link ? findNextStep({ ...link, status, statusReason }) : null;
    if (link && step !== null) reporter.note(`${link.name}: ${step}`);
  }
}

/** Loads the providers only where one is named: a plain list starts faster without them. */
async function toProviderId(word: string | undefined): Promise<string | null> {
  if (word === undefined) return null;
  const { findProvider, providers } = await import('../../providers/registry.ts');
  const found = findProvider(word);
  if (found) return found.provider.id;
  throw new UsageError(`There is no provider "${word}".`, {
    hint: `There are: ${providers.map(({ id }) => id).join(', ')}`,
  });
}

function toDays(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new UsageError('--expiring takes a number of days.', {
    hint: 'For example: gitlink list --expiring 30',
  });
}

function expiresWithin({ expiresAt }: LinkDocument, now: number, days: number): boolean {
  return expiresAt !== null && Date.parse(expiresAt) <= now + days * dayMs;
}

function explainEmptiness(linkCount: number, flags: ListFlags): string {
  if (linkCount > 0) return `Nothing expires within ${flags.expiring ?? ''} days.`;
  if (flags.provider !== undefined) return `There are no links of ${flags.provider}.`;
  return 'There are no links yet. Make one with: gitlink link PROVIDER';
}
