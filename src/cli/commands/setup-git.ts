import { NotFoundError, UsageError } from '../../errors.ts';
import { toDisplayHost } from '../../http/base-url.ts';
import { unsetLinkSetting, writeLinkSetting } from '../../git/write-link-setting.ts';
import {
  listConfiguredHosts,
  listGitHosts,
  planGitSetup,
  planGitUndo,
} from '../../operations/configure-git.ts';
import { chooseHelper, makeGitChange } from '../git-setup.ts';
import { createCommand, type Cli } from '../program.ts';
import type { Session } from '../session.ts';

interface SetupGitFlags {
  readonly undo?: boolean;
  readonly local?: boolean;
  readonly link?: string;
}

export function registerSetupGit(cli: Cli): void {
  createCommand(cli, 'setup-git', "Make gitlink git's credential helper for the linked hosts", [
    ['gitlink setup-git', 'git asks gitlink for every linked host; the change is shown'],
    ['gitlink setup-git --undo', 'git has back what it had before'],
    ['gitlink setup-git --local --link work', 'the repository around uses this link, where several fit'],
  ])
    .option('--undo', 'take back what was written, and restore what was there')
    .option('--local', 'only the repository around: which link it uses')
    .option('--link <name>', 'the link that the repository around shall use')
    .action((flags: SetupGitFlags) =>
      cli.run('setup-git', async (session) => {
        if (flags.local === true || flags.link !== undefined) return chooseForRepository(session, flags);
        const { context, output, reporter, runtime } = session;
        if (flags.undo === true) {
          const undo = await planGitUndo(context, runtime, null, chooseHelper(session));
          const isChanged = await makeGitChange(session, undo);
          reporter.note(isChanged ? 'git no longer asks gitlink.' : 'There was nothing to undo.');
          output.document({ hosts: [], link: null });
          return;
        }
        const hosts = [...new Set(context.links.read().links.flatMap(listGitHosts))];
        if (hosts.length === 0) {
          throw new NotFoundError('There are no links, so there is nothing that git could ask for.', {
            hint: 'Make one with: gitlink link PROVIDER',
          });
        }
        const isChanged = await makeGitChange(
          session,
          await planGitSetup(context, runtime, hosts, chooseHelper(session)),
        );
        const names = hosts.map(toDisplayHost).join(', ');
        reporter.note(
          isChanged ? `git now asks gitlink for ${names}.` : `git already asks gitlink for ${names}.`,
        );
        output.document({ hosts, link: null });
      }),
    );
}

/** Writes, or takes back, the repository's own setting; git's helper is set up for all repositories as ever. */
async function chooseForRepository(session: Session, flags: SetupGitFlags): Promise<void> {
  const { context, output, reporter, runtime } = session;
  if (flags.local !== true) {
    throw new UsageError('--link chooses for one repository, so it needs --local.', {
      hint: 'For example: gitlink setup-git --local --link work',
    });
  }
  if (flags.undo === true) {
    await unsetLinkSetting(runtime);
    reporter.note('The repository no longer names a link.');
    output.document({ hosts: null, link: null });
    return;
  }
  const link = await session.chooseLink(flags.link);
  await writeLinkSetting(link.name, runtime);
  reporter.note(`This repository now uses "${link.name}" for ${toDisplayHost(link.host)}.`);
  if (!listConfiguredHosts(context.links.read()).includes(link.host)) {
    reporter.note('git does not ask gitlink yet. To change that: gitlink setup-git');
  }
  output.document({ hosts: null, link: link.name });
}
