import { NotFoundError } from '../../errors.ts';
import { planGitSetup, planGitUndo } from '../../operations/configure-git.ts';
import { chooseHelper, makeGitChange } from '../git-setup.ts';
import { toShortHost } from '../link-view.ts';
import { createCommand, type Cli } from '../program.ts';

export function registerSetupGit(cli: Cli): void {
  createCommand(cli, 'setup-git', "Make gitlink git's credential helper for the linked hosts", [
    ['gitlink setup-git', 'git asks gitlink for every linked host; the change is shown'],
    ['gitlink setup-git --undo', 'git has back what it had before'],
  ])
    .option('--undo', 'take back what was written, and restore what was there')
    .action((flags: { readonly undo?: boolean }) =>
      cli.run('setup-git', async (session) => {
        const { context, output, reporter, runtime } = session;
        if (flags.undo === true) {
          const isChanged = await makeGitChange(session, await planGitUndo(context, runtime, null));
          reporter.note(isChanged ? 'git no longer asks gitlink.' : 'There was nothing to undo.');
          output.document({ hosts: [] });
          return;
        }
        const hosts = [...new Set(context.links.read().links.map(({ host }) => host))];
        if (hosts.length === 0) {
          throw new NotFoundError('There are no links, so there is nothing that git could ask for.', {
            hint: 'Make one with: gitlink link gitea --host HOST',
          });
        }
        const isChanged = await makeGitChange(
          session,
          await planGitSetup(context, runtime, hosts, chooseHelper(session)),
        );
        const names = hosts.map(toShortHost).join(', ');
        reporter.note(
          isChanged ? `git now asks gitlink for ${names}.` : `git already asks gitlink for ${names}.`,
        );
        output.document({ hosts });
      }),
    );
}
