import { exitCodes, UnsupportedError } from '../../errors.ts';
import { toDisplayHost } from '../../http/base-url.ts';
import { requireAppOf, requireApps } from '../../operations/apps/open-app.ts';
import { isInstallation } from '../../operations/is-installation.ts';
import { describeLinks } from '../../operations/describe-links.ts';
import { findLink } from '../../operations/find-link.ts';
import { requireProvider } from '../../operations/link-faults.ts';
import { rotateLink, type LinkRotation } from '../../operations/rotate-link.ts';
import type { LinkRecord } from '../../store/link-schema.ts';
import { readExpiry } from '../credential-flags.ts';
import { openPage } from '../open-page.ts';
import { createCommand, type Cli } from '../program.ts';
import type { Session } from '../session.ts';
import { relinkByToken } from './relink.ts';

interface RotateFlags {
  readonly expires?: string;
  readonly via?: string;
}

export function registerRotate(cli: Cli): void {
  createCommand(cli, 'rotate', 'Have the host replace the token of a link', [
    ['gitlink rotate gitlab', 'a new token of the same powers; the old one is dead'],
    ['gitlink rotate gitlab --expires 2027-03-31', 'and when the new one shall end'],
  ])
    .argument('[link]', 'the link; not needed when there is only one')
    .option('--expires <date>', 'when the new token ends (default: as long a life as the old one had)')
    .option(
      '--via <link>',
      'another link of the host that may manage tokens (Azure DevOps, Bitbucket Data Center)',
    )
    .action((name: string | undefined, flags: RotateFlags) =>
      cli.run('rotate', (session) => run(session, name, flags)),
    );
}

async function run(session: Session, name: string | undefined, flags: RotateFlags): Promise<number> {
  const { context, output, reporter } = session;
  const link = await session.chooseLink(name);
  if (isInstallation(link)) throw explainKeyRotation(session, link);
  const expiresAt = readExpiry(flags.expires, context.clock.now());
  const via = flags.via === undefined ? null : findLink(context.links.read(), flags.via);
  const rotation = await rotateLink(context, link, { expiresAt, via });
  if (rotation.outcome === 'impossible') return replaceByHand(session, link, rotation);
  const { link: rotated, old } = rotation;
  const until =
    rotated.expiresAt === null
      ? ''
      : `, good until ${new Date(rotated.expiresAt).toISOString().slice(0, 10)}`;
  reporter.note(`"${rotated.name}" has a new token at ${toDisplayHost(rotated.host)}${until}.`);
  if (old === null) {
    reporter.note('It is a sign-in: its old access token ends by itself, if it has not ended already.');
  } else if (old.outcome === 'impossible' || old.outcome === 'failed') {
    reporter.warn(`The old one may still work: ${old.reason}. Delete it at ${old.pageUrl}`);
  } else {
    reporter.note('The old one is dead.');
  }
  output.document({ link: describeLinks(context, [rotated])[0] });
  return old?.outcome === 'failed' ? exitCodes.partial : exitCodes.done;
}

/** Of an App only the key can be replaced, by a person. */
function explainKeyRotation({ context }: Session, link: LinkRecord): UnsupportedError {
  const { app } = requireAppOf(context.links.read(), link);
  const page = requireApps(requireProvider(link)).settingsPage(link.host, app);
  return new UnsupportedError(
    `"${link.name}" has no token to rotate: the App ${app.slug} makes a new one whenever one is needed.`,
    {
      hint: `To replace its key: make one at ${page}, then: gitlink relink ${link.name} --app-key-file FILE, and delete the old key there.`,
    },
  );
}

/** @throws UnsupportedError without a terminal, with the page and the command that takes the new token. */
async function replaceByHand(
  session: Session,
  link: LinkRecord,
  { reason, pageUrl }: Extract<LinkRotation, { outcome: 'impossible' }>,
): Promise<number> {
  if (!session.prompter.canAsk) {
    throw new UnsupportedError(
      `${toDisplayHost(link.host)} cannot rotate the token of "${link.name}": ${reason}.`,
      {
        hint: `Make a new one at ${pageUrl}, then: gitlink relink ${link.name} --with-token < FILE`,
      },
    );
  }
  session.reporter.warn(`The host cannot do it: ${reason}. Make a new token yourself, and gitlink takes it.`);
  await openPage(session, pageUrl);
  return relinkByToken(session, link);
}
