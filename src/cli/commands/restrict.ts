import { exitCodes, NotFoundError, UsageError } from '../../errors.ts';
import { isInstallation } from '../../operations/is-installation.ts';
import { readInstallation, waitForChange } from '../../operations/apps/edit-installation.ts';
import { openLink } from '../../operations/host-access.ts';
import { describeLinks } from '../../operations/describe-links.ts';
import { describeFault } from '../../operations/plan-webhooks.ts';
import { removeKnownWebhooks } from '../../operations/remove-webhooks.ts';
import {
  applyRestriction,
  findStrandedWebhooks,
  listReachableNamespaces,
  prepareRestriction,
  type RestrictionChange,
} from '../../operations/restrict-link.ts';
import { getLink } from '../../operations/find-link.ts';
import type { LinkRecord } from '../../store/link-schema.ts';
import type { JournalEntry } from '../../store/webhook-journal.ts';
import { openPage } from '../open-page.ts';
import { describeAccess } from '../link-view.ts';
import { collectList, createCommand, type Cli } from '../program.ts';
import type { Session } from '../session.ts';

interface RestrictFlags {
  readonly repo?: readonly string[];
  readonly add?: boolean;
  readonly remove?: boolean;
  readonly unrestricted?: boolean;
  readonly keepWebhooks?: boolean;
}

/** How long a person may take at the page of an installation. */
const editLimitMs = 15 * 60_000;

export function registerRestrict(cli: Cli): void {
  createCommand(cli, 'restrict', 'Limit what a link may be used for', [
    ['gitlink restrict gitea acme tools', 'only the namespaces acme and tools'],
    ['gitlink restrict gitea --repo acme/site', 'only one repository'],
    ['gitlink restrict gitea lab --add', 'lab, too'],
    ['gitlink restrict gitea', 'choose from a list'],
    ['gitlink restrict gitea --unrestricted', 'no limit any more'],
    ['gitlink restrict github', 'a GitHub App: opens the page where its repositories are chosen'],
  ])
    .argument('[link]', 'the link; not needed when there is only one')
    .argument('[namespaces...]', 'what to limit it to')
    .option('--repo <owner/name>', 'limit it to this repository (repeatable)', collectList)
    .option('--add', 'add what is named to the restriction')
    .option('--remove', 'take what is named out of the restriction')
    .option('--unrestricted', 'lift the restriction')
    .option('--keep-webhooks', 'leave the webhooks that get out of reach')
    .action((name: string | undefined, namespaces: readonly string[], flags: RestrictFlags) =>
      cli.run('restrict', (session) => restrict(session, name, namespaces, flags)),
    );
}

async function restrict(
  session: Session,
  name: string | undefined,
  namespaces: readonly string[],
  flags: RestrictFlags,
): Promise<number> {
  const { context, output, reporter } = session;
  const link = await session.chooseLink(name);
  if (isAboutInstallation(link, namespaces, flags)) return editInstallation(session, link);
  const change = await chooseChange(session, link, namespaces, flags);
  const changed = await applyRestriction(context, link, await prepareRestriction(context, link, change));
  const { restriction } = changed;
  const stranded = findStrandedWebhooks(context, changed);
  const [document] = describeLinks(context, [changed]);
  if (document)
    reporter.note(
      `"${link.name}" may now be used for: ${restriction.mode === 'unrestricted' ? 'everything' : describeAccess(document)}.`,
    );
  if (restriction.mode === 'restricted' && isInstallation(link)) {
    reporter.note('Each token that gitlink makes for it is good for one allowed repository alone.');
  } else if (restriction.mode === 'restricted') {
    reporter.note('gitlink enforces this itself: the token can still do more when it is used elsewhere.');
  }
  const isClean = stranded.length === 0 || (await offerRemoval(session, changed, stranded, flags));
  output.document({ link: document });
  return isClean ? exitCodes.done : exitCodes.partial;
}

/** What an App reaches is chosen at the host, where nothing else is said. */
function isAboutInstallation(
  link: LinkRecord,
  namespaces: readonly string[],
  { repo, add, remove, unrestricted }: RestrictFlags,
): boolean {
  const isNamed = namespaces.length + (repo?.length ?? 0) > 0;
  return isInstallation(link) && !isNamed && add !== true && remove !== true && unrestricted !== true;
}

/** Sends the person to the page of the installation, waits, and reports what changed. */
async function editInstallation(session: Session, link: LinkRecord): Promise<number> {
  const { context, output, reporter, prompter } = session;
  reporter.status('Asking what the App reaches…');
  const before = await readInstallation(context, link);
  const { pageUrl } = before.installation;
  if (!prompter.canAsk) {
    throw new UsageError(`What the App of "${link.name}" reaches is chosen by a person at ${pageUrl}`, {
      hint: `To limit only what gitlink uses it for: gitlink restrict ${link.name} --repo OWNER/NAME`,
    });
  }
  reporter.note('GitHub limits what an App reaches: choose its repositories there and press "Save".');
  await openPage(session, pageUrl);
  reporter.status('Waiting until you have saved it there (Ctrl-C to stop)…');
  const change = await waitForChange(context, link, before, editLimitMs);
  reporter.clear();
  for (const name of change.added) reporter.note(`Added: ${name}`);
  for (const name of change.removed) reporter.note(`Removed: ${name}`);
  reporter.note(
    `The App reaches ${change.isSelective ? 'the chosen repositories' : 'all repositories'} of ${change.link.account.login ?? 'the account'} now.`,
  );
  output.document({ link: describeLinks(context, [change.link])[0] });
  return exitCodes.done;
}

async function chooseChange(
  session: Session,
  link: LinkRecord,
  namespaces: readonly string[],
  flags: RestrictFlags,
): Promise<RestrictionChange> {
  const wish = { namespaces, repositories: flags.repo ?? [] };
  const isNamed = wish.namespaces.length + wish.repositories.length > 0;
  const modes = [flags.add, flags.remove, flags.unrestricted].filter((flag) => flag === true);
  if (modes.length > 1 || (flags.unrestricted === true && isNamed)) {
    throw new UsageError(
      '--add, --remove and --unrestricted exclude each other, and the last one takes no names.',
    );
  }
  if (flags.unrestricted === true) return { how: 'lift' };
  if (flags.add === true && link.restriction.mode === 'unrestricted') {
    throw new UsageError(`"${link.name}" may be used for everything already, so there is nothing to add.`, {
      hint: 'To limit it to what you named, leave --add out.',
    });
  }
  if (isNamed) {
    return { how: flags.add === true ? 'add' : flags.remove === true ? 'remove' : 'replace', wish };
  }
  if (!session.prompter.canAsk) {
    throw new UsageError('What to limit the link to is needed.', {
      hint: `For example: gitlink restrict ${link.name} NAMESPACE, or --repo OWNER/NAME, or --unrestricted`,
    });
  }
  const reachable = await listReachableNamespaces(session.context, link);
  const choices = reachable.map(({ path, kind }) => ({ value: path, label: `${path}  (${kind})` }));
  const before = link.restriction.mode === 'restricted' ? link.restriction.namespaces : [];
  if (choices.length === 0) {
    throw new NotFoundError(`The account of "${link.name}" reaches no namespace to choose from.`, {
      hint: `To limit it to repositories: gitlink restrict ${link.name} --repo OWNER/NAME`,
    });
  }
  const ifNone = `Tick at least one. For no limit, stop with Ctrl-C: gitlink restrict ${link.name} --unrestricted`;
  const chosen = await session.prompter.chooseMany('Limit it to', choices, { chosen: before, ifNone });
  return { how: 'replace', wish: { namespaces: chosen, repositories: [] } };
}

/** @returns whether nothing is left behind that the person did not want to keep. */
async function offerRemoval(
  session: Session,
  link: LinkRecord,
  stranded: readonly JournalEntry[],
  flags: RestrictFlags,
): Promise<boolean> {
  const { context, prompter, reporter } = session;
  const labels = stranded.map(({ label }) => label).join(', ');
  const count = `${stranded.length} webhook${stranded.length === 1 ? '' : 's'} of gitlink`;
  reporter.warn(`${count} ${stranded.length === 1 ? 'is' : 'are'} now out of reach: ${labels}.`);
  const isWanted =
    flags.keepWebhooks !== true &&
    (session.saysYes || (prompter.canAsk && (await prompter.confirm('Remove them?', true))));
  if (!isWanted) {
    if (flags.keepWebhooks !== true)
      reporter.note('They were kept. To remove them, run this again with --yes.');
    return true;
  }
  const removals = await removeKnownWebhooks(context, await openLink(context, link), () =>
    findStrandedWebhooks(context, getLink(context.links.read(), link.id)),
  );
  let isClean = true;
  for (const { entry, result } of removals) {
    if (typeof result === 'string') {
      reporter.note(`Removed the webhook of ${entry.label}.`);
    } else {
      isClean = false;
      reporter.warn(`The webhook of ${entry.label} is still there: ${describeFault(result)}`);
    }
  }
  return isClean;
}
