import { exitCodes, UsageError } from '../../errors.ts';
import { toDisplayHost } from '../../http/base-url.ts';
import { readLastUsage } from '../../store/usage-log.ts';
import { isInstallation } from '../../operations/is-installation.ts';
import { findLink } from '../../operations/find-link.ts';
import { assertSameHost } from '../../operations/rotate-link.ts';
import { planUnlink, unlink, type UnlinkStep } from '../../operations/unlink.ts';
import type { LinkRecord } from '../../store/link-schema.ts';
import { undoGitFor } from '../git-setup.ts';
import { openPage } from '../open-page.ts';
import { createCommand, type Cli } from '../program.ts';
import { assertConfirmed, type Session } from '../session.ts';
import { printTable, type Column } from '../table.ts';

interface UnlinkFlags {
  readonly revoke?: boolean;
  readonly keepWebhooks?: boolean;
  readonly forget?: boolean;
  readonly uninstall?: boolean;
  readonly via?: string;
  readonly dryRun?: boolean;
}

const words: Readonly<Record<UnlinkStep['what'], string>> = {
  webhook: 'remove the webhook of',
  uninstall: 'take the App off',
  revoke: 'revoke the credential at',
  proof: 'prove that it is dead at',
  secret: 'delete the secret from the',
  record: 'delete the link',
  git: 'undo the git setup for',
};

const columns: readonly Column<UnlinkStep>[] = [
  { header: 'STEP', cell: ({ what, subject }) => `${words[what]} ${toDisplayHost(subject)}`, least: 30 },
  {
    header: 'STATE',
    cell: ({ state }) => state,
    style: ({ state }, styles) =>
      state === 'failed' ? styles.bad : state === 'skipped' ? styles.doubtful : styles.good,
  },
  { header: 'REASON', cell: ({ reason }) => reason ?? '', least: 10 },
];

export function registerUnlink(cli: Cli): void {
  createCommand(cli, 'unlink', 'Take a link apart: webhooks, credential, secret, record', [
    ['gitlink unlink gitea', 'shows what it will do and asks'],
    ['gitlink unlink gitea --revoke --yes', 'in a script; the token is ended at the host, too'],
    ['gitlink unlink gitea --dry-run', 'what would happen'],
    ['gitlink unlink gitea --forget --yes', 'only here: the host is not asked'],
  ])
    .argument('[link]', 'the link; not needed when there is only one')
    .option('--revoke', 'end the credential at the host, also one that you made yourself')
    .option('--no-revoke', 'leave the credential alive at the host')
    .option('--uninstall', 'take the GitHub App off the account, for everybody')
    .option(
      '--via <link>',
      'another link of the host that may end tokens (Azure DevOps, Bitbucket Data Center)',
    )
    .option('--keep-webhooks', 'leave the webhooks')
    .option('--forget', 'delete locally only, without asking the host')
    .option('--dry-run', 'only show what would be done')
    .action((name: string | undefined, flags: UnlinkFlags) =>
      cli.run('unlink', (session) => run(session, name, flags)),
    );
}

async function run(session: Session, name: string | undefined, flags: UnlinkFlags): Promise<number> {
  const { context, output, reporter, styles, directories } = session;
  const link = await session.chooseLink(name);
  if (flags.forget === true && flags.revoke === true)
    throw new UsageError('--forget asks the host nothing, so it cannot revoke.');
  if (flags.uninstall === true && (!isInstallation(link) || flags.forget === true)) {
    throw new UsageError(
      isInstallation(link)
        ? '--forget asks the host nothing, so it cannot uninstall.'
        : `"${link.name}" is no App, so there is nothing to uninstall.`,
    );
  }
  const usage = readLastUsage(directories.state).get(link.id);
  if (usage)
    reporter.note(
      `"${link.name}" was last used on ${toMinute(usage.at)} by ${usage.by}${usage.path === null ? '' : ` for ${usage.path}`}.`,
    );
  const request = {
    keepWebhooks: flags.keepWebhooks === true,
    forget: flags.forget === true,
    uninstall: flags.uninstall === true,
    via: findVia(session, link, flags.via),
    revoke: await chooseRevocation(session, link, flags),
  };
  const plan = planUnlink(context, link, request);
  if (flags.dryRun === true) {
    output.document({ link: link.name, steps: plan, remaining: [] });
    printTable(output, styles, columns, plan);
    return exitCodes.done;
  }
  await assertConfirmed(session, describePlan(link, plan));
  const { steps, remaining, endingPage, isGone } = await unlink(context, link, request, () =>
    undoGitFor(session, link),
  );
  reporter.clear();
  output.document({ link: link.name, steps, remaining });
  printTable(output, styles, columns, steps);
  for (const { what, url } of remaining) {
    reporter.warn(`Left for you: ${what}${url === null ? '' : ` (${url})`}`);
  }
  if (endingPage !== null && session.prompter.canAsk) await openPage(session, endingPage);
  reporter.note(
    isGone
      ? `"${link.name}" is unlinked.`
      : `"${link.name}" is still there. Try again, or delete it here only: gitlink unlink ${link.name} --forget`,
  );
  return steps.some(({ state }) => state === 'failed') ? exitCodes.partial : exitCodes.done;
}

function findVia({ context }: Session, link: LinkRecord, name: string | undefined): LinkRecord | null {
  const via = name === undefined ? null : findLink(context.links.read(), name);
  assertSameHost(link, via);
  return via;
}

/** What a person pasted is theirs: it is ended only when they say so. */
async function chooseRevocation(session: Session, link: LinkRecord, flags: UnlinkFlags): Promise<boolean> {
  if (flags.forget === true) return false;
  if (flags.revoke !== undefined) return flags.revoke;
  if (link.credentialOrigin === 'obtained') return true;
  if (!session.prompter.canAsk || session.saysYes || flags.dryRun === true) return false;
  return session.prompter.confirm(
    `Revoke the token at ${toDisplayHost(link.host)}, too? You made it yourself, so something else may use it.`,
    false,
  );
}

function toMinute(time: number): string {
  return `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function describePlan(link: LinkRecord, plan: readonly UnlinkStep[]): string {
  const hooks = plan.filter(({ what, state }) => what === 'webhook' && state === 'planned').length;
  const parts = [
    ...(hooks > 0 ? [`remove ${hooks} webhook${hooks === 1 ? '' : 's'}`] : []),
    ...(plan.some(({ what }) => what === 'uninstall') ? ['take the App off the account'] : []),
    ...(plan.some(({ what, state }) => what === 'revoke' && state === 'planned') ? ['revoke the token'] : []),
    ...(plan.some(({ what }) => what === 'git') ? ['undo the git setup'] : []),
    'delete the secret and the link',
  ];
  return `Unlink "${link.name}" (${link.account.login ?? 'unknown account'} at ${toDisplayHost(link.host)}): ${parts.join(', ')}?`;
}
