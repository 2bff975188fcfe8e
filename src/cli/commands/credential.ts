import { readChunks } from '../../git/read-chunks.ts';
import { createGitQuestion, replyToGit } from '../../operations/git-question.ts';
import { markRefused, readVaultItem } from '../../operations/helper-storage.ts';
import {
  forgetForGit,
  lookUpForGit,
  readEnvironmentForGit,
  mintForGit,
  renewForGit,
} from '../../operations/helper-renewal.ts';
import { version } from '../../version.ts';
import { createCommand, type Cli } from '../program.ts';

export function registerCredential(cli: Cli): void {
  createCommand(cli, 'credential', "git's credential helper protocol; git calls it, not people", [
    ['printf "protocol=https\\nhost=git.acme.dev\\n\\n" | gitlink credential get', 'what git would be told'],
    ['gitlink setup-git', 'how git is told to ask gitlink'],
  ])
    .argument('<operation>', 'get, store or erase')
    .action((operation: string) =>
      cli.run('credential', async ({ directories, runtime }) => {
        const { env, fetch } = runtime;
        const machine = { directories, env, userAgent: `gitlink/${version}`, fetch };
        const question = createGitQuestion(operation, readChunks(0), {
          env: runtime.env,
          directories,
          environment: runtime.env['GITLINK_PROVIDER'] ? readEnvironmentForGit(runtime) : null,
          now: () => runtime.clock.now(),
          readOtherItem: (link, passphraseFile) =>
            readVaultItem(directories, runtime.env, link, passphraseFile),
          renew: (link, credential, isRefused) => renewForGit(machine, link, credential, isRefused),
          mint: (link, repository) => mintForGit(machine, link, repository),
          lookUp: (link, repository) => lookUpForGit(machine, link, repository),
          forgetMinted: (link, repository) => forgetForGit(machine, link, repository),
          markRefused: (link) => markRefused(directories, link),
        });
        await replyToGit(question, runtime);
      }),
    );
}
